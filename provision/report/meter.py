"""How far a long step is, how fast it goes and how long it will take, as text."""

from __future__ import annotations

from collections import deque
from typing import Final

from provision.host.steps import Amount
from provision.state.sizes import human_size

_WINDOW: Final = 15.0  # seconds that the rate is taken over
_MINUTE: Final = 60
_HOUR: Final = 3600


class Meter:
    """Amounts of one step as they come in; prints as `1.2 of 15.2 GB, 84 MB/s, 3 min left`."""

    def __init__(self) -> None:
        """Begin with none."""
        self._seen: deque[tuple[float, Amount]] = deque()

    def add(self, amount: Amount, now: float) -> None:
        """Take an amount at a moment in seconds; one of another unit or total starts anew."""
        if self._seen and self._seen[-1][1][1:] != amount[1:]:
            self._seen.clear()
        self._seen.append((now, amount))
        while len(self._seen) > 2 and now - self._seen[1][0] > _WINDOW:  # noqa: PLR2004  two make a rate
            self._seen.popleft()

    @property
    def rate(self) -> float:
        """Return units a second over the last moments; 0 while that is unknown."""
        if not self._seen:
            return 0
        (began, first), (ended, last) = self._seen[0], self._seen[-1]
        return (last.done - first.done) / (ended - began) if ended > began else 0

    @property
    def bytes_per_second(self) -> float:
        """Return the rate where it is one of bytes."""
        return self.rate if self._seen and self._seen[-1][1].unit == "bytes" else 0

    def __str__(self) -> str:
        if not self._seen:
            return ""
        done, total, unit = self._seen[-1][1]
        if unit == "files":
            return f"checked {done} of {total} files"
        parts = [f"{human_size(done)} of {human_size(total)}"]
        if self.rate > 0:
            parts.append(f"{human_size(self.rate)}/s")
            parts.append(f"{_duration((total - done) / self.rate)} left")
        return ", ".join(parts)


def _duration(seconds: float) -> str:
    """Return `40 s`, `3 min` or `2.5 h`."""
    if seconds < _MINUTE:
        return f"{max(0, seconds):.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.1f} h"
