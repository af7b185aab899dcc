"""The laws of models on disk: whole from either hub, fetched once, adopted, upgraded, pruned."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from keyboard import inv, models_inventory
from test_spine import FINGERPRINT

from provision.lab.models import DOTTED, GATED, MINILM, TINY_CHAT, TOKEN
from provision.lab.tiny_model import write_tiny_chat

if TYPE_CHECKING:
    from provision.lab import Lab
    from provision.lab.hub_container import Hub

pytestmark = pytest.mark.lab
SHARD, SMALL = "model-00002-of-00002.safetensors", "generation_config.json"
SAME = "model-00001-of-00002.safetensors"
SPY = "while sleep 0.1; do ps -eo args; done >/root/spied"
PLACES = "/etc /root /run /tmp /var/lib/provision /var/log /data /opt/provision"


@pytest.fixture(scope="module")
def fleet(models_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provision two hosts from ModelScope and one from Hugging Face; return their inventory."""
    models_lab.hub.heal()
    both = {TINY_CHAT: None, MINILM: None}
    hosts: dict[str, dict[str, Any]] = {
        "gpu01": {"wanted": both},
        "gpu02": {"wanted": both},
        "gpu03": {"wanted": {TINY_CHAT: None}, "source": "huggingface"},
    }
    path = models_inventory(models_lab, tmp_path_factory.mktemp("fleet"), hosts, dir="/data/models")
    answer = inv("provision", "--inventory", path, "--yes")
    assert answer.status == 0, answer.text
    return path


def sums(lab: Lab, host: str, folder: str) -> dict[str, str]:
    """Return the sha256 of each file below a folder of a host, but for our manifest."""
    script = f"cd {folder} && find . -type f ! -name .provision-manifest -exec sha256sum {{}} +"
    lines = lab.exec(host, script).stdout.splitlines()
    return {line[66:].removeprefix("./"): line[:64] for line in lines}


def reference(folder: Path, revision: int = 1) -> dict[str, str]:
    """Return the sha256 of each file of the tiny model, made anew."""
    write_tiny_chat(folder, revision)
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def fetched(hub: Hub) -> list[str]:
    """Return the files that the hub was asked the content of."""
    return [one.file for one in hub.requests() if one.file]


def test_models_come_whole_from_either_hub(
    models_lab: Lab, fleet: Path, hub: Hub, tmp_path: Path
) -> None:
    """Three hosts have, by two clients, the very files that were published, and nothing else."""
    del fleet
    good = reference(tmp_path / "tiny")
    folder = f"/data/models/{TINY_CHAT}/{hub.revision(TINY_CHAT)}"
    assert [sums(models_lab, each.name, folder) for each in models_lab.hosts[:3]] == [good] * 3
    folder = f"/data/models/{MINILM}/{hub.revision(MINILM)}"
    first, second = (sums(models_lab, name, folder) for name in ("gpu01", "gpu02"))
    assert first == second
    assert "config.json" in first
    left = models_lab.exec("gpu01", "find /data/models -name '.*' -a ! -name .provision-manifest")
    assert left.stdout == ""


def test_the_second_run_asks_the_hub_for_nothing_in_one_exec(
    models_lab: Lab, fleet: Path, hub: Hub
) -> None:
    """Models that are complete cost one login, one exec and no request."""
    before = {each.name: len(models_lab.logs(each)) for each in models_lab.hosts[:3]}
    answer = inv("provision", "--inventory", fleet, "--yes")
    assert (answer.status, "0 changes" in answer.stdout) == (0, True), answer.text
    assert hub.requests() == []
    for each in models_lab.hosts[:3]:
        log = models_lab.logs(each)[before[each.name] :]
        assert len(re.findall("Accepted publickey", log)) == 1
        assert len(re.findall("Starting session: command", log)) == 1


def test_inv_models_shows_who_has_what(fleet: Path) -> None:
    """Each model of each host is a row, in the table and in the JSON, and all are complete."""
    answer = inv("models", "--inventory", fleet, "--format", "json")
    hosts = json.loads(answer.stdout)["hosts"]
    rows = [(name, row["state"]) for name, host in hosts.items() for row in host["models"]]
    assert (answer.status, len(rows)) == (0, 5)
    assert {state for _, state in rows} == {"complete"}
    assert "5 of 5 complete" in inv("models", "--inventory", fleet).stdout


def test_a_plan_of_models_changes_nothing_on_a_bare_host(
    models_lab: Lab, hub: Hub, tmp_path: Path
) -> None:
    """A plan says what is to come and from where, exits 2, and touches neither host nor hub."""
    path = models_inventory(models_lab, tmp_path, {"gpu04": {}}, wanted={TINY_CHAT: None})
    models_lab.reset("gpu04")
    hub.clear_log()
    before = models_lab.exec("gpu04", FINGERPRINT).stdout
    answer = inv("plan", "--inventory", path)
    assert answer.status == 2, answer.text
    assert "2.4 MB of 2.4 MB from modelscope" in answer.stdout
    assert models_lab.exec("gpu04", FINGERPRINT).stdout == before
    assert hub.requests() == []


@pytest.mark.usefixtures("fleet")
def test_a_folder_downloaded_by_hand_is_adopted_and_stays(
    models_lab: Lab, hub: Hub, tmp_path: Path
) -> None:
    """What an old client put elsewhere under an odd name is taken without a byte from the hub."""
    old = "/data/old/lab/Dotted2___5-Chat"
    took = f"cp -r /data/models/{TINY_CHAT}/*/. {old} && rm {old}/.provision-manifest"
    owned = f"useradd -m alice; chown -R alice {old} && chmod 640 {old}/*"
    models_lab.exec("gpu01", f"mkdir -p {old} && {took} && {owned}")
    state = f"find {old} -printf '%p %i %m %u %s %T@\\n' | sort"
    before = models_lab.exec("gpu01", state).stdout
    path = models_inventory(
        models_lab, tmp_path, {"gpu01": {}}, wanted={DOTTED: None}, dir="/data/old"
    )
    hub.clear_log()
    answer = inv("provision", "--inventory", path, "--yes")
    assert answer.status == 0, answer.text
    assert fetched(hub) == []
    assert len(before.splitlines()) == 9
    assert models_lab.exec("gpu01", state).stdout == before
    new = f"/data/old/{DOTTED}/{hub.revision(DOTTED)}"
    assert sums(models_lab, "gpu01", new) == sums(models_lab, "gpu01", old)


@pytest.mark.usefixtures("fleet")
def test_a_moved_branch_changes_nothing_until_upgrade(
    models_lab: Lab, hub: Hub, tmp_path: Path
) -> None:
    """The new revision lies beside the old one; what is the same is linked, the rest fetched."""
    path = models_inventory(
        models_lab, tmp_path, {"gpu01": {}}, wanted={TINY_CHAT: None}, dir="/data/up"
    )
    assert inv("provision", "--inventory", path, "--yes").status == 0
    old, new = hub.revision(TINY_CHAT), hub.move(TINY_CHAT, "master", to="v2")
    assert "0 changes" in inv("plan", "--inventory", path).stdout
    assert inv("models", "--upgrade", "--inventory", path).status == 0
    hub.clear_log()
    answer = inv("provision", "--inventory", path, "--yes")
    assert answer.status == 0, answer.text
    assert set(fetched(hub)) == {f"{TINY_CHAT}/{SHARD}", f"{TINY_CHAT}/{SMALL}"}
    folder = f"/data/up/{TINY_CHAT}"
    assert sums(models_lab, "gpu01", f"{folder}/{new}") == reference(tmp_path / "v2", 2)
    assert sums(models_lab, "gpu01", f"{folder}/{old}") == reference(tmp_path / "v1", 1)
    same = models_lab.exec("gpu01", f"cd {folder} && [ {old}/{SAME} -ef {new}/{SAME} ]")
    assert same.returncode == 0
    _prune(models_lab, path, f"{folder}/{old}", f"{folder}/{new}")


def _prune(lab: Lab, path: Path, old: str, new: str) -> None:
    """Remove the old revision, and nothing else: not the new one, nor what people made by hand."""
    lab.exec("gpu01", "mkdir -p /data/up/mine/by-hand/x && touch /data/up/mine/by-hand/x/weights")
    shown = inv("models", "--prune", "--dry-run", "--inventory", path)
    assert (shown.status, old in shown.stdout, new in shown.stdout) == (2, True, False), shown.text
    assert lab.exec("gpu01", f"test -d {old}").returncode == 0
    done = inv("models", "--prune", "--yes", "--inventory", path)
    assert done.status == 0, done.text
    assert lab.exec("gpu01", f"test -e {old}").returncode == 1
    assert (
        lab.exec("gpu01", f"test -f {new}/config.json -a -d /data/up/mine/by-hand/x").returncode
        == 0
    )
    assert "0 changes" in inv("models", "--prune", "--yes", "--inventory", path).stdout


@pytest.mark.usefixtures("fleet")
def test_a_disk_that_is_too_small_is_refused_in_the_plan(
    models_lab: Lab, hub: Hub, tmp_path: Path
) -> None:
    """A plan that cannot fit says how much is to come and how much is free, and nothing runs."""
    models_lab.exec("gpu01", "mkdir -p /data/tiny && mount -t tmpfs -o size=40m tmpfs /data/tiny")
    path = models_inventory(
        models_lab, tmp_path, {"gpu01": {}}, wanted={MINILM: None}, dir="/data/tiny"
    )
    hub.clear_log()
    answers = [inv(*words, "--inventory", path) for words in (("plan",), ("provision", "--yes"))]
    models_lab.exec("gpu01", "umount /data/tiny")
    for answer in answers:
        assert answer.status == 1, answer.text
        assert re.search(
            r"91\.6 MB would go to /data/tiny, which has 4\d\.\d MB free", answer.text
        ), answer.text
    assert hub.requests() == []


@pytest.mark.matrix
@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("source", ["modelscope", "huggingface"])
def test_a_token_opens_a_gated_model_and_is_seen_nowhere(
    models_lab: Lab, hub: Hub, tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token from the environment reaches the hub, and no argv, log, journal, file or output."""
    monkeypatch.setenv("LAB_HUB_TOKEN", TOKEN)
    models_lab.exec("gpu01", f"systemd-run --unit=spy sh -c '{SPY}'")
    settings = {"dir": f"/data/gated-{source}", source: {"token": "env:LAB_HUB_TOKEN"}}
    wanted = {GATED: {"source": source}}
    path = models_inventory(models_lab, tmp_path, {"gpu01": {}}, wanted=wanted, **settings)
    hub.fault("slow", rate=500_000)  # long enough for the spy
    answers = [
        inv("plan", "--inventory", path, "--format", "json"),
        inv("provision", "--inventory", path, "--yes", "--format", "json"),
        inv("models", "--inventory", path, "--format", "json"),
    ]
    models_lab.exec("gpu01", "systemctl stop spy")
    assert [one.status for one in answers] == [2, 0, 0], answers[1].text
    assert all(TOKEN not in one.text for one in answers)
    seen = models_lab.exec("gpu01", "grep -c /opt/provision/venv /root/spied").stdout
    assert int(seen) > 0
    found = models_lab.exec("gpu01", f"grep -rlaF -e {TOKEN} {PLACES}; journalctl | grep {TOKEN}")
    assert found.stdout == ""
