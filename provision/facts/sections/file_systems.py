"""The file systems that Docker, the models and the system fill."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from provision.facts.health import FileSystem

_ROW: Final = re.compile(
    r"^-P(?P<of>[ki]) \S.*? +(?P<size>\d{1,18}|-) +(?:\d+|-) +(?P<free>\d{1,18}|-) +\S+ +(?P<path>/.*)$"
)
_MOUNT: Final = re.compile(r"^(mounted|wanted) (ro|rw) (/.*)$")


def parse(text: str) -> tuple[FileSystem, ...]:
    """Return one file system once, however many of the paths it holds."""
    rows: dict[str, dict[str, tuple[int, int]]] = {"k": {}, "i": {}}
    how: dict[tuple[str, str], str] = {}  # the last mount on a folder is the one that is seen
    for line in text.splitlines():
        if mount := _MOUNT.match(line):
            path = re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), mount[3])
            how[mount[1], path] = mount[2]
        elif (row := _ROW.match(line)) and "-" not in {row["size"], row["free"]}:
            rows[row["of"]][row["path"]] = int(row["size"]), int(row["free"])
    if not rows["k"]:
        raise ValueError("df tells nothing")
    return tuple(
        _file_system(path, rows["k"][path], rows["i"].get(path), how) for path in sorted(rows["k"])
    )


def _file_system(
    path: str,
    kilobytes: tuple[int, int],
    inodes: tuple[int, int] | None,
    how: Mapping[tuple[str, str], str],
) -> FileSystem:
    size, free = kilobytes
    counted = inodes if inodes and inodes[0] else (None, None)  # btrfs counts none
    read_only = how.get(("mounted", path)) == "ro" and how.get(("wanted", path)) != "ro"
    return FileSystem(
        path=path,
        size_bytes=size * 1024,
        free_bytes=free * 1024,
        inodes=counted[0],
        inodes_free=counted[1],
        read_only=read_only,
    )
