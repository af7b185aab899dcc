"""Memory of GPUs that programs outside of our services hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provision.checks.check import Check, Sight
from provision.checks.needs import service_containers, wanted_services, wants_toolkit
from provision.checks.words import gpus_of, named, warn
from provision.finding import Finding

_NAME: Final = "gpu.strangers"
_SMALL_MIB: Final = 1024
"""What monitoring and a display may take without being in the way of a service."""


def _strangers(sight: Sight) -> Iterator[Finding]:
    if sight.health.engine is None or sight.facts.docker is None:
        return  # whose processes they are cannot be told
    if not wants_toolkit(sight.host):
        return  # nothing of ours wants the memory
    ours = service_containers(sight)
    shared = not wanted_services(sight)
    for gpu in gpus_of(sight):
        for process in gpu.processes:
            known = process.container in ours or (shared and process.container)
            if known or (process.memory_mib or 0) < _SMALL_MIB:
                continue
            where = f"container {process.container}" if process.container else "no service"
            stop = (
                f"docker stop {process.container}" if process.container else f"kill {process.pid}"
            )
            yield warn(
                _NAME,
                f"{named(sight, [gpu.bus_id]).label}: {process.name} (process {process.pid}, "
                f"{where}) holds {process.memory_mib} MiB",
                f"See whose it is (ps -o user,lstart,cmd -p {process.pid}), then: {stop}",
            )


STRANGERS: Final = Check(
    name=_NAME,
    group="gpu",
    reads=("gpu_health", "engine"),
    explain="An engine takes its share of a whole GPU's memory when it starts, and fails when "
    "somebody else has it: a notebook, a training job, an engine that was started by hand, or what "
    "a killed program left behind. Services that run already are not harmed until their next "
    "restart, which makes this a surprise at night. Told are processes outside of the services "
    "that provision deployed; where the inventory wants none, those outside of all containers.",
    judge=_strangers,
)
