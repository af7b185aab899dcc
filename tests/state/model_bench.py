"""A host in a folder, on which model snapshots are really probed and really worked for by sh."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from provision.state.kinds import model_snapshot as module
from provision.state.kinds.model_snapshot import HubClient, ModelFile, ModelSnapshot
from provision.state.resource import Command, State
from provision.state.shell import framed

MODEL: Final = "Qwen/Qwen2.5-7B"
MANIFEST: Final = ".provision-manifest"
Mode = Literal["prepare", "finish", "fetch", "verify"]

# Stands in for a hub's client: copies what it is asked for, and notes what that was. The shell text
# in `faults` runs after each file, where $file, $target and the number of this run, $try, are set.
_CLIENT: Final = r"""#!/bin/sh
bench={bench}
echo try >>"$bench/tries"
try=$(wc -l <"$bench/tries")
shift 2
files=$bench/files.$$ into=
: >"$files"
while [ $# -gt 0 ]; do
    case $1 in
        --revision | --max-workers | --format) shift ;;
        --local-dir) into=$2; shift ;;
        *) printf '%s\n' "$1" >>"$files" ;;
    esac
    shift
done
status=0
while read -r file; do
    printf '%s\n' "$file" >>"$bench/asked"
    target=$into/$file
    mkdir -p "${target%/*}"
    cp "$bench/origin/$file" "$target" || status=1
    [ ! -f "$bench/faults" ] || . "$bench/faults"
done <"$files"
rm "$files"
exit $status
"""
# Stands in for the Python that runs our own program for the other hub.
_PYTHON: Final = r"""#!/bin/sh
id=$2 into=$4
shift 5
exec {bench}/venv/bin/modelscope download "$id" "$@" --local-dir "$into"
"""
# systemd does not run here: the unit is the worker itself, run to its end before anybody looks.
_SYSTEMD: Final = {
    "systemctl": b"#!/bin/sh\nexit 1\n",
    "systemd-run": b'#!/bin/sh\nwhile [ "$1" != /bin/sh ]; do shift; done\n"$@" || :\n',
}

# Stands before the tools that change something: kills the whole group at the count in `limit`,
# before the tool has run or after it.
_KILLER: Final = r"""#!/bin/sh
bench={bench}
echo x >>"$bench/count"
read -r limit when <"$bench/limit"
[ "$(wc -l <"$bench/count")" = "$limit" ] || exec /usr/bin/env PATH=/usr/bin:/bin {name} "$@"
[ "$when" = before ] || PATH=/usr/bin:/bin {name} "$@"
kill -9 0
"""


def sha256(content: bytes) -> str:
    """Return the digest as listings write it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def git_sha1(content: bytes) -> str:
    """Return the id as a git blob, as listings write it."""
    header = f"blob {len(content)}\0".encode()
    return f"git-sha1:{hashlib.sha1(header + content, usedforsecurity=False).hexdigest()}"


class Bench:
    """A hub with files, and a host that wants them."""

    def __init__(self, root: Path) -> None:
        """Begin with nothing on either side; `before` is sh that runs before the worker does."""
        self.root = root
        self.base = root / "data" / "models"
        self.origin = root / "origin"
        self.origin.mkdir()
        self.files: dict[str, bytes] = {}
        self.git: set[str] = set()
        self.look_in: tuple[str, ...] = ()
        self.log = ""
        self._client()

    @property
    def target(self) -> Path:
        """The folder of the snapshot."""
        return self.base / MODEL / "c1"

    @property
    def staging(self) -> Path:
        """The folder in which it is prepared."""
        return self.target.with_name(".c1.partial")

    @property
    def job(self) -> Path:
        """The worker's folder."""
        (job,) = (self.root / "jobs").iterdir()
        return job

    def offer(self, files: Mapping[str, bytes]) -> None:
        """Let the hub have these files, and no others."""
        self.files = dict(files)
        for path, content in files.items():
            write(self.origin / path, content)

    def snapshot(self, **more: Any) -> ModelSnapshot:
        """Return the resource."""
        client = HubClient(
            hub="modelscope", venv=str(self.root / "venv"), endpoint="http://hub", revision="c1"
        )
        files = tuple(
            ModelFile(path=path, size=len(text), digest=self._digest(path, text))
            for path, text in sorted(self.files.items())
        )
        return ModelSnapshot(
            name=f"{MODEL}@c1", folder=str(self.target), model=MODEL, files=files,
            look_in=(str(self.base), *self.look_in), **{"client": client, **more},
        )  # fmt: skip

    def command(self, mode: Mode = "fetch", **more: Any) -> Command:
        """Return the step of one mode."""
        return self.snapshot(**more)._job("x", mode)  # noqa: SLF001  the modes are the kind's own

    def run(self, mode: Mode = "fetch", *, before: str = "", **more: Any) -> int:
        """Run the worker to its end; its words are in `log`."""
        script = f"PATH={self.root}/bin:$PATH\n{before}\n(\nset -e\n{self.command(mode, **more).script}\n)"
        done = sh(script)
        self.log = done.stdout + done.stderr
        return done.returncode

    def run_until(self, count: int, when: Literal["before", "after"]) -> bool:
        """Kill the worker at its `count`th change on disk; False when it has ended by then."""
        (self.root / "count").write_bytes(b"")
        (self.root / "limit").write_text(f"{count} {when}\n", encoding="utf-8")
        for name in ("mv", "ln", "cp", "rm", "mkdir", "sync", "stat", "sha256sum"):
            text = _KILLER.replace("{bench}", str(self.root)).replace("{name}", name)
            write(self.root / "tools" / name, text.encode()).chmod(0o755)
        killed = self.run() < 0
        for path in (self.root / "tools").iterdir():
            path.unlink()
        return killed

    def probe(self, **more: Any) -> State | None:
        """Look at the host as a plan does."""
        resource = self.snapshot(**more)
        done = sh(framed(resource.probe()))
        assert (done.returncode, done.stderr) == (0, "")
        return resource.actual(done.stdout)

    def asked(self) -> list[str]:
        """Return what the client was asked for since the last time."""
        asked = self.root / "asked"
        lines = asked.read_text("utf-8").splitlines() if asked.exists() else []
        asked.unlink(missing_ok=True)
        (self.root / "tries").unlink(missing_ok=True)
        return lines

    def faults(self, text: str) -> None:
        """Let the client do something after each file."""
        (self.root / "faults").write_text(text, encoding="utf-8")

    def is_complete(self) -> bool:
        """Say whether the probe finds the snapshot complete."""
        resource = self.snapshot()
        return self.probe() == resource.expected()

    def check(self) -> None:
        """Fail unless all is in place byte by byte, vouched for, and nothing is left over."""
        there = tree(self.target)
        assert there.pop(MANIFEST, b"")
        assert there == self.files
        assert self.is_complete()
        assert not self.staging.exists()

    def lies(self) -> list[str]:
        """Return the files for which the manifest vouches wrongly."""
        manifest = self.target / MANIFEST
        lines = manifest.read_text("utf-8").splitlines() if manifest.exists() else []
        found = []
        for line in lines:
            digest, size, time, path = line.split(" ", 3)
            file = self.target / path
            now = file.stat() if file.exists() else None
            if now and (now.st_size, int(now.st_mtime)) == (int(size), int(time)):
                content = file.read_bytes()
                found += [path] if digest not in {sha256(content), git_sha1(content)} else []
        return found

    def _digest(self, path: str, content: bytes) -> str:
        return git_sha1(content) if path in self.git else sha256(content)

    def _client(self) -> None:
        scripts = {f"bin/{name}": text for name, text in _SYSTEMD.items()}
        for name, text in (("modelscope", _CLIENT), ("python", _PYTHON)):
            scripts[f"venv/bin/{name}"] = text.replace("{bench}", str(self.root)).encode()
        for path, script in scripts.items():
            write(self.root / path, script).chmod(0o755)


def prepare(monkeypatch: Any, root: Path) -> Bench:
    """Return a bench whose jobs and secrets lie below `root`, and whose worker does not sleep."""
    text = module._text  # noqa: SLF001

    def patched(name: str) -> str:
        script = text(name).replace("sleep $((", ": $((")
        script = script.replace(" PATH=/usr/", f" PATH={root}/tools:/usr/")
        return script.replace("/run/provision", str(root / "run"))

    monkeypatch.setattr(module, "_text", patched)
    settings = ModelSnapshot._settings  # noqa: SLF001  likewise
    monkeypatch.setattr(
        ModelSnapshot,
        "_settings",
        lambda self, mode: settings(self, mode).replace("/run/provision", str(root / "run")),
    )
    monkeypatch.setattr(module, "_PATIENCE", 1)
    monkeypatch.setattr(module, "JOBS", str(root / "jobs"))
    return Bench(root)


def sh(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script as a host's shell does."""
    return subprocess.run(
        ["sh", "-s"],
        input=script,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        start_new_session=True,  # so that a kill ends all of it and nothing else
    )


def write(path: Path, content: bytes, *, mtime: int = 1_600_000_000) -> Path:
    """Write a file that is not new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (mtime, mtime))
    return path


def tree(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def traits(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return inode, time and mode of all files and links below a folder."""
    infos = {path: path.lstat() for path in folder.rglob("*") if not path.is_dir()}
    return {str(p): (info.st_ino, info.st_mtime_ns, info.st_mode) for p, info in infos.items()}
