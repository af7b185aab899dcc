"""The way back: which release each service of a host was in before, as resources that are planned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from provision.errors import ServiceError
from provision.facts import Facts
from provision.inventory.schema import Host
from provision.serving.services.role import services_of
from provision.state.kinds.service_release import ServiceRelease
from provision.state.resource import Resource, State
from provision.state.role import Role


class History(Role):
    """The releases of a host's services as they are: it wants nothing changed."""

    needs_systemd: ClassVar[bool] = False

    only: tuple[str, ...] = ()
    """Names of the services; none = all."""

    def resources(self, host: Host, facts: Facts) -> Iterator[Resource]:
        """Yield the services, each in whichever release it is."""
        role = services_of(host)
        if role is None or facts.docker is None:
            raise ServiceError(
                "no Docker answers, so no service can go back",
                where=host.name,
                remedy="Look at it there (systemctl status docker), or provision the host first: "
                f"inv provision --host {host.name}",
            )
        for name in role.present():
            if not self.only or name in self.only:
                yield ServiceRelease(name=name, base=role.dir)

    def way_back(self, host: Host, states: Mapping[str, State | None]) -> WayBack:
        """Return the role that brings each service to the release before, by what was seen.

        Of services that were named each must have one; of all, one of them.
        """
        role = services_of(host)
        base = role.dir if role else ""
        seen = {name.partition(":")[2]: state for name, state in states.items()}
        targets = {name: _target(name, base, state) for name, state in seen.items()}
        found = tuple(target for target in targets.values() if target)
        if targets and (not found or (self.only and None in targets.values())):
            lacking = [name for name, target in targets.items() if target is None]
            return WayBack(refusal=f"{host.name}: {_nowhere(lacking, seen)}")
        return WayBack(targets=found)


class WayBack(Role):
    """Services, each in the release that it was validated in before."""

    needs_systemd: ClassVar[bool] = False

    targets: tuple[ServiceRelease, ...] = ()
    refusal: str = ""
    """Why there is no way back: the whole line that an operator reads."""

    def resources(self, host: Host, facts: Facts) -> Iterator[Resource]:
        """Yield the services."""
        del host, facts
        if self.refusal:
            raise ServiceError(self.refusal)
        yield from self.targets


def _target(name: str, base: str, state: State | None) -> ServiceRelease | None:
    if state is None or not state["(before)"]:
        return None
    return ServiceRelease(
        name=name,
        base=base,
        release=str(state["(before)"]),
        hash=str(state["(before_hash)"]),
        kept=int(state["(before_kept)"]),
        patience=int(state["(before_patience)"]),
    )


def _nowhere(names: list[str], states: Mapping[str, State | None]) -> str:
    """Say of each service why it cannot go back."""
    reasons = [
        f"{name} is in release {state['release']}, and none before it is left"
        if (state := states[name])
        else f"{name} has never answered as it must"
        for name in names
    ]
    return (
        f"there is nothing to go back to: {'; '.join(reasons)}. "
        "To run something else, change the inventory and deploy: inv deploy"
    )
