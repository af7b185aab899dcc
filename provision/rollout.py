"""The rollout: how a change goes through a fleet, in batches, until too many hosts have failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import Final, NamedTuple, TypeVar

from provision.host.steps import Caller

T = TypeVar("T")


class Rollout(NamedTuple):
    """Batches of hosts, and what ends them early."""

    batches: tuple[int, ...] = ()
    """Hosts in each batch, the last number for all that follow; none = all at once."""
    max_fail: int = 0
    """Hosts that may fail before the batches that are left are not begun."""
    caller: Caller | None = None
    """Who calls services and judges their answers."""
    counts_lost: bool = False
    """Hosts that could not even be planned count as failed."""
    lost: tuple[str, ...] = ()
    """Hosts that have failed before the first batch."""

    def having_lost(self, hosts: Iterable[str]) -> Rollout:
        """Return the rollout that comes after some hosts could not be planned."""
        return self._replace(lost=tuple(hosts)) if self.counts_lost else self

    def split(self, hosts: Sequence[T]) -> Iterator[Sequence[T]]:
        """Yield the batches."""
        sizes = chain(self.batches[:-1], repeat(self.batches[-1] if self.batches else len(hosts)))
        begin = 0
        while begin < len(hosts):
            size = max(1, next(sizes))
            yield hosts[begin : begin + size]
            begin += size


AT_ONCE: Final = Rollout()
"""All hosts in one batch."""
