"""The types of what is known about a host; `None` = not there, `unknown` = could not be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from provision.facts.families import Packages, enterprise_linux, packages_of


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OS(_Fact):
    """`/etc/os-release` and the kernel."""

    id: str
    """`debian`, `ubuntu`, …"""
    like: tuple[str, ...] = ()
    version: str = ""
    codename: str = ""
    """Code name whose packages fit: Ubuntu's own for its derivatives."""
    name: str = ""
    kernel: str = ""
    architecture: str = ""
    """Debian's word for it: amd64, arm64."""

    @property
    def family(self) -> str:
        """Return `debian` or `ubuntu` for them and their derivatives; else the id."""
        for name in (self.id, *self.like):
            if name in {"debian", "ubuntu"}:
                return name
        return self.id

    @property
    def basearch(self) -> str:
        """Return dnf's word for the architecture: x86_64, aarch64."""
        return {"amd64": "x86_64", "arm64": "aarch64"}.get(self.architecture, self.architecture)

    @property
    def packages(self) -> Packages:
        """Return the package system that the host's distribution is made with."""
        return packages_of({self.id, *self.like})

    @property
    def enterprise_linux(self) -> int | None:
        """Return the major version of Enterprise Linux whose packages fit; None = of none."""
        return enterprise_linux({self.id, *self.like}, self.version)


class Disk(_Fact):
    """One mounted file system that a role may want to fill."""

    path: str
    size_bytes: int
    free_bytes: int


class GPU(_Fact):
    """One line of `nvidia-smi --query-gpu`."""

    index: int
    uuid: str
    name: str
    memory_mib: int | None = None
    compute_capability: str = ""
    bus_id: str = ""


class Driver(_Fact):
    """The NVIDIA driver's two halves: the loaded kernel module and the libraries on disk."""

    status: Literal["ok", "absent", "not loaded", "mismatch", "broken"]
    kernel_module: str | None = None
    """Version of the loaded kernel module."""
    library: str | None = None
    """Version of the user-space libraries, as nvidia-smi has it."""
    cuda: str | None = None
    """Newest CUDA version that the driver supports natively, as `13.0`."""
    message: str = ""
    """What nvidia-smi said when it failed."""


class Docker(_Fact):
    """A Docker Engine that answers."""

    version: str
    root: str = ""
    runtimes: tuple[str, ...] = ()
    cgroup_driver: str = ""
    running_containers: int = 0
    package: str = ""
    """Package that it came from: `docker-ce`, `docker.io`, `moby-engine` …; empty when none."""

    @property
    def major(self) -> int:
        """Return the first number of the version."""
        return int(self.version.partition(".")[0])


class Image(_Fact):
    """An image that Docker has."""

    tags: tuple[str, ...]
    """Its names: `vllm/vllm-openai:v0.32.0`."""
    architecture: str = ""
    """Docker's word for it: amd64, arm64."""
    environment: Mapping[str, str] = {}
    """Of its variables those that say what it demands of the driver: CUDA_VERSION,
    NVIDIA_REQUIRE_…, NVIDIA_DISABLE_REQUIRE."""


class Facts(_Fact):
    """All that is known of one host at one moment."""

    hostname: str = ""
    boot_id: str = ""
    systemd: bool = False
    """Booted with systemd."""
    last_run: str = Field(default="", exclude=True)
    """Which run had the host last, `none` before the first; empty while somebody has it. Where it is
    still the same, no run was there in between."""
    os: OS
    cpus: int | None = None
    memory_bytes: int | None = None
    disks: tuple[Disk, ...] = ()
    nvidia_devices: int | None = None
    """NVIDIA display controllers on the PCI bus, with or without a driver."""
    nouveau: bool = False
    driver: Driver | None = None
    gpus: tuple[GPU, ...] = ()
    docker: Docker | None = None
    """None: no engine answers."""
    engines: tuple[str, ...] = ()
    """What else runs containers or stands in for Docker, as installed: `docker.io`, `kubelet`,
    `k3s`, `rke2`, `podman-docker`, `containerd`, `runc`, `moby-engine`, `docker (snap)`."""
    pythons: Mapping[str, str] = {}
    """Python interpreters by name, each with its version: `{"python3": "3.12"}`."""
    toolkit: str | None = None
    """Version of the NVIDIA Container Toolkit."""
    images: tuple[Image, ...] = ()
    """Images that have a name."""
    unknown: tuple[str, ...] = ()
    """Sections that ran into their time-out or failed."""

    @property
    def nvidia_driver_installed(self) -> bool:
        """Say whether any half of the NVIDIA driver is there."""
        return self.driver is not None and self.driver.status != "absent"
