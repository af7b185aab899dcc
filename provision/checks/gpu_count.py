"""The number of GPUs: as many as the inventory declares, or as the bus has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provision.checks.check import Check, Sight
from provision.checks.needs import driver_works, wants_gpus
from provision.checks.words import fail, warn
from provision.finding import Finding

_NAME: Final = "gpu.count"


def _count(sight: Sight) -> Iterator[Finding]:
    declared, seen = sight.host.gpus, len(sight.facts.gpus)
    on_bus = sight.facts.nvidia_devices or 0
    if not wants_gpus(sight.host) or not driver_works(sight):
        return
    if declared is not None and seen < declared:
        yield fail(
            _NAME,
            f"nvidia-smi sees {seen} of {declared} declared GPUs",
            "Has one fallen off the bus (dmesg | grep Xid)? Then power the host off and on, and "
            f"have the GPU reseated if it comes back; otherwise set gpus: {seen}.",
        )
    elif declared is not None and seen > declared:
        yield fail(
            _NAME,
            f"nvidia-smi sees {seen} GPUs, and {declared} are declared",
            f"Set gpus: {seen}.",
        )
    elif declared is None and 0 < seen < on_bus:
        yield warn(
            _NAME,
            f"nvidia-smi sees {seen} of {on_bus} NVIDIA GPUs on the bus",
            "Has one failed (dmesg | grep Xid), or is it given to a virtual machine? Then declare "
            f"gpus: {seen}.",
        )


COUNT: Final = Check(
    name=_NAME,
    group="gpu",
    explain="The inventory says with gpus how many GPUs a host has, so that one that is missing is "
    "noticed before a service is spread over it. A GPU goes missing when its link on the bus "
    "breaks (Xid 79), when its driver could not start it, after work on the machine, or when it "
    "was given to a virtual machine. A cold start, with the power taken away, brings back more "
    "than a reboot does; one that goes missing again belongs to the vendor.",
    judge=_count,
)
