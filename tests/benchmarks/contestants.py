"""Who is measured: how each is called for a piece of work on the first N hosts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from places import BASE, DIRECT, HERE, KEY, KNOWN_HOSTS, PROJECT, address, name
from workload import variables

Work = Literal["noop", "change", "sweep"]
PEERS: Final = HERE / "peers"


class Call(NamedTuple):
    """A command line, and what its environment has beside the usual."""

    argv: tuple[str, ...]
    environment: dict[str, str] = {}  # noqa: RUF012  never changed
    folder: Path = BASE
    good: tuple[int, ...] = (0,)
    """Exit statuses of success."""


def call(tool: str, work: Work, count: int, port: int) -> Call | None:
    """Return how to call a contestant; `None` where it has no such work."""
    match tool:
        case "provision":
            return _provision(work, count, port)
        case "fabric":
            script = str(PEERS / "floor_fabric.py")
            return Call((_bin("fabric", "python"), script, work, str(count), str(port)))
        case "ssh":
            words = ("sh", str(PEERS / "floor_ssh.sh"), work, str(count), str(port))
            return Call(words, {"BASE": str(BASE)}) if work != "change" else None
        case "pyinfra":
            script = "pyinfra_sweep.py" if work == "sweep" else "pyinfra_stack.py"
            inventory = _pyinfra(count, port)
            return Call((_bin("pyinfra", "pyinfra"), "-y", str(inventory), str(PEERS / script)))
        case "ansible-default" | "ansible-tuned":
            return _ansible(tool, count, port) if work != "sweep" else None
    raise ValueError(tool)


def _bin(environment: str, program: str) -> str:
    return str(BASE / f"venv-{environment}" / "bin" / program)


def _provision(work: Work, count: int, port: int) -> Call:
    """Use the project's own environment, and a project folder with the role of the benchmark."""
    inventory = BASE / f"provision-{count}-{port}.yaml"
    hosts = {
        name(n): {"roles": ["stack"], "ssh": {"address": address(n)}, "stack": variables(n)}
        for n in range(1, count + 1)
    }
    ssh = {"user": "root", "port": port, "key": str(KEY), "known_hosts": str(KNOWN_HOSTS)}
    document = {"vars": {"ssh": ssh}, "hosts": hosts}
    inventory.write_text(_yaml(document))
    inv = str(Path(sys.executable).with_name("inv"))
    words = ["verify", "--only", "host,gpu"] if work == "sweep" else ["provision", "--yes"]
    argv = (inv, *words, "--inventory", str(inventory))
    good = (0, 2) if work == "sweep" else (0,)  # 2: it has warnings about this very machine
    return Call(argv, {"PYTHONPATH": str(PROJECT)}, HERE / "project", good)


def _yaml(document: Any) -> str:
    """Return YAML in blocks, as people write it."""
    import yaml  # noqa: PLC0415

    return str(yaml.safe_dump(document, sort_keys=False))


def _pyinfra(count: int, port: int) -> Path:
    path = BASE / f"pyinfra_{count}_{port}.py"
    ssh = {
        "ssh_port": port,
        "ssh_user": "root",
        "ssh_key": str(KEY),
        "ssh_allow_agent": False,
        "ssh_look_for_keys": False,
        "ssh_known_hosts_file": str(KNOWN_HOSTS),
        "ssh_config_file": "/dev/null",
        "ssh_strict_host_key_checking": "yes",
    }
    hosts = [
        (name(n), {**variables(n), **ssh, "ssh_hostname": address(n)}) for n in range(1, count + 1)
    ]
    path.write_text(f"hosts = {hosts!r}\n")
    return path


def _ansible(tool: str, count: int, port: int) -> Call:
    path = BASE / f"ansible-{count}-{port}.json"
    ssh = {
        "ansible_user": "root",
        "ansible_ssh_common_args": f"-F {BASE}/ssh_config.{port}",
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    hosts = {name(n): variables(n) for n in range(1, count + 1)}
    path.write_text(json.dumps({"all": {"hosts": hosts, "vars": ssh}}))
    environment = {"ANSIBLE_CONFIG": str(PEERS / f"{tool}.cfg"), "ANSIBLE_NOCOLOR": "1"}
    words = (_bin("ansible", "ansible-playbook"), "-i", str(path), str(PEERS / "ansible_stack.yml"))
    if tool == "ansible-tuned":
        words = (*words, "-e", "gather=false")
    return Call(words, environment)


__all__ = ["DIRECT", "Call", "Work", "call"]
