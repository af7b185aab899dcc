"""The faults that were written down before the checks: each is found, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
import yaml
from sights import CHAT, DISK, GIB, H200, NOW, PROJECT, SECOND, VERSION, engine, facts, gpus, sight

from provision.checks.check import Sight
from provision.checks.readable import READABLE
from provision.checks.registry import CHECKS, judged
from provision.facts import Docker, Driver
from provision.facts.health import (
    SECTIONS,
    Clock,
    Fabric,
    GPUProcess,
    Health,
    Kernel,
    Network,
    Upgrades,
    Xid,
)

FAULTS: Final[dict[str, Any]] = yaml.safe_load(
    (PROJECT / "tests/lab/faults/faults.yaml").read_text(encoding="utf-8")
)
# They need more than what is read: calls to a service, or the lock of models.
BEYOND_FACTS: Final = {"service-silent", "model-file-missing", "model-file-short"}
OLD: Final = H200.model_copy(
    update=dict.fromkeys(
        ("ecc", "ecc_pending", "remap_pending", "nvlinks_up", "nvlinks_down", "temperature_c")
    )
    | {"fabric_state": "", "fabric_status": "", "recovery_action": "", "architecture": ""}
)
NO_DRIVER: Final = Driver(status="absent")
NOT_READ: Final = {"gpu_health": None, "unknown": {"gpu_health": "nothing came within 8 s"}}


def _driver(**changes: Any) -> Sight:
    driver = Driver(status="ok", kernel_module=VERSION, library=VERSION, cuda="13.0")
    return sight(facts=facts(driver=driver.model_copy(update=changes)))


def _without_driver(driver: Driver, *, nouveau: bool = False, **changes: Any) -> Sight:
    return sight(
        facts=facts(driver=driver, gpus=(), nouveau=nouveau), **{"gpu_health": (), **changes}
    )


def _xids(*xids: tuple[int, str]) -> Kernel:
    return Kernel(xids=tuple(Xid(code=code, bus_id=bus, text=f"Xid {code}") for code, bus in xids))


def _second_gpu(**changes: Any) -> Sight:
    return sight(gpu_health=gpus(**changes))


def _stopped(*, containerd: str) -> Sight:
    """Return a host without an engine, whose containers run on and hold their GPUs."""
    units = {"docker": "inactive", "containerd": containerd}
    held = GPUProcess(pid=7, name="VLLM::EngineCore", memory_mib=120_000)
    return sight(
        facts=facts(docker=None),
        engine=engine(units=units, containers=()),
        gpu_health=gpus(processes=(held,)),
    )


INJECTED: Final[dict[str, Callable[[], Sight]]] = {
    "driver-too-old": lambda: sight(
        facts=facts(driver=Driver(status="ok", kernel_module="470.57.02", library="470.57.02")),
        kernel=Kernel(nvidia_on_disk="470.57.02"),
        gpu_health=(OLD, OLD.model_copy(update={"bus_id": SECOND})),
    ),
    "driver-library-mismatch": lambda: _without_driver(
        Driver(status="mismatch", kernel_module="580.126.20", library="580.159"),
        gpu_health=None,
        unknown={"gpu_health": "Driver/library version mismatch"},
    ),
    "driver-absent": lambda: _without_driver(NO_DRIVER),
    "driver-not-loaded": lambda: _without_driver(Driver(status="not loaded", message="failed")),
    "nouveau": lambda: _without_driver(NO_DRIVER, nouveau=True),
    "driver-upgrade-pending": lambda: sight(
        upgrades=Upgrades(unattended=True, driver=("nvidia-driver-580 580.95.05 → 580.126.20",))
    ),
    "driver-upgraded-on-disk": lambda: sight(kernel=Kernel(nvidia_on_disk="580.200.01")),
    "nvidia-smi-hangs": lambda: sight(
        facts=facts(driver=None, gpus=(), unknown=("driver", "gpus")), **NOT_READ
    ),
    "old-driver-fewer-fields": lambda: sight(
        facts=facts(driver=Driver(status="ok", kernel_module="535.54.03", library="535.54.03")),
        kernel=Kernel(),
        gpu_health=(OLD, OLD.model_copy(update={"bus_id": SECOND})),
    ),
    "localised-output": sight,
    "gpu-fallen-off-the-bus": lambda: sight(
        facts=facts(gpus=facts().gpus[:1]),
        gpu_health=(H200,),
        kernel=_xids((79, SECOND)),
        engine=engine(chat={"gpus_seen": 1}),
    ),
    "gpu-uncorrected-ecc": lambda: _second_gpu(uncorrected=2),
    "gpu-row-remap-pending": lambda: _second_gpu(remap_pending=True),
    "gpu-row-remap-failed": lambda: _second_gpu(remap_failure=True),
    "gpu-xid-48": lambda: sight(kernel=_xids((48, SECOND))),
    "gpu-xid-13": lambda: sight(kernel=_xids((13, SECOND))),
    "gpu-thermal-slowdown": lambda: _second_gpu(
        slowdowns=("hw_slowdown", "hw_thermal_slowdown", "sw_thermal_slowdown"), temperature_c=92
    ),
    "gpu-power-brake": lambda: _second_gpu(slowdowns=("hw_slowdown", "hw_power_brake_slowdown")),
    "gpu-power-limit-lowered": lambda: _second_gpu(power_limit_w=300.0),
    "gpu-pcie-narrow": lambda: _second_gpu(pcie_width=4),
    "gpu-mig-on": lambda: _second_gpu(mig=True),
    "gpu-persistence-off": lambda: _second_gpu(persistence=False),
    "gpu-memory-of-strangers": lambda: _second_gpu(
        processes=(
            GPUProcess(pid=1, name="python3", memory_mib=40960),
            GPUProcess(pid=2, name="VLLM::EngineCore", memory_mib=90000, container="chat"),
        )
    ),
    "gpu-nvlink-down": lambda: _second_gpu(nvlinks_up=16, nvlinks_down=2),
    "gpu-recovery-wanted": lambda: _second_gpu(recovery_action="Reset"),
    "fabric-manager-down": lambda: sight(
        fabric=Fabric(switches=4, unit="inactive", version=VERSION),
        gpu_health=gpus(fabric_state="In Progress"),
    ),
    "fabric-manager-version": lambda: sight(
        fabric=Fabric(switches=4, unit="active", version="580.126.20")
    ),
    "docker-down": lambda: _stopped(containerd="active"),
    "containerd-down": lambda: _stopped(containerd="inactive"),
    "daemon-json-broken": lambda: sight(
        engine=engine(config_error="it is no JSON: line 3", runtime_registered=None)
    ),
    "runtime-lost": lambda: sight(
        facts=facts(docker=Docker(version="28.5.1", runtimes=("runc",))),
        engine=engine(runtime_registered=False),
    ),
    "toolkit-removed": lambda: sight(facts=facts(toolkit=None)),
    "gpus-lost-in-container": lambda: sight(
        engine=engine(
            chat={"gpus_seen": 0, "gpu_error": "Failed to initialize NVML: Unknown Error"}
        )
    ),
    "container-restarts": lambda: sight(
        engine=engine(chat={"restarts": 4, "started": NOW - 30, "health": "starting"})
    ),
    "container-oom-killed": lambda: sight(
        engine=engine(chat={"status": "exited", "exit_code": 137, "oom_killed": True}),
        network=Network(),
        kernel=Kernel(oom_kills=("VLLM::EngineCor",)),
    ),
    "service-down": lambda: sight(engine=engine(chat={"status": "exited"}), network=Network()),
    "disk-full": lambda: sight(
        file_systems=(DISK.model_copy(update={"free_bytes": DISK.size_bytes // 50}),)
    ),
    "inodes-exhausted": lambda: sight(
        file_systems=(DISK.model_copy(update={"inodes_free": 160_000}),)
    ),
    "read-only-file-system": lambda: sight(
        file_systems=(DISK.model_copy(update={"read_only": True, "free_bytes": 0}),),
        kernel=Kernel(disk_errors=("EXT4-fs (sda1): Remounting filesystem read-only",)),
    ),
    "clock-off": lambda: sight(clock=Clock(now=NOW + 600, synchronised=False)),
    "no-dns": lambda: sight(network=Network(unresolved=("mirrors.tuna.tsinghua.edu.cn",))),
    "half-an-answer": lambda: Sight(
        sight().host,
        facts(),
        Health(
            gpu_health=gpus(),
            kernel=Kernel(),
            unknown=dict.fromkeys(
                ("upgrades", "fabric", "engine", "file_systems", "clock", "network"), "cut off"
            ),
        ),
        NOW,
    ),
}


def test_every_fault_that_facts_can_show_is_injected() -> None:
    """A fault that is added to the list is not forgotten here."""
    assert set(FAULTS) - BEYOND_FACTS == set(INJECTED)


@pytest.mark.parametrize("name", sorted(INJECTED))
def test_a_fault_is_found_by_its_checks_alone(name: str) -> None:
    """The named checks have the verdict and the words; no other check says anything."""
    found = judged(INJECTED[name]())
    assert {(each.check, each.verdict) for each in found} == {
        (check, verdict) for check, (verdict, _) in FAULTS[name]["finds"].items()
    }, "\n".join(map(str, found))
    assert len(found) == len(FAULTS[name]["finds"])
    for each in found:
        words = FAULTS[name]["finds"][each.check][1]
        assert words in f"{each.what} {each.remedy}", f"{words!r} is not in: {each}"


@pytest.mark.parametrize("name", sorted(INJECTED))
def test_a_finding_is_one_line_of_its_host_with_a_remedy(name: str) -> None:
    """No line break, no full stop at the end of what is wrong, and always something to do."""
    for each in judged(INJECTED[name]()):
        assert "\n" not in str(each)
        assert each.what
        assert not each.what.endswith(".")
        assert each.remedy
        assert each.host == "gpu01"
        assert str(each).startswith("gpu01: ")


@pytest.mark.parametrize("name", sorted(INJECTED))
def test_a_check_reads_what_it_says_it_reads(name: str) -> None:
    """A sweep that is narrowed reads less of a host, and no check says anything else for it."""
    whole = INJECTED[name]()
    for check in CHECKS:
        if check is not READABLE:
            others = dict.fromkeys(set(SECTIONS) - set(check.reads))
            health = whole.health.model_copy(update=others)
            narrow = whole._replace(health=health, asked=frozenset(check.reads))
            assert list(check.judge(narrow)) == list(check.judge(whole)), check.name


def test_the_faults_name_checks_that_exist() -> None:
    """What is expected of a fault is the name of a check in the registry."""
    known = {check.name for check in CHECKS}
    assert {check for fault in FAULTS.values() for check in fault["finds"]} <= known


def test_a_service_is_named_in_its_finding() -> None:
    """An operator with many services sees which one it is."""
    (found,) = judged(sight(engine=engine(containers=(CHAT,))))
    assert str(found) == (
        "gpu01: rerank: is not deployed. inv deploy --host gpu01 --service rerank"
    )


def test_gib_of_the_disk_are_told_in_gb() -> None:
    """What is free is told as df -H tells it, and in percent."""
    disk = DISK.model_copy(update={"size_bytes": 100 * GIB, "free_bytes": 5 * GIB})
    (found,) = judged(sight(file_systems=(disk,)))
    assert (found.verdict, found.what) == ("warn", "5% of / are free: 5 of 107 GB")
