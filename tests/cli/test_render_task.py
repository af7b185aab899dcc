"""The task `render`: what a deploy would put on hosts, without asking any of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
GOLDENS: Final = ROOT / "tests/serving/goldens/compose"
INV: Final = str(Path(sys.executable).with_name("inv"))


def _render(
    *flags: str, inventory: Path = GOLDENS / "inventory.yaml"
) -> subprocess.CompletedProcess[str]:
    argv = [INV, "render", "--inventory", str(inventory), *flags]
    environment = {key: value for key, value in os.environ.items() if key != "CHAT_KEY"}
    return subprocess.run(
        argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def _tree(folder: Path) -> dict[str, bytes]:
    hosts = [path for path in folder.iterdir() if path.is_dir()]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for host in hosts
        for path in sorted(host.rglob("*"))
        if path.is_file()
    }


def test_what_is_written_is_what_was_agreed_on(tmp_path: Path) -> None:
    """Byte by byte; after a change that is meant, write the goldens anew with the same command.

    `inv render --inventory G/inventory.yaml --out G`, with G = tests/serving/goldens/compose.
    """
    done = _render("--out", str(tmp_path))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert _tree(tmp_path) == _tree(GOLDENS)
    assert f"{tmp_path}/gpu01/compose.yaml" in done.stderr
    env = (tmp_path / "gpu01/chat.env").read_text(encoding="utf-8")
    assert env.endswith("=<env:CHAT_KEY>\n")


def test_what_is_shown_is_what_is_written() -> None:
    """Each file below its name; of mounted files name and size."""
    shown = _render().stdout
    for name in ("gpu01/compose.yaml", "gpu01/chat.env", "cpu01/compose.yaml"):
        assert (GOLDENS / name).read_text(encoding="utf-8") in shown
        assert f"# ---- {name.replace('/', ': ')}\n" in shown
    assert "/chat.jinja  (63 B)\n" in shown
    assert "message.content" not in shown
    assert _render().stdout == shown


def test_one_host_and_one_service_alone() -> None:
    """It keeps the GPUs that it has among the others."""
    done = _render("--host", "gpu01", "--service", "embed", "--format", "json")
    document: dict[str, Any] = json.loads(done.stdout)
    assert list(document["hosts"]) == ["gpu01"]
    host = document["hosts"]["gpu01"]
    assert (list(host["files"]), list(host["notes"]), host["error"]) == (
        ["compose.yaml"],
        ["embed"],
        "",
    )
    assert 'container_name: "embed"' in host["files"]["compose.yaml"]
    assert '- "4"' in host["files"]["compose.yaml"]
    assert "gpt-4" not in host["files"]["compose.yaml"]


def test_hosts_without_a_service_that_is_asked_for_are_left_out() -> None:
    """An empty project says nothing."""
    document = json.loads(_render("--service", "chat", "--format", "json").stdout)
    assert list(document["hosts"]) == ["gpu01"]


def test_host_that_cannot_be_rendered_stops_no_other(tmp_path: Path) -> None:
    """It is one line on stderr and exit code 1; the others are shown."""
    text = (GOLDENS / "inventory.yaml").read_text(encoding="utf-8")
    for name in ("inventory.models.lock.json", "chat.jinja"):
        (tmp_path / name).write_bytes((GOLDENS / name).read_bytes())
    (tmp_path / "inventory.yaml").write_text(text.replace("gpus: 4", "gpus: 9"), encoding="utf-8")
    done = _render(inventory=tmp_path / "inventory.yaml")
    assert done.returncode == 1
    assert done.stderr == (
        "provision: gpu01: services.wanted.chat.gpus: asks for 9 GPUs, the host has 8 GPUs; "
        "free: 0, 1, 2, 3, 4, 5, 6, 7. Ask for fewer or others, or let services share: "
        "memory_share on each of them.\n"
    )
    assert (GOLDENS / "cpu01/compose.yaml").read_text(encoding="utf-8") in done.stdout


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--service", "chatt"], "no selected host has the service 'chatt'. Did you mean 'chat'?"),
        (["--host", "gpu02"], "no host matches 'gpu02'"),
        (["--role", "services"], "unknown option '--role'"),
    ],
)
def test_what_does_not_exist_is_one_line(flags: list[str], said: str) -> None:
    """With exit code 1 and the nearest name."""
    done = _render(*flags)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_inventory_without_services_is_told_how_to_have_some(tmp_path: Path) -> None:
    """Nothing to show is no success."""
    (tmp_path / "lab.yaml").write_text("hosts: {gpu01: }\n", encoding="utf-8")
    done = _render(inventory=tmp_path / "lab.yaml")
    assert done.returncode == 1
    assert "no selected host has the role 'services'. Add it to a group's roles" in done.stderr


@pytest.mark.parametrize("task", ["plan", "provision"])
def test_role_that_is_deployed_cannot_be_planned(task: str) -> None:
    """It would be an empty plan, which reads as if all were well."""
    argv = [INV, task, "--inventory", str(GOLDENS / "inventory.yaml"), "--role", "services"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the role 'services' is deployed, not planned" in done.stderr
