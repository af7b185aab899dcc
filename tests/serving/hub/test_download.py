"""How files come to the controller: whole, verified, and no byte twice."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from hub_server import FILES, MODEL
from huggingface_hub import HfApi

from provision.errors import HubError
from provision.serving.hub import hubs
from provision.serving.hub.download import download
from provision.serving.hub.wanted import Hub, Wanted

if TYPE_CHECKING:
    from pathlib import Path

    import hub_server

    from provision.serving.hub.listing import Listing
    from provision.serving.hub.wanted import Source

BOTH = pytest.mark.parametrize("source", ["modelscope", "huggingface"])
WEIGHTS = "model.safetensors"


def listed(source: Source, hub: Hub) -> Listing:
    """Return the listing of the small hub's model."""
    return hubs.list_files(Wanted(source=source, id=MODEL), hub)


def quiet(done: int, total: int) -> None:
    """Let a download tell nobody."""
    assert 0 <= done <= total


def content(folder: Path) -> dict[str, bytes]:
    """Return all that lies in a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def fetched(fake: hub_server.FakeHub, path: str) -> int:
    """Return how often the content of a file was asked for."""
    return sum(line.startswith("GET") and path in line for line in fake.seen)


@BOTH
def test_a_model_comes_whole(
    fake: hub_server.FakeHub,
    hub: Hub,
    tmp_path: Path,
    source: Source,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """All listed files and no traces of a client, with progress for us and none on the terminal."""
    told: list[tuple[int, int]] = []
    listing = listed(source, hub)
    download(listing, hub, tmp_path / "m", lambda *bytes_: told.append(bytes_))
    found = content(tmp_path / "m")
    assert found.pop(".provision-manifest")
    assert found == {path: body for path, body in FILES.items() if path != ".gitattributes"}
    assert told[-1] == (listing.size_bytes, listing.size_bytes)
    assert capfd.readouterr() == ("", "")
    assert fetched(fake, WEIGHTS) == 1


@BOTH
def test_a_second_run_fetches_only_what_is_missing_or_wrong(
    fake: hub_server.FakeHub, hub: Hub, tmp_path: Path, source: Source
) -> None:
    """What is there and right is never fetched again, what was touched is."""
    listing = listed(source, hub)
    download(listing, hub, tmp_path, quiet)
    (tmp_path / "config.json").unlink()
    weights = tmp_path / WEIGHTS
    weights.write_bytes(b"!" + FILES[WEIGHTS][1:])
    (tmp_path / "tokenizer.json").touch()
    fake.seen.clear()
    download(listing, hub, tmp_path, quiet)
    assert [fetched(fake, name) for name in ("config.json", WEIGHTS, "tokenizer.json")] == [1, 1, 0]
    assert weights.read_bytes() == FILES[WEIGHTS]


def test_what_was_verified_is_not_read_again(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terabyte is hashed once, as long as size and time of its files stay."""
    listing = listed("modelscope", hub)
    download(listing, hub, tmp_path, quiet)
    monkeypatch.setattr(
        "provision.serving.hub.download.matches", lambda *_: pytest.fail("read again")
    )
    download(listing, hub, tmp_path, quiet)


@BOTH
def test_a_wrong_digest_is_fetched_once_more(
    fake: hub_server.FakeHub, hub: Hub, tmp_path: Path, source: Source
) -> None:
    """One spoilt transfer is forgiven."""
    listing = listed(source, hub)
    fake.spoil = 1
    download(listing, hub, tmp_path, quiet)
    assert (tmp_path / WEIGHTS).read_bytes() == FILES[WEIGHTS]
    assert fetched(fake, WEIGHTS) == 2


@BOTH
def test_a_digest_that_stays_wrong_is_an_error(
    fake: hub_server.FakeHub, hub: Hub, tmp_path: Path, source: Source
) -> None:
    """A file that is not what the hub lists does not stay; the others do."""
    listing = listed(source, hub)
    fake.spoil = 9
    with pytest.raises(HubError, match="came twice with another digest"):
        download(listing, hub, tmp_path, quiet)
    assert not (tmp_path / WEIGHTS).exists()
    assert fake.spoil == 7


def test_a_file_of_git_is_verified_by_its_git_id(
    fake: hub_server.FakeHub, hub: Hub, tmp_path: Path
) -> None:
    """Hugging Face gives no sha256 of small files; their git id is as good."""
    listing = listed("huggingface", hub)
    fake.files["config.json"] = b"[]"
    with pytest.raises(HubError, match=r"config\.json came twice"):
        download(listing, hub, tmp_path, quiet)


@BOTH
def test_a_broken_connection_is_resumed(
    fake: hub_server.FakeHub, hub: Hub, tmp_path: Path, source: Source
) -> None:
    """What came through is not fetched again, however often the line breaks."""
    listing = listed(source, hub)
    fake.cut = 3
    download(listing, hub, tmp_path, quiet)
    assert (tmp_path / WEIGHTS).read_bytes() == FILES[WEIGHTS]
    assert fake.cut == 0


@pytest.mark.parametrize(
    "error",
    [
        AttributeError("'NoneType' object has no attribute 'request'"),
        AttributeError("'NoneType' object has no attribute 'stream'"),
        RuntimeError("Cannot send a request, as the client has been closed."),
    ],
)
def test_a_client_that_another_thread_closed_is_opened_again(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The library shares one among all threads, and closes it where one of them cannot connect."""
    errors, download_file = [error], HfApi.hf_hub_download

    def closed_once(*args: object, **more: object) -> object:
        if errors:
            raise errors.pop()
        return download_file(*args, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(HfApi, "hf_hub_download", closed_once)
    folder = tmp_path / "model"
    download(listed("huggingface", hub), hub, folder, quiet)
    assert content(folder)[WEIGHTS] == FILES[WEIGHTS]
    assert errors == []


@BOTH
def test_a_hub_that_goes_away_is_an_error(hub: Hub, tmp_path: Path, source: Source) -> None:
    """Nothing comes: no loop without an end."""
    listing = listed(source, hub)
    with pytest.raises(HubError, match="cannot be reached: connection refused"):
        download(listing, Hub(endpoint="http://127.0.0.1:9"), tmp_path, quiet)


def test_a_disk_without_room_is_found_before(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits an hour to learn that the disk is full."""
    listing = listed("modelscope", hub)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(HubError, match="has room for 0 bytes"):
        download(listing, hub, tmp_path, quiet)


def test_a_folder_that_takes_no_file_is_an_error(hub: Hub, tmp_path: Path) -> None:
    """The path and the reason are named."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(HubError, match="file/m: Not a directory"):
        download(listed("modelscope", hub), hub, tmp_path / "file" / "m", quiet)


def test_a_folder_of_the_controller_is_only_verified(tmp_path: Path) -> None:
    """There is nowhere to fetch from: a change since the listing is an error, and nothing goes."""
    (tmp_path / "config.json").write_text("{}")
    wish = Wanted(source="controller", id="my/model", path=tmp_path)
    listing = hubs.list_files(wish, Hub())
    download(listing, Hub(), tmp_path, quiet)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(HubError, match=r"missing or changed\. List the model anew"):
        download(listing, Hub(), tmp_path, quiet)
    assert (tmp_path / "config.json").read_text() == "[]"
