"""The laws of models that hosts hand to each other, or that the controller sends."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from keyboard import await_that, begin, inv, models_inventory

from provision.lab.models import MINILM, TINY_CHAT
from provision.lab.tiny_model import write_tiny_chat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from provision.lab import Lab
    from provision.lab.hub_container import Hub

pytestmark = pytest.mark.lab
HOSTS: dict[str, dict[str, str]] = {"gpu01": {}, "gpu02": {}, "gpu03": {}}
BOTH = {TINY_CHAT: None, MINILM: None}
MIB = 1 << 20
SLOW = "tc qdisc replace dev eth0 root tbf rate 80mbit burst 256kb latency 50ms"
CUT = """
until big=$(find /data/cutoff -type f -size +10M -printf '%s %i' 2>/dev/null) && [ "$big" ]; do :; done
for each in $(pgrep -f '^sshd[a-z-]*: ops'); do kill -9 "$each"; done
echo "$big" """
FAST = "tc qdisc del dev eth0 root"


@pytest.fixture
def slow(models_lab: Lab) -> Iterator[Lab]:
    """Let gpu01 send 10 MB a second, so that a copy of 90 MB has a middle."""
    done = models_lab.exec("gpu01", SLOW)
    assert done.returncode == 0, done.stderr
    yield models_lab
    models_lab.exec("gpu01", FAST)


def staged(lab: Lab, host: str, folder: str) -> int:
    """Return the bytes below a folder of a host."""
    found = lab.exec(host, f"find {folder} -type f -printf '%s\\n'").stdout.split()
    return sum(map(int, found))


def left_over(lab: Lab, *hosts: str) -> str:
    """Return what hosts still have of keys and of scripts that serve."""
    script = "grep -h provision-peer /home/*/.ssh/authorized_keys /root/.ssh/*; find /run/provision"
    return "".join(lab.exec(each, script).stdout for each in hosts)


def test_each_byte_leaves_the_hub_once_for_three_hosts(
    models_lab: Lab, hub: Hub, tmp_path: Path
) -> None:
    """One host downloads and the others copy; all are complete, and no key stays."""
    path = models_inventory(models_lab, tmp_path, HOSTS, wanted=BOTH, dir="/data/peer", via="peer")
    hub.clear_log()
    answer = inv("provision", "--inventory", path, "--yes")
    assert answer.status == 0, answer.text
    asked = [(one.file, one.start) for one in hub.requests() if one.file and one.method == "GET"]
    assert len(asked) == len(set(asked)), answer.text
    sent = sum(one.sent for one in hub.requests() if one.file)
    assert staged(models_lab, "gpu01", "/data/peer") - sent < 10_000  # the manifests
    assert sent < staged(models_lab, "gpu01", "/data/peer")
    assert left_over(models_lab, *HOSTS) == ""
    verified = inv("models", "--verify-hashes", "--inventory", path)
    assert verified.stdout.count("2 models complete") == 3, verified.text


def test_a_host_whose_peer_dies_still_gets_the_model(slow: Lab, hub: Hub, tmp_path: Path) -> None:
    """Power cut at the serving host ends a copy, not the run of the host that was copying."""
    settings = {"wanted": {MINILM: None}, "dir": "/data/dying", "via": "peer"}
    path = models_inventory(slow, tmp_path, {"gpu01": {}, "gpu02": {}}, **settings)
    first = inv("provision", "--inventory", path, "--yes", "--host", "gpu01")
    assert first.status == 0, first.text
    running = begin("provision", "--inventory", path, "--yes")
    await_that(lambda: staged(slow, "gpu02", "/data/dying") > 10_000_000)
    slow.kill("gpu01")
    hub.clear_log()
    try:
        text = running.communicate(timeout=300)[0]
    finally:
        slow.start("gpu01")
    assert (running.returncode, "Traceback" in text) == (0, False), text
    whole = inv("models", "--verify-hashes", "--inventory", path, "--host", "gpu02")
    assert whole.status == 0, whole.text
    assert "gpu01: the key of this run could not be removed" in text
    assert left_over(slow, "gpu02") == ""
    slow.exec("gpu01", "sed -i '/ provision-peer /d' /home/ops/.ssh/authorized_keys")


def test_what_the_controller_downloads_is_pushed_whole(
    models_lab: Lab, hub: Hub, tmp_path: Path
) -> None:
    """By `via: push` only the controller asks the hub; the hosts need no client of it."""
    path = models_inventory(
        models_lab, tmp_path, {"gpu01": {}, "gpu02": {}}, wanted=BOTH, dir="/data/push", via="push"
    )
    hub.clear_log()
    answer = inv("provision", "--inventory", path, "--yes")
    assert answer.status == 0, answer.text
    clients = {one.client for one in hub.requests() if one.file}
    assert clients == {models_lab.gateway}
    assert "python_venv" not in answer.stdout
    verified = inv("models", "--verify-hashes", "--inventory", path)
    assert verified.stdout.count("2 models complete") == 2, verified.text
    assert "0 changes" in inv("plan", "--inventory", path).stdout


def test_a_folder_of_the_controller_is_pushed_without_any_hub(
    models_lab: Lab, hub: Hub, tmp_path: Path
) -> None:
    """`source: controller` lists and sends a folder; a changed file makes another revision."""
    write_tiny_chat(tmp_path / "mine")
    wanted = {"me/mine": {"source": "controller", "path": str(tmp_path / "mine")}}
    path = models_inventory(models_lab, tmp_path, {"gpu01": {}}, wanted=wanted, dir="/data/mine")
    hub.clear_log()
    answer = inv("provision", "--inventory", path, "--yes")
    assert answer.status == 0, answer.text
    assert hub.requests() == []
    shown = inv("models", "--inventory", path, "--format", "json")
    (row,) = json.loads(shown.stdout)["hosts"]["gpu01"]["models"]
    assert row["state"] == "complete"
    assert models_lab.exec("gpu01", f"test -f {row['folder']}/tokenizer.json").returncode == 0


def test_a_push_goes_on_where_the_connection_was_cut(
    models_lab: Lab, hub: Hub, tmp_path: Path
) -> None:
    """What had arrived when sshd dropped the session stays; only the rest is sent."""
    settings = {"wanted": {MINILM: None}, "dir": "/data/cutoff", "via": "push"}
    path = models_inventory(models_lab, tmp_path, {"gpu02": {}}, **settings)
    watcher = models_lab.engine.command("exec", models_lab.host("gpu02").container, "sh", "-c", CUT)
    with subprocess.Popen(watcher, stdout=subprocess.PIPE, text=True) as watching:
        first = inv("provision", "--inventory", path, "--yes")
        had, inode = map(int, watching.communicate(timeout=30)[0].split())
    assert 10_000_000 < had < 90_000_000
    assert "Traceback" not in first.text
    hub.clear_log()
    answer = inv("provision", "--inventory", path, "--yes")
    assert answer.status == 0, answer.text
    assert hub.requests() == []  # the controller has kept what it downloaded
    whole = "find /data/cutoff -type f -size +80M -printf '%i'"
    assert int(models_lab.exec("gpu02", whole).stdout) == inode
    assert inv("models", "--verify-hashes", "--inventory", path).status == 0
