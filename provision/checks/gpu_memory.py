"""Memory of GPUs: errors that could not be corrected, and repairs that wait or failed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provision.checks.check import Check, Sight
from provision.checks.words import alike, fail, warn
from provision.facts.health import GPUHealth
from provision.finding import Finding

_ECC: Final = "gpu.ecc"
_REPAIR: Final = "gpu.memory_repair"


def _ecc(sight: Sight) -> Iterator[Finding]:
    for what, gpus in alike(sight, _uncorrected):
        yield fail(
            _ECC,
            f"{gpus.label}: {what}",
            f"Stop what runs on it and reset it: nvidia-smi --gpu-reset -i {gpus.ids}; if errors "
            "come back have it replaced.",
        )
    for what, gpus in alike(sight, _switched):
        yield warn(
            _ECC, f"{gpus.label}: {what}", f"Undo it (nvidia-smi -i {gpus.ids} -e), or reboot."
        )


def _uncorrected(gpu: GPUHealth) -> str:
    if not gpu.uncorrected:
        return ""
    errors = "error" if gpu.uncorrected == 1 else "errors"
    return f"{gpu.uncorrected} uncorrected memory {errors} since the driver was loaded"


def _switched(gpu: GPUHealth) -> str:
    if gpu.ecc is None or gpu.ecc_pending is None or gpu.ecc == gpu.ecc_pending:
        return ""
    return f"ECC will be switched {'on' if gpu.ecc_pending else 'off'} by the next reboot"


def _repair(sight: Sight) -> Iterator[Finding]:
    for what, gpus in alike(sight, _failed):
        yield fail(_REPAIR, f"{gpus.label}: {what}", "Have the vendor replace it.")
    for what, gpus in alike(sight, _pending):
        yield warn(
            _REPAIR,
            f"{gpus.label}: {what}",
            "At a time of your choice stop what runs on it and reset it: "
            f"nvidia-smi --gpu-reset -i {gpus.ids}",
        )


def _failed(gpu: GPUHealth) -> str:
    return "a faulty row of its memory could not be remapped" if gpu.remap_failure else ""


def _pending(gpu: GPUHealth) -> str:
    if gpu.remap_failure:
        return ""
    if gpu.remap_pending:
        return "a faulty row of its memory waits to be remapped"
    return "a faulty page of its memory waits to be retired" if gpu.retirement_pending else ""


ECC: Final = Check(
    name=_ECC,
    group="gpu",
    reads=("gpu_health",),
    explain="GPUs of data centres check their memory: one wrong bit is corrected, two are only "
    "noticed, and whatever used them is stopped. Single errors come from radiation and age; on "
    "newer GPUs the faulty row is replaced by a spare one at the next reset. Until then the GPU "
    "can answer wrongly or stop services again. Reset it, and watch it: one that has errors again "
    "after a reset is a case for the vendor. Checking can be switched on and off (nvidia-smi -e); "
    "that takes effect by a reboot, and without it errors go unnoticed into answers.",
    judge=_ecc,
)
REPAIR: Final = Check(
    name=_REPAIR,
    group="gpu",
    reads=("gpu_health",),
    explain="Since Ampere a GPU has spare rows of memory: a faulty one is marked and replaced when "
    "the GPU is next reset or the host reboots; before, faulty pages were taken out of use. A "
    "repair that waits is no danger to what runs elsewhere in memory, so it can be done when it "
    "suits. When no spare row is left, or the replacement failed, the GPU must be exchanged: "
    "vendors take that as the proof they ask for (nvidia-smi -q -d ROW_REMAPPER).",
    judge=_repair,
)
