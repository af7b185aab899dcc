"""Which hosts and which services the tasks on services are about."""

from __future__ import annotations

from collections.abc import Sequence

from provision.errors import UsageError, nearest
from provision.inventory.schema import Host
from provision.serving.services.role import services_of
from provision.state.role import Role


def with_services(hosts: Sequence[Host], task: str) -> list[Host]:
    """Return the hosts that have the role `services`; `UsageError` where none has."""
    found = [host for host in hosts if services_of(host)]
    if not found:
        raise UsageError(
            "no selected host has the role 'services'",
            where=task,
            remedy="Add it to a group's roles, and the services under services.wanted.",
        )
    return found


def named(service: str, hosts: Sequence[Host]) -> tuple[str, ...]:
    """Return the services that `--service` asks for; none stands for all."""
    roles = [role for host in hosts if (role := services_of(host))]
    known = {name for role in roles for name in role.present()}
    names = [name.strip() for name in service.split(",")] if service else []
    for name in names:
        if name not in known:
            raise UsageError(
                f"no selected host has the service '{name}'",
                where="--service",
                remedy=nearest(name, known),
            )
    return tuple(dict.fromkeys(names))


def with_only(name: str, role: Role, host: Host) -> Host:
    """Return the host with one role to plan and apply, and the others' variables at hand."""
    return host.model_copy(update={"roles": (name,), "variables": {**host.variables, name: role}})
