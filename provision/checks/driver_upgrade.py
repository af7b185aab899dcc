"""Upgrades of the driver that wait to happen, while it is in use or at the next boot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provision.checks.check import Check, Sight
from provision.checks.needs import driver_works
from provision.checks.words import warn
from provision.finding import Finding

_NAME: Final = "driver.upgrade"


def _upgrade(sight: Sight) -> Iterator[Finding]:
    driver, upgrades, kernel = sight.facts.driver, sight.health.upgrades, sight.health.kernel
    if driver is None or not driver_works(sight) or sight.host.gpus == 0:
        return
    on_disk = kernel.nvidia_on_disk if kernel else None
    if on_disk and driver.kernel_module and on_disk != driver.kernel_module:
        yield warn(
            _NAME,
            f"the next boot loads driver {on_disk}; {driver.kernel_module} is loaded",
            "An upgrade is half done: reboot at a time of your choice, before something else does.",
        )
    elif upgrades and upgrades.unattended and upgrades.driver:
        packages = " ".join(dict.fromkeys(line.split()[0] for line in upgrades.driver))
        yield warn(
            _NAME,
            f"unattended upgrades will replace the driver: {', '.join(upgrades.driver)}",
            f"Hold it: apt-mark hold {packages}; the role base excludes it with keep_driver: true.",
        )


UPGRADE: Final = Check(
    name=_NAME,
    group="driver",
    reads=("kernel", "upgrades"),
    explain="Ubuntu and Debian upgrade packages by themselves at night. When that replaces the "
    "driver's libraries, the kernel module of the old version stays loaded: services that run go "
    "on, and the first one that is restarted, hours or weeks later, finds no GPU. Keep the driver "
    "out of it (the role base does, unless keep_driver is false) and upgrade it on purpose, with a "
    "reboot. A module on disk that is newer than the loaded one shows that it has happened "
    "already; the libraries may have followed, or follow with the next package.",
    judge=_upgrade,
)
