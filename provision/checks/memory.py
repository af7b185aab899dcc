"""Memory of the host: what the kernel killed for want of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provision.checks.check import Check, Sight
from provision.checks.needs import service_containers
from provision.checks.words import listed, warn
from provision.finding import Finding

_NAME: Final = "host.memory"
_NAMED: Final = 5
"""Names of processes in one line."""


def _memory(sight: Sight) -> Iterator[Finding]:
    kernel = sight.health.kernel
    if kernel is None or not kernel.oom_kills:
        return
    if any(each.oom_killed for each in service_containers(sight).values()):
        return  # services.oom tells of it
    names = list(dict.fromkeys(kernel.oom_kills))
    more = ["others"] if len(names) > _NAMED else []
    yield warn(
        _NAME,
        f"the kernel killed {listed([*names[:_NAMED], *more])} for want of memory since the boot",
        "Who had taken it: dmesg -T | grep -i -e oom -e 'killed process'.",
    )


MEMORY: Final = Check(
    name=_NAME,
    group="host",
    reads=("kernel", "engine"),
    explain="When a host has no memory left the kernel kills the process that it holds to be the "
    "largest, which often is not the one that is at fault. Engines take host memory besides that "
    "of the GPU: for loading weights, for swap space and in shared memory. The line stays until "
    "the next boot. Give services less (swap-space, the number of workers), limit the others, or "
    "move some of them to another host.",
    judge=_memory,
)
