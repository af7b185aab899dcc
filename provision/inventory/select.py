"""Which hosts of an inventory an operator means by names, patterns, ranges and exclusions."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, NamedTuple

from provision.errors import UsageError
from provision.inventory import ranges
from provision.inventory.problems import suggest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.inventory.schema import Host, Inventory


def select(inventory: Inventory, hosts: Sequence[str], groups: Sequence[str]) -> list[Host]:
    """Return the hosts that both `hosts` and `groups` select, in the inventory's order.

    Each item is a name, a pattern (`gpu*`), a range (`gpu[01:04]`), one of these after `!` to
    exclude it, or a comma list of them; no item selects all. Raises `UsageError` for an item that
    matches nothing and for an empty result.
    """
    members = {name: frozenset(group.hosts) for name, group in inventory.groups.items()}
    single = {name: frozenset([name]) for name in inventory.hosts}
    every = frozenset(inventory.hosts)
    chosen = _Names("host", single, "group", members).chosen(hosts, every)
    chosen &= _Names("group", members, "host", single).chosen(groups, every)
    if not chosen:
        words = [f"--host {item}" for item in hosts] + [f"--group {item}" for item in groups]
        raise UsageError(
            "no host is left",
            where=" ".join(words),
            remedy="Loosen the selection: what both --host and --group select is taken.",
        )
    return [host for name, host in inventory.hosts.items() if name in chosen]


class _Names(NamedTuple):
    """The names of one kind with the hosts they stand for, and those of the other kind."""

    kind: str
    known: dict[str, frozenset[str]]
    other: str
    others: dict[str, frozenset[str]]

    def chosen(self, items: Sequence[str], every: frozenset[str]) -> frozenset[str]:
        words = [word.strip() for item in items for word in item.split(",")]
        included = [self.hosts(word) for word in words if not word.startswith("!")]
        excluded = [self.hosts(word[1:].strip()) for word in words if word.startswith("!")]
        start = frozenset().union(*included) if included else every
        return start.difference(*excluded)

    def hosts(self, word: str) -> frozenset[str]:
        option = f"--{self.kind}"
        if not word:
            raise UsageError("an empty name", where=option, remedy="Write a name or a pattern.")
        try:
            names = ranges.expand(word)
        except ranges.RangeError as error:
            raise UsageError(str(error), where=f"{option} {word}", remedy=error.remedy) from error
        return frozenset().union(*(self.matching(name, word) for name in names))

    def matching(self, name: str, word: str) -> frozenset[str]:
        if name in self.known:
            return self.known[name]
        found = [hosts for one, hosts in self.known.items() if fnmatch.fnmatchcase(one, name)]
        if found:
            return frozenset().union(*found)
        where = f"--{self.kind} {word}"
        remedy = (
            f"{name!r} is a {self.other}: write --{self.other} {name}."
            if name in self.others
            else suggest(name, self.known)
        )
        raise UsageError(f"no {self.kind} matches {name!r}", where=where, remedy=remedy)
