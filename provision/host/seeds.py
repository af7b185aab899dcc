"""Who has which bulk data, who serves whom right now, and who downloads it for the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import Final

from provision.errors import ApplyError
from provision.inventory.schema import Host
from provision.state.resource import Bulk

_MOST_LEADERS: Final = 2  # whose downloads may fail before the others give up too
_GLANCE: Final = 1.0  # seconds between looks at what nobody announces: a thread that died

Content = tuple[str, tuple[tuple[str, int], ...]]
"""What hosts have in common when one can serve the other: name, and files with their sizes."""


def content_of(bulk: Bulk) -> Content:
    """Return what `bulk` is, wherever it lies and in whatever order it is listed."""
    return bulk.key, tuple(sorted(bulk.files))


class Seeds:
    """The doubling tree: each that has the data serves one other at a time. Thread-safe.

    Who was made leader must say `offer` or `gave_up`, also when an exception ends it: a thread
    that is idle in its pool looks as one that downloads.

    A bounded pool cannot dead-lock on it. A thread waits here only for a copy or a download that
    another thread is at, never for a host that still has to get a thread; and it holds nothing
    meanwhile, for a leader that waits for other data has given up its lead. So of all threads
    inside at least one is at work, and whatever it comes to wakes the others.
    """

    def __init__(self) -> None:
        """Know of nobody."""
        self._changed = threading.Condition()
        self._seeds: dict[Content, dict[str, tuple[Host, Bulk]]] = {}
        self._busy: set[str] = set()
        self._leaders: dict[Content, dict[str, threading.Thread]] = {}
        self._failed: dict[Content, list[str]] = {}

    def offer(self, host: Host, bulk: Bulk) -> None:
        """Note that `host` has all of `bulk` and may serve it."""
        with self._changed:
            self._seeds.setdefault(content_of(bulk), {})[host.name] = (host, bulk)
            self._leaders.get(content_of(bulk), {}).pop(host.name, None)
            self._changed.notify_all()

    def gave_up(self, name: str) -> None:
        """Note that host `name` downloads nothing any more; it may have had nothing to do."""
        with self._changed:
            for content, leaders in self._leaders.items():
                if leaders.pop(name, None):
                    self._failed.setdefault(content, []).append(name)
            self._changed.notify_all()

    def lose(self, name: str) -> None:
        """Note that host `name` cannot serve."""
        with self._changed:
            for seeds in self._seeds.values():
                seeds.pop(name, None)

    def take(
        self, name: str, bulk: Bulk, tried: Collection[str], waiting: Callable[[str], None]
    ) -> tuple[Host, Bulk] | None:
        """Wait for a host that has `bulk` and is free, and take it; None makes `name` the leader.

        `waiting` is told for whom, about once a second, and may raise to end the wait. `ApplyError`
        once so many leaders have failed that it cannot be their own fault.
        """
        content = content_of(bulk)
        with self._changed:
            self._leave(name)
            while True:
                seeds = self._seeds.get(content, {})
                usable = [each for each in seeds if each not in tried and each != name]
                free = next((each for each in usable if each not in self._busy), None)
                if free:
                    self._busy.add(free)
                    return seeds[free]
                leaders = self._working(content)
                if not usable and not leaders:
                    self._refuse_hopeless(name, bulk, waiting)
                    self._leaders.setdefault(content, {})[name] = threading.current_thread()
                    return None
                waiting(_why(leaders, usable))
                self._changed.wait(_GLANCE)

    def lead(self, name: str, bulk: Bulk) -> None:
        """Let `name` download the data, whoever else does."""
        with self._changed:
            leaders = self._leaders.setdefault(content_of(bulk), {})
            leaders[name] = threading.current_thread()

    def release(self, name: str) -> None:
        """Note that the copy from host `name` has ended, well or not."""
        with self._changed:
            self._busy.discard(name)
            self._changed.notify_all()

    def _leave(self, name: str) -> None:
        """End what `name`, or whatever this thread worked on before, was leader of.

        A thread that comes back for more data, or for another host, is done with the last.
        """
        thread = threading.current_thread()
        for leaders in self._leaders.values():
            for each in [one for one in leaders if one == name or leaders[one] is thread]:
                del leaders[each]
                self._changed.notify_all()

    def _refuse_hopeless(self, name: str, bulk: Bulk, waiting: Callable[[str], None]) -> None:
        """Spare a fleet the long wait at a hub that is down, one host after another."""
        failed = self._failed.get(content_of(bulk), [])
        if len(failed) < _MOST_LEADERS:
            return
        waiting("nobody has it")
        raise ApplyError(
            f"{' and '.join(failed)} could not download {bulk.key}, so there is nobody to copy from",
            where=f"{name}: {bulk.folder}",
            remedy="Mend what they report, then run again.",
        )

    def _working(self, content: Content) -> list[str]:
        """Return the leaders whose threads live: the others died without a word."""
        leaders = self._leaders.get(content, {})
        return [name for name, thread in leaders.items() if thread.is_alive()]


def _why(leaders: list[str], usable: list[str]) -> str:
    if usable:
        return f"wait for {usable[0]}, which serves another host"
    return f"wait for {leaders[0]}, which downloads it"
