"""The package: installed, at which version, held or not; neighbours go in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Final, Literal, Protocol, cast

from pydantic import StringConstraints

from provision.state.kinds import package_apt, package_dnf
from provision.state.resource import Command, Difference, Resource, State

PackageName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*[A-Za-z0-9+._]$")
]
"""A package's name; apt would take `name-` for a removal."""
PackageVersion = Annotated[str, StringConstraints(pattern=r"^[0-9*][A-Za-z0-9._+:~^*-]*$")]
"""A version, or a pattern of one."""


class _Manager(Protocol):
    """What a package manager must be able to say; the modules `package_…` are some."""

    GATHER: str

    def probe(self, name: str, /) -> str: ...
    def state(self, output: str, /) -> State | None: ...
    def fits(self, version: str, wanted: str, /) -> bool: ...
    def transaction(
        self,
        install: Mapping[str, str | None],
        remove: Sequence[str],
        moved: Sequence[str],
        lock_timeout: int,
        /,
    ) -> Command: ...
    def hold(self, names: Sequence[str], /) -> Command: ...


_MANAGERS: Final[Mapping[str, _Manager]] = {"apt": package_apt, "dnf": package_dnf}


class Package(Resource):
    """The package `name`, of Debian's kind or RPM's."""

    kind: ClassVar[str] = "package"

    name: PackageName
    manager: Literal["apt", "dnf"] = "apt"
    """The package system of the host."""
    present: bool = True
    version: PackageVersion | None = None
    """Exact version or a pattern such as `5:28.*` (dnf: `28.*`); None = any, and no upgrade."""
    hold: bool = False
    """Keep upgrades from moving it; a hold that somebody else set is left alone."""
    lock_timeout: int = 300
    """Seconds to wait for another package manager to finish."""

    def gather(self) -> Mapping[str, str]:
        """Have it asked for together with all packages: the database is read once."""
        return {self._manager.GATHER: self.name}

    def probe(self) -> str:
        """Ask the database of what is installed."""
        return self._manager.probe(self.name)

    def actual(self, output: str) -> State | None:
        """Parse the answer; a version that fits the wanted pattern reads as the pattern."""
        state = self._manager.state(output)
        if state and self.version and self._manager.fits(str(state["version"]), self.version):
            return {**state, "version": self.version}
        return state

    def expected(self) -> State | None:
        """Want it installed, and version and hold where they are stated."""
        if not self.present:
            return None
        state: dict[str, str | int | bool] = {"installed": True}
        if self.version:
            state["version"] = self.version
        if self.hold:
            state["hold"] = True
        return state

    def apply(self, actual: State | None, changed: frozenset[str]) -> list[Command]:
        """Do what `apply_together` does, for one."""
        return self.apply_together([Difference(self, actual, changed)])

    @classmethod
    def apply_together(cls, differences: Sequence[Difference]) -> list[Command]:
        """Install and remove all neighbours in one transaction, so that they are solved as one."""
        packages = [cast("Package", resource) for resource, _, _ in differences]
        manager = packages[0]._manager  # noqa: SLF001  of the same class, all of one host
        moving = [
            (cast("Package", item), actual)
            for item, actual, changed in differences
            if changed != {"hold"}
        ]
        install = {item.name: item.version for item, _ in moving if item.present}
        remove = [item.name for item, _ in moving if not item.present]
        moved = [item.name for item, actual in moving if actual and actual.get("hold")]
        held = [package.name for package in packages if package.hold]
        commands = []
        if moving:
            lock_timeout = max(package.lock_timeout for package in packages)
            commands.append(manager.transaction(install, remove, moved, lock_timeout))
        if held:
            commands.append(manager.hold(held))
        return commands

    def fears(self, actual: State | None, changed: frozenset[str]) -> tuple[str, ...]:
        """Name removals and moves of what is installed, also of what somebody held."""
        if not self.present:
            return ("removes a package",)
        if actual is None or "version" not in changed:
            return ()
        held = " on hold" if actual.get("hold") else ""
        return (f"replaces version {actual['version']}{held}",)

    def disturbs(self, changed: frozenset[str]) -> str:
        """Warn of the scripts of packages, which restart services."""
        return "" if changed == {"hold"} else "runs package scripts"

    @property
    def _manager(self) -> _Manager:
        return _MANAGERS[self.manager]
