"""The clock: how far a host's is from the controller's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provision.checks.check import Check, Sight
from provision.checks.words import fail, warn
from provision.facts.health import Clock
from provision.finding import Finding

_NAME: Final = "host.clock"
_WARN: Final = 5.0
"""Seconds; a slow connection explains less, and a clock that is kept drifts by milliseconds."""
_FAIL: Final = 60.0
"""Seconds; from here on certificates and apt's signatures are refused as not valid yet."""
_UNITS: Final = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def _clock(sight: Sight) -> Iterator[Finding]:
    clock = sight.health.clock
    if clock is None or abs(clock.now - sight.now) <= _WARN:
        return
    ahead = clock.now - sight.now
    say = fail if abs(ahead) > _FAIL else warn
    unkept = ", and nothing keeps it" if clock.synchronised is False else ""
    way = "ahead of" if ahead > 0 else "behind"
    yield say(
        _NAME,
        f"the clock is {lasting(ahead)} {way} that of this machine{unkept}",
        "Let it be kept: timedatectl set-ntp true (package systemd-timesyncd or chrony); "
        "timedatectl timesync-status tells whether its server answers.",
    )


def moment(clock: Clock | None, asked: float, answered: float) -> float:
    """Return when, by this machine's clock, a host told its time.

    Between question and answer lie seconds where a command hangs there: within them nobody knows
    better than the host.
    """
    return answered if clock is None else min(max(clock.now, asked), answered)


def lasting(seconds: float) -> str:
    """Return a time in its largest unit that fits: `10 min`."""
    name, size = next(
        (unit for unit in _UNITS if abs(seconds) >= unit[1]),
        _UNITS[-1],
    )
    return f"{round(abs(seconds) / size)} {name}"


CLOCK: Final = Check(
    name=_NAME,
    group="host",
    reads=("clock",),
    explain="A host whose clock is wrong refuses certificates and signed package lists as expired "
    "or not valid yet, writes logs that cannot be laid beside those of other hosts, and drops out "
    "of clusters. Clocks drift when no time server is reached, after a machine was suspended, or "
    "when the battery on the board is empty. The clock is compared with the one of the machine "
    "that provision runs on: where all hosts are wrong by the same time, that one is. Let "
    "systemd-timesyncd or chrony keep it, from a server inside of the network if need be.",
    judge=_clock,
)
