"""What every host needs before anything else: packages that come, and a driver that stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provision.facts import Facts
from provision.inventory.schema import Host
from provision.state.kinds.dnf_setting import DnfSetting
from provision.state.kinds.file import File
from provision.state.kinds.package import Package, PackageName
from provision.state.resource import Resource
from provision.state.role import PackageRole


class Base(PackageRole):
    """Packages, their proxy, and no unattended upgrade of the NVIDIA driver."""

    packages: tuple[PackageName, ...] = ("ca-certificates",)
    """Packages that every host gets from its own distribution."""
    keep_driver: bool = True
    """Exclude the NVIDIA driver from unattended upgrades: they replace its libraries under a loaded
    kernel module, and no new container gets a GPU until the next boot."""

    def resources(self, host: Host, facts: Facts) -> Iterator[Resource]:
        """Yield the package manager's configuration first: the packages come through it."""
        yield from self._dnf(host, facts) if facts.os.packages == "dnf" else self._apt(host, facts)
        for name in self.packages:
            yield Package(name=name, manager=facts.os.packages, lock_timeout=self.lock_timeout)

    def _apt(self, host: Host, facts: Facts) -> Iterator[Resource]:
        yield File(
            name="/etc/apt/apt.conf.d/80-provision-proxy",
            content=self.render("apt-proxy.conf.j2", proxies=host.proxies),
            present=host.proxies.apt is not None,
        )
        if "driver" not in facts.unknown:  # a driver that hangs is no driver that has gone
            yield File(
                name="/etc/apt/apt.conf.d/52-provision-nvidia",
                content=self.render("keep-driver.conf.j2"),
                present=self.keep_driver and facts.nvidia_driver_installed,
            )

    def _dnf(self, host: Host, facts: Facts) -> Iterator[Resource]:
        yield DnfSetting(
            name="proxy",
            value=str(host.proxies.apt or ""),
            present=host.proxies.apt is not None,
        )
        if "driver" not in facts.unknown:
            yield DnfSetting(
                name="excludepkgs",
                program="dnf-automatic",
                items=_DRIVER,
                present=self.keep_driver and facts.nvidia_driver_installed,
            )


_DRIVER: Final = (
    # NVIDIA's repositories for RHEL, their documentation's list of packages
    *("nvidia-driver*", "nvidia-kmod*", "kmod-nvidia*", "nvidia-open*", "cuda-drivers*"),
    *("libnvidia-cfg*", "libnvidia-fbc*", "libnvidia-gpucomp*", "libnvidia-ml*"),
    *("nvidia-modprobe*", "nvidia-persistenced*", "nvidia-fabric*", "libnvidia-nscq*"),
    # RPM Fusion's
    *("akmod-nvidia*", "xorg-x11-drv-nvidia*"),
)
