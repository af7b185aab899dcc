"""What a lock file keeps, and how it follows an inventory."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from provision.errors import HubError
from provision.serving.hub import hubs
from provision.serving.hub.lock import Entry, Lock, path_beside, read, render, write
from provision.serving.hub.update import check, update
from provision.serving.hub.wanted import Hub, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable

    import hub_server

    from provision.serving.hub.listing import Listing
    from provision.serving.hub.wanted import Source

    Make = Callable[..., Listing]

DAY = date(2026, 1, 2)
ONE, TWO = (Wanted(source="modelscope", id=f"org/{name}") for name in ("one", "two"))


def locked(*listings: Listing) -> Lock:
    """Return a lock of these listings."""
    entries = [Entry(listing=item, listed_at=DAY, endpoint="https://hub") for item in listings]
    return Lock(entries={entry.listing.key: entry for entry in entries})


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Listing | HubError]:
    """Let the hubs answer by key."""
    said: dict[str, Listing | HubError] = {}

    def list_files(wanted: Wanted, hub: Hub, tell: object) -> Listing:
        del hub, tell
        answer = said[wanted.key]
        if isinstance(answer, HubError):
            raise answer
        return answer

    monkeypatch.setattr(hubs, "list_files", list_files)
    return said


def test_what_is_written_is_read_again(tmp_path: Path, listing: Make) -> None:
    """A lock survives its file, and the same lock makes the same bytes."""
    path, lock = (
        tmp_path / "x.json",
        locked(listing("b", "a é", id="org/two"), listing("c", id="org/one")),
    )
    write(path, lock)
    assert read(path) == lock
    assert path.read_text(encoding="utf-8") == render(read(path))
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_diff_of_a_lock_reads_well(listing: Make) -> None:
    """One file a line, sorted, with a newline at the end."""
    text = render(locked(listing("b", "a")))
    lines = [line.strip().rstrip(",") for line in text.splitlines() if '"path"' in line]
    assert [json.loads(line)["path"] for line in lines] == ["a", "b"]
    assert text.endswith("}\n")
    assert '"listed_at": "2026-01-02"' in text
    assert render(Lock()) == '{\n  "version": 1,\n  "models": {}\n}\n'


def test_a_lock_lies_beside_its_inventory() -> None:
    """Every inventory has its own."""
    assert path_beside(Path("i/prod.yaml")) == Path("i/prod.models.lock.json")


def test_no_file_is_an_empty_lock(tmp_path: Path, listing: Make) -> None:
    """The first run has nothing yet."""
    assert read(tmp_path / "none") == Lock()
    assert Lock().get(ONE) is None
    assert locked(listing("a", id="org/one")).get(ONE) == listing("a", id="org/one")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", ":1: not JSON"),
        ("{\n  nonsense", ":2: not JSON"),
        ("<<<<<<< HEAD\n{}\n", ":1: a merge conflict"),
        ("{\n=======\n", ":2: a merge conflict"),
        ("[]", "unknown version None"),
        ('{"version": 2, "models": {}}', "unknown version 2"),
        ('{"version": 1}', "models is not there"),
        ('{"version": 1, "models": {}, "x": 1}', "unknown key x"),
        ('{"version": 1, "models": {"k": 3}}', "not a lock of models: k"),
        ('{"version": 1, "models": {"k": {}}}', "not a lock of models: k.listing"),
        ("[" * 100_000, "nested too deep|not JSON|unknown"),
    ],
)  # fmt: skip
def test_a_lock_that_is_none_is_an_error(tmp_path: Path, text: str, what: str) -> None:
    """A damaged lock names its line and what to do; it is never read as an empty one."""
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(HubError, match=what) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"path": "a"', '"path": "../a"'),
        ("sha256:0", "sha256:x"),
        ('"id": "org/m"', '"id": "org/other"'),
        ('"size_bytes": 1', '"size_bytes": -1'),
        ('"asked"', '"aksed"'),
    ],
)
def test_a_lock_is_not_believed_more_than_a_hub(
    tmp_path: Path, listing: Make, old: str, new: str
) -> None:
    """A lock that somebody edited cannot name a path, a digest or a model that a hub could not."""
    path = tmp_path / "x.json"
    path.write_text(render(locked(listing("a"))).replace(old, new), encoding="utf-8")
    with pytest.raises(HubError, match="not a lock of models"):
        read(path)


def test_a_folder_that_takes_no_lock_is_an_error(tmp_path: Path) -> None:
    """A lock that cannot be written is said at once."""
    with pytest.raises(HubError, match="cannot be written"):
        write(tmp_path / "none" / "x.json", Lock())


def test_only_what_is_missing_is_listed(
    answers: dict[str, Listing | HubError], listing: Make
) -> None:
    """A lock holds until somebody upgrades it; the hub is not even asked."""
    before = locked(listing("a", id="org/one"))
    answers[TWO.key] = listing("b", "c", id="org/two")
    lock, changes = update(before, [ONE, TWO, TWO], {})
    assert lock.get(ONE) == before.get(ONE)
    assert [(change.key, change.action, change.size_bytes) for change in changes] == [
        (ONE.key, "unchanged", 0), (TWO.key, "added", 2),
    ]  # fmt: skip


def test_an_upgrade_says_what_moved(answers: dict[str, Listing | HubError], listing: Make) -> None:
    """The old and the new revision, and the bytes that a host has to get."""
    before = locked(listing("a", "b", id="org/one"), listing("z", id="org/two"))
    answers[ONE.key] = listing("a", "b", "c", id="org/one", revision="c2", digit="0")
    answers[TWO.key] = listing("z", id="org/two")
    lock, (one, two) = update(before, [ONE, TWO], {}, upgrade=True)
    assert (one.action, one.old, one.new, one.size_bytes) == ("upgraded", "c1", "c2", 1)
    assert (two.action, lock.entries[TWO.key].listed_at) == ("unchanged", DAY)
    answers[ONE.key] = listing("a", "b", id="org/one", revision="c3", digit="1")
    assert update(lock, [ONE], {}, upgrade=True)[1][0].size_bytes == 2


def test_what_no_inventory_wants_goes(listing: Make) -> None:
    """An entry that nobody wants leaves the lock, and is named."""
    lock, changes = update(locked(listing("a", id="org/one")), [], {})
    assert lock == Lock()
    assert [(change.key, change.action, change.old) for change in changes] == [
        (ONE.key, "removed", "c1")
    ]


def test_one_failure_does_not_lose_the_others(
    answers: dict[str, Listing | HubError], listing: Make
) -> None:
    """What succeeded is in the lock, what failed keeps its entry, and all errors come together."""
    three = Wanted(source="modelscope", id="org/three")
    answers |= {
        ONE.key: HubError("gone", where=ONE.key, remedy="Wait."),
        TWO.key: listing("b", id="org/two"),
        three.key: HubError("no token"),
    }
    before = locked(listing("a", id="org/one"))
    lock, changes = update(before, [ONE, TWO, three], {}, upgrade=True)
    assert set(lock.entries) == {ONE.key, TWO.key}
    assert lock.get(ONE) == before.get(ONE)
    with pytest.raises(HubError) as caught:
        check(changes)
    assert str(caught.value).splitlines() == [f"{ONE.key}: gone. Wait.", f"{three.key}: no token"]
    check(change for change in changes if change.action != "failed")


def test_an_update_asks_the_hub_of_each_source(
    fake: hub_server.FakeHub, hub: Hub, tmp_path: Path
) -> None:
    """The lock says who said so."""
    (tmp_path / "config.json").write_text("{}")
    wishes = [
        Wanted(source="modelscope", id="Qwen/Tiny"),
        Wanted(source="huggingface", id="Qwen/Tiny"),
        Wanted(source="controller", id="my/model", path=tmp_path),
    ]
    told: list[tuple[str, int, int]] = []
    by_source: dict[Source, Hub] = {"modelscope": hub, "huggingface": hub}
    lock, changes = update(Lock(), wishes, by_source, tell=lambda *what: told.append(what))
    assert told[-1] == ("controller:my/model", 2, 2)
    assert [change.action for change in changes] == ["added"] * 3
    assert [entry.endpoint for entry in lock.entries.values()] == ["", fake.url, fake.url]
