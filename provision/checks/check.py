"""The check: a pure judgement of what was seen of a host, with its background for `--explain`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Literal, NamedTuple

from provision.facts import Facts
from provision.facts.health import SECTIONS, Health, Section
from provision.finding import Finding
from provision.inventory.schema import Host

Group = Literal["host", "driver", "gpu", "docker", "toolkit", "models", "services", "network"]
GROUPS: Final[tuple[Group, ...]] = (
    "host",
    "driver",
    "gpu",
    "docker",
    "toolkit",
    "models",
    "services",
    "network",
)
"""In the order in which they are shown."""


class Sight(NamedTuple):
    """What a sweep saw of one host."""

    host: Host
    facts: Facts
    health: Health
    now: float
    """The controller's clock when the host read its own, in seconds since 1970."""
    asked: frozenset[Section] = frozenset(SECTIONS)
    """The sections of the health that the host was asked for."""


class Check(NamedTuple):
    """One subject that can be wrong. What is well yields nothing: the sweep counts it as ok."""

    name: str
    """Its group and subject, as `gpu.ecc`; the same in every finding of it."""
    group: Group
    explain: str
    """A paragraph for somebody who never met this: what it means, how it comes about, what to do."""
    judge: Callable[[Sight], Iterable[Finding]]
    reads: tuple[Section, ...] = ()
    """The sections of the health that it judges, beside the facts."""
    deep: bool = False
    """Whether it is made only where it is asked for: it takes long, or starts something."""
