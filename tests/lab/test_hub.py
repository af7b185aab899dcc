"""The laws of the lab's model hub and PyPI: real clients take them for the real ones."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from http.client import IncompleteRead
from typing import TYPE_CHECKING

import pytest
from hubclient import HASTE, ask, download
from huggingface_hub import HfApi
from keyboard import ROLES
from modelscope_hub import HubApi

from provision import lab as labs
from provision.errors import LabError
from provision.lab.models import DOTTED, GATED, MINILM, TINY_CHAT, TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from provision.lab import Lab
    from provision.lab.hub_container import Hub

pytestmark = pytest.mark.lab
CLIENTS = ("modelscope", "hf")
SHARD, SMALL = "model-00002-of-00002.safetensors", "generation_config.json"
BIG = 30_000_000  # bytes


@pytest.fixture
def hub(lab: Lab) -> Iterator[Hub]:
    """Return the lab's hub, healthy, with an empty log and `master` at its first revision."""
    lab.hub.up()
    lab.hub.heal()
    lab.hub.move(TINY_CHAT, "master", to="v1")
    lab.hub.clear_log()
    yield lab.hub
    lab.hub.heal()


@pytest.fixture(scope="session")
def big(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Publish a model of one file that a cut hits in its middle."""
    folder = tmp_path_factory.mktemp("big")
    (folder / "model.bin").write_bytes(random.Random(1).randbytes(BIG))  # noqa: S311  not a secret
    lab.hub.publish("lab/big", folder, tags=["v1"])
    return "lab/big"


@pytest.mark.parametrize("model", [TINY_CHAT, MINILM, DOTTED])
def test_both_clients_download_the_same_model_whole(hub: Hub, tmp_path: Path, model: str) -> None:
    """Every model is on both hubs, and both real clients bring the same files to disk."""
    done = [download(client, hub, model, tmp_path / client) for client in CLIENTS]
    assert [one.status for one in done] == [0, 0], [one.text for one in done]
    assert done[0].files() == done[1].files() != {}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_resumes_with_range_after_a_cut(
    hub: Hub, big: str, tmp_path: Path, client: str
) -> None:
    """A download cut in its middle goes on where it was, and the log tells how far it came."""
    hub.fault("cut", after=25_000_000, times=1)
    done = download(client, hub, big, tmp_path / "d")
    assert done.status == 0, done.text
    first, second = [one for one in hub.requests() if one.file and one.method == "GET"]
    # Hugging Face's client loses what it had of its last piece of 10 MiB.
    start = {"modelscope": 25_000_000, "hf": 20 * 1024 * 1024}[client]
    assert (first.status, first.start, first.sent) == (200, 0, 25_000_000)
    assert (second.status, second.start, second.sent) == (206, start, BIG - start)


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("kind", "modelscope", "hf"),
    [
        (401, "[E3001] [401]", "Access denied"),
        (403, "[E3002] [403]", "Access denied"),
        (404, "[E3020] [404]", "not found"),
        (429, "[E1021] [429]", "429 Too Many Requests"),
        (503, "[E1002] [503]", "503 Service Unavailable"),
    ],
)
def test_a_status_fault_is_what_the_clients_say(
    hub: Hub, tmp_path: Path, kind: int, modelscope: str, hf: str
) -> None:
    """A fault with a status makes both clients fail with words of that status."""
    hub.fault(kind)
    for client, words in (("modelscope", modelscope), ("hf", hf)):
        done = download(client, hub, TINY_CHAT, tmp_path / client, extra=HASTE)
        assert (done.status, words in done.text) == (1, True), done.text
        assert done.files() == {}


def test_a_fault_with_times_is_over_after_them(hub: Hub, tmp_path: Path) -> None:
    """A client that tries again gets through a fault that happens twice only."""
    hub.fault(429, times=2, retry_after=1, path="*/config.json")
    began = time.monotonic()
    done = download("modelscope", hub, TINY_CHAT, tmp_path / "d")
    assert done.status == 0, done.text
    assert time.monotonic() - began > 2  # it waited as it was told
    assert [one.status for one in hub.requests()].count(429) == 2


def test_a_cut_for_ever_fails_every_try(hub: Hub, big: str, tmp_path: Path) -> None:
    """A hub that always hangs up at once is an error of the network."""
    hub.fault("cut", after=0)
    done = download("modelscope", hub, big, tmp_path / "d", extra=HASTE)
    assert (done.status, "[E1020]" in done.text) == (1, True), done.text


def test_a_corrupt_file_has_the_right_length_and_another_hash(
    hub: Hub, big: str, tmp_path: Path
) -> None:
    """ModelScope's client refuses a spoiled file; Hugging Face's takes it for good."""
    hub.fault("corrupt", path=f"{big}/*")
    refused = download("modelscope", hub, big, tmp_path / "a")
    assert (refused.status, "[E2020] Hash mismatch" in refused.text) == (1, True), refused.text
    taken = download("hf", hub, big, tmp_path / "b")
    hub.heal()
    good = download("hf", hub, big, tmp_path / "c").files()["model.bin"]
    bad, middle = taken.files()["model.bin"], BIG // 2
    assert (taken.status, len(bad), bad[middle] != good[middle]) == (0, BIG, True)
    assert bad[:middle] + good[middle : middle + 1] + bad[middle + 1 :] == good


def test_a_slow_hub_keeps_to_its_rate(hub: Hub, big: str) -> None:
    """A file takes its length divided by the rate."""
    hub.fault("slow", rate=BIG)
    began = time.monotonic()
    with ask(hub, big) as answer:
        assert len(answer.read()) == BIG
    assert 0.9 < time.monotonic() - began < 10


def test_the_log_counts_bytes_exactly(hub: Hub, big: str) -> None:
    """What the log says was sent is what arrived: of a whole, of a range, of a cut, and of nothing."""
    with ask(hub, big, Range="bytes=7-1000006") as answer:
        assert (answer.status, len(answer.read())) == (206, 1_000_000)
        assert answer.headers["Content-Range"] == f"bytes 7-1000006/{BIG}"
    hub.fault("cut", after=1_234_567)
    with ask(hub, big) as answer, pytest.raises(IncompleteRead) as cut:
        answer.read()
    ask(hub, big, "HEAD").close()
    whole, cut_off, head = hub.requests()
    assert (whole.start, whole.sent) == (7, 1_000_000)
    assert (cut_off.sent, len(cut.value.partial)) == (1_234_567, 1_234_567)
    assert (head.method, head.sent) == ("HEAD", 0)


def test_a_client_that_goes_away_is_counted_as_far_as_it_read(hub: Hub, big: str) -> None:
    """Bytes that the client's machine never took do not count as sent."""
    hub.fault("slow", rate=10_000_000)
    with ask(hub, big) as answer:
        got = len(answer.read(5_000_000))
    ends = time.monotonic() + 10
    while not hub.requests() and time.monotonic() < ends:
        time.sleep(0.1)
    assert got <= hub.requests()[0].sent < got + 5_000_000


@pytest.mark.parametrize("client", CLIENTS)
def test_a_gated_model_opens_with_its_token(hub: Hub, tmp_path: Path, client: str) -> None:
    """Without a token the answer is 401, with a wrong one 403, and with the right one the model."""
    statuses = []
    for number, token in enumerate((None, "wrong", TOKEN)):
        done = download(client, hub, GATED, tmp_path / str(number), token=token)
        refusals = {one.status for one in hub.requests() if GATED in one.path} - {200}
        statuses.append((done.status, refusals))
        hub.clear_log()
    assert statuses == [(1, {401}), (1, {403}), (0, set())]


def test_moving_a_branch_changes_one_small_file_and_one_shard(hub: Hub, tmp_path: Path) -> None:
    """`master` can be another commit from one download to the next; a tag and a sha never are."""
    old = download("modelscope", hub, TINY_CHAT, tmp_path / "1").files()
    sha = hub.revision(TINY_CHAT)
    hub.move(TINY_CHAT, "master", to="v2")
    new = download("modelscope", hub, TINY_CHAT, tmp_path / "2").files()
    assert {name for name in old if old[name] != new[name]} == {SHARD, SMALL}
    for client, revision in (("modelscope", "v1"), ("modelscope", sha), ("hf", sha)):
        folder = tmp_path / f"{client}-{revision}"
        assert download(client, hub, TINY_CHAT, folder, revision=revision).files() == old


def test_a_revision_that_is_not_there(hub: Hub, tmp_path: Path) -> None:
    """ModelScope lists an unknown revision as one without files; Hugging Face says it is unknown."""
    nothing = download("modelscope", hub, TINY_CHAT, tmp_path / "a", revision="nope")
    assert (nothing.status, nothing.files()) == (0, {}), nothing.text
    unknown = download("hf", hub, TINY_CHAT, tmp_path / "b", revision="nope")
    assert (unknown.status, "Revision not found" in unknown.text) == (1, True), unknown.text


def test_listings_tell_large_files_from_small_ones(hub: Hub) -> None:
    """Hugging Face gives the sha256 of large files only, ModelScope of all of them."""
    info = HfApi(endpoint=hub.url).model_info(TINY_CHAT, files_metadata=True)
    large = {one.rfilename: one.lfs.sha256 for one in info.siblings or [] if one.lfs}
    assert info.sha == hub.revision(TINY_CHAT)
    assert set(large) == {"model-00001-of-00002.safetensors", SHARD}
    tree = HfApi(endpoint=hub.url).list_repo_tree(TINY_CHAT, recursive=True)
    assert {leaf.path: leaf.lfs.sha256 for leaf in tree if leaf.lfs} == large
    listed = HubApi(endpoint=hub.url).list_repo_files(TINY_CHAT, "model")
    hashes = {one.path: one.sha256 for one in listed}
    assert len(hashes) == len(info.siblings or []) == len([one for one in hashes.values() if one])
    assert large.items() <= hashes.items()


def test_the_old_client_keeps_its_own_layout(hub: Hub, tmp_path: Path) -> None:
    """The client that inference images pin puts a model with a dot in its name elsewhere."""
    old = ("--target", str(tmp_path / "old"), "--no-deps", "modelscope==1.37.1")
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *old], check=True)
    script = f"from modelscope import snapshot_download as d; d('{DOTTED}', endpoint='{hub.url}')"
    told = {"PYTHONPATH": str(tmp_path / "old"), "MODELSCOPE_CACHE": str(tmp_path / "cache")}
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **told}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, cwd=tmp_path)
    folder = tmp_path / "cache" / "models" / "lab" / "Dotted2___5-Chat"
    assert (folder / SHARD).is_file()
    assert any("/revisions" in one.path for one in hub.requests())


def test_the_hub_can_be_down_and_up_again(hub: Hub, tmp_path: Path) -> None:
    """With the hub down connections are refused; up again, it serves what it did, as moved."""
    sha = hub.move(TINY_CHAT, "master", to="v2")
    hub.down()
    gone = download("hf", hub, TINY_CHAT, tmp_path / "a")
    hub.up()
    assert (gone.status, "Connection refused" in gone.text) == (1, True), gone.text
    assert HfApi(endpoint=hub.url).model_info(TINY_CHAT).sha == sha


def test_up_again_keeps_the_hub_as_it_is(lab: Lab, hub: Hub, big: str) -> None:
    """A second up of the same lab leaves its own models and moved branches alone."""
    sha = hub.move(TINY_CHAT, "master", to="v2")
    again = labs.up(hosts=len(lab.hosts), name=lab.name, roles=ROLES)
    assert again.hub.revision(TINY_CHAT) == sha
    assert HfApi(endpoint=again.hub.url).model_info(big).id == big


def test_a_wrong_word_is_an_error_with_a_remedy(hub: Hub) -> None:
    """A fault, a parameter or a revision that does not exist is refused, naming what does."""
    with pytest.raises(LabError, match="corrupt"):
        hub.fault("corupt")
    with pytest.raises(LabError, match="rate"):
        hub.fault("slow", speed=1)
    with pytest.raises(LabError, match="master"):
        hub.move(TINY_CHAT, "master", to="mastr")
