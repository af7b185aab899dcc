"""The digest of a file on the controller, in the forms that hubs use."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Literal

Kind = Literal["sha256", "git-sha1"]


class _Counted:
    """A file that says how many bytes were read from it."""

    def __init__(self, file: BinaryIO, tell: Callable[[int], None]) -> None:
        self._file = file
        self._tell = tell

    def readinto(self, buffer: bytearray) -> int:
        count: int = self._file.readinto(buffer)  # type: ignore[attr-defined]  # BufferedReader has it
        self._tell(count)
        return count

    def readable(self) -> bool:
        return True


def digest_file(path: Path, kind: Kind, tell: Callable[[int], None] | None = None) -> str:
    """Return `sha256:…` or `git-sha1:…` of a file; `tell` gets the bytes of every read."""

    def begin() -> hashlib._Hash:
        if kind == "sha256":
            return hashlib.sha256()
        # Git's id of a blob: a header with its size comes first.
        header = f"blob {path.stat().st_size}\0".encode()
        return hashlib.sha1(header, usedforsecurity=False)

    with path.open("rb") as file:
        counted = _Counted(file, tell or _ignore)
        return f"{kind}:{hashlib.file_digest(counted, begin).hexdigest()}"


def matches(path: Path, digest: str, tell: Callable[[int], None] | None = None) -> bool:
    """Say whether a file has this digest."""
    kind: Kind = "sha256" if digest.startswith("sha256:") else "git-sha1"
    return digest_file(path, kind, tell) == digest


def _ignore(count: int) -> None:
    del count
