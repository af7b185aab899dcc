"""The package (apt): installed, at which version, held or not; neighbours go in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated, ClassVar, Final, cast

from pydantic import StringConstraints

from provision.state.resource import Command, Difference, Resource, State
from provision.state.shell import quote

_FORMAT: Final = r"${db:Status-Abbrev}|${Version}\n"
_TIMEOUT: Final = 1800  # seconds: a slow mirror, not a hung one


PackageName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]*[a-z0-9+.]$")]
"""A Debian package's name; apt would take `name-` for a removal."""
PackageVersion = Annotated[str, StringConstraints(pattern=r"^[0-9*][A-Za-z0-9.+:~*-]*$")]
"""A Debian version, or a pattern of one."""


class Package(Resource):
    """The Debian package `name`."""

    kind: ClassVar[str] = "package"

    name: PackageName
    present: bool = True
    version: PackageVersion | None = None
    """Exact version or a pattern such as `5:28.*`; None = any, and no upgrade."""
    hold: bool = False
    """Keep `apt upgrade` from moving it; a hold that somebody else set is left alone."""
    lock_timeout: int = 300
    """Seconds to wait for another apt or dpkg to finish."""

    def probe(self) -> str:
        """Ask dpkg, which fails with 1 for a name that it has never heard of."""
        return (
            f"dpkg-query -W -f='{_FORMAT}' {quote(self.name)} 2>/dev/null"
            " || [ $? -eq 1 ] || { dpkg-query -W >/dev/null; return 2; }"
        )

    def actual(self, output: str) -> State | None:
        """Parse status and version; a version that fits the wanted pattern reads as the pattern.

        A package of which only configuration files are left counts as absent.
        """
        lines = [line.partition("|") for line in output.splitlines()]
        if not all(separator for _, separator, _ in lines):
            raise ValueError(f"unexpected answer {output.strip()!r}")
        there = [line for line in lines if line[0][1:2] not in {"n", "c"}]  # one an architecture
        if not there:
            return None
        status, _, version = there[0]
        if self.version and fnmatchcase(version, self.version):
            version = self.version
        return {
            "installed": status[1:2] == "i",
            "version": version,
            "hold": status[:1] == "h",
        }

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
        """Install and remove all neighbours in one transaction, so that apt solves them as one."""
        packages = [cast("Package", resource) for resource, _, _ in differences]
        specs = [
            cast("Package", item).spec for item, _, changed in differences if changed != {"hold"}
        ]
        moves_held = any(actual and actual.get("hold") for _, actual, _ in differences)
        held = [package.name for package in packages if package.hold]
        commands = []
        if specs:
            lock_timeout = max(package.lock_timeout for package in packages)
            commands.append(_install(specs, lock_timeout, moves_held=moves_held))
        if held:
            script = f"apt-mark hold {' '.join(map(quote, held))}"
            commands.append(Command(title=f"hold {', '.join(held)}", script=script))
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
    def spec(self) -> str:
        """Return what apt-get is told: `name`, `name=version` or, for a removal, `name-`."""
        if not self.present:
            return f"{self.name}-"
        return f"{self.name}={self.version}" if self.version else self.name


def _install(specs: list[str], lock_timeout: int, *, moves_held: bool) -> Command:
    flags = ["--allow-downgrades"] if any("=" in spec for spec in specs) else []
    if moves_held:
        flags.append("--allow-change-held-packages")
    words = " ".join([*flags, *map(quote, specs)])
    script = (
        f"LOCK_TIMEOUT={lock_timeout}\n"
        "apt_repair\n"
        # A broken source of somebody else's is no reason not to install what ours have.
        "apt_update_daily || echo 'some package lists could not be fetched'\n"
        f"apt_install {words}"
    )
    removed = [spec[:-1] for spec in specs if spec.endswith("-")]
    installed = [spec for spec in specs if not spec.endswith("-")]
    title = "; ".join(
        f"{verb} {', '.join(some)}"
        for verb, some in (("remove", removed), ("install", installed))
        if some
    )
    shown = f"apt-get install --no-install-recommends {words}"
    return Command(title=title, script=script, shown=shown, timeout=_TIMEOUT + 2 * lock_timeout)
