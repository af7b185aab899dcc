"""What all ways of bringing bulk data have in common: who listens, how it stops, why it fails."""

from __future__ import annotations

from collections.abc import Callable
from shlex import quote
from typing import NamedTuple

from provision.errors import ApplyError
from provision.host.lock import Lease

Tell = Callable[[int, int], None]
"""Takes the bytes that are there and the bytes of all files."""
Stopped = Callable[[], bool]
"""Says whether the operator wants to stop."""


class Listener(NamedTuple):
    """Who hears of a transfer while it happens, and may stop it."""

    say: Callable[[str, str], None]
    """Takes the step that is being done and a detail, or nothing."""
    tell: Tell
    stopped: Stopped = lambda: False
    lease: Lease | None = None
    """The host's lock, under which the data is brought."""


def heed(stopped: Stopped, host: str, folder: str) -> None:
    """Raise `ApplyError` once the operator wants to stop."""
    if stopped():
        raise ApplyError(
            "stopped by the operator",
            where=f"{host}: {folder}",
            remedy="Run again to go on: what is there is kept.",
        )


def full(host: str, folder: str, detail: str = "") -> ApplyError:
    """Return the error of a host without room."""
    return ApplyError(
        f"the disk is full{': ' if detail else ''}{detail}",
        where=f"{host}: {folder}",
        remedy=f"Free space there (df -h {quote(folder)}) and run again.",
    )


def failed(host: str, folder: str, stderr: str) -> ApplyError:
    """Return the error of a command on a host that ended with these words."""
    if "No space left on device" in stderr:
        return full(host, folder)
    from provision.host.causes import cause_of  # noqa: PLC0415  not before something fails

    cause = cause_of(stderr)
    return ApplyError(
        cause.what if cause else last_line(stderr),
        where=f"{host}: {folder}",
        remedy=cause.remedy if cause else "Mend the cause on the host and run again.",
    )


def last_line(stderr: str) -> str:
    """Return the last line that says something."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it ended without a word"
