"""The file systems that Docker, the models and the system fill."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from provision.facts.health import FileSystem

_SIZE: Final = re.compile(r"\d{1,18}")
_FREE: Final = 2  # words behind the size, with what is used between them
_OPTIONS: Final = 3  # the word of a mount that says how
_PATH: Final = 4  # words behind the size, with the percentage between them
_MOUNTS: Final = ("mounted", "wanted")


def parse(text: str) -> tuple[FileSystem, ...]:
    """Return one file system once, however many of the paths it holds."""
    rows: dict[str, dict[str, tuple[int, int]]] = {"-Pk": {}, "-Pi": {}}
    how: dict[tuple[str, str], bool] = {}  # the last mount on a folder is the one that is seen
    of = ""
    for line in text.splitlines():
        if line.startswith("--- "):
            of = line[4:]
        elif of in rows and (row := _row(line)):
            path, size, free = row
            rows[of][path] = size, free
        elif of in _MOUNTS and len(words := line.split()) > _OPTIONS:
            path = re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), words[1])
            how[of, path] = "ro" in words[_OPTIONS].split(",")
    if not rows["-Pk"]:
        raise ValueError("df tells nothing")
    return tuple(
        _file_system(path, rows["-Pk"][path], rows["-Pi"].get(path), how)
        for path in sorted(rows["-Pk"])
    )


def _row(line: str) -> tuple[str, int, int] | None:
    """Return path, size and free room of a line of `df`; a device may have blanks in its name."""
    words = line.split()
    for index in range(1, len(words) - _PATH):
        size, free, path = words[index], words[index + _FREE], words[index + _PATH]
        if path.startswith("/") and _SIZE.fullmatch(size) and _SIZE.fullmatch(free):
            return line.split(maxsplit=index + _PATH)[-1], int(size), int(free)
    return None


def _file_system(
    path: str,
    kilobytes: tuple[int, int],
    inodes: tuple[int, int] | None,
    how: Mapping[tuple[str, str], bool],
) -> FileSystem:
    size, free = kilobytes
    counted = inodes if inodes and inodes[0] else (None, None)  # btrfs counts none
    read_only = how.get(("mounted", path), False) and not how.get(("wanted", path), False)
    return FileSystem(
        path=path,
        size_bytes=size * 1024,
        free_bytes=free * 1024,
        inodes=counted[0],
        inodes_free=counted[1],
        read_only=read_only,
    )
