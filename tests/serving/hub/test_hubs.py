"""What the hubs' own libraries say of a small hub: files, commits, and every kind of refusal."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx2
import hub_server
import pytest
from hub_server import FILES, HEAD, MODEL, OLDER, Answer, git_sha1

from provision.errors import HubError
from provision.secret import Secret
from provision.serving.hub import hubs
from provision.serving.hub.wanted import Hub, Wanted

if TYPE_CHECKING:
    from pathlib import Path

    from provision.serving.hub.wanted import Source

BOTH = pytest.mark.parametrize("source", ["modelscope", "huggingface"])
LISTS = {"modelscope": "/repo/files", "huggingface": "/revision/main"}


def wish(source: Source, **values: Any) -> Wanted:
    """Return a wish for the model of the small hub."""
    return Wanted(source=source, **{"id": MODEL, **values})


@BOTH
def test_a_model_is_listed_at_a_commit(fake: hub_server.FakeHub, hub: Hub, source: Source) -> None:
    """All files of the model, none of git's, pinned to what the branch means now."""
    listing = hubs.list_files(wish(source), hub)
    assert [file.path for file in listing.files] == sorted(FILES.keys() - {".gitattributes"})
    assert [file.size_bytes for file in listing.files] == [
        len(FILES[f.path]) for f in listing.files
    ]
    assert (listing.revision, listing.fetch_revision) == (HEAD, HEAD)
    assert listing.key == wish(source).key
    assert fake.tokens == {""}


def test_digests_are_the_best_a_hub_has(hub: Hub) -> None:
    """Hugging Face knows a sha256 of large files only; of the others it has git's blob id."""
    listings = [hubs.list_files(wish(source), hub) for source in ("huggingface", "modelscope")]
    digests = [{file.path: file.digest for file in listing.files} for listing in listings]
    sha256 = {path: f"sha256:{hashlib.sha256(body).hexdigest()}" for path, body in FILES.items()}
    assert digests[0]["config.json"] == f"git-sha1:{git_sha1(FILES['config.json'])}"
    assert digests[0]["model.safetensors"] == sha256["model.safetensors"]
    assert digests[1] == {path: sha256[path] for path in digests[1]}


def test_a_hub_without_commits_is_pinned_by_its_digests(fake: hub_server.FakeHub, hub: Hub) -> None:
    """Where ModelScope cannot list a commit, the files themselves name the revision."""
    fake.knows_commits = False
    listing = hubs.list_files(wish("modelscope"), hub)
    assert listing.fetch_revision == "master"
    assert listing.revision.startswith("master-")
    fake.files["config.json"] = b"{ }"
    assert hubs.list_files(wish("modelscope"), hub).revision != listing.revision


def test_a_commit_is_taken_only_if_it_has_the_same_files(
    fake: hub_server.FakeHub, hub: Hub
) -> None:
    """The newest commit of a file is not the branch's if a later one deleted another file."""
    more = {"Path": "gone", "Type": "blob", "Size": 1, "Sha256": "0" * 64}
    body = f'{{"Data": {{"Files": [{str(more).replace(chr(39), chr(34))}]}}}}'
    fake.instead[f"Revision={HEAD}"] = Answer(body=body.encode())
    assert hubs.list_files(wish("modelscope"), hub).fetch_revision == "master"


@BOTH
def test_a_commit_that_is_asked_for_stays_it(
    fake: hub_server.FakeHub, hub: Hub, source: Source
) -> None:
    """A full sha is its own revision."""
    fake.instead[f"revision/{HEAD}"] = Answer(body=f'{{"id": "{MODEL}", "sha": "{HEAD}"}}'.encode())
    assert hubs.list_files(wish(source, revision=HEAD), hub).revision == HEAD


@BOTH
@pytest.mark.parametrize(
    ("answer", "what", "remedy"),
    [
        (Answer(401), "token|no such model", "models.{}.token"),
        (Answer(403), "it needs a token", "Set models.{}.token: env:NAME"),
        (Answer(403, headers={"X-Error-Code": "GatedRepo"}), "gated|needs a token", "models.{}.token"),
        (Answer(404), "has no such model", "letter by letter"),
        (Answer(429), "limits our requests", "Wait a few minutes"),
        (Answer(500), "HTTP 500", "Try again later"),
        (Answer(503, b"<html>"), "HTTP 503", "Try again later"),
        (Answer(200, b"<html>log in</html>"), "no hub of this kind", "models.{}.endpoint"),
        (Answer(200, b"[1, 2]"), "no hub of this kind", "models.{}.endpoint"),
    ],
)  # fmt: skip
def test_a_refusal_has_a_cause_and_a_remedy(
    fake: hub_server.FakeHub, hub: Hub, source: Source, answer: Answer, what: str, remedy: str
) -> None:
    """Whatever a hub or a proxy before it answers, an operator learns what to do next."""
    fake.instead[LISTS[source]] = answer
    with pytest.raises(HubError, match=what) as caught:
        hubs.list_files(wish(source), hub)
    assert remedy.format(source) in str(caught.value)
    assert str(caught.value).startswith(wish(source).key)


@BOTH
def test_a_hub_that_is_away_is_unreachable(source: Source) -> None:
    """Nothing at the address is not the same as no such model."""
    with pytest.raises(HubError, match="connection refused") as caught:
        hubs.list_files(wish(source), Hub(endpoint="http://127.0.0.1:9"))
    assert f"models.{source}.endpoint" in str(caught.value)
    with pytest.raises(HubError, match="not known here"):
        hubs.list_files(wish(source), Hub(endpoint="http://no-such-host.invalid"))


def test_a_hub_that_says_nothing_is_given_up(
    fake: hub_server.FakeHub, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library would wait for the list of files for ever; we do not."""
    short = httpx2.Timeout(0.05)
    monkeypatch.setattr("provision.serving.hub.huggingface._TIMEOUT", short)
    fake.instead["/tree/"] = Answer(delay=0.3)
    with pytest.raises(HubError, match="no answer in time"):
        hubs.list_files(wish("huggingface"), hub)


def test_a_library_that_is_told_to_stay_offline_says_so(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody looks for a network fault that is a setting."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="unset HF_HUB_OFFLINE"):
        hubs.list_files(wish("huggingface"), hub)


@BOTH
def test_a_token_is_sent_and_never_shown(
    fake: hub_server.FakeHub, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token goes to the hub and into no error, not even when the hub repeats it."""
    monkeypatch.setenv("HUB_TOKEN", "tok-123456")
    hub = Hub(endpoint=fake.url, token=Secret("env:HUB_TOKEN"))
    hubs.list_files(wish(source), hub)
    assert fake.tokens == {"tok-123456"}
    fake.instead[LISTS[source]] = Answer(403, b'{"Message": "tok-123456", "error": "tok-123456"}')
    with pytest.raises(HubError, match="the token may not read this model") as caught:
        hubs.list_files(wish(source), hub)
    assert "tok-123456" not in str(caught.value)


@BOTH
def test_a_login_of_this_machine_is_not_sent(
    fake: hub_server.FakeHub, hub: Hub, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a token of the inventory leaves, so that a mirror cannot get another one."""
    monkeypatch.setenv("HF_TOKEN", "hf_ambient")
    monkeypatch.setenv("MODELSCOPE_API_TOKEN", "ms-ambient")
    hubs.list_files(wish(source), hub)
    assert fake.tokens == {""}


@BOTH
def test_a_misspelt_revision_is_told_from_a_misspelt_model(hub: Hub, source: Source) -> None:
    """The nearest revision is named; ModelScope itself answers such a wish with no files."""
    right = wish(source).revision
    with pytest.raises(HubError, match=f"no revision '{right}s'. Did you mean '{right}'"):
        hubs.list_files(wish(source, revision=f"{right}s"), hub)
    with pytest.raises(HubError, match="has no such model"):
        hubs.list_files(wish(source, id="Qwen/Tyni"), hub)


def test_a_path_from_a_hub_is_judged(fake: hub_server.FakeHub, hub: Hub) -> None:
    """A hub that names a path outside of the folder is not believed in anything."""
    fake.entries = [{"Path": "../../etc/x", "Type": "blob", "Size": 1, "Sha256": "0" * 64}]
    with pytest.raises(HubError, match="leaves the model's folder"):
        hubs.list_files(wish("modelscope"), hub)


def test_a_folder_that_cannot_be_listed_whole_is_an_error(
    fake: hub_server.FakeHub, hub: Hub
) -> None:
    """ModelScope lists 3000 entries of a folder and says nothing of the rest."""
    fake.entries = [
        {"Path": f"f{n}", "Type": "blob", "Size": 1, "Sha256": "0" * 64, "Revision": OLDER}
        for n in range(3000)
    ]
    with pytest.raises(HubError, match="does not list all files"):
        hubs.list_files(wish("modelscope"), hub)


def test_listing_says_nothing_and_leaves_nothing_at_home(
    fake: hub_server.FakeHub, tmp_path: Path
) -> None:
    """No line of the libraries on stderr, no login read, no cache and no session id written."""
    code = (
        "import os; before = dict(os.environ)\n"
        "from provision.serving.hub import hubs; from provision.serving.hub.wanted import *\n"
        f"hub = Hub(endpoint={fake.url!r})\n"
        f"for source in ('modelscope', 'huggingface'):\n"
        f"    hubs.list_files(Wanted(source=source, id={MODEL!r}), hub)\n"
        "assert dict(os.environ) == before\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"HOME": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.rglob("*")) == []
    asked = [line.partition(" ")[2].partition("?")[0] for line in fake.seen]
    assert asked == [
        f"/api/v1/models/{MODEL}/repo/files", f"/api/v1/models/{MODEL}/revisions",
        f"/api/v1/models/{MODEL}/repo/files", f"/api/models/{MODEL}/revision/main",
        f"/api/models/{MODEL}/tree/{HEAD}",
    ]  # fmt: skip


def test_the_room_stands_alone() -> None:
    """It knows errors and secrets, not hosts; and `inv --list` does not pay for the libraries."""
    code = (
        "import sys; import provision.serving.hub.update, provision.serving.hub.download\n"
        "print(*sorted(n for n in sys.modules if n.startswith('provision.')))\n"
        "print(*(n for n in ('modelscope_hub', 'huggingface_hub', 'requests') if n in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours, libraries = done.stdout.split("\n")[:2]
    known = ("provision.serving", "provision.errors", "provision.secret")
    assert [name for name in ours.split() if not name.startswith(known)] == []
    assert libraries == ""
