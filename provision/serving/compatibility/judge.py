"""All that is known of compatibility, brought to bear on one service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from provision.finding import Finding
from provision.serving.compatibility.driver import driver
from provision.serving.compatibility.dtype import dtype
from provision.serving.compatibility.fit import memory
from provision.serving.compatibility.flags import flags
from provision.serving.compatibility.gpu import gpu
from provision.serving.compatibility.image import image
from provision.serving.compatibility.methods import quantisation
from provision.serving.compatibility.model import model
from provision.serving.compatibility.parallel import parallel
from provision.serving.compatibility.room import disk, port
from provision.serving.compatibility.seen import NOTHING, Seen
from provision.serving.compatibility.subject import Subject

Rule = Callable[[Subject, Seen], Iterator[Finding]]
"""Judges one thing; what it lacks it passes over, or calls unknown."""
RULES: Final[tuple[Rule, ...]] = (
    driver,
    image,
    gpu,
    dtype,
    quantisation,
    parallel,
    flags,
    model,
    memory,
    disk,
    port,
)


def judge(subject: Subject, *, host: str = "", seen: Seen = NOTHING) -> list[Finding]:
    """Return what speaks against a service on its host, by rule; `host` is its inventory name."""
    found = [finding for rule in RULES for finding in rule(subject, seen)]
    named = {"host": host, "service": subject.service.name}
    return [finding.model_copy(update=named) for finding in dict.fromkeys(found)]
