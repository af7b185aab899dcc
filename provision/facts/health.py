"""The types of what a sweep reads besides the facts: state that changes while a host runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

from pydantic import BaseModel, ConfigDict


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GPUProcess(_Fact):
    """A process that holds memory of a GPU."""

    pid: int
    name: str
    memory_mib: int | None = None
    container: str = ""
    """Name of the container that it runs in; empty: none, or unknown."""


class GPUHealth(_Fact):
    """One GPU as `nvidia-smi -q -x` has it; `None` = this driver or GPU does not say."""

    bus_id: str
    uuid: str = ""
    name: str = ""
    brand: str = ""
    """NVIDIA's word for its class: `NVIDIA`, `Tesla`, `GeForce`, …"""
    architecture: str = ""
    persistence: bool | None = None
    mig: bool | None = None
    ecc: bool | None = None
    ecc_pending: bool | None = None
    """What `ecc` is after the next reboot."""
    corrected: int | None = None
    """Corrected memory errors since the driver was loaded."""
    uncorrected: int | None = None
    """Uncorrected memory errors since the driver was loaded."""
    uncorrected_ever: int | None = None
    remap_pending: bool | None = None
    remap_failure: bool | None = None
    retirement_pending: bool | None = None
    """Of a page of memory, on GPUs before Ampere."""
    temperature_c: int | None = None
    slowdowns: tuple[str, ...] = ()
    """Reasons in force why it runs slower than it can: `hw_thermal_slowdown`, `sw_power_cap`, …;
    that it is idle is none."""
    power_limit_w: float | None = None
    default_power_limit_w: float | None = None
    sm_clock_mhz: int | None = None
    max_sm_clock_mhz: int | None = None
    utilisation_percent: int | None = None
    pcie_generation: int | None = None
    max_pcie_generation: int | None = None
    pcie_width: int | None = None
    max_pcie_width: int | None = None
    memory_mib: int | None = None
    memory_free_mib: int | None = None
    fabric_state: str = ""
    """`Completed` where the NVLink fabric is up; empty = there is none."""
    fabric_status: str = ""
    recovery_action: str = ""
    """What the driver wants done: `None`, `Reset`, `Reboot`, `Drain P2P`, …"""
    processes: tuple[GPUProcess, ...] = ()
    nvlinks_up: int | None = None
    nvlinks_down: int | None = None


class Xid(_Fact):
    """One error of a GPU in the kernel's log since the last boot."""

    code: int
    bus_id: str
    text: str
    """The line of the log."""


class Kernel(_Fact):
    """The kernel's log since the last boot, and its modules."""

    readable: bool = True
    """Whether its log could be read at all."""
    xids: tuple[Xid, ...] = ()
    """Of each code and GPU the last one."""
    oom_kills: tuple[str, ...] = ()
    """Names of the processes that were killed for want of memory."""
    disk_errors: tuple[str, ...] = ()
    """Lines about I/O errors and file systems that became read-only."""
    nvidia_on_disk: str | None = None
    """Version of the NVIDIA module that the next boot loads."""
    secure_boot: bool | None = None


class Upgrades(_Fact):
    """What the package manager would do to the driver by itself."""

    unattended: bool = False
    """Whether unattended upgrades are switched on."""
    driver: tuple[str, ...] = ()
    """Driver packages that an upgrade would replace, as `nvidia-driver-580 580.95.05 → 580.126.20`;
    those on hold are none of them."""


class Fabric(_Fact):
    """NVSwitches and the fabric manager."""

    switches: int = 0
    unit: str = ""
    """State of nvidia-fabricmanager: active, failed, inactive; empty = not installed."""
    version: str = ""


class Container(_Fact):
    """One container, running or not."""

    name: str
    image: str
    status: str
    """running, exited, restarting, created, dead, paused."""
    health: str = ""
    """healthy, unhealthy, starting; empty = it has no health check."""
    exit_code: int = 0
    restarts: int = 0
    oom_killed: bool = False
    service: bool = False
    """Whether provision deployed it."""
    started: float | None = None
    """Seconds since 1970."""
    gpus_wanted: int | None = None
    """GPUs that it was given; -1 = all; None = none."""
    gpus_seen: int | None = None
    """GPUs that nvidia-smi sees in it, asked there; None = it has none, or has no nvidia-smi."""
    gpu_error: str = ""
    """What nvidia-smi said there when it failed."""
    error_lines: int = 0
    """Lines of its last 2000 that speak of an error, of the last day."""
    last_error: str = ""
    last_token: float | None = None
    """When it last generated tokens, in seconds since 1970, as its log tells."""


class Engine(_Fact):
    """Docker, containerd and their configuration."""

    units: Mapping[str, str] = {}
    """By name (docker, containerd), active, failed or inactive."""
    config_error: str = ""
    """Why /etc/docker/daemon.json is no valid configuration; empty = it is, or there is none."""
    runtime_registered: bool | None = None
    """Whether daemon.json names the NVIDIA runtime."""
    containers: tuple[Container, ...] = ()


class FileSystem(_Fact):
    """One file system that Docker, the models or the system fill."""

    path: str
    size_bytes: int
    free_bytes: int
    inodes: int | None = None
    inodes_free: int | None = None
    read_only: bool = False


class Clock(_Fact):
    """The host's clock."""

    now: float
    """Seconds since 1970 when it was read."""
    synchronised: bool | None = None


class Listener(_Fact):
    """A TCP port that somebody listens on."""

    address: str
    port: int
    process: str = ""


class Network(_Fact):
    """Names that must resolve, and ports that are taken."""

    unresolved: tuple[str, ...] = ()
    """Of the names that were asked for, those without an address."""
    listeners: tuple[Listener, ...] = ()


Section = Literal[
    "gpu_health", "kernel", "upgrades", "fabric", "engine", "file_systems", "clock", "network"
]
SECTIONS: Final[tuple[Section, ...]] = get_args(Section)


class Health(_Fact):
    """All of it; a section that could not be read is `None` here and named in `unknown`."""

    gpu_health: tuple[GPUHealth, ...] | None = None
    kernel: Kernel | None = None
    upgrades: Upgrades | None = None
    fabric: Fabric | None = None
    engine: Engine | None = None
    file_systems: tuple[FileSystem, ...] | None = None
    clock: Clock | None = None
    network: Network | None = None
    unknown: Mapping[Section, str] = {}
    """Sections that ran into their time-out or failed, and why."""
