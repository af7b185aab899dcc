"""Links of GPUs: PCI Express to the host, NVLink to each other, and the fabric of NVSwitches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provision.checks.check import Check, Sight
from provision.checks.needs import driver_works
from provision.checks.words import alike, fail, gpus_of, warn
from provision.facts.health import Fabric, GPUHealth
from provision.finding import Finding

_PCIE: Final = "gpu.pcie"
_NVLINK: Final = "gpu.nvlink"
_FABRIC: Final = "gpu.fabric"
_BUSY: Final = 50
"""Percent of use from which the link should run fast: an idle GPU lowers its generation."""
_UNIT: Final = "nvidia-fabricmanager"


def _pcie(sight: Sight) -> Iterator[Finding]:
    for what, gpus in alike(sight, _narrow):
        yield warn(
            _PCIE,
            f"{gpus.label}: {what}",
            "Switch the host off, reseat the GPU and its riser, and look at the slot's setting in "
            "the firmware; lspci -vv tells LnkSta.",
        )


def _narrow(gpu: GPUHealth) -> str:
    width, widest = gpu.pcie_width, gpu.max_pcie_width
    if width and widest and width < widest:
        return f"its PCIe link has x{width} of x{widest} lanes"
    now, newest = gpu.pcie_generation, gpu.max_pcie_generation
    if now and newest and now < newest and (gpu.utilisation_percent or 0) >= _BUSY:
        return f"its PCIe link runs at generation {now} of {newest} under load"
    return ""


def _nvlink(sight: Sight) -> Iterator[Finding]:
    most: dict[str, int] = {}
    for gpu in gpus_of(sight):
        most[gpu.name] = max(most.get(gpu.name, 0), gpu.nvlinks_up or 0)

    def inactive(gpu: GPUHealth) -> str:
        up, down = gpu.nvlinks_up, gpu.nvlinks_down
        if up is None or not down:
            return ""
        # Without a fabric links may have no bridge to go over: then the fellows tell how many do.
        own = up + down if gpu.fabric_state == "Completed" else 0
        wanted = max(own, most[gpu.name])
        count = f"{wanted - up} of {wanted}" if wanted > 1 else "its"
        return f"{count} NVLinks are inactive" if up < wanted else ""

    for what, gpus in alike(sight, inactive):
        yield warn(
            _NVLINK,
            f"{gpus.label}: {what}",
            f"Look at nvidia-smi nvlink -s -i {gpus.ids} and dmesg | grep -i -e nvlink -e 'Xid.* 74'; "
            "a reboot trains them again, and one that stays down belongs to the vendor.",
        )


def _fabric(sight: Sight) -> Iterator[Finding]:
    fabric = sight.health.fabric
    if sight.host.gpus == 0 or not driver_works(sight):
        return
    if fabric and fabric.switches and fabric.unit != "active":
        yield fail(_FABRIC, *_not_active(fabric, sight))
    elif fabric and fabric.switches and _differs(fabric, sight):
        yield fail(
            _FABRIC,
            f"the fabric manager is {fabric.version}, the driver {_driver(sight)}",
            "Both must be of the same version: install "
            f"{_UNIT}-{_driver(sight).partition('.')[0]} {_driver(sight)}, then systemctl restart "
            f"{_UNIT}",
        )
    else:
        for what, gpus in alike(sight, _apart):
            yield fail(
                _FABRIC,
                f"{gpus.label}: {what}",
                f"systemctl restart {_UNIT} (in a virtual machine: on its host); then look at "
                "nvidia-smi -q | grep -A 3 Fabric.",
            )


def _not_active(fabric: Fabric, sight: Sight) -> tuple[str, str]:
    switches = f"{fabric.switches} NVSwitch{'es' if fabric.switches > 1 else ''}"
    if fabric.unit:
        return (
            f"{_UNIT} is {fabric.unit}, and the host has {switches}",
            f"systemctl enable --now {_UNIT}; why it stopped: journalctl -u {_UNIT}",
        )
    branch = _driver(sight).partition(".")[0] or "BRANCH"
    return (
        f"{_UNIT} is not installed, and the host has {switches}",
        f"apt install {_UNIT}-{branch}={_driver(sight)}*; systemctl enable --now {_UNIT}",
    )


def _differs(fabric: Fabric, sight: Sight) -> bool:
    return bool(fabric.version and _driver(sight) and fabric.version != _driver(sight))


def _driver(sight: Sight) -> str:
    driver = sight.facts.driver
    return (driver.kernel_module or driver.library or "") if driver else ""


def _apart(gpu: GPUHealth) -> str:
    if gpu.fabric_state not in {"", "Completed", "Not Supported"}:
        return f"its NVLink fabric is not up: {gpu.fabric_state}"
    if gpu.fabric_state == "Completed" and gpu.fabric_status not in {"", "Success"}:
        return f"its NVLink fabric did not come up: {gpu.fabric_status}"
    return ""


PCIE: Final = Check(
    name=_PCIE,
    group="gpu",
    reads=("gpu_health",),
    explain="A GPU talks to the host over up to 16 lanes of PCI Express. With fewer, loading a "
    "model takes longer, and without NVLink a service on several GPUs gets much slower. A card "
    "that is not seated well, a damaged riser, or a slot that the firmware splits gives up lanes "
    "without a word. The generation of a link falls while the GPU is idle, which is no fault; it "
    "is only judged under load. Virtual machines often do not tell either.",
    judge=_pcie,
)
NVLINK: Final = Check(
    name=_NVLINK,
    group="gpu",
    reads=("gpu_health",),
    explain="NVLink connects GPUs with each other far faster than PCI Express does; services with "
    "tensor parallelism live on it. A link goes down by a fault of the GPU, of the switch or the "
    "bridge between, and often comes with Xid 74. Some GPUs have links without a bridge fitted: "
    "without a fabric of switches only a GPU with fewer active links than its fellows is found.",
    judge=_nvlink,
)
FABRIC: Final = Check(
    name=_FABRIC,
    group="gpu",
    reads=("fabric", "gpu_health"),
    explain="On machines with NVSwitches (HGX and DGX) the fabric manager sets up the routes "
    "between the GPUs. Until it has, every program fails with CUDA error 802, 'system not yet "
    "initialized', although nvidia-smi looks well. It must be of exactly the driver's version, so "
    "an upgrade of one without the other stops it. In a virtual machine it runs on the host "
    "outside, and the GPUs only tell whether the fabric came up.",
    judge=_fabric,
)
