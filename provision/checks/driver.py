"""The NVIDIA driver: there, loaded, of one version, and showing the GPUs that were declared."""

from __future__ import annotations

from typing import Final

from provision.checks.finding import Finding
from provision.facts import Driver, Facts

_INSTALL: Final = (
    "Install the driver (Ubuntu: ubuntu-drivers install --gpgpu), reboot, and plan again; "
    "a host without GPUs says so with gpus: 0."
)


def check_driver(facts: Facts, gpus: int | None) -> list[Finding]:
    """Judge the driver of a host that needs one; `gpus` is what the inventory declares."""
    if {"driver", "gpus"} & set(facts.unknown) or facts.driver is None:
        return [
            _fail(
                "nvidia-smi gave no answer in time",
                "The driver or a GPU hangs: look at `dmesg | grep -i -e nvrm -e xid`; "
                "a reboot may be needed.",
            )
        ]
    wrong = _status(facts.driver, nouveau=facts.nouveau)
    if wrong:
        return [wrong]
    return _count(facts, gpus)


def _status(driver: Driver, *, nouveau: bool) -> Finding | None:
    if driver.status == "absent":
        if nouveau:
            return _fail(
                "nouveau is loaded instead of the NVIDIA driver",
                "Blacklist it (blacklist nouveau; options nouveau modeset=0), rebuild the "
                f"initramfs, then: {_INSTALL}",
            )
        return _fail("no NVIDIA driver", _INSTALL)
    if driver.status == "mismatch":
        return _fail(
            f"driver/library version mismatch: kernel module {driver.kernel_module or '?'}, "
            f"libraries {driver.library or '?'}",
            "An upgrade replaced the libraries under the loaded module: reboot.",
        )
    if driver.status == "not loaded":
        return _fail(
            f"the NVIDIA kernel module is not loaded{_said(driver)}",
            "Try `modprobe nvidia`; after a kernel upgrade install its headers (DKMS), with Secure "
            "Boot sign the module.",
        )
    if driver.status == "broken":
        return _fail(
            f"nvidia-smi fails{_said(driver)}",
            "Look at `dmesg | grep -i -e nvrm -e xid`.",
        )
    return None


def _count(facts: Facts, gpus: int | None) -> list[Finding]:
    if gpus is not None and gpus != len(facts.gpus):
        return [
            _fail(
                f"{gpus} GPUs are declared, nvidia-smi sees {len(facts.gpus)}",
                "Has one fallen off the bus (dmesg | grep Xid)? Otherwise set gpus: "
                f"{len(facts.gpus)}.",
            )
        ]
    return []


def _said(driver: Driver) -> str:
    return f": {driver.message}" if driver.message else ""


def _fail(message: str, remedy: str) -> Finding:
    return Finding(check="driver", level="fail", message=message, remedy=remedy)
