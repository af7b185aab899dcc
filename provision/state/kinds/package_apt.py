"""How dpkg and apt answer for a package, and what they are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

from provision.state.resource import Command, State
from provision.state.shell import quote

GATHER: Final = "gather_dpkg"
_TIMEOUT: Final = 6000  # seconds: a slow mirror, not a hung one, which apt itself notices


def probe(name: str) -> str:
    """Ask dpkg."""
    return f"probe_dpkg {quote(name)}"


def state(output: str) -> State | None:
    """Parse status and version; a package of which only configuration files are left is absent."""
    lines = [line.partition("|") for line in output.splitlines()]
    if not all(separator for _, separator, _ in lines):
        raise ValueError(f"unexpected answer {output.strip()!r}")
    there = [line for line in lines if line[0][1:2] not in {"n", "c"}]  # one an architecture
    if not there:
        return None
    status, _, version = there[0]
    return {"installed": status[1:2] == "i", "version": version, "hold": status[:1] == "h"}


def fits(version: str, wanted: str) -> bool:
    """Say whether an installed version is the wanted one, or fits the pattern."""
    return fnmatchcase(version, wanted)


def transaction(
    install: Mapping[str, str | None],
    remove: Sequence[str],
    moved: Sequence[str],
    lock_timeout: int,
) -> Command:
    """Return one transaction; `moved` are held packages that it may move."""
    specs = [f"{name}={version}" if version else name for name, version in install.items()]
    flags = ["--allow-downgrades"] if any("=" in spec for spec in specs) else []
    if moved:
        flags.append("--allow-change-held-packages")
    words = " ".join([*flags, *(quote(f"{name}-") for name in remove), *map(quote, specs)])
    script = (
        f"LOCK_TIMEOUT={lock_timeout}\n"
        "apt_repair\n"
        # A broken source of somebody else's is no reason not to install what ours have.
        "apt_update_daily || echo 'some package lists could not be fetched'\n"
        f"apt_install {words}"
    )
    parts = (("remove", remove), ("install", specs))
    return Command(
        title="; ".join(f"{verb} {', '.join(some)}" for verb, some in parts if some),
        script=script,
        shown=f"apt-get install --no-install-recommends {words}",
        timeout=_TIMEOUT + 2 * lock_timeout,
    )


def hold(names: Sequence[str]) -> Command:
    """Return the command after which `apt upgrade` leaves packages where they are."""
    script = f"apt-mark hold {' '.join(map(quote, names))}"
    return Command(title=f"hold {', '.join(names)}", script=script)
