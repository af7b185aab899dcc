"""The NVIDIA driver: there, loaded, of one version, and new enough."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provision.checks.check import Check, Sight
from provision.checks.needs import driver_works, wants_gpus
from provision.checks.words import fail, warn
from provision.facts import Driver
from provision.finding import Finding

_LOADED: Final = "driver.loaded"
_VERSION: Final = "driver.version"
_INSTALL: Final = (
    "Install the driver (Ubuntu: ubuntu-drivers install --gpgpu), reboot, and plan again; "
    "a host without GPUs says so with gpus: 0."
)
_OLDEST: Final = (525, 60, 13)
"""First driver on which programs of CUDA 12 run (CUDA's release notes, minor-version
compatibility); no image of an engine that is still made is built with an older CUDA."""


def _loaded(sight: Sight) -> Iterator[Finding]:
    driver = sight.facts.driver
    if not wants_gpus(sight.host):
        return
    if {"driver", "gpus"} & set(sight.facts.unknown) or driver is None:
        yield fail(
            _LOADED,
            "nvidia-smi gave no answer in time",
            "The driver or a GPU hangs: look at `dmesg | grep -i -e nvrm -e xid`; "
            "a reboot may be needed.",
        )
    elif sight.facts.nouveau and driver.status in {"absent", "not loaded"}:
        yield fail(
            _LOADED,
            "nouveau is loaded instead of the NVIDIA driver",
            "Blacklist it (blacklist nouveau; options nouveau modeset=0), rebuild the "
            f"initramfs, then: {_INSTALL}",
        )
    elif driver.status == "absent":
        yield fail(_LOADED, "no NVIDIA driver", _INSTALL)
    elif driver.status != "ok":
        yield _broken(driver, sight)


def _broken(driver: Driver, sight: Sight) -> Finding:
    if driver.status == "mismatch":
        return fail(
            _LOADED,
            f"driver/library version mismatch: kernel module {driver.kernel_module or '?'}, "
            f"libraries {driver.library or '?'}",
            "An upgrade replaced the libraries under the loaded module: reboot.",
        )
    if driver.status == "not loaded":
        kernel = sight.health.kernel
        signed = "Secure Boot is on: sign the module and enrol the key (mokutil --import)."
        return fail(
            _LOADED,
            f"the NVIDIA kernel module is not loaded{_said(driver)}",
            "Try `modprobe nvidia`; after a kernel upgrade install its headers (DKMS)"
            + (f". {signed}" if kernel and kernel.secure_boot else ", with Secure Boot sign it."),
        )
    return fail(
        _LOADED,
        f"nvidia-smi fails{_said(driver)}",
        "Look at `dmesg | grep -i -e nvrm -e xid`.",
    )


def _said(driver: Driver) -> str:
    return f": {driver.message}" if driver.message else ""


def _version(sight: Sight) -> Iterator[Finding]:
    driver = sight.facts.driver
    if driver is None or not driver_works(sight) or sight.host.gpus == 0:
        return
    version = driver.kernel_module or driver.library or ""
    numbers = [int(part) for part in version.split(".") if part.isdigit()]
    if numbers and tuple(numbers) < _OLDEST:
        yield warn(
            _VERSION,
            f"driver {version} is too old for images with CUDA 12 or newer",
            "Install a newer one (Ubuntu: ubuntu-drivers install --gpgpu nvidia:580-server) and "
            "reboot: 525 runs images with CUDA 12, 580 those with CUDA 13.",
        )


LOADED: Final = Check(
    name=_LOADED,
    group="driver",
    reads=("kernel",),
    explain="The NVIDIA driver has two halves that must be of one version: a kernel module, and "
    "libraries that also get into every container. An upgrade replaces the libraries at once and "
    "the loaded module only at the next boot; in between everything that starts fails with "
    "'Driver/library version mismatch', while what runs goes on. After an upgrade of the kernel "
    "the module may be missing for it (DKMS needs the kernel's headers), with Secure Boot it must "
    "be signed by a key that the firmware knows, and the free driver nouveau may have taken the "
    "GPUs first. Where nvidia-smi never answers a GPU or its firmware hangs. provision installs no "
    "driver: it says which step is missing.",
    judge=_loaded,
)
VERSION: Final = Check(
    name=_VERSION,
    group="driver",
    reads=("kernel",),
    explain="A driver runs programs of its own CUDA version, of all older ones, and of newer ones "
    "with the same first number. Below 525.60.13 that ends with CUDA 11, for which no release of "
    "an engine has been built for long; the tools that put GPUs into containers refuse images "
    "that ask for more. Whether the image of a service fits to a newer driver is judged with each "
    "plan. A data centre driver of a branch with long-term support, 580, is the safe choice.",
    judge=_version,
)
