"""Health of the engine: a stand-in docker under the real script, and its records under the parser."""

from __future__ import annotations

import json
import time
from typing import Any, Final

import pytest

from provision.facts.sections import engine
from provision.serving.compose import HASH

SHELLS: Final = ("sh", "busybox")
shells = pytest.mark.parametrize("shell", SHELLS)
STARTED: Final = "2026-11-21T08:00:00.123456789Z"
CDI: Final = [
    {"Driver": "cdi", "Count": 0, "DeviceIDs": ["nvidia.com/gpu=0"], "Capabilities": None}
]
ALL: Final = [{"Driver": "", "Count": -1, "DeviceIDs": None, "Capabilities": [["gpu"]]}]
TWO: Final = [{"Driver": "nvidia", "Count": 0, "DeviceIDs": ["0", "1"], "Capabilities": [["gpu"]]}]
LOST: Final = "Failed to initialize NVML: Unknown Error"
LOG: Final = """\
2026-11-21T08:30:00.5Z INFO Avg prompt throughput: 3.0 tokens/s, Avg generation throughput: 12.5 tokens/s, Running: 1 reqs
2026-11-21T08:30:10.5Z INFO Avg prompt throughput: 0.0 tokens/s, Avg generation throughput: 0.3 tokens/s, Running: 1 reqs
2026-11-21T08:30:20.5Z INFO Avg prompt throughput: 0.0 tokens/s, Avg generation throughput: 0.0 tokens/s, Running: 0 reqs
2026-11-21T08:31:00.5Z ERROR 11-21 engine died
2026-11-21T08:31:01.5Z Traceback (most recent call last):
2026-11-21T08:31:02.5Z torch: CUDA error: out of memory\033[0m
"""

Machine = Any


def _row(name: str, **changes: Any) -> list[Any]:
    values = {
        "id": f"{name:0<64}",
        "name": f"/{name}",
        "image": "vllm/vllm-openai:v0.26.0",
        "status": "running",
        "health": "healthy",
        "code": 0,
        "restarts": 0,
        "oom": False,
        "started": STARTED,
        "label": "",
        "runtime": "runc",
        "requests": None,
        "visible": [],
    }
    assert not changes.keys() - values.keys()
    return list((values | changes).values())


def _docker(machine: Machine, *rows: list[Any], others: str = "") -> None:
    """Put a docker there that has these containers and does `others` for exec and logs."""
    lines = "".join(f"--- container {json.dumps(row, separators=(',', ':'))}\n" for row in rows)
    machine.file("/containers", lines)
    machine.file("/ids", "".join(f"{row[0]}\n" for row in rows))
    machine.file("/log", LOG)
    machine.program(
        "docker",
        f"case $1 in\nps) cat {machine.root}/ids ;;\ninspect) cat {machine.root}/containers ;;\ninfo) ;;\n"
        f'{others}\n*) echo "$*" >>{machine.root}/unexpected ;;\nesac',
    )


@shells
def test_containers_are_read(machine: Machine, shell: str) -> None:
    """State, restarts, GPUs asked for and seen, troubles and the last token of our services."""
    _docker(
        machine,
        _row("chat", label="abc", requests=CDI, restarts=3),
        _row(
            "old", status="exited", code=137, oom=True, requests=ALL, started="0001-01-01T00:00:00Z"
        ),
        _row("plain", health="none"),
        others=f"exec) [ $3 = nvidia-smi ] && echo 'GPU 0: NVIDIA H200 (UUID: GPU-1)' ;;\n"
        f"logs) cat {machine.root}/log ;;",
    )
    found = {item.name: item for item in machine.health(shell).engine.containers}
    assert found["chat"].model_dump() == {
        "name": "chat",
        "image": "vllm/vllm-openai:v0.26.0",
        "status": "running",
        "health": "healthy",
        "exit_code": 0,
        "restarts": 3,
        "oom_killed": False,
        "service": True,
        "started": 1795248000.123456,
        "gpus_wanted": 1,
        "gpus_seen": 1,
        "gpu_error": "",
        "error_lines": 3,
        "last_error": "torch: CUDA error: out of memory[0m",
        "last_token": 1795249810.5,
    }
    old, plain = found["old"], found["plain"]
    assert (old.exit_code, old.oom_killed, old.gpus_wanted, old.gpus_seen) == (137, True, -1, None)
    assert (old.started, old.service, plain.health, plain.gpus_wanted) == (None, False, "", None)
    assert (plain.error_lines, plain.last_token) == (0, None)
    assert not (machine.root / "unexpected").exists()


@shells
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (f"echo '{LOST}'; exit 255", (0, LOST)),
        ("exit 127", (None, "")),
        (
            "echo 'OCI runtime exec failed: \"nvidia-smi\": executable file not found in $PATH'; exit 1",
            (None, ""),
        ),
        ("exec sleep 60", (0, "nvidia-smi gives no answer there")),
        ("exit 3", (0, "nvidia-smi ends with status 3 there")),
    ],
    ids=["GPUs lost", "no nvidia-smi", "no nvidia-smi, older", "hangs", "fails"],
)
def test_gpus_in_containers_are_asked_there(
    machine: Machine, shell: str, answer: str, expected: tuple[int | None, str]
) -> None:
    """What nvidia-smi says in a running container; one without it is no trouble."""
    visible = [["NVIDIA_VISIBLE_DEVICES", "0,1"]]
    _docker(machine, _row("chat", runtime="nvidia", visible=visible), others=f"exec) {answer} ;;")
    health = machine.health(shell)
    assert health.unknown == {}
    (container,) = health.engine.containers
    assert container.gpus_wanted == 2
    assert (container.gpus_seen, container.gpu_error) == expected


def test_many_containers_are_asked_at_once(machine: Machine) -> None:
    """Twenty that hang cost what one costs, and what hung is said of each."""
    rows = [_row(f"c{number}", requests=TWO, label="x") for number in range(20)]
    _docker(machine, *rows, others="exec | logs) exec sleep 60 ;;")
    started = time.monotonic()
    health = machine.health()
    assert time.monotonic() - started < 10
    assert len(health.engine.containers) == 20
    assert {item.gpu_error for item in health.engine.containers} == {
        "nvidia-smi gives no answer there"
    }


def test_a_daemon_that_hangs_costs_the_containers_alone(machine: Machine) -> None:
    """Units and daemon.json are known even when Docker does not answer."""
    machine.file("/run/systemd/system/x", "")
    machine.file("/etc/docker/daemon.json", '{"runtimes": {"nvidia": {}}}')
    machine.program("docker", "exec sleep 60")
    machine.program(
        "systemctl",
        "case $* in *docker.service*) printf 'Id=docker.service\\nLoadState=loaded\\n"
        "ActiveState=active\\n\\nId=containerd.service\\nLoadState=loaded\\nActiveState=failed\\n' ;; esac",
    )
    found = machine.health().engine
    assert found.units == {"docker": "active", "containerd": "failed"}
    assert (found.runtime_registered, found.containers) == (True, ())


def test_units_that_are_not_installed_have_no_state() -> None:
    """An inactive unit is one that is there."""
    text = "Id=docker.service\nLoadState=not-found\nActiveState=inactive\n"
    assert engine.parse(text).units == {}


def test_a_byte_order_mark_is_read_past_as_docker_does(machine: Machine) -> None:
    """From 23 on, which can be asked, dockerd starts with a file that begins with one."""
    machine.file("/etc/docker/daemon.json", '\ufeff{"runtimes": {"nvidia": {}}}')
    machine.program("dockerd", "echo 'configuration OK'")
    found = machine.health().engine
    assert (found.config_error, found.runtime_registered) == ("", True)


@pytest.mark.parametrize(
    ("text", "error", "registered"),
    [
        (None, "", False),
        ("", "", False),
        ("{}", "", False),
        ('{"runtimes": {"nvidia": {}}}', "", True),
        ('{"runtimes": []}', "", None),
        ('{"runtimes": {"nvidia"', "it is no JSON: Expecting ':' delimiter", None),
        ('\ufeff{"runtimes": {"nvidia": {}}}', "it is no JSON: Unexpected UTF-8 BOM", None),
        ("[1]", "it is no JSON object", None),
    ],
)
def test_the_configuration_is_judged_without_dockerd(
    machine: Machine, text: str | None, error: str, *, registered: bool | None
) -> None:
    """A file that is no JSON is found where dockerd cannot be asked."""
    if text is not None:
        machine.file("/etc/docker/daemon.json", text)
    machine.program("dockerd", "echo 'Status: unknown flag: --validate'; echo See help; exit 125")
    found = machine.health().engine
    assert found.config_error.startswith(error)
    assert bool(found.config_error) is bool(error)
    assert found.runtime_registered is registered


@shells
def test_dockerd_judges_its_configuration(machine: Machine, shell: str) -> None:
    """What only dockerd knows to be wrong is told in its words."""
    machine.file("/etc/docker/daemon.json", '{"no-such-key": 1}')
    said = (
        "unable to configure the Docker daemon with file /etc/docker/daemon.json: "
        "the following directives don't match any configuration option: no-such-key"
    )
    machine.program("dockerd", f'echo a warning; echo "{said}"; exit 1')
    error = machine.health(shell).engine.config_error
    assert error.endswith("don't match any configuration option: no-such-key")
    machine.program("dockerd", "echo configuration OK")
    assert machine.health(shell).engine.config_error == ""


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"requests": ALL}, -1),
        ({"requests": TWO}, 2),
        ({"requests": [{"Driver": "nvidia", "Count": 3, "Capabilities": [["gpu"]]}]}, 3),
        ({"requests": CDI}, 1),
        ({"requests": [CDI[0] | {"DeviceIDs": ["nvidia.com/gpu=all"]}]}, -1),
        ({"requests": [CDI[0] | {"DeviceIDs": ["vendor.com/net=0"]}]}, None),
        ({"requests": [{"Driver": "", "Count": 1, "Capabilities": [["tpu"]]}]}, None),
        ({"runtime": "nvidia", "visible": [["NVIDIA_VISIBLE_DEVICES", "all"]]}, -1),
        ({"runtime": "nvidia", "visible": [["NVIDIA_VISIBLE_DEVICES", "nvidia.com/gpu", "0"]]}, 1),
        ({"runtime": "nvidia", "visible": [["NVIDIA_VISIBLE_DEVICES", "void"]]}, None),
        ({"runtime": "nvidia"}, None),
        ({"visible": [["NVIDIA_VISIBLE_DEVICES", "all"]]}, None),
    ],
)
def test_gpus_asked_for_are_counted(changes: dict[str, Any], expected: int | None) -> None:
    """By --gpus, by compose, by CDI, and by NVIDIA's runtime; an image's wish alone is none."""
    text = f"--- container {json.dumps(_row('a', **changes))}"
    assert engine.parse(text).containers[0].gpus_wanted == expected


def test_services_are_known_by_the_label_that_they_are_deployed_with() -> None:
    """The script asks for the label that Compose gets."""
    text = (engine.__spec__.origin or "").replace("engine.py", "engine.sh")
    with open(text, encoding="utf-8") as file:  # noqa: PTH123
        assert f'(index .Config.Labels "{HASH}")' in file.read()
