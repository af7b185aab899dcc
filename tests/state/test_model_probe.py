"""The probes of models: figures that are true, in a few reads, without a trace on the host."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from model_bench import MANIFEST, Bench, prepare, sh, traits, write

from provision.secret import Secret
from provision.state.kinds.model_leftovers import ModelLeftovers
from provision.state.resource import diff
from provision.state.shell import framed

FILES = {"config.json": b"{}", "model-1.safetensors": b"1" * 5000, "sub/t.json": b"[]"}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    """Return a hub and a host without any model."""
    made = prepare(monkeypatch, tmp_path)
    made.offer(FILES)
    return made


def _figures(bench: Bench, *keys: str) -> tuple[object, ...]:
    state = bench.probe()
    assert state
    return tuple(state[f"({key})"] for key in keys)


# ---------------------------------------------------------------- snapshots


def test_nothing_there_is_all_missing(bench: Bench) -> None:
    """All bytes are to come, the disk is that of the nearest folder, and nothing was made."""
    assert _figures(bench, "missing", "room", "there", "running") == (5004, 5004, False, False)
    state = bench.probe()
    assert state
    disk = subprocess.run(["df", "-Pk", bench.root], capture_output=True, text=True, check=True)
    *_, free, _, mount = disk.stdout.splitlines()[1].split(maxsplit=5)
    assert state["(device)"] == mount
    assert abs(int(state["(free)"]) - int(free) * 1024) < 1 << 30
    assert not bench.base.exists()


def test_complete_is_told_at_once(bench: Bench) -> None:
    """When the manifest vouches for all, nothing else is looked at."""
    bench.run()
    done = sh(framed(bench.snapshot().probe()))
    assert len(done.stdout.splitlines()) == 1
    assert bench.snapshot().actual(done.stdout) == bench.snapshot().expected()


def test_probe_changes_nothing(bench: Bench) -> None:
    """Files, times and folders are the same after it."""
    write(bench.base / "Qwen2.5-7B/config.json", b"{}")
    write(bench.staging / "config.json", b"{")
    before = traits(bench.root)
    _figures(bench)
    assert traits(bench.root) == before


def test_what_is_staged_counts(bench: Bench) -> None:
    """Whole files are not missing, and parts of files count by their bytes."""
    write(bench.staging / "config.json", b"{}")
    write(bench.staging / "model-1.safetensors.incomplete", b"1" * 3000)
    assert _figures(bench, "missing", "room") == (2002, 2002)


def test_file_that_nobody_vouches_for_is_to_be_checked(bench: Bench) -> None:
    """Changed files make the snapshot incomplete; the note says that they are there, or damaged."""
    bench.run()
    write(bench.target / "sub/t.json", b"{}", mtime=1)
    assert _figures(bench, "missing", "damaged", "there") == (0, 1, True)
    resource = bench.snapshot()
    note = resource.note(bench.probe(), frozenset({"(content)"}))
    assert note == "1 damaged, 5.0 kB are there to be checked"
    (bench.target / "sub/t.json").unlink()
    assert _figures(bench, "missing", "damaged") == (2, 1)


def test_what_lies_on_another_disk_is_not_missing_but_needs_room(
    bench: Bench, tmp_path: Path
) -> None:
    """It is not downloaded, but copied."""
    other = Path("/dev/shm") / f"provision-{tmp_path.name}"  # noqa: S108  a second disk
    if not other.parent.is_dir() or other.parent.stat().st_dev == tmp_path.stat().st_dev:
        other = tmp_path / "same"
    bench.look_in = (str(other),)
    needed = 5000 if other.parent.name == "shm" else 0
    try:
        write(other / "Qwen2.5-7B/model-1.safetensors", b"1" * 5000)
        assert _figures(bench, "missing", "room") == (4, 4 + needed)
        assert bench.run() == 0, bench.log
        assert "model-1.safetensors" not in bench.asked()
        bench.check()
    finally:
        subprocess.run(["rm", "-rf", str(other)], check=True)


@pytest.mark.parametrize("manifest", [b"", b"\n\n", b"nonsense", b"\xff\xfe", b"sha256:1 2 3\n"])
def test_manifest_of_any_text_is_never_complete(bench: Bench, manifest: bytes) -> None:
    """A broken manifest vouches for nothing, is no error, and the next run mends it."""
    for path, content in FILES.items():
        write(bench.target / path, content)
    write(bench.target / MANIFEST, manifest)
    assert not bench.is_complete()
    assert bench.run() == 0, bench.log
    assert bench.asked() == []
    bench.check()


# ---------------------------------------------------------------- the job


def test_token_lies_in_no_script_and_is_gone_at_the_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client finds it in its environment; no text of ours has it, nor any file that is left."""
    monkeypatch.setenv("HUB", "s3cret$x'")
    client = bench.snapshot().client
    assert client
    more = {"client": client.model_copy(update={"token": Secret("env:HUB")})}
    command = bench.command(**more)
    assert "s3cret" not in command.script + command.shown + repr(command)
    (name, secret), = command.secrets  # fmt: skip
    bench.faults('printf "%s" "$MODELSCOPE_API_TOKEN" >"$bench/seen"')
    done = bench.run(before=f'{name}="s3cret\\$x\'"', **more)
    assert (done, secret.reveal()) == (0, "s3cret$x'")
    assert (bench.root / "seen").read_text("utf-8") == "s3cret$x'"
    assert list((bench.root / "run").iterdir()) == []
    texts = [path.read_bytes() for path in bench.job.rglob("*") if path.is_file()]
    assert not any(b"s3cret" in text or b"czNjcmV0" in text for text in texts)


def test_job_of_other_words_starts_anew_and_the_same_is_joined(bench: Bench) -> None:
    """A running worker is joined when it does the same, and stopped before anything is replaced."""
    bench.run()
    log = bench.root / "systemctl"
    write(bench.root / "bin/systemctl", f'#!/bin/sh\necho "$1" >>{log}; [ "$1" != stop ] || '
          f'cat {bench.job}/listing >{bench.root}/seen; [ "$1" = stop ] || read -r x <{bench.root}/on '
          f'&& : >{bench.root}/on'.encode())  # fmt: skip
    (bench.root / "on").write_text("active\n", encoding="utf-8")
    status = (bench.job / "status").stat().st_mtime_ns
    assert bench.run() == 0
    assert "stop" not in log.read_text("utf-8")
    assert (bench.job / "status").stat().st_mtime_ns == status
    listing = (bench.job / "listing").read_text("utf-8")
    del bench.files["config.json"]
    assert bench.run() == 0, bench.log
    assert "stop" in log.read_text("utf-8")
    assert (bench.root / "seen").read_text("utf-8") == listing
    assert bench.target.exists()


def test_worker_that_was_killed_is_told_so(bench: Bench) -> None:
    """Without a status there is no success; the unit is named for the journal."""
    write(bench.root / "bin/systemd-run", b"#!/bin/sh\n:\n")
    assert bench.run() == 1
    unit = bench.job.name
    assert bench.log.splitlines()[-1] == f"provision: the worker was killed: {unit}"


# ---------------------------------------------------------------- leftovers


def _leftovers(bench: Bench, *keep: str, mounts: str = "") -> list[str]:
    resource = ModelLeftovers(name=str(bench.base), keep=keep)
    docker = bench.root / "docker"
    write(docker, f"#!/bin/sh\ncase $1 in ps) echo c1 ;; *) printf '{mounts}' ;; esac".encode())
    docker.chmod(0o755)
    done = sh(framed(f'docker() {{ {docker} "$@"; }}\n{resource.probe()}'))
    assert done.stderr == ""
    state = resource.actual(done.stdout)
    assert state
    assert bool(diff(state, resource.expected())) is bool(state["(paths)"])
    return str(state["(paths)"]).splitlines()


def _snapshots(bench: Bench, *names: str) -> list[str]:
    for name in names:
        write(bench.base / name / MANIFEST, b"x")
    return [f"{bench.base}/{name}" for name in names]


def test_only_ours_and_unwanted_is_a_leftover(bench: Bench) -> None:
    """Snapshots by their manifest and broken-off downloads; never what people put there."""
    assert _leftovers(bench) == []  # without a folder of models, too
    old, new = _snapshots(bench, "Qwen/Qwen3-8B/c1", "Qwen/Qwen3-8B/c2 x")
    write(bench.base / "Qwen/Qwen3-8B/hand/config.json", b"{}")
    write(bench.base / "Qwen/Qwen3-8B/.c1.partial/a", b"1")
    write(bench.base / "Qwen/Qwen3-8B/.c2 x.partial/a", b"1")
    assert _leftovers(bench, new) == [f"{bench.base}/Qwen/Qwen3-8B/.c1.partial", old]
    assert _leftovers(bench, new, old) == []


def test_what_a_container_mounts_is_no_leftover(bench: Bench) -> None:
    """Mounted itself, in part or with all above it; a monitor's mount of `/` protects nothing."""
    a, b, c = _snapshots(bench, "Qwen/A/c1", "Qwen/B/c1", "Other/C/c1")
    mount = "{}\\n"
    assert _leftovers(bench, mounts=mount.format(a)) == [c, b]
    assert _leftovers(bench, mounts=mount.format(f"{b}/config.json")) == [c, a]
    assert _leftovers(bench, mounts=mount.format(f"{bench.base}/Qwen")) == [c]
    assert _leftovers(bench, mounts=mount.format(f"{bench.base}/Qw")) == [c, a, b]
    assert _leftovers(bench, mounts=mount.format(bench.base)) == []
    assert _leftovers(bench, mounts=mount.format("/")) == [c, a, b]


def test_mounts_are_never_leftovers_themselves(bench: Bench) -> None:
    """Whatever order containers mount `/` and other folders in: only what was found is removed."""
    (a,) = _snapshots(bench, "Qwen/A/c1")
    mounts = "/\\n/etc\\n\\n\\n/usr/share\\nfound\\n"
    assert _leftovers(bench, mounts=mounts) == [a]


def test_links_hide_nothing_that_is_in_use(bench: Bench) -> None:
    """A folder of models behind a symbolic link is searched, and its mounts are known by any name."""
    real = bench.base.with_name("raid")
    real.mkdir(parents=True)
    bench.base.symlink_to(real)
    _snapshots(bench, "Qwen/A/c1", "Qwen/B/c1", "Qwen/C/c1")
    mounts = f"{bench.base}/Qwen/A/c1\\n{real}/Qwen/B/c1\\n"
    assert _leftovers(bench, mounts=mounts) == [f"{real}/Qwen/C/c1"]
    assert _leftovers(bench, f"{bench.base}/Qwen/C/c1", mounts=mounts) == []


def test_bytes_shared_with_what_is_kept_are_not_freed(bench: Bench) -> None:
    """A file that the kept revision has too stays on the disk, so that it is not counted."""
    old, new = _snapshots(bench, "Qwen/A/c1", "Qwen/A/c2")
    write(Path(old) / "weights", b"x" * (1 << 20))
    (Path(new) / "weights").hardlink_to(Path(old) / "weights")
    resource = ModelLeftovers(name=str(bench.base), keep=(new,))
    state = resource.actual(sh(framed(resource.probe())).stdout)
    assert state
    assert int(state["(bytes)"]) < 1 << 16
