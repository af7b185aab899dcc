"""Which GPUs of a host each of its services gets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from provision.errors import ServiceError

_ROUNDING: Final = 1e-9
"""By which sums of shares such as 0.7 + 0.2 + 0.1 may miss 1."""


class Ask(NamedTuple):
    """What one service asks for."""

    service: str
    gpus: int | tuple[int, ...]
    """How many, or which ones."""
    share: float | None = None
    """Fraction of the memory of each; None = all of it."""


def place(host: str, asks: Sequence[Ask], total: int | None) -> dict[str, tuple[int, ...]]:
    """Return the indices of the GPUs of each service, in the order of `asks`.

    Those that name their GPUs come first, then the others in their order: each takes the lowest
    that have room, side by side where it can. `total` is how many the host has; None = unknown.
    Raises `ServiceError` with what is free where one cannot be placed.
    """
    board = _Board(host, total)
    listed = [ask for ask in asks if not isinstance(ask.gpus, int)]
    counted = [ask for ask in asks if isinstance(ask.gpus, int)]
    placed = {ask.service: board.take(ask) for ask in (*listed, *counted)}
    return {ask.service: placed[ask.service] for ask in asks}


class _Board:
    """The GPUs of one host and who has which share of them."""

    def __init__(self, host: str, total: int | None) -> None:
        self.host = host
        self.total = total
        self.users: dict[int, list[Ask]] = {}

    def take(self, ask: Ask) -> tuple[int, ...]:
        gpus = self.lowest(ask, ask.gpus) if isinstance(ask.gpus, int) else ask.gpus
        for gpu in gpus:
            self.check(ask, gpu)
        for gpu in gpus:
            self.users.setdefault(gpu, []).append(ask)
        return gpus

    def lowest(self, ask: Ask, count: int) -> tuple[int, ...]:
        """Return the lowest GPUs with room, of which the first row without a gap wins."""
        if not count:
            return ()
        # Of an unknown number of GPUs this many are enough to look at: the last ones are unused.
        most = max(self.users, default=-1) + 1 + count if self.total is None else self.total
        room = [gpu for gpu in range(most) if self.has_room(ask, gpu)]
        if len(room) < count:
            raise self.refused(ask, f"asks for {_gpus(count)}, {self.there()}")
        rows = (room[start : start + count] for start in range(len(room) - count + 1))
        together = (row for row in rows if row[-1] - row[0] == count - 1)
        return tuple(next(together, room[:count]))

    def check(self, ask: Ask, gpu: int) -> None:
        if self.total is not None and gpu >= self.total:
            raise self.refused(ask, f"asks for GPU {gpu}, {self.there()}")
        if self.has_room(ask, gpu):
            return
        users = self.users[gpu]
        named = ", ".join(f"{user.service} ({_share(user)})" for user in users)
        raise self.refused(ask, f"asks for {_share(ask)} of GPU {gpu}, which {named} has already")

    def has_room(self, ask: Ask, gpu: int) -> bool:
        users = [*self.users.get(gpu, ()), ask]
        if len(users) == 1:
            return True
        shares = [user.share for user in users if user.share is not None]
        return len(shares) == len(users) and sum(shares) <= 1 + _ROUNDING

    def there(self) -> str:
        return f"the host has {_gpus(self.total or 0)}"

    def refused(self, ask: Ask, what: str) -> ServiceError:
        remedy = "Ask for fewer or others, or let services share: memory_share on each of them."
        return ServiceError(
            f"{what}; {self.free()}",
            where=f"{self.host}: services.wanted.{ask.service}.gpus",
            remedy="Write gpus: 0 to serve on the CPU." if self.total == 0 else remedy,
        )

    def free(self) -> str:
        if self.total is None:
            return "how many it has is not stated"
        free = [str(gpu) for gpu in range(self.total) if gpu not in self.users]
        shared = [
            f"{1 - sum(user.share or 1 for user in users):.0%} of {gpu}"
            for gpu, users in sorted(self.users.items())
            if sum(user.share or 1 for user in users) < 1 - _ROUNDING
        ]
        return f"free: {', '.join([*free, *shared]) or 'none'}"


def _gpus(count: int) -> str:
    return "1 GPU" if count == 1 else f"{count or 'no'} GPUs"


def _share(ask: Ask) -> str:
    return "all" if ask.share is None else f"{ask.share:.0%}"
