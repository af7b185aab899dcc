"""What was downloaded by hand, or came half of the way: taken over after a check, never harmed."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from model_bench import MANIFEST, MODEL, Bench, prepare, sha256, traits, write

FILES = {
    "config.json": b"{}",
    "model-1.safetensors": b"1" * 5000,
    "sub/tokenizer.json": b"[]",
}
LAYOUTS = {
    "flat, above our own folder": f"data/models/{MODEL}",
    "flat by name": "data/models/Qwen2.5-7B",
    "other case and dots": "data/models/qwen/Qwen2___5-7B",
    "a folder of our own elsewhere": "mine/Qwen2.5-7B",
    "ModelScope": "mine/models/Qwen--Qwen2.5-7B/snapshots/master",
    "older ModelScope": "mine/hub/models/Qwen/Qwen2___5-7B",
    "oldest ModelScope": "mine/hub/Qwen/Qwen2___5-7B",
    "Hugging Face": "mine/hub/models--Qwen--Qwen2.5-7B/snapshots/abc",
}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    """Return a hub and a host with a folder in which people keep models."""
    made = prepare(monkeypatch, tmp_path)
    made.offer(FILES)
    made.look_in = (str(tmp_path / "mine"), str(tmp_path / "nowhere"))
    return made


def _linked(folder: Path) -> None:
    """Make a folder as Hugging Face's cache has it: links into blobs."""
    blobs = folder.parent.parent / "blobs"
    for number, path in enumerate(FILES):
        file = folder / path
        write(blobs / str(number), file.read_bytes())
        file.unlink()
        file.symlink_to(os.path.relpath(blobs / str(number), file.parent))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_download_by_hand_is_adopted_without_a_fetch(bench: Bench, layout: str) -> None:
    """In every layout that the hubs' clients leave; the original stays as it was, byte and inode."""
    folder = bench.root / LAYOUTS[layout]
    for path, content in FILES.items():
        write(folder / path, content)
    if layout == "Hugging Face":
        _linked(folder)
    before = traits(bench.root / LAYOUTS[layout].partition("/")[0])
    state = bench.probe()
    assert state
    assert (state["(missing)"], state["(room)"]) == (0, 0)
    assert bench.run() == 0, bench.log
    assert bench.asked() == []
    bench.check()
    after = traits(bench.root / LAYOUTS[layout].partition("/")[0])
    assert before.items() <= after.items()
    inodes = {inode for inode, _, _ in before.values()}
    assert {(bench.target / path).stat().st_ino for path in FILES} <= inodes
    assert not any(path.is_symlink() for path in bench.target.rglob("*"))


def test_flipped_byte_is_not_taken_over(bench: Bench) -> None:
    """Of a download by hand only the file that is wrong is fetched; the wrong one stays there."""
    folder = bench.root / "mine/Qwen2.5-7B"
    for path, content in FILES.items():
        write(folder / path, content)
    wrong = write(folder / "model-1.safetensors", b"1" * 4999 + b"2")
    write(folder / "NOTES.txt", b"mine")
    assert bench.run() == 0, bench.log
    assert bench.asked() == ["model-1.safetensors"]
    bench.check()
    assert wrong.read_bytes() == b"1" * 4999 + b"2"


def test_what_others_may_write_to_is_copied(bench: Bench) -> None:
    """It is checked and taken over without a fetch, but a later change of theirs changes nothing."""
    folder = bench.root / "mine/Qwen2.5-7B"
    for path, content in FILES.items():
        write(folder / path, content).chmod(0o666)
    state = bench.probe()
    assert state
    assert (state["(missing)"], state["(room)"]) == (0, sum(map(len, FILES.values())))
    assert bench.run() == 0, bench.log
    assert bench.asked() == []
    write(folder / "model-1.safetensors", b"2" * 5000)
    bench.check()


def test_manifest_that_others_may_write_is_no_witness(bench: Bench) -> None:
    """Another revision's folder that vouches wrongly is read, not believed."""
    forged = bench.target.with_name("c0")
    lines = ""
    for path, content in FILES.items():
        write(forged / path, content.replace(b"1", b"2"))
        lines += f"{sha256(content)} {len(content)} 1600000000 {path}\n"
    write(forged / MANIFEST, lines.encode()).chmod(0o666)
    assert bench.run() == 0, bench.log
    assert "model-1.safetensors" in bench.asked()
    bench.check()


@pytest.mark.parametrize("how", ["link", "writable"])
def test_staging_folder_of_somebody_else_is_refused(bench: Bench, how: str) -> None:
    """Nothing is written where others may look for it."""
    if how == "link":
        (bench.root / "elsewhere").mkdir()
        bench.staging.parent.mkdir(parents=True)
        bench.staging.symlink_to(bench.root / "elsewhere")
    else:
        bench.staging.mkdir(parents=True)
        bench.staging.chmod(0o777)
    assert bench.run() == 1
    assert f"somebody else's folder: {bench.staging}" in bench.log
    assert bench.asked() == []


def test_good_one_of_two_downloads_is_taken(bench: Bench) -> None:
    """Each file is taken from where it is right."""
    for path, content in FILES.items():
        write(bench.root / "mine/Qwen2.5-7B" / path, content.replace(b"1", b"2"))
        write(bench.root / "mine/qwen/Qwen2.5-7B" / path, content)
    assert bench.run() == 0
    assert bench.asked() == []
    bench.check()


def test_unfinished_download_of_a_client_is_not_taken_for_a_file(bench: Bench) -> None:
    """A part that a client left under the file's own name is fetched anew."""
    write(bench.staging / "model-1.safetensors", b"1" * 300)
    assert bench.run() == 0
    assert sorted(bench.asked()) == sorted(FILES)
    bench.check()


def test_copy_never_goes_through_a_link_to_an_original(bench: Bench) -> None:
    """On another disk files are copied; no name of a copy is that of a listed file."""
    bench.offer({"a": b"x" * 10, "a.copy": b"y" * 10})
    for path, content in bench.files.items():
        write(bench.root / "mine/Qwen2.5-7B" / path, content)
    before = traits(bench.root / "mine")
    write(bench.root / "tools/ln", b"#!/bin/sh\nexit 1\n").chmod(0o755)
    assert bench.run() == 0, bench.log
    bench.check()
    assert traits(bench.root / "mine") == before
    times = {(bench.target / path).stat().st_mtime for path in bench.files}
    assert times == {1_600_000_000}


def test_names_of_foreign_files_and_folders_break_nothing(bench: Bench) -> None:
    """Newlines, tabs, backslashes, quotes, `|` and `&` in what people keep beside models."""
    for name in ("new\nline", "tab\there", "back\\slash", "quo'te\"", "pipe|and&", " blank "):
        for path, content in FILES.items():
            write(bench.root / "mine" / name / "Qwen2.5-7B" / path, content[:-1] + b"?")
            write(bench.root / "mine/Qwen2.5-7B" / name, b"x")
        write(bench.root / "mine" / name / f"Qwen2.5-7B/c9/{MANIFEST}", b"\xff\n\nsha256:1 2\n")
    before = traits(bench.root / "mine")
    state = bench.probe()
    assert state
    assert state["(missing)"] == 0  # all are there by name and size
    assert bench.run() == 0, bench.log
    bench.check()
    assert traits(bench.root / "mine") == before


# ---------------------------------------------------------------- broken off


def _half_made(bench: Bench) -> None:
    """Let there be something of everything: a damaged file, an older revision, one by hand."""
    bench.run()
    bench.target.rename(bench.target.with_name("c0"))
    files = {**FILES, "config.json": b"{1}", "new.bin": b"n" * 3000, "x y.bin": b""}
    bench.offer(files)
    write(bench.target / "new.bin", b"N" * 3000)
    write(bench.root / "mine/Qwen2.5-7B/x y.bin", b"")
    bench.asked()


@pytest.mark.parametrize("part", range(10))
def test_kill_at_any_moment_leaves_no_lie_and_the_next_run_completes(
    bench: Bench, part: int
) -> None:
    """The manifest vouches for nothing wrong, before and after, wherever `kill -9` strikes."""
    chance = random.Random(part)  # noqa: S311  the same moments every time
    _half_made(bench)
    bench.faults('[ "$file$try" != config.json1 ] || printf xxx >"$target"')
    assert bench.run_until(chance.randint(1 + part * 5, 5 + part * 5), "before")
    assert bench.lies() == []
    bench.run_until(chance.randint(1, 20), "after")
    assert bench.lies() == []
    assert bench.run() == 0, bench.log
    bench.check()
    assert bench.lies() == []
    assert {"new.bin", "config.json"} >= set(bench.asked())


def test_every_moment_of_one_run_may_be_its_last(bench: Bench) -> None:
    """Killed at one step after the other, each run goes on from there, until one ends by itself."""
    bench.offer({"a": b"1", "b/c": b"2"})
    count = 1
    while bench.run_until(count, "after"):
        assert bench.lies() == []
        count += 1
    bench.check()
    assert count > 10
