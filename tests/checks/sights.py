"""Hosts as a sweep sees them: a healthy one with two H200, and one with parts of it changed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from provision.checks.check import Sight
from provision.facts import GPU, OS, Docker, Driver, Facts
from provision.facts.health import (
    Clock,
    Container,
    Engine,
    Fabric,
    FileSystem,
    GPUHealth,
    Health,
    Kernel,
    Listener,
    Network,
    Upgrades,
)
from provision.inventory.load import load
from provision.inventory.schema import Host
from provision.state.role import load_roles

PROJECT: Final = Path(__file__).resolve().parents[2]
NOW: Final = 1_795_000_000.0
GIB: Final = 1 << 30
VERSION: Final = "580.159.04"
FLEET: Final = """
hosts:
  gpu01:
    gpus: 2
    roles: [base, docker, nvidia_container_toolkit, services]
    services:
      bind: 0.0.0.0
      wanted:
        chat: {model: /data/models/chat, port: 1281, gpus: 2}
        rerank: {task: score, model: /data/models/rerank, port: 1283, gpus: 0}
  plain: {gpus: 0, roles: [base]}
  cpu: {gpus: 0, roles: [base, docker, nvidia_container_toolkit]}
  unsure: {roles: [base, nvidia_container_toolkit]}
"""
# As two H200 of one machine said on 2026-11-20; what they did not say is None.
H200: Final = GPUHealth(
    bus_id="00000000:00:06.0",
    uuid="GPU-8dfe4d19-1004-3586-8bc1-dba3369af561",
    name="NVIDIA H200",
    brand="NVIDIA",
    architecture="Hopper",
    persistence=True,
    mig=False,
    ecc=True,
    ecc_pending=True,
    corrected=0,
    uncorrected=0,
    uncorrected_ever=0,
    remap_pending=False,
    remap_failure=False,
    temperature_c=37,
    power_limit_w=700.0,
    default_power_limit_w=700.0,
    sm_clock_mhz=345,
    max_sm_clock_mhz=1980,
    utilisation_percent=0,
    pcie_generation=5,
    max_pcie_generation=5,
    pcie_width=16,
    max_pcie_width=16,
    memory_mib=143771,
    memory_free_mib=143156,
    fabric_state="Completed",
    fabric_status="Success",
    recovery_action="None",
    nvlinks_up=18,
    nvlinks_down=0,
)
SECOND: Final = "00000000:00:07.0"
CHAT: Final = Container(
    name="chat",
    image="vllm/vllm-openai:v0.32.0",
    status="running",
    health="healthy",
    service=True,
    started=NOW - 3 * 86400,
    gpus_wanted=2,
    gpus_seen=2,
    last_token=NOW - 60,
)
RERANK: Final = Container(
    name="rerank",
    image="vllm/vllm-openai:v0.32.0",
    status="running",
    health="healthy",
    service=True,
    started=NOW - 3 * 86400,
)
DISK: Final = FileSystem(
    path="/",
    size_bytes=252 * GIB,
    free_bytes=64 * GIB,
    inodes=16_000_000,
    inodes_free=15_000_000,
)


@cache
def host(name: str = "gpu01") -> Host:
    """Return a host as the inventory has it, with the project's own roles."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "fleet.yaml"
        path.write_text(FLEET, encoding="utf-8")
        return load(path, load_roles(PROJECT)).hosts[name]


def gpus(**changes: Any) -> tuple[GPUHealth, ...]:
    """Return both GPUs, the second one with changes."""
    return H200, H200.model_copy(update={"bus_id": SECOND, "uuid": "GPU-2", **changes})


def engine(*, chat: dict[str, Any] | None = None, **changes: Any) -> Engine:
    """Return the engine with its two services, the first of them with changes."""
    values = {
        "units": {"docker": "active", "containerd": "active"},
        "runtime_registered": True,
        "containers": (CHAT.model_copy(update=chat or {}), RERANK),
        **changes,
    }
    return Engine(**values)


def facts(**changes: Any) -> Facts:
    """Return the facts of the healthy host, with changes."""
    seen = tuple(
        GPU(index=index, uuid=gpu.uuid, name=gpu.name, memory_mib=143771, bus_id=gpu.bus_id)
        for index, gpu in enumerate(gpus())
    )
    values = {
        "hostname": "gpu01",
        "systemd": True,
        "os": OS(id="ubuntu", like=("debian",), version="24.04", name="Ubuntu 24.04.3 LTS"),
        "nvidia_devices": 2,
        "driver": Driver(status="ok", kernel_module=VERSION, library=VERSION, cuda="13.0"),
        "gpus": seen,
        "docker": Docker(
            version="28.5.1",
            root="/var/lib/docker",
            runtimes=("io.containerd.runc.v2", "nvidia", "runc"),
            running_containers=2,
            package="docker-ce",
        ),
        "toolkit": "1.20.0",
        **changes,
    }
    return Facts(**values)


def health(**changes: Any) -> Health:
    """Return the health of the healthy host, with changes."""
    values = {
        "gpu_health": gpus(),
        "kernel": Kernel(nvidia_on_disk=VERSION, secure_boot=False),
        "upgrades": Upgrades(unattended=True),
        "fabric": Fabric(),
        "engine": engine(),
        "file_systems": (DISK,),
        "clock": Clock(now=NOW + 0.4, synchronised=True),
        "network": Network(
            listeners=(
                Listener(address="0.0.0.0", port=22, process="sshd"),  # noqa: S104
                Listener(address="0.0.0.0", port=1281, process="docker-proxy"),  # noqa: S104
            )
        ),
        **changes,
    }
    return Health(**values)


def sight(name: str = "gpu01", *, facts: Facts | None = None, **changes: Any) -> Sight:
    """Return what is seen of a host, healthy but for the changes of its health."""
    return Sight(host(name), facts or globals()["facts"](), health(**changes), NOW)
