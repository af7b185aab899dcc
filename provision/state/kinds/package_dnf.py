"""How rpm and dnf answer for a package, and what they are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

from provision.state.resource import Command, State
from provision.state.shell import quote

GATHER: Final = "gather_rpm"
_TIMEOUT: Final = 6000  # seconds: a slow mirror, not a hung one


def probe(name: str) -> str:
    """Ask rpm."""
    return f"probe_rpm {quote(name)}"


def state(output: str) -> State | None:
    """Parse versions and hold; kernels have several side by side."""
    *versions, last = output.split() or [""]
    held = last == "held"
    if not held:
        versions.append(last)
    if not versions or not all(":" in version for version in versions):
        raise ValueError(f"unexpected answer {output.strip()!r}")
    shown = " ".join(version.removeprefix("0:") for version in versions)
    return {"installed": True, "version": shown, "hold": held}


def fits(version: str, wanted: str) -> bool:
    """Say whether one installed version is the wanted one, with or without epoch and release."""
    for full in version.split():
        bare = full.partition(":")[2] or full
        known = (full, bare, full.rpartition("-")[0], bare.rpartition("-")[0])
        if any(fnmatchcase(text, wanted) for text in known):
            return True
    return False


def transaction(
    install: Mapping[str, str | None],
    remove: Sequence[str],
    moved: Sequence[str],
    lock_timeout: int,
) -> Command:
    """Return one transaction; `moved` are held packages that it may move.

    What is to be removed goes with what replaces it; dnf removes nothing that is not named.
    """
    specs = [f"{name}-{version}" if version else name for name, version in install.items()]
    words = " ".join(map(quote, specs))
    variables = [f"LOCK_TIMEOUT={lock_timeout}"]
    if remove:
        variables.append(f"DNF_REMOVES={quote(' '.join(remove))}")
    if moved:
        variables.append(f"DNF_MOVES={quote(' '.join(moved))}")
    parts = (("remove", remove), ("install", specs))
    return Command(
        title="; ".join(f"{verb} {', '.join(some)}" for verb, some in parts if some),
        script="\n".join([*variables, f"dnf_apply {words}".rstrip()]),
        shown="\n".join(
            f"dnf {verb} {' '.join(map(quote, some))}" for verb, some in reversed(parts) if some
        ),
        timeout=_TIMEOUT + 2 * lock_timeout,
    )


def hold(names: Sequence[str]) -> Command:
    """Return the command after which `dnf upgrade` and dnf-automatic leave packages alone."""
    script = f"dnf_hold {' '.join(map(quote, names))}"
    return Command(title=f"hold {', '.join(names)}", script=script)
