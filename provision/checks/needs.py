"""What a host is meant to have: GPUs, Docker, the toolkit, and which services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from provision.checks.check import Sight
from provision.facts.health import Container
from provision.inventory.schema import Host
from provision.serving.roles import SERVICES
from provision.state.role import Role

if TYPE_CHECKING:
    from provision.serving.services.wish import ServiceWish


def roles_of(host: Host) -> list[Role]:
    """Return the roles of a host that have resources of their own."""
    found = (host.variables.get(name) for name in host.roles)
    return [role for role in found if isinstance(role, Role) and not role.deploys]


def wants_gpus(host: Host) -> bool:
    """Say whether GPUs are declared or, where nothing is, whether a role makes no sense without."""
    return host.gpus > 0 if host.gpus is not None else _needs_gpu(host)


def wants_toolkit(host: Host) -> bool:
    """Say whether containers of the host are to have GPUs."""
    return _needs_gpu(host) and host.gpus != 0


def wants_docker(host: Host) -> bool:
    """Say whether the host is to have Docker."""
    return not {"docker", SERVICES}.isdisjoint(host.roles)


def wanted_services(sight: Sight) -> Mapping[str, ServiceWish]:
    """Return the services that the host is to have, by name."""
    from provision.serving.services.role import services_of  # noqa: PLC0415  a plan does not ask

    role = services_of(sight.host)
    return role.present() if role else {}


def service_containers(sight: Sight) -> dict[str, Container]:
    """Return the containers of services that Docker knows, by name."""
    engine = sight.health.engine
    found = engine.containers if engine and sight.facts.docker else ()
    return {each.name: each for each in found if each.service}


def ready_services(sight: Sight) -> frozenset[str]:
    """Return the services that claim to answer, so that it makes sense to call them.

    Of the others another check tells why they do not, or they are loading their model still.
    """
    return frozenset(
        name
        for name, container in service_containers(sight).items()
        if container.status == "running" and container.health in {"healthy", ""}
    )


def driver_works(sight: Sight) -> bool:
    """Say whether nvidia-smi answers, so that what it says of GPUs can be judged."""
    driver = sight.facts.driver
    return driver is not None and driver.status == "ok" and "gpus" not in sight.facts.unknown


def clock_of(sight: Sight) -> float:
    """Return what the host's own clock said, by which its logs are dated."""
    return sight.health.clock.now if sight.health.clock else sight.now


def _needs_gpu(host: Host) -> bool:
    return any(role.needs_gpu for role in roles_of(host))
