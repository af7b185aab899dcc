"""Modes of GPUs: MIG, persistence, and what the driver asks to be done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provision.checks.check import Check, Sight
from provision.checks.words import alike, fail, warn
from provision.finding import Finding

_MIG: Final = "gpu.mig"
_PERSISTENCE: Final = "gpu.persistence"
_RECOVERY: Final = "gpu.recovery"
_NOTHING: Final = frozenset({"", "none", "n/a"})


def _mig(sight: Sight) -> Iterator[Finding]:
    for what, gpus in alike(sight, lambda gpu: "MIG is on" if gpu.mig else ""):
        yield fail(
            _MIG,
            f"{gpus.label}: {what}, and services are given whole GPUs",
            f"Stop what runs on it, then: nvidia-smi -mig 0 -i {gpus.ids}",
        )


def _persistence(sight: Sight) -> Iterator[Finding]:
    for what, gpus in alike(
        sight, lambda gpu: "persistence mode is off" if gpu.persistence is False else ""
    ):
        yield warn(
            _PERSISTENCE,
            f"{gpus.label}: {what}",
            "systemctl enable --now nvidia-persistenced",
        )


def _recovery(sight: Sight) -> Iterator[Finding]:
    for action, gpus in alike(
        sight, lambda gpu: "" if gpu.recovery_action.lower() in _NOTHING else gpu.recovery_action
    ):
        if "reboot" in action.lower():
            remedy = "Move what runs there, and reboot the host."
        else:
            remedy = (
                "Stop everything that uses it or is linked to it, then: "
                f"nvidia-smi --gpu-reset -i {gpus.ids}; reboot if that fails."
            )
        yield fail(_RECOVERY, f"{gpus.label}: the driver asks for: {action}", remedy)


MIG: Final = Check(
    name=_MIG,
    group="gpu",
    reads=("gpu_health",),
    explain="MIG (multi-instance GPU) splits a GPU into up to seven small ones with their own "
    "memory. The inventory knows whole GPUs only, so on one that is split a service sees no GPU or "
    "a fraction of its memory, and one on several GPUs cannot start. The mode outlives reboots on "
    "older GPUs; somebody switched it on for another use, or the machine came with it.",
    judge=_mig,
)
PERSISTENCE: Final = Check(
    name=_PERSISTENCE,
    group="gpu",
    reads=("gpu_health",),
    explain="Without persistence the driver puts a GPU to sleep when its last program ends and "
    "wakes it for the next: each start, and nvidia-smi itself, takes seconds longer, on machines "
    "with eight GPUs up to a minute, and settings such as power limits are lost. The daemon "
    "nvidia-persistenced comes with the driver and keeps it awake at no cost worth naming.",
    judge=_persistence,
)
RECOVERY: Final = Check(
    name=_RECOVERY,
    group="gpu",
    reads=("gpu_health",),
    explain="Since R565 the driver itself says what a GPU needs after an error: nothing, a reset, "
    "a reboot of the host, or that its neighbours on NVLink be drained first. Until that is done "
    "new programs may fail on it or compute wrongly. The kernel's log has the cause as an Xid.",
    judge=_recovery,
)
