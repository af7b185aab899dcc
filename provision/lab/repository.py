"""What a model hub's folder holds: models with their commits, branches and tags, and their files."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provision.errors import LabError, nearest

SMALL = 1 << 20  # bytes; text below this is an ordinary file of git's, all else is LFS's
EPOCH = 1_760_000_000  # seconds; the first commit's time, so that a commit's sha never changes
DAY = 86_400  # seconds from one commit of a model to its next
CHUNK = 1 << 20  # bytes


@dataclass(frozen=True)
class Repository:
    """The models of one folder, in the form that `assets/hub/hubd.py` serves."""

    folder: Path

    def models(self) -> list[str]:
        """Return the names of the models."""
        base = self.folder / "models"
        return sorted(str(file.relative_to(base).with_suffix("")) for file in base.glob("*/*.json"))

    def commit(
        self,
        model: str,
        source: Path,
        *,
        branch: str = "master",
        tags: Iterable[str] = (),
        token: str | None = None,
    ) -> str:
        """Make a folder's files the newest commit of a branch, and return the commit's sha."""
        about = self._read(model) if self._file(model).exists() else _empty()
        parent = about["branches"].get(branch, "")
        before = about["commits"][parent]["files"] if parent else {}
        files = self._keep_all(source)
        number = len(about["commits"])
        told = json.dumps([model, parent, number, files], sort_keys=True).encode()
        sha = hashlib.sha1(told, usedforsecurity=False).hexdigest()
        for path, file in files.items():
            old = before.get(path, {})
            file["commit"] = old["commit"] if old.get("sha256") == file["sha256"] else sha
        when, message = EPOCH + DAY * number, f"Revision {number + 1}"
        about["commits"][sha] = {"time": when, "message": message, "files": files}
        about["branches"] |= {branch: sha}
        about["tags"] |= dict.fromkeys(tags, sha)
        about["token"] = token or about["token"]
        self._write(model, about)
        return sha

    def move(self, model: str, branch: str, to: str) -> str:
        """Let a branch stand for another commit, given by tag, branch or sha; return its sha."""
        about = self._read(model)
        known = {**{sha: sha for sha in about["commits"]}, **about["branches"], **about["tags"]}
        if to not in known:
            names = {*about["branches"], *about["tags"]}
            raise LabError(f"no revision '{to}'", where=model, remedy=nearest(to, names))
        about["branches"][branch] = known[to]
        self._write(model, about)
        return str(known[to])

    def revision(self, model: str, name: str = "master") -> str:
        """Return the commit that a branch or a tag stands for."""
        about = self._read(model)
        return str({**about["branches"], **about["tags"]}[name])

    def _keep_all(self, source: Path) -> dict[str, dict[str, Any]]:
        """Keep the content of a folder's files, and return what listings say of each."""
        paths = sorted(path for path in source.rglob("*") if path.is_file())
        return {path.relative_to(source).as_posix(): self._keep(path) for path in paths}

    def _keep(self, path: Path) -> dict[str, Any]:
        """Keep a file's content under its sha256, and return what listings say of it."""
        size = path.stat().st_size
        sha256, oid = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        with path.open("rb") as content:
            while block := content.read(CHUNK):
                sha256.update(block)
                oid.update(block)
        large = size >= SMALL or not _is_text(path)
        if large:  # git then holds a small text that points to the content
            pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256.hexdigest()}\nsize {size}\n"
            oid = hashlib.sha1(b"blob %d\0" % len(pointer), usedforsecurity=False)
            oid.update(pointer.encode())
        self._copy(path, self.folder / "blobs" / sha256.hexdigest())
        return {
            "size": size,
            "sha256": sha256.hexdigest(),
            "oid": oid.hexdigest(),
            "lfs": large,
        }

    @staticmethod
    def _copy(path: Path, blob: Path) -> None:
        """Copy a file's content to its place, whole or not at all."""
        if blob.exists():
            return
        blob.parent.mkdir(parents=True, exist_ok=True)
        scratch = blob.with_suffix(".new")
        shutil.copyfile(path, scratch)
        scratch.chmod(0o644)
        scratch.rename(blob)

    def _file(self, model: str) -> Path:
        return self.folder / "models" / f"{model}.json"

    def _read(self, model: str) -> dict[str, Any]:
        if not self._file(model).exists():
            remedy = nearest(model, set(self.models()))
            raise LabError(f"no model '{model}'", where=str(self.folder), remedy=remedy)
        about: dict[str, Any] = json.loads(self._file(model).read_text())
        return about

    def _write(self, model: str, about: dict[str, Any]) -> None:
        file = self._file(model)
        file.parent.mkdir(parents=True, exist_ok=True)
        scratch = file.with_suffix(".new")
        scratch.write_text(json.dumps(about, indent=1))
        scratch.rename(file)


def _empty() -> dict[str, Any]:
    return {"token": None, "branches": {}, "tags": {}, "commits": {}}


def _is_text(path: Path) -> bool:
    return b"\0" not in path.read_bytes()
