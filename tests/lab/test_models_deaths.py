"""The laws of downloads whose watchers die: they go on, are joined, and bring no byte twice."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from keyboard import await_that, begin, inv, models_inventory

from provision.lab.models import MINILM, TINY_CHAT

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from provision.lab import Lab
    from provision.lab.hub_container import Hub

pytestmark = [pytest.mark.lab, pytest.mark.matrix]
SOURCES = ("modelscope", "huggingface")
MIB = 1 << 20
RATE = 6 * MIB  # bytes a second of one connection: the large file takes 14 seconds
SMALL = 10_000_000  # bytes; a large file is in its midst when more than these are there


@pytest.fixture(scope="module")
def clients(models_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Have both clients installed on the host, so that a run of these tests only downloads."""
    folder = tmp_path_factory.mktemp("clients")
    few = {"include": ["config.json"], "check": False}
    wanted = {MINILM: few, TINY_CHAT: {**few, "source": "huggingface"}}
    path = models_inventory(models_lab, folder, {"gpu01": {}}, wanted=wanted, dir="/data/few")
    answer = inv("provision", "--inventory", path, "--yes")
    assert answer.status == 0, answer.text


@pytest.fixture(params=SOURCES)
def inventory(
    models_lab: Lab, clients: None, hub: Hub, tmp_path: Path, request: pytest.FixtureRequest
) -> Path:
    """Return an inventory of one host that has the client, but not yet the model from the slow hub."""
    del clients
    settings = {"dir": f"/data/{tmp_path.name}", "source": request.param}
    path = models_inventory(models_lab, tmp_path, {"gpu01": {}}, wanted={MINILM: None}, **settings)
    hub.fault("slow", rate=RATE)
    hub.clear_log()
    return path


def midway(lab: Lab, inventory: Path) -> subprocess.Popen[str]:
    """Begin to provision, and return when the host has a good part of the large file."""
    running = begin("provision", "--inventory", inventory, "--yes")
    await_that(lambda: staged(lab, inventory) > SMALL)
    assert running.poll() is None
    return running


def staged(lab: Lab, inventory: Path) -> int:
    """Return the bytes that the host has so far."""
    folder = re.search(r"dir: (/data/\S+)", inventory.read_text())
    assert folder
    script = f"find {folder[1]} -type f -printf '%s\\n'"
    return sum(map(int, lab.exec("gpu01", script).stdout.split()))


def large(hub: Hub) -> list[tuple[int, int]]:
    """Return where each answer with a part of the large file began, and how long it was."""
    asked = [one for one in hub.requests() if one.file.endswith("model.safetensors")]
    return [(one.start, one.sent) for one in asked if one.method == "GET"]


def size(inventory: Path) -> int:
    """Return the size of the large file."""
    lock = json.loads((inventory.parent / "models.lock.json").read_text())
    (model,) = lock["models"].values() if isinstance(lock["models"], dict) else lock["models"]
    return max(int(file["size_bytes"]) for file in model["files"])


def test_a_killed_controller_leaves_a_download_that_the_next_run_joins(
    models_lab: Lab, hub: Hub, inventory: Path
) -> None:
    """The host goes on by itself; the plan says so; nothing is fetched twice."""
    running = midway(models_lab, inventory)
    running.kill()
    running.wait()
    seen = staged(models_lab, inventory)
    await_that(lambda: staged(models_lab, inventory) > seen)
    assert "being downloaded now" in inv("plan", "--inventory", inventory).stdout
    answer = inv("provision", "--inventory", inventory, "--yes")
    assert answer.status == 0, answer.text
    assert large(hub) == [(0, size(inventory))]


def test_a_killed_session_is_one_line_and_costs_no_byte(
    models_lab: Lab, hub: Hub, inventory: Path
) -> None:
    """When sshd drops the session the run says that the work goes on, and the next one joins it."""
    running = midway(models_lab, inventory)
    kill = "for each in $(pgrep -f '^sshd[a-z-]*: ops'); do kill -9 $each; done"
    models_lab.exec("gpu01", kill)
    text = running.communicate(timeout=60)[0]
    assert (running.returncode, "Traceback" in text) == (1, False), text
    lines = [line for line in text.splitlines() if line.startswith("gpu01: ") and ". " in line]
    assert len(lines) == 1, text
    answer = inv("provision", "--inventory", inventory, "--yes")
    assert answer.status == 0, answer.text
    assert large(hub) == [(0, size(inventory))]


def test_a_download_goes_on_after_power_was_cut(models_lab: Lab, hub: Hub, inventory: Path) -> None:
    """What was on disk when the host died is kept but for a chunk."""
    running = midway(models_lab, inventory)
    models_lab.kill("gpu01")
    models_lab.start("gpu01")
    text = running.communicate(timeout=120)[0]
    assert (running.returncode, "Traceback" in text) == (1, False), text
    answer = inv("provision", "--inventory", inventory, "--yes")
    assert answer.status == 0, answer.text
    first, *_, last = large(hub)
    assert first[0] == 0
    assert last[0] >= SMALL - MIB
    assert sum(sent for _, sent in large(hub)) <= size(inventory) + MIB
    assert inv("models", "--verify-hashes", "--inventory", inventory).status == 0
