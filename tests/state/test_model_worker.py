"""The worker of model snapshots, under a real sh: what it fetches, checks, places and leaves."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from model_bench import MANIFEST, Bench, prepare, traits, tree, write

FILES = {
    "config.json": b"{}",
    "model-1.safetensors": b"1" * 5000,
    "model-2.safetensors": b"2" * 5000,
    "sub/deep/tokenizer.json": b"[]",
}
ODD = {
    "a b.json": b"1",
    "it's \"q\".txt": b"2",
    "模型/权重 1.bin": b"3",
    "$x `id` $(id).txt": b"4",
    ".hidden/.gitattributes": b"5",
    "100%s %d\t.txt".replace("\t", ""): b"6",
    "[x]*?.json": b"7",
    "a|b&c.json": b"8",
    "x.json": b"9",
    "x.json.copy": b"10",
    "empty": b"",
    "sub/a  b": b"11",
}  # fmt: skip


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    """Return a hub and a host without any model."""
    made = prepare(monkeypatch, tmp_path)
    made.offer(FILES)
    return made


# ---------------------------------------------------------------- what is complete


def test_fresh_snapshot_is_complete_and_vouched_for(bench: Bench) -> None:
    """All files come once, the manifest names each, nothing is left beside, and the job says 0."""
    assert bench.run() == 0, bench.log
    bench.check()
    assert sorted(bench.asked()) == sorted(FILES)
    assert len((bench.target / MANIFEST).read_text("utf-8").splitlines()) == len(FILES)
    assert (bench.job / "status").read_text("utf-8") == "0\n"
    assert bench.lies() == []


def test_complete_snapshot_is_left_as_it_is(bench: Bench) -> None:
    """A second run asks for nothing and changes no file."""
    bench.run()
    before = traits(bench.target)
    bench.asked()
    assert bench.run() == 0
    assert bench.asked() == []
    del before[str(bench.target / MANIFEST)]
    assert before.items() <= traits(bench.target).items()


@pytest.mark.parametrize("git", [(), tuple(ODD)], ids=["sha256", "git-sha1"])
def test_odd_names_and_empty_files_are_files_like_others(
    bench: Bench, git: tuple[str, ...]
) -> None:
    """Spaces, quotes, `$x`, `%s`, Chinese, dots, globs; and 0 bytes; by both kinds of digest."""
    bench.offer(ODD)
    bench.git = set(git)
    assert bench.run() == 0, bench.log
    bench.check()
    assert sorted(bench.asked()) == sorted(ODD)
    assert bench.run("verify") == 0


def test_400_files_take_no_more_than_some_seconds(bench: Bench) -> None:
    """The work for a file is a few processes, not a walk through all others."""
    bench.offer({f"part-{i:03}/model-{i:05}.bin": b"%d" % i for i in range(400)})
    began = time.monotonic()
    assert bench.run() == 0, bench.log
    assert time.monotonic() - began < 20
    bench.check()


def test_hugging_face_is_asked_by_its_own_client(bench: Bench) -> None:
    """The other hub's client is called with the same words."""
    client = bench.snapshot().client
    assert client
    assert bench.run(client=client.model_copy(update={"hub": "huggingface"})) == 0, bench.log
    bench.check()


# ---------------------------------------------------------------- what is there already


def test_only_what_is_missing_is_fetched(bench: Bench) -> None:
    """A file that was removed comes back, the others are not asked for."""
    bench.run()
    bench.asked()
    (bench.target / "config.json").unlink()
    assert not bench.is_complete()
    assert bench.run() == 0
    assert bench.asked() == ["config.json"]
    bench.check()


def test_unchanged_files_of_another_revision_are_linked_unread(bench: Bench) -> None:
    """What its manifest vouches for is one inode with two names, and its bytes are not read."""
    bench.run()
    bench.target.rename(bench.target.with_name("c0"))
    bench.asked()
    bench.offer({**FILES, "config.json": b"{1}"})
    assert bench.run() == 0
    assert bench.asked() == ["config.json"]
    bench.check()
    old, new = (bench.target.with_name(name) / "model-1.safetensors" for name in ("c0", "c1"))
    assert old.stat().st_ino == new.stat().st_ino
    hashed = (bench.job / "hashed").read_text("utf-8")
    assert "model-1.safetensors" not in hashed


def test_narrowed_listing_removes_what_was_ours_and_nothing_else(bench: Bench) -> None:
    """A file that is no longer wanted goes, one that somebody put there stays."""
    bench.run()
    write(bench.target / "NOTES.txt", b"mine")
    del bench.files["config.json"]
    note = bench.snapshot().note(bench.probe(), frozenset({"(content)"}))
    assert note.endswith("are there to be checked; removes what is no longer listed (files: 1)")
    assert bench.run() == 0
    assert bench.is_complete()
    assert sorted(tree(bench.target)) == sorted([*bench.files, MANIFEST, "NOTES.txt"])


def test_file_of_somebody_else_is_never_taken_for_one_that_was_ours(bench: Bench) -> None:
    """What an earlier run removed from the listing does not count for a folder that is new."""
    bench.offer({**FILES, "notes": b"hub's"})
    bench.run()
    del bench.files["notes"]
    bench.run()
    for path in bench.target.rglob("*"):
        if path.is_file():
            path.unlink()
    write(bench.target / "notes", b"mine")
    assert bench.run() == 0
    assert (bench.target / "notes").read_bytes() == b"mine"


def test_manifest_of_somebody_else_removes_nothing(bench: Bench) -> None:
    """Neither by a line that others could write nor above the folder."""
    bench.run()
    mine = write(bench.target.parent / "mine", b"mine")
    manifest = bench.target / MANIFEST
    lines = manifest.read_text("utf-8")
    write(manifest, f"{lines}sha256:0 4 0 ../mine\nsha256:0 4 0 notes\n".encode())
    write(bench.target / "notes", b"mine")
    manifest.chmod(0o666)
    write(bench.target / "config.json", b"[]", mtime=1)
    assert bench.run() == 0, bench.log
    assert (mine.read_bytes(), (bench.target / "notes").read_bytes()) == (b"mine", b"mine")
    write(manifest, f"{lines}sha256:0 4 0 ../mine\n".encode()).chmod(0o644)
    write(bench.target / "config.json", b"[]", mtime=1)
    assert bench.run() == 0, bench.log
    assert mine.read_bytes() == b"mine"


# ---------------------------------------------------------------- what is wrong


def test_damaged_file_is_found_and_exactly_it_comes_again(bench: Bench) -> None:
    """A flipped byte with size and time as before: `verify` strikes it, the next run mends it."""
    bench.run()
    bench.asked()
    file = bench.target / "model-2.safetensors"
    write(file, b"3" + file.read_bytes()[1:], mtime=int(file.stat().st_mtime))
    assert bench.is_complete()
    assert bench.run("verify") == 1
    assert bench.log.splitlines()[-1] == "provision: damaged files: model-2.safetensors"
    state = bench.probe()
    assert state
    assert (state["(damaged)"], state["(there)"], bench.lies()) == (0, True, [])
    assert bench.run() == 0, bench.log
    assert bench.asked() == ["model-2.safetensors"]
    bench.check()
    assert bench.run("verify") == 0


def test_damage_that_revisions_share_is_not_linked_back(bench: Bench) -> None:
    """The other revision's manifest vouches for the same damaged file: it comes anew all the same."""
    bench.run()
    other = bench.target.with_name("c2")
    for path in bench.target.rglob("*"):
        if path.is_file():
            (other / path.relative_to(bench.target)).parent.mkdir(parents=True, exist_ok=True)
            (other / path.relative_to(bench.target)).hardlink_to(path)
    file = bench.target / "model-2.safetensors"
    write(file, b"3" + file.read_bytes()[1:], mtime=int(file.stat().st_mtime))
    assert bench.run("verify") == 1
    bench.asked()
    assert bench.run() == 0, bench.log
    assert bench.asked() == ["model-2.safetensors"]
    bench.check()
    assert bench.run("verify") == 0


def test_wrong_bytes_once_are_fetched_again(bench: Bench) -> None:
    """The client's first answer is wrong and its second right: the snapshot is complete."""
    bench.faults('[ "$file$try" != config.json1 ] || printf xx >"$target"')
    assert bench.run() == 0, bench.log
    asked = bench.asked()
    assert (asked.count("config.json"), len(asked)) == (2, 5)
    bench.check()


def test_wrong_bytes_twice_end_it_and_nothing_is_placed(bench: Bench) -> None:
    """The error names the file that was wrong twice, not another that was wrong once."""
    bench.faults(
        '[ "$file" != sub/deep/tokenizer.json ] || printf xx >"$target"\n'
        '[ "$file$try" != config.json1 ] || printf xx >"$target"'
    )
    assert bench.run() == 1
    assert bench.log.splitlines()[-1] == "provision: wrong bytes: sub/deep/tokenizer.json"
    assert not bench.target.exists()
    assert (bench.job / "status").read_text("utf-8") == "1\n"


def test_bytes_that_are_too_few_are_never_placed(bench: Bench) -> None:
    """A client that ends well with half of a file is not believed."""
    bench.faults('[ "$file" != config.json ] || printf x >"$target"')
    assert bench.run() == 1
    expected = "provision: modelscope does not deliver config.json (exit status 0)"
    assert bench.log.splitlines()[-1] == expected
    assert not bench.target.exists()


def test_client_that_moves_on_is_tried_on_and_on(bench: Bench) -> None:
    """One that breaks off at every file ends complete; one that gets nothing is left some time."""
    bench.offer({f"{i}.bin": b"x" * (i + 1) for i in range(7)})
    bench.faults("exit 1")
    assert bench.run() == 0, bench.log
    assert len(bench.asked()) == 7
    bench.offer({**FILES, "gone": b"1"})
    (bench.origin / "gone").unlink()
    bench.faults("")
    assert bench.run() == 1
    assert bench.log.endswith("modelscope does not deliver gone (exit status 1)\n")
    assert bench.asked().count("gone") > 1


def test_hopeless_client_is_not_tried_again(bench: Bench) -> None:
    """What no second try mends ends the work at once, with the client's own words before."""
    (bench.origin / "config.json").unlink()
    bench.faults('echo "error: [E3001] [401] please login first"')
    assert bench.run() == 1
    assert "[401] please login first" in bench.log
    assert bench.asked().count("config.json") == 1


def test_index_that_names_an_unlisted_shard_is_refused(bench: Bench) -> None:
    """A model that lacks a part of its weights is not placed; the error names index and part."""
    index = b'{"weight_map": {"a": "w-1.safetensors", "b": "w-2.safetensors"}}'
    bench.offer({"s/model.safetensors.index.json": index, "s/w-1.safetensors": b"1"})
    assert bench.run() == 1
    assert bench.log.splitlines()[-1] == (
        "provision: s/model.safetensors.index.json names w-2.safetensors, "
        "which is not among the files"
    )
    assert not bench.target.exists()
    bench.offer({**bench.files, "s/w-2.safetensors": b"2"})
    assert bench.run() == 0, bench.log


def test_index_of_a_format_that_was_excluded_is_no_fault(bench: Bench) -> None:
    """With `exclude: *.bin` the index of the .bin files stays, and none of them is wanted."""
    index = b'{"weight_map": {"a": "pytorch_model-1.bin", "b": "pytorch_model-2.bin"}}'
    bench.offer({**FILES, "pytorch_model.bin.index.json": index})
    assert bench.run() == 0, bench.log
    bench.check()


# ---------------------------------------------------------------- push and peer


def test_somebody_else_brings_what_is_missing_between_prepare_and_finish(bench: Bench) -> None:
    """`prepare` shows all that is good in one folder; `finish` checks what came and places it."""
    bench.run()
    (bench.target / "config.json").unlink()
    assert bench.run("prepare", client=None) == 0, bench.log
    assert sorted(tree(bench.staging)) == sorted({*FILES, MANIFEST} - {"config.json"})
    write(bench.staging / "config.json", b"{}")
    bench.asked()
    assert bench.run("finish", client=None) == 0, bench.log
    assert bench.asked() == []
    bench.check()


def test_wrong_bytes_of_a_push_are_not_placed(bench: Bench) -> None:
    """Neither other bytes nor too few; the error names the file."""
    bench.run("prepare", client=None)
    for path, content in FILES.items():
        write(bench.staging / path, b"xx" if path == "config.json" else content)
    assert bench.run("finish", client=None) == 1
    assert bench.log.splitlines()[-1] == "provision: wrong bytes: config.json"
    assert not bench.target.exists()


def test_what_lies_unchecked_in_the_staging_folder_replaces_nothing_good(bench: Bench) -> None:
    """A file in place that is vouched for stays, though another one of its size is staged."""
    bench.run()
    (bench.target / "sub/deep/tokenizer.json").unlink()
    write(bench.staging / "config.json", b"xx")
    bench.run("prepare", client=None)
    assert (bench.staging / "config.json").read_bytes() == b"{}"
    write(bench.staging / "config.json", b"xx", mtime=1)
    assert bench.run() == 0
    bench.check()
    assert bench.lies() == []


# ---------------------------------------------------------------- disks


@pytest.mark.parametrize("path", ["data", "data/models/Qwen", "data/models/Qwen/Qwen2.5-7B"])
def test_file_in_the_way_of_the_folder_is_an_error(bench: Bench, path: str) -> None:
    """What cannot be written is said with the folder, and the work ends."""
    write(bench.root / path, b"")
    assert bench.run() == 1
    assert bench.log.splitlines()[-1].startswith("provision: cannot write to ")


@pytest.mark.parametrize("name", ["config.json", "sub", "sub/deep/tokenizer.json"])
def test_folder_in_the_way_of_a_file_is_an_error(bench: Bench, name: str) -> None:
    """And a file in the way of a folder is: neither is replaced, and the manifest is not written."""
    way = bench.target / name
    if name == "sub":
        write(way, b"in the way")
    else:
        way.mkdir(parents=True)
    assert bench.run() == 1
    assert bench.log.splitlines()[-1] == f"provision: cannot write to {bench.target}"
    assert not (bench.target / MANIFEST).exists()


@pytest.mark.parametrize("name", ["open", "missing"])
def test_what_cannot_be_noted_is_not_taken_for_nothing(bench: Bench, name: str) -> None:
    """A full disk below /var never makes a damaged file pass as one that was checked."""
    bench.run()
    file = bench.target / "config.json"
    write(file, b"xx", mtime=int(file.stat().st_mtime))
    bench.run("verify")
    bench.faults("exit 1")
    (bench.job / name).unlink(missing_ok=True)
    (bench.job / name).symlink_to("/dev/full")
    assert bench.run() == 1, bench.log
    assert bench.lies() == []
    assert not bench.is_complete()


def test_manifest_that_cannot_be_written_is_an_error(bench: Bench) -> None:
    """The disk is full at the very last: the files are there, the manifest is not."""
    bench.target.mkdir(parents=True)
    (bench.target / f"{MANIFEST}.new").symlink_to("/dev/full")
    assert bench.run() == 1
    assert bench.log.splitlines()[-1] == f"provision: cannot write to {bench.target}"
    assert not (bench.target / MANIFEST).exists()
