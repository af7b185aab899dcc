"""What single checks say: their verdicts at the thresholds, their words, and their remedies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
from sights import CHAT, DISK, GIB, H200, NOW, SECOND, VERSION, engine, facts, gpus, sight

from provision.checks.check import Sight
from provision.checks.clock import lasting, moment
from provision.checks.needs import ready_services
from provision.checks.registry import judged
from provision.checks.words import named, place
from provision.checks.xids import XIDS
from provision.facts import Docker, Driver
from provision.facts.health import (
    Clock,
    Container,
    Fabric,
    FileSystem,
    GPUProcess,
    Health,
    Kernel,
    Listener,
    Network,
    Upgrades,
    Xid,
)

STRANGER: Final = Container(name="notebook", image="jupyter", status="running")


def _second(**changes: Any) -> Sight:
    return sight(gpu_health=gpus(**changes))


def _chat(**changes: Any) -> Sight:
    return sight(engine=engine(chat=changes), network=Network())


def _disk(**changes: Any) -> Sight:
    return sight(file_systems=(DISK.model_copy(update=changes),))


def _xid(code: int, text: str = "") -> Sight:
    return sight(kernel=Kernel(xids=(Xid(code=code, bus_id=SECOND, text=text),)))


SAID: Final[list[tuple[str, Callable[[], Sight], str, str]]] = [
    ("host.clock", lambda: sight(clock=Clock(now=NOW + 6)), "warn", "6 s ahead of that of"),
    ("host.clock", lambda: sight(clock=Clock(now=NOW - 7200)), "fail", "2 h behind that of"),
    ("host.clock", lambda: sight(clock=Clock(now=0.0)), "fail", "d behind"),
    ("host.disk", lambda: _disk(free_bytes=20 * GIB), "warn", "8% of / are free"),
    ("host.disk", lambda: _disk(free_bytes=0), "fail", "0% of / are free: 0 of 271 GB"),
    ("host.disk", lambda: _disk(inodes_free=1_000_000), "warn", "6% of the inodes of /"),
    (
        "host.disk",
        lambda: sight(kernel=Kernel(disk_errors=("I/O error, dev sdb, sector 8",))),
        "warn",
        "1 error of disks: I/O error, dev sdb",
    ),
    (
        "host.memory",
        lambda: sight(kernel=Kernel(oom_kills=("python3", "python3", "nginx"))),
        "warn",
        "killed python3 and nginx for want of memory",
    ),
    (
        "driver.loaded",
        lambda: sight(
            facts=facts(driver=Driver(status="not loaded"), gpus=()),
            kernel=Kernel(secure_boot=True),
        ),
        "fail",
        "Secure Boot is on: sign the module and enrol the key",
    ),
    ("gpu.xid", lambda: _xid(31), "warn", "GPU 1: Xid 31 since the boot: a program used memory"),
    ("gpu.xid", lambda: _xid(95), "fail", "--gpu-reset -i 1"),
    ("gpu.xid", lambda: _xid(94), "warn", "reset when it suits"),
    ("gpu.xid", lambda: _xid(149, "149, NETIR Nonfatal XC0"), "warn", "an error of NVLink"),
    ("gpu.xid", lambda: _xid(149, "149, NETIR_LINK_EVT Fatal XC0"), "fail", "an error of NVLink"),
    ("gpu.xid", lambda: _xid(999), "warn", "Xid 999 since the boot: an error that is not in our"),
    ("gpu.ecc", lambda: _second(uncorrected=1), "fail", "1 uncorrected memory error since"),
    ("gpu.ecc", lambda: _second(ecc_pending=False), "warn", "ECC will be switched off by the next"),
    ("gpu.memory_repair", lambda: _second(retirement_pending=True), "warn", "waits to be retired"),
    ("gpu.thermal", lambda: _second(slowdowns=("sw_thermal_slowdown",)), "warn", "so warm"),
    ("gpu.clocks", lambda: _second(slowdowns=("hw_slowdown",)), "warn", "without a reason"),
    ("gpu.clocks", lambda: _second(utilisation_percent=99), "warn", "nvidia-smi -i 1 -rgc"),
    (
        "gpu.pcie",
        lambda: _second(pcie_generation=3, utilisation_percent=60),
        "warn",
        "generation 3 of 5 under load",
    ),
    (
        "gpu.nvlink",
        lambda: _second(nvlinks_up=0, nvlinks_down=18),
        "warn",
        "18 of 18 NVLinks are inactive",
    ),
    (
        "gpu.nvlink",
        lambda: _second(nvlinks_up=0, nvlinks_down=1),
        "warn",
        "GPU 1: 18 of 18 NVLinks",
    ),
    (
        "gpu.nvlink",
        lambda: sight(
            gpu_health=tuple(
                gpu.model_copy(update={"fabric_state": "", "nvlinks_up": up, "nvlinks_down": 4})
                for gpu, up in zip(gpus(), (4, 3), strict=True)
            )
        ),
        "warn",
        "GPU 1: 1 of 4 NVLinks are inactive",
    ),
    ("gpu.fabric", lambda: _second(fabric_state="In Progress"), "fail", "GPU 1: its NVLink fabric"),
    ("gpu.fabric", lambda: _second(fabric_status="Failure"), "fail", "did not come up: Failure"),
    (
        "gpu.fabric",
        lambda: sight(fabric=Fabric(switches=4)),
        "fail",
        "apt install nvidia-fabricmanager-580=580.159.04*",
    ),
    ("gpu.recovery", lambda: _second(recovery_action="Reboot"), "fail", "reboot the host"),
    ("gpu.recovery", lambda: _second(recovery_action="Drain P2P"), "fail", "linked to it"),
    (
        "gpu.strangers",
        lambda: sight(
            engine=engine(containers=(*engine().containers, STRANGER)),
            gpu_health=gpus(
                processes=(GPUProcess(pid=9, name="python", memory_mib=2000, container="notebook"),)
            ),
        ),
        "warn",
        "(process 9, container notebook) holds 2000 MiB",
    ),
    (
        "docker.active",
        lambda: sight(facts=facts(docker=None), engine=engine(units={}, containers=())),
        "fail",
        "inv provision --host gpu01",
    ),
    (
        "docker.active",
        lambda: sight(facts=facts(docker=None), engine=engine(containers=())),
        "fail",
        "docker is active and answers not",
    ),
    (
        "docker.active",
        lambda: sight(engine=engine(units={"docker": "active", "containerd": "failed"})),
        "fail",
        "containerd is failed: Docker answers",
    ),
    (
        "docker.container_gpus",
        lambda: sight(
            engine=engine(
                containers=(
                    *engine().containers,
                    STRANGER.model_copy(update={"gpus_wanted": -1, "gpus_seen": 0}),
                )
            )
        ),
        "fail",
        "gpu01: container notebook sees 0 of 2 GPUs",
    ),
    (
        "docker.container_gpus",
        lambda: _chat(gpus_seen=1),
        "fail",
        "gpu01: chat: sees 1 of 2 GPUs. docker restart chat",
    ),
    (
        "toolkit.runtime",
        lambda: sight(facts=facts(docker=Docker(version="28.5.1", runtimes=("runc",)))),
        "fail",
        "systemctl restart docker",
    ),
    (
        "toolkit.runtime",
        lambda: sight(engine=engine(runtime_registered=False)),
        "warn",
        "Docker loses it at its next start",
    ),
    ("services.running", lambda: _chat(health="unhealthy"), "fail", "runs, and is unhealthy"),
    (
        "services.running",
        lambda: _chat(health="starting", started=NOW - 7200),
        "warn",
        "is still starting after 2 h",
    ),
    (
        "services.running",
        lambda: _chat(status="exited", exit_code=1),
        "fail",
        "its container is exited (exit code 1)",
    ),
    (
        "services.restarts",
        lambda: _chat(restarts=1, started=NOW - 3600),
        "warn",
        "started again 1 time, last 1 h ago",
    ),
    ("services.restarts", lambda: _chat(restarts=3), "warn", "started again 3 times"),
    ("services.restarts", lambda: _chat(status="restarting"), "fail", "is down now"),
    (
        "services.errors",
        lambda: _chat(error_lines=40, last_error="CUDA error"),
        "warn",
        "40 lines with errors within a day, last: CUDA error",
    ),
    (
        "services.tokens",
        lambda: _chat(last_token=NOW - 3 * 86400),
        "ok",
        "generated its last tokens 3 d ago",
    ),
    (
        "network.names",
        lambda: sight(network=Network(unresolved=("a.example", "b.example"))),
        "warn",
        "a.example and b.example do not resolve",
    ),
]


@pytest.mark.parametrize(("check", "seen", "verdict", "words"), SAID)
def test_a_check_says_this_and_nothing_else_is_said(
    check: str, seen: Callable[[], Sight], verdict: str, words: str
) -> None:
    """One cause, one finding: with its verdict, and with its words in the line."""
    (found,) = judged(seen())
    assert (found.check, found.verdict) == (check, verdict)
    assert words in str(found)


@pytest.mark.parametrize(
    ("check", "seen"),
    [
        (
            "docker.active",
            lambda: sight(facts=facts(docker=None, unknown=("docker",)), engine=None),
        ),
        (
            "docker.active",
            lambda: sight(
                facts=facts(docker=None),
                engine=engine(units={"docker": "failed"}, chat={"restarts": 9, "oom_killed": True}),
            ),
        ),
        (
            "driver.loaded",
            lambda: sight(
                facts=facts(driver=Driver(status="mismatch")),
                engine=engine(chat={"gpus_seen": 0, "gpu_error": "version mismatch"}),
            ),
        ),
        ("gpu.memory_repair", lambda: _second(remap_pending=True, remap_failure=True)),
        (
            "docker.config",
            lambda: sight(engine=engine(config_error="no JSON", runtime_registered=False)),
        ),
        ("services.oom", lambda: _chat(oom_killed=True, restarts=2, started=NOW - 60)),
    ],
)
def test_what_follows_from_another_trouble_is_not_told(
    check: str, seen: Callable[[], Sight]
) -> None:
    """One cause is one finding, and what it brings about is none."""
    assert [each.check for each in judged(seen())] == [check]


def test_gpus_with_the_same_trouble_are_one_line() -> None:
    """Eight GPUs without persistence are one finding, not eight."""
    both = tuple(gpu.model_copy(update={"persistence": False}) for gpu in gpus())
    (found,) = judged(sight(gpu_health=both))
    assert found.what == "GPUs 0, 1: persistence mode is off"


def test_a_gpu_that_is_gone_is_named_by_its_address() -> None:
    """What nvidia-smi does not number any more has the address that the log has."""
    gone = "0000:C1:00"
    assert named(sight(), ["00000000:00:07.0", gone]) == ("GPUs 1, 0000:C1:00", f"1,{gone}")


@pytest.mark.parametrize(
    "address", ["00000000:06:00.0", "PCI:0000:06:00", "0000:06:00", "06:00.0", "pci:0000:06:00.1"]
)
def test_an_address_is_one_however_it_is_written(address: str) -> None:
    """nvidia-smi, the kernel's log and lspci write it differently."""
    assert place(address) == (0, 6, 0)
    assert place("not an address") == "not an address"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59, "59 s"), (600.4, "10 min"), (-7200, "2 h"), (200000, "2 d")],
)
def test_times_are_told_in_their_largest_unit(seconds: float, text: str) -> None:
    """Nobody reads 86400 seconds."""
    assert lasting(seconds) == text


def test_xids_of_one_kind_are_one_line() -> None:
    """Each code has one finding with all its GPUs; each cause its own."""
    xids = [Xid(code=31, bus_id=bus, text="") for bus in (H200.bus_id, SECOND)]
    xids.append(Xid(code=48, bus_id=SECOND, text=""))
    found = judged(sight(kernel=Kernel(xids=tuple(xids))))
    assert [each.what.partition(" since")[0] for each in found] == [
        "GPUs 0, 1: Xid 31",
        "GPU 1: Xid 48",
    ]


def test_every_known_xid_has_a_meaning_and_a_source() -> None:
    """The table says what each is in a few words, and where NVIDIA says so."""
    asked = {13, 31, 32, 38, 43, 45, 48, 56, 57, 61, 62, 63, 64, 68, 69, 74, 79, 92, 94, 95, 109}
    asked |= {119, 120, 121, *range(122, 127), 136, 137, 140, *range(143, 152), 154}
    assert asked <= XIDS.keys()
    for meaning in XIDS.values():
        assert meaning.what
        assert not meaning.what.endswith(".")
        assert meaning.source.startswith("https://docs.nvidia.com/")


def test_one_disk_under_two_paths_is_told_once() -> None:
    """/ and /var/lib/docker are mostly the same file system."""
    full = DISK.model_copy(update={"free_bytes": 0})
    again = full.model_copy(update={"path": "/var/lib/docker"})
    (found,) = judged(sight(file_systems=(full, again)))
    assert "of / are free" in found.what


def test_docker_is_blamed_only_for_its_own_disk() -> None:
    """The remedy of a data disk is not to look at Docker."""
    data = FileSystem(path="/data", size_bytes=100 * GIB, free_bytes=0)
    (found,) = judged(sight(file_systems=(DISK, data)))
    assert "docker system df" not in found.remedy
    assert "du -xh --max-depth=2 /data" in found.remedy


@pytest.mark.parametrize(
    ("address", "taken"),
    [("0.0.0.0", True), ("::", True), ("127.0.0.1", True), ("*", True)],  # noqa: S104
)
def test_a_port_that_a_stranger_has_is_told_with_the_service(address: str, taken: object) -> None:
    """A service that is to listen on all addresses meets everybody at its port."""
    listener = Listener(address=address, port=1281, process="nginx")
    seen = sight(
        engine=engine(chat={"status": "exited"}), network=Network(listeners=(listener, listener))
    )
    found = {each.check: each for each in judged(seen)}
    assert ("network.ports" in found) is taken
    assert found["network.ports"].what == "port 1281 is taken by nginx"
    assert found["network.ports"].service == "chat"


def test_what_could_not_be_read_is_said_once() -> None:
    """All sections missing: one line that names them, and no check that takes them for well."""
    seen = Sight(sight().host, facts(unknown=("cpu", "toolkit"), toolkit=None), Health(), NOW)
    (found,) = judged(seen)
    assert (found.check, found.verdict) == ("host.readable", "warn")
    assert found.what.startswith("unknown: cpu, toolkit, the state of the GPUs, the kernel's log")
    assert found.what.endswith("could not be read: no answer that makes sense")


def test_reasons_are_told_once_each() -> None:
    """Sections that failed for the same reason share it."""
    unknown: Any = {"clock": "took too long", "network": "took too long", "kernel": "refused"}
    seen = sight(clock=None, network=None, kernel=None, unknown=unknown)
    (found,) = judged(seen)
    assert found.what.endswith("could not be read: refused; took too long")


def test_a_log_that_may_not_be_read_is_unknown() -> None:
    """No Xids in a log that nobody could read is no good news."""
    (found,) = judged(sight(kernel=Kernel(readable=False)))
    assert found.what == "unknown: the kernel's log could not be read: it may not be read"


def test_the_state_of_gpus_is_unknown_while_the_driver_answers() -> None:
    """Without a finding of the driver nobody else tells that the GPUs were not seen."""
    (found,) = judged(sight(gpu_health=None, unknown={"gpu_health": "broke off"}))
    assert found.what == "unknown: the state of the GPUs could not be read: broke off"


def test_a_held_upgrade_names_the_packages() -> None:
    """The command can be pasted."""
    upgrades = Upgrades(
        unattended=True, driver=("nvidia-driver-580 1 → 2", "libnvidia-compute-580 1 → 2")
    )
    (found,) = judged(sight(upgrades=upgrades))
    assert "apt-mark hold nvidia-driver-580 libnvidia-compute-580;" in found.remedy


@pytest.mark.parametrize(
    ("changes", "ready"),
    [
        ({}, True),
        ({"health": ""}, True),
        ({"health": "starting"}, False),
        ({"health": "unhealthy"}, False),
        ({"status": "restarting"}, False),
        ({"status": "exited", "oom_killed": True}, False),
        ({"service": False}, False),
    ],
)
def test_only_a_service_that_claims_to_answer_is_called(
    changes: dict[str, Any], ready: object
) -> None:
    """One that is down or still loading has its own line, or none."""
    assert ("chat" in ready_services(_chat(**changes))) is ready


def test_a_service_of_another_maker_is_not_ours() -> None:
    """A container that only has the name of a service is no deployment of it."""
    foreign = CHAT.model_copy(update={"service": False})
    seen = sight(engine=engine(containers=(foreign, engine().containers[1])), network=Network())
    (found,) = judged(seen)
    assert (found.service, found.what) == ("chat", "is not deployed")


@pytest.mark.parametrize(
    ("told", "off"),
    [(NOW + 0.1, 0), (NOW + 8, 0), (NOW + 9.5, 0.5), (NOW - 600, -600), (NOW + 609, 600)],
)
def test_a_host_may_tell_its_time_whenever_it_was_asked(told: float, off: float) -> None:
    """Where a command hangs the answer comes seconds after the host looked at its clock."""
    clock = Clock(now=told)
    assert told - moment(clock, NOW, NOW + 9) == off
    assert moment(None, NOW, NOW + 9) == NOW + 9


def test_versions_of_drivers_are_compared_by_number() -> None:
    """525.60.13 is the first that runs CUDA 12; text would put 1000 before it."""
    for version, old in (("525.60.11", True), ("525.60.13", False), ("1000.1", False)):
        driver = Driver(status="ok", kernel_module=version, library=VERSION)
        found = judged(sight(facts=facts(driver=driver), kernel=Kernel()))
        assert [each.check for each in found] == (["driver.version"] if old else [])
