"""No false alarms: what is well, idle, unknown or nobody's business is no finding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
from sights import CHAT, DISK, GIB, H200, NOW, RERANK, engine, facts, gpus, health, host, sight

from provision.checks.check import GROUPS, Sight
from provision.checks.registry import BACKGROUND, CHECKS, judged
from provision.checks.sweep import REACHABLE
from provision.facts import Driver
from provision.facts.health import (
    Clock,
    Container,
    Fabric,
    FileSystem,
    GPUHealth,
    GPUProcess,
    Kernel,
    Listener,
    Network,
    Upgrades,
    Xid,
)


def _both(**changes: Any) -> Sight:
    return sight(gpu_health=tuple(gpu.model_copy(update=changes) for gpu in gpus()))


def _plain() -> Sight:
    """Return a host without GPUs and Docker, of which nothing of both could be read."""
    bare = facts(driver=Driver(status="absent"), gpus=(), docker=None, toolkit=None)
    seen = health(gpu_health=None, fabric=None, engine=engine(units={}, containers=()))
    return Sight(host("plain"), bare, seen, NOW)


WELL: Final[dict[str, Callable[[], Sight]]] = {
    "healthy": sight,
    "nothing told but the address": lambda: sight(
        gpu_health=(GPUHealth(bus_id=H200.bus_id), GPUHealth(bus_id=gpus()[1].bus_id))
    ),
    "idle at a lower PCIe generation": lambda: _both(pcie_generation=1, utilisation_percent=0),
    "use not told, and a lower PCIe generation": lambda: _both(
        pcie_generation=1, utilisation_percent=None
    ),
    "idle with low clocks": lambda: _both(sm_clock_mhz=210, utilisation_percent=0),
    "busy at its power limit": lambda: _both(
        slowdowns=("sw_power_cap",), sm_clock_mhz=900, utilisation_percent=100
    ),
    "clocks of applications": lambda: _both(slowdowns=("applications_clocks_setting",)),
    "corrected errors, and old ones": lambda: _both(corrected=12, uncorrected_ever=3),
    "ECC switched off for good": lambda: _both(ecc=False, ecc_pending=False),
    "no bridge fitted": lambda: _both(fabric_state="", nvlinks_up=0, nvlinks_down=12),
    "one bridge of three": lambda: _both(fabric_state="", nvlinks_up=4, nvlinks_down=8),
    "fabric not supported": lambda: _both(fabric_state="Not Supported", fabric_status=""),
    "no NVSwitch to manage": lambda: sight(fabric=Fabric(unit="failed", version="570.1")),
    "version of the fabric manager unknown": lambda: sight(
        fabric=Fabric(switches=4, unit="active")
    ),
    "a display and a monitor": lambda: _both(
        processes=(GPUProcess(pid=5, name="/usr/lib/xorg/Xorg", memory_mib=300),)
    ),
    "memory of a process not told": lambda: _both(processes=(GPUProcess(pid=5, name="python3"),)),
    "noted rows, ended programs, told actions": lambda: sight(
        kernel=Kernel(
            xids=tuple(Xid(code=code, bus_id=H200.bus_id, text="") for code in (45, 63, 121, 154))
        )
    ),
    "upgrades by hand only": lambda: sight(
        upgrades=Upgrades(driver=("nvidia-driver-580 580.95.05 → 580.126.20",))
    ),
    "restarted once, last week": lambda: sight(engine=engine(chat={"restarts": 1})),
    "loading its model": lambda: sight(
        engine=engine(chat={"health": "starting", "started": NOW - 600})
    ),
    "some errors of requests": lambda: sight(engine=engine(chat={"error_lines": 3})),
    "no health check, no nvidia-smi in it": lambda: sight(
        engine=engine(chat={"health": "", "gpus_seen": None})
    ),
    "all GPUs": lambda: sight(engine=engine(chat={"gpus_wanted": -1, "gpus_seen": 2})),
    "a stopped container of somebody": lambda: sight(
        engine=engine(
            containers=(
                CHAT,
                RERANK,
                Container(name="old", image="x", status="exited", restarts=9, oom_killed=True),
            )
        )
    ),
    "an engine started by hand": lambda: sight(
        facts=facts(docker=facts().docker.model_copy(update={"package": ""})),  # type: ignore[union-attr]
        engine=engine(units={"docker": "inactive", "containerd": "inactive"}),
    ),
    "a large disk with little in percent": lambda: sight(
        file_systems=(FileSystem(path="/data", size_bytes=30_000 * GIB, free_bytes=600 * GIB),)
    ),
    "inodes made as needed": lambda: sight(
        file_systems=(DISK.model_copy(update={"inodes": 0, "inodes_free": 0}),)
    ),
    "a clock that nothing keeps, and that is right": lambda: sight(
        clock=Clock(now=NOW - 3, synchronised=False)
    ),
    "a stranger at a port of its own address": lambda: sight(
        network=Network(listeners=(Listener(address="127.0.0.1", port=9000, process="nginx"),))
    ),
    "no GPUs": _plain,
    "no GPUs, and a broken driver": lambda: _plain()._replace(
        facts=facts(driver=None, gpus=(), docker=None, toolkit=None, unknown=("driver", "gpus"))
    ),
    "no GPUs, and the role of the toolkit": lambda: _plain()._replace(
        host=host("cpu"), facts=facts(driver=None, gpus=(), toolkit=None), health=health()
    ),
    "no GPUs declared, an old driver": lambda: _plain()._replace(
        facts=facts(driver=Driver(status="ok", kernel_module="470.57.02"), toolkit=None)
    ),
    "no GPUs declared, one there with troubles": lambda: _plain()._replace(
        health=health(
            gpu_health=(H200.model_copy(update={"mig": True, "uncorrected": 9}),),
            kernel=Kernel(xids=(Xid(code=79, bus_id=H200.bus_id, text=""),)),
            fabric=Fabric(switches=4),
            engine=engine(units={}, containers=()),
        )
    ),
}


@pytest.mark.parametrize("name", sorted(WELL))
def test_what_is_well_is_no_finding(name: str) -> None:
    """All checks look at it, and none says anything."""
    assert [str(each) for each in judged(WELL[name]())] == []


def test_checks_are_named_by_their_group_and_explained() -> None:
    """Names are unique, in the order of the groups, each with a paragraph of background."""
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    assert [check.name.partition(".")[0] for check in CHECKS] == [check.group for check in CHECKS]
    assert list(dict.fromkeys(check.group for check in CHECKS)) == list(GROUPS)


def test_whatever_a_finding_can_name_is_explained() -> None:
    """Also a host that could not be asked at all."""
    assert set(BACKGROUND) == {REACHABLE, *(check.name for check in CHECKS)}
    for name, text in BACKGROUND.items():
        assert len(text) > 200, name
        assert text.endswith((".", "html")), name
        assert "\n" not in text


def test_a_finding_bears_the_name_of_its_check() -> None:
    """The background of a finding is found by its name."""
    broken = health(
        gpu_health=gpus(uncorrected=1, mig=True, persistence=False, pcie_width=8),
        file_systems=(DISK.model_copy(update={"free_bytes": 0}),),
        clock=Clock(now=0),
    )
    for check in CHECKS:
        for finding in check.judge(Sight(host(), facts(toolkit=None), broken, NOW)):
            assert finding.check == check.name
