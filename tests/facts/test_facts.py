"""Facts: the real script under real shells, and the parser against whatever it may print."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.errors import FactsError
from provision.facts import Facts, facts_script, parse_facts

if TYPE_CHECKING:
    from collections.abc import Callable

    Machine = Any

FIXTURES: Final = Path(__file__).with_name("fixtures")
SECTIONS: Final = [
    "os",
    "machine",
    "host",
    "last_run",
    "cpu",
    "memory",
    "pci",
    "python",
    "engines",
    "disks",
    "driver",
    "gpus",
    "docker",
    "toolkit",
    "images",
]  # as the script has them
SHELLS: Final = {"sh": ["sh"], "dash": ["dash"], "busybox": ["busybox", "sh"]}
shells = pytest.mark.parametrize("shell", SHELLS)

VERSION: Final = """\
NVIDIA-SMI version  : 580.159.04
NVML version        : 580.159
DRIVER version      : 580.159.04
CUDA Version        : 13.0"""
MODULE: Final = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {}  Release Build  (dvs-builder)\n"
    "GCC version:  gcc version 13.3.0 (Ubuntu 13.3.0-6ubuntu2~24.04)\n"
)
MISMATCH: Final = (
    "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.159"
)
NO_DRIVER: Final = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
    "Make sure that the latest NVIDIA driver is installed and running."
)
OLD_FIELD: Final = 'Field "compute_cap" is not a valid field to query.'


def _smi(machine: Machine, *, version: str, query: str, gpus: str) -> None:
    machine.program(
        "nvidia-smi",
        f"case $* in\n--version) {version} ;;\n*driver_version*) {query} ;;\n*) {gpus} ;;\nesac",
    )


def _recorded(name: str) -> list[list[str]]:
    """Return the recorded rows of `--query-gpu=index,uuid,name,pci.bus_id,…` without a header."""
    text = (FIXTURES / "nvidia-smi" / name / "nvidia-queries.txt").read_text(encoding="utf-8")
    rows = [line.split(", ") for line in text.splitlines() if line.startswith(("0, GPU", "1, GPU"))]
    return [row for row in rows if len(row) == 20]


def _driver(machine: Machine, recording: str = "h200-x2") -> None:
    rows = "\n".join(
        ", ".join([row[0], row[1], row[2], row[5], row[3], row[12]]) for row in _recorded(recording)
    )
    machine.file("/proc/driver/nvidia/version", MODULE.format("580.159.04"))
    machine.file("/sys/module/nvidia/version", "580.159.04\n")
    _smi(
        machine,
        version=f"echo '{VERSION}'",
        query="echo 580.159.04",
        gpus=f"echo '{rows}'",
    )


# ---------------------------------------------------------------- the script on a machine


@shells
def test_the_script_reads_this_machine(machine: Machine, shell: str) -> None:
    """Every section but Docker's is known without root, without a GPU and in every shell."""
    facts = machine.facts(shell)
    assert facts.unknown == ()
    assert facts.os.id == "debian"
    assert facts.hostname
    assert facts.boot_id == "b2b8ad07-bdfe-4b51-a1b8-6c1a5a0e0a11"
    assert (facts.cpus or 0) > 0
    assert (facts.memory_bytes or 0) > 2**20
    root = next(disk for disk in facts.disks if disk.path == "/")
    assert 0 < root.free_bytes <= root.size_bytes
    assert (facts.docker, facts.toolkit, facts.gpus, facts.nouveau) == (None, None, (), False)
    assert facts.driver is not None
    assert (facts.driver.status, facts.nvidia_driver_installed) == ("absent", False)


@shells
def test_recorded_gpus_are_read(machine: Machine, shell: str) -> None:
    """Two real H200s: driver, CUDA version, memory, compute capability and bus id."""
    _driver(machine)
    facts = machine.facts(shell)
    assert facts.driver is not None
    assert facts.driver.model_dump() == {
        "status": "ok",
        "kernel_module": "580.159.04",
        "library": "580.159.04",
        "cuda": "13.0",
        "message": "",
    }
    assert [gpu.index for gpu in facts.gpus] == [0, 1]
    assert facts.gpus[1].model_dump() == {
        "index": 1,
        "uuid": "GPU-ed08cdd6-69d4-bb56-abb5-9d3bbd970a57",
        "name": "NVIDIA H200",
        "memory_mib": 143771,
        "compute_capability": "9.0",
        "bus_id": "00000000:00:07.0",
    }


@shells
def test_a_mismatch_is_told_with_both_versions(machine: Machine, shell: str) -> None:
    """New libraries under an old module: nvidia-smi fails, and both halves are known."""
    fail = f"echo '{MISMATCH}'; exit 18"
    machine.file("/proc/driver/nvidia/version", MODULE.format("580.126.20"))
    _smi(machine, version=fail, query=fail, gpus=fail)
    facts = machine.facts(shell)
    assert facts.driver is not None
    assert facts.driver.model_dump() == {
        "status": "mismatch",
        "kernel_module": "580.126.20",
        "library": "580.159",
        "cuda": None,
        "message": "Failed to initialize NVML: Driver/library version mismatch",
    }
    assert (facts.gpus, facts.unknown, facts.nvidia_driver_installed) == ((), (), True)


@pytest.mark.parametrize(("module", "status"), [(None, "not loaded"), ("580.159.04", "broken")])
def test_a_driver_that_does_not_answer(machine: Machine, module: str | None, status: str) -> None:
    """Without a loaded module it is `not loaded`, with one it is `broken`; its words are kept."""
    fail = f'echo "{NO_DRIVER}"; exit 9'
    if module:
        machine.file("/proc/driver/nvidia/version", MODULE.format(module))
    _smi(machine, version=f"echo '{VERSION}'", query=fail, gpus=fail)
    facts = machine.facts()
    assert facts.driver is not None
    assert (facts.driver.status, facts.driver.message) == (status, NO_DRIVER)
    assert (facts.gpus, facts.unknown) == ((), ())


def test_a_module_without_libraries_is_broken(machine: Machine) -> None:
    """A loaded module and no nvidia-smi is half a driver, not none."""
    machine.file("/sys/module/nvidia/version", "580.159.04\n")
    facts = machine.facts()
    assert facts.driver is not None
    assert (facts.driver.status, facts.driver.kernel_module) == ("broken", "580.159.04")


def test_a_hanging_driver_costs_a_time_out_and_is_unknown(machine: Machine) -> None:
    """The other sections are read; `driver` and `gpus` are unknown, never absent."""
    _driver(machine)
    machine.program("nvidia-smi", "exec sleep 600")
    machine.program("docker", "exec sleep 600")
    started = time.monotonic()
    facts = machine.facts(timeout=1)
    assert time.monotonic() - started < 8
    assert facts.unknown == ("driver", "gpus", "docker", "images")
    assert (facts.driver, facts.gpus, facts.docker) == (None, (), None)
    assert facts.cpus


def test_an_old_nvidia_smi_still_lists_its_gpus(machine: Machine) -> None:
    """One that knows neither --version nor compute_cap gives the rest."""
    row = "0, GPU-8dfe4d19, Tesla T4, 15109, 00000000:00:1E.0"
    machine.file("/proc/driver/nvidia/version", MODULE.format("450.80.02"))
    gpus = f"case $* in *compute_cap*) echo '{OLD_FIELD}'; exit 2 ;; esac; echo '{row}'"
    _smi(
        machine,
        version="echo 'Invalid combination of input arguments.'; exit 1",
        query="echo 450.80.02",
        gpus=gpus,
    )
    facts = machine.facts()
    assert [(gpu.name, gpu.compute_capability) for gpu in facts.gpus] == [("Tesla T4", "")]
    assert (facts.gpus[0].memory_mib, facts.gpus[0].bus_id) == (15109, "00000000:00:1E.0")
    assert facts.driver is not None
    assert (facts.driver.status, facts.driver.cuda) == ("ok", None)
    assert facts.driver.kernel_module == "450.80.02"
    assert facts.unknown == ()


@shells
def test_a_docker_engine_that_answers(machine: Machine, shell: str) -> None:
    """Version, root, runtimes and running containers come from the engine itself."""
    machine.program("docker", "echo 'engine|28.2.2|/data/docker|systemd|3|runc|nvidia'")
    machine.program("dpkg-query", "printf 'hi  docker-ce\\nrc  docker.io\\n'")
    machine.program("nvidia-ctk", "echo 'NVIDIA Container Toolkit CLI version 1.20.0'")
    facts = machine.facts(shell)
    assert facts.docker is not None
    assert facts.docker.model_dump() == {
        "version": "28.2.2",
        "root": "/data/docker",
        "runtimes": ("nvidia", "runc"),
        "cgroup_driver": "systemd",
        "running_containers": 3,
        "package": "docker-ce",
    }
    assert (facts.docker.major, facts.toolkit) == (28, "1.20.0")


@pytest.mark.parametrize(
    "text",
    [
        "echo 'engine||||0'; echo 'Cannot connect to the Docker daemon' >&2; exit 1",
        "echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock.' >&2; exit 1",
        "echo 'Error: template: info:1:9: no such field ServerVersion' >&2; exit 125",
    ],
    ids=["daemon down, docker 28", "daemon down", "podman"],
)
def test_an_engine_that_does_not_answer_is_none(machine: Machine, text: str) -> None:
    """A client without its daemon, and podman in docker's place, are no engine."""
    machine.program("docker", text)
    facts = machine.facts()
    assert (facts.docker, facts.unknown) == (None, ())


def test_nvidia_devices_are_counted_without_a_driver(machine: Machine) -> None:
    """Display controllers of NVIDIA on the PCI bus, and nouveau in the driver's place."""
    devices = {
        "0": ("0x10de", "0x030200"),
        "1": ("0x10de", "0x030000"),
        "2": ("0x10de", "0x040300"),
    }
    for name, (vendor, kind) in (devices | {"3": ("0x1002", "0x030000")}).items():
        machine.file(f"/sys/bus/pci/devices/{name}/vendor", f"{vendor}\n")
        machine.file(f"/sys/bus/pci/devices/{name}/class", f"{kind}\n")
    machine.file("/sys/module/nouveau/refcnt", "0\n")
    facts = machine.facts()
    assert (facts.nvidia_devices, facts.nouveau) == (2, True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("debian-12", ("debian", (), "12", "bookworm")),
        ("debian-13", ("debian", (), "13", "trixie")),
        ("ubuntu-22.04", ("ubuntu", ("debian",), "22.04", "jammy")),
        ("ubuntu-24.04", ("ubuntu", ("debian",), "24.04", "noble")),
        ("mint-22", ("linuxmint", ("ubuntu", "debian"), "22.1", "noble")),
        ("openeuler-24.03", ("openEuler", (), "24.03", "")),
    ],
)
def test_systems_are_told_apart(machine: Machine, name: str, expected: tuple[Any, ...]) -> None:
    """Id, family, version and the code name whose packages fit."""
    machine.file("/etc/os-release", (FIXTURES / "os-release" / name).read_text("utf-8"))
    found = machine.facts().os
    assert (found.id, found.like, found.version, found.codename) == expected
    assert found.kernel
    assert found.name.split()[0].lower() in {found.id.lower(), "linux"}


def test_a_system_that_cannot_be_told_is_an_error(machine: Machine) -> None:
    """Without /etc/os-release nothing can be planned, and the operator learns why."""
    (machine.root / "etc" / "os-release").unlink()
    with pytest.raises(FactsError, match="/etc/os-release: the operating system cannot be told"):
        machine.facts()


@shells
def test_a_truncated_script_reads_nothing(shell: str) -> None:
    """Cut at any 200th byte of its body the script prints no frame, so no facts are taken from it."""
    script = facts_script("@word").encode()
    for end in range(200, len(script) - len("provision_main </dev/null\n"), 200):
        done = subprocess.run(
            [*SHELLS[shell], "-s"], input=script[:end], capture_output=True, check=False
        )
        assert done.stdout == b""


# ---------------------------------------------------------------- the parser


def test_a_missing_section_is_unknown(sections: Callable[..., str]) -> None:
    """What did not come back is named, in the order of the script."""
    facts = parse_facts(sections(cpu="0-3"), "@word")
    assert facts.cpus == 4
    assert facts.unknown == tuple(name for name in SECTIONS if name not in {"os", "machine", "cpu"})


def test_a_section_that_failed_is_unknown(sections: Callable[..., str]) -> None:
    """A status other than 0, 124 above all, is no answer whatever was printed."""
    answer = sections(cpu="0-3").replace("@word cpu 0", "@word cpu 124")
    assert parse_facts(answer, "@word").cpus is None
    assert "cpu" in parse_facts(answer, "@word").unknown


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("host", "only-a-name"),
        ("cpu", "many"),
        ("memory", ""),
        ("disks", "df: /data: Transport endpoint is not connected"),
        ("gpus", "something else altogether"),
        ("docker", "engine|28.2.2"),
        ("docker", "engine|dev|/var/lib/docker|systemd|0|runc"),
        ("docker", "engine|28.2.2|/var/lib/docker|systemd|some|runc"),
    ],
)
def test_garbage_is_unknown(sections: Callable[..., str], name: str, text: str) -> None:
    """A section without sense is unknown and never a guess; the others stand."""
    facts = parse_facts(sections(**{"toolkit": "version 1.20.0", name: text}), "@word")
    assert name in facts.unknown
    assert facts.toolkit == "1.20.0"


def test_values_that_a_gpu_does_not_have_are_none(sections: Callable[..., str]) -> None:
    """`[N/A]` is no number; a warning between the rows is no GPU."""
    text = "0, GPU-1, NVIDIA GB10, [N/A], 0000000F:01:00.0, 12.1\nWARNING: infoROM is corrupted"
    (gpu,) = parse_facts(sections(gpus=text), "@word").gpus
    assert (gpu.memory_mib, gpu.compute_capability) == (None, "12.1")


def test_one_file_system_is_one_disk(sections: Callable[..., str]) -> None:
    """Paths on the same file system are not counted twice."""
    line = "/dev/vda1 1000 400 600 40% /\n"
    disks = parse_facts(sections(disks=line * 3 + line.replace(" /\n", " /data\n")), "@word").disks
    assert [(disk.path, disk.size_bytes, disk.free_bytes) for disk in disks] == [
        ("/", 1024000, 614400),
        ("/data", 1024000, 614400),
    ]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("NVIDIA Container Toolkit CLI version 1.17.8\ncommit: f202b80a9b9d", "1.17.8"),
        ("NVIDIA Container Toolkit CLI version 1.18.0~rc.1", "1.18.0~rc.1"),
        ("", None),
    ],
)
def test_the_toolkit_has_a_version(
    sections: Callable[..., str], text: str, version: str | None
) -> None:
    """As nvidia-ctk prints it."""
    assert parse_facts(sections(toolkit=text), "@word").toolkit == version


_texts = st.text(max_size=120) | st.lists(
    st.sampled_from(["engine|", "|", "1", "\n", ", ", "GPU", "status 9", "version ", "ID=", " "]),
    max_size=12,
).map("".join)


@given(name=st.sampled_from(SECTIONS), text=_texts)
def test_no_text_crashes_the_parser(name: str, text: str) -> None:
    """Any text in any section gives facts, or the one error for a system that cannot be told."""
    base = {"os": "ID=debian\n\n6.1.0 x86_64", name: text}
    answer = "".join(f"{body}\n\n@word {key} 0\n" for key, body in base.items())
    try:
        facts = parse_facts(answer, "@word")
    except FactsError:
        assert name in {"os", "machine"}
        return
    assert isinstance(facts, Facts)
    assert facts.docker is None or facts.docker.major >= 0


@given(text=st.text(max_size=300))
def test_an_answer_without_frames_is_an_error(text: str) -> None:
    """A login banner or a restricted shell is not taken for facts."""
    with pytest.raises(FactsError):
        parse_facts(text, "@0123456789abcdef01234567")


def test_pythons_are_known_by_name_and_version(sections: Callable[..., str]) -> None:
    """Two numbers each; what prints anything else, or nothing, is none."""
    text = "python3 Python 3.8.10\npython3.12 Python 3.12.0rc1\npython3.13 oops\npython3.14 "
    facts = parse_facts(sections(python=text), "@word")
    assert facts.pythons == {"python3": "3.8", "python3.12": "3.12"}
    assert parse_facts(sections(python=""), "@word").pythons == {}


@shells
def test_the_last_run_is_known_where_nobody_is_at_work(machine: Machine, shell: str) -> None:
    """It is for us alone: facts that are written down do not differ by it."""
    assert machine.facts(shell).last_run == "none"
    machine.file("/var/lib/provision/last_run", "94c3993092f64a0c\n")
    facts = machine.facts(shell)
    assert facts.last_run == "94c3993092f64a0c"
    assert "last_run" not in facts.model_dump()
    machine.file("/var/lib/provision/lock/run", "8eadbeef\n")
    assert machine.facts(shell).last_run == ""
