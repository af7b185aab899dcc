"""The laws of a hub that fails: one line that helps, and every good byte fetched once."""

from __future__ import annotations

import random
import subprocess
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from keyboard import inv, models_inventory
from shard import selected

from provision import lab as labs
from provision.lab.hub import FAULTS
from provision.lab.models import GATED, MINILM, TINY_CHAT, TOKEN
from provision.lab.tiny_model import write_tiny_chat

if TYPE_CHECKING:
    from pathlib import Path

    from provision.lab import Lab
    from provision.lab.host import LabHost
    from provision.lab.hub_container import Hub

pytestmark = pytest.mark.lab
SOURCES = ("modelscope", "huggingface")
SHARD = "model-00002-of-00002.safetensors"
MIB = 1 << 20
BIG = 90_000_000  # bytes
ENDS = {"down": "http://{}", "name": "http://hub.invalid"}
"""Faults that are no answers of the hub but endpoints where none is."""
HASTE = "systemctl set-environment MODELSCOPE_DOWNLOAD_MAX_RETRIES=1"
"""The client's own tries last minutes; ours, which are the product's, come on top of one."""
SOON = {
    "401": "the hub refuses this model without a token that may read it. Accept the model's terms",
    "403": "the hub's token may not read this model. Accept the model's terms",
    "404": "the hub no longer has what the lock file lists. Ask it anew: inv models --upgrade",
    "corrupt": "came with other bytes than the hub lists. A proxy or a mirror spoils it",
}
LATE = {
    "429": "the hub wants fewer requests (429). Run again in some minutes",
    "503": "the hub is out of order (503). Run again later",
    "cut": "breaks off again and again at",
    "down": "the hub cannot be reached. Check the host's network",
    "name": "the hub's name cannot be resolved",
}
LISTED = {
    "401": "Set models.{}.token: env:NAME.",
    "403": "Set models.{}.token: env:NAME.",
    "404": "has no such model. Check its id, letter by letter.",
    "429": "limits our requests. Wait a few minutes",
    "503": "answers with HTTP 503. Try again later.",
}


class Case(NamedTuple):
    """A fault that one client on one host meets."""

    kind: str
    source: str

    @property
    def model(self) -> str:
        """The model that has this fault and no other."""
        return f"lab/bad-{self.kind}-{self.source}"


def cases(*kinds: str) -> list[Case]:
    """Return the faults, for both clients."""
    return [Case(kind, source) for kind in kinds for source in SOURCES]


@pytest.fixture(scope="module")
def many(
    models_lab: Lab, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Lab:
    """Return a host for each fault and one more; what the product installed on one, all have."""
    folder = tmp_path_factory.mktemp("clients")
    faults = max(len(selected(request, law.__name__, "case")) for law in MATRICES)
    wanted = {TINY_CHAT: None, GATED: {"source": "huggingface"}}
    tokens = {"huggingface": {"token": f"cmd:echo {TOKEN}"}}
    path = models_inventory(models_lab, folder, {"gpu01": {}}, wanted=wanted, **tokens)
    answer = inv("provision", "--inventory", path, "--yes")
    assert answer.status == 0, answer.text
    lab = labs.up(hosts=1 + faults, name=models_lab.name)
    pack = ("exec", lab.hosts[0].container, "tar", "-cC", "/", "opt/provision/venv")
    clients = subprocess.run(lab.engine.command(*pack), check=True, capture_output=True).stdout

    def prepare(host: LabHost) -> None:
        unpack = lab.engine.command("exec", "-i", host.container, "tar", "-xC", "/")
        subprocess.run(unpack, check=True, input=clients)
        lab.exec(host, HASTE)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(prepare, lab.hosts))
    return lab


def run(lab: Lab, folder: Path, faults: list[Case]) -> dict[Case, list[str]]:
    """Let each host but the last meet one fault, in one run; return what it said of each."""
    files = folder / "model"
    write_tiny_chat(files)
    met = dict(zip(faults, lab.hosts, strict=False))
    for case in met:
        lab.hub.publish(case.model, files, tags=["v1"])
    good = {lab.hosts[-1].name: {"wanted": {TINY_CHAT: None}}}
    hosts = {host.name: _settings(lab, case) for case, host in met.items()}
    lab.hub.heal()
    path = models_inventory(lab, folder, {**good, **hosts}, dir=f"/data/{folder.name}")
    for case in met:
        lab.hub.fault(case.kind, path=f"*{case.model}/*") if case.kind in FAULTS else None
    answer = inv("provision", "--inventory", path, "--yes")
    lab.hub.heal()
    assert answer.status == 1
    assert f"{len(met)} failed" in answer.stdout, answer.text
    assert "Traceback" not in answer.text
    assert f"1 changed, 0 unchanged, {len(met)} failed" in answer.stdout, answer.text
    return {case: answer.lines_about(host.name) for case, host in met.items()}


def _settings(lab: Lab, case: Case) -> dict[str, Any]:
    elsewhere = str(IPv4Network(lab.subnet)[250])
    ends = (
        {case.source: {"endpoint": ENDS[case.kind].format(elsewhere)}} if case.kind in ENDS else {}
    )
    return {"wanted": {case.model: None}, "source": case.source, **ends}


@pytest.fixture(scope="module")
def soon(
    many: Lab, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> dict[Case, list[str]]:
    """Return what was said of the faults that no second try mends."""
    law = test_a_hopeless_fault_is_one_line_with_the_remedy.__name__
    return run(many, tmp_path_factory.mktemp("soon"), selected(request, law, "case"))


@pytest.fixture(scope="module")
def late(
    many: Lab, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> dict[Case, list[str]]:
    """Return what was said of the faults that the host had patience with."""
    law = test_a_lasting_fault_is_one_line_with_the_remedy.__name__
    return run(many, tmp_path_factory.mktemp("late"), selected(request, law, "case"))


@pytest.mark.matrix
@pytest.mark.parametrize("case", cases(*SOON), ids="-".join)
def test_a_hopeless_fault_is_one_line_with_the_remedy(
    soon: dict[Case, list[str]], case: Case
) -> None:
    """Each host says once what the hub did to it and what to do; the others are done."""
    assert len(soon[case]) == 1, soon[case]
    assert SOON[case.kind] in soon[case][0]


@pytest.mark.matrix
@pytest.mark.parametrize("case", cases(*LATE), ids="-".join)
def test_a_lasting_fault_is_one_line_with_the_remedy(
    late: dict[Case, list[str]], case: Case
) -> None:
    """What a second try might have mended is told as plainly, after some tries."""
    assert len(late[case]) == 1, late[case]
    assert LATE[case.kind] in late[case][0]


MATRICES = (
    test_a_hopeless_fault_is_one_line_with_the_remedy,
    test_a_lasting_fault_is_one_line_with_the_remedy,
)


def test_a_listing_that_fails_is_one_line_for_its_model(
    models_lab: Lab, hub: Hub, tmp_path: Path
) -> None:
    """The lock file takes in the models that were listed; each other one has its line."""
    write_tiny_chat(tmp_path / "model")
    wanted = {case.model: {"source": case.source} for case in cases(*LISTED)}
    for model in wanted:
        hub.publish(model, tmp_path / "model", tags=["v1"])
    everything = {**wanted, TINY_CHAT: None}
    path = models_inventory(models_lab, tmp_path, {"gpu01": {}}, wanted=everything)
    (tmp_path / "models.lock.json").unlink()
    for case in cases(*LISTED):
        hub.fault(case.kind, path=f"*{case.model}*")
    answer = inv("models", "--lock", "--inventory", path)
    assert (answer.status, "Traceback" in answer.text) == (1, False)
    for case in cases(*LISTED):
        lines = [
            line for line in answer.stdout.splitlines() if f"{case.model}@" in line and ": " in line
        ]
        assert LISTED[case.kind].format(case.source) in lines[-1], answer.text
    assert TINY_CHAT in (tmp_path / "models.lock.json").read_text()
    assert "written" in answer.stdout


def test_a_hub_that_is_down_cannot_list(models_lab: Lab, hub: Hub, tmp_path: Path) -> None:
    """Each model has one line that names the endpoint; the lock file stays as it was."""
    wanted = {TINY_CHAT: None, MINILM: {"source": "huggingface"}}
    path = models_inventory(models_lab, tmp_path, {"gpu01": {}}, wanted=wanted)
    lock = tmp_path / "models.lock.json"
    before = lock.read_text()
    hub.down()
    try:
        answer = inv("models", "--upgrade", "--inventory", path)
    finally:
        hub.up()
    assert (answer.status, lock.read_text()) == (1, before)
    assert answer.stdout.count(f"{hub.url} cannot be reached") == 2, answer.text


def both_clients(lab: Lab, folder: Path, files: Path, **models: Any) -> tuple[Path, dict[str, str]]:
    """Publish a folder as a model for each client; return the inventory, and who wants which."""
    hosts, asks = {}, {}
    for source, host in zip(SOURCES, lab.hosts, strict=False):
        model = f"lab/{folder.name.replace('_', '-')}-{source}"
        lab.hub.publish(model, files, tags=["v1"])
        hosts[host.name] = {"wanted": {model: {"check": False}}, "source": source}
        asks[model] = host.address
    path = models_inventory(lab, folder, hosts, **models)
    lab.hub.clear_log()
    return path, asks


def test_ten_cuts_cost_at_most_a_chunk_each(models_lab: Lab, hub: Hub, tmp_path: Path) -> None:
    """Cut ten times at random places, 90 MB come in one run, by both clients at once."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / SHARD).write_bytes(random.Random(7).randbytes(BIG))  # noqa: S311  no secret
    path, asks = both_clients(models_lab, tmp_path, tmp_path / "files", dir="/data/cut")
    for model in asks:
        hub.fault("cut", path=f"{model}/{SHARD}", times=10)
    answer = inv("provision", "--inventory", path, "--yes")
    assert answer.status == 0, answer.text
    for model in asks:
        sent = [one.sent for one in hub.requests() if one.file == f"{model}/{SHARD}"]
        assert len(sent) > 10
        assert BIG <= sum(sent) <= BIG + 10 * MIB, (model, sum(sent) - BIG)
    assert inv("models", "--verify-hashes", "--inventory", path).status == 0


def test_a_spoiled_file_alone_is_fetched_again(models_lab: Lab, hub: Hub, tmp_path: Path) -> None:
    """A byte that a proxy spoiled once costs one more request for its file, by both clients."""
    write_tiny_chat(tmp_path / "files")
    path, asks = both_clients(models_lab, tmp_path, tmp_path / "files", dir="/data/spoiled")
    for model in asks:
        hub.fault("corrupt", path=f"{model}/{SHARD}", times=1)
    answer = inv("provision", "--inventory", path, "--yes")
    assert answer.status == 0, answer.text
    for model in asks:
        got = [file.removeprefix(f"{model}/") for file in fetched(hub) if file.startswith(model)]
        assert (got.count(SHARD), len(got) - len(set(got))) == (2, 1), got
    assert inv("models", "--verify-hashes", "--inventory", path).status == 0


def test_a_byte_that_turned_on_disk_is_found_and_its_file_fetched(
    models_lab: Lab, hub: Hub, tmp_path: Path
) -> None:
    """With size and time as they were only the hashes tell; the next run brings that file alone."""
    hosts: dict[str, dict[str, str]] = {"gpu01": {}, "gpu02": {}}
    path = models_inventory(
        models_lab, tmp_path, hosts, wanted={TINY_CHAT: None}, dir="/data/turned"
    )
    assert inv("provision", "--inventory", path, "--yes").status == 0
    file = f"/data/turned/{TINY_CHAT}/{hub.revision(TINY_CHAT)}/{SHARD}"
    spoil = f"printf x | dd of={file} bs=1 seek=5000 conv=notrunc"
    models_lab.exec("gpu01", f"cp -p {file} /tmp/was; {spoil}; touch -r /tmp/was {file}")
    assert "0 changes" in inv("plan", "--inventory", path).stdout
    answer = inv("models", "--verify-hashes", "--inventory", path)
    assert answer.status == 1
    assert [SHARD in line for line in answer.lines_about("gpu01")] == [True], answer.text
    assert "gpu02: 1 model complete" in answer.stdout
    hub.clear_log()
    assert inv("provision", "--inventory", path, "--yes").status == 0
    assert fetched(hub) == [f"{TINY_CHAT}/{SHARD}"]
    assert inv("models", "--verify-hashes", "--inventory", path).status == 0


def fetched(hub: Hub) -> list[str]:
    """Return the files whose content was asked for."""
    return [one.file for one in hub.requests() if one.file and one.method == "GET"]
