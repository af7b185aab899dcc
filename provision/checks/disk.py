"""Disks: room, inodes, and file systems that became read-only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provision.checks.check import Check, Sight
from provision.checks.words import fail, warn
from provision.facts.health import FileSystem
from provision.finding import Finding

_NAME: Final = "host.disk"
_GB: Final = 1_000_000_000
_WARN_SHARE: Final = 0.10
_WARN_BYTES: Final = 200 * _GB
"""A model of 70 billion parameters, with the image that serves it, fits into what is left above."""
_FAIL_SHARE: Final = 0.03
_FAIL_BYTES: Final = 50 * _GB
"""Two images of an engine while one replaces the other; a deployment fails half-way below."""
_DOCKER: Final = "/var/lib/docker"


def _disk(sight: Sight) -> Iterator[Finding]:
    found = list(dict.fromkeys(map(_nameless, sight.health.file_systems or ())))
    first = {_nameless(each): each for each in reversed(sight.health.file_systems or ())}
    stuck = [first[each] for each in found if each.read_only]
    for each in stuck:
        yield fail(
            _NAME,
            f"{each.path} is read-only",
            "The kernel saw errors on its disk (dmesg -T | grep -i -e ext4 -e xfs -e 'I/O error'): "
            "save what matters, have the disk checked (smartctl -a), then fsck and reboot.",
        )
    kernel = sight.health.kernel
    if kernel and kernel.disk_errors and not stuck:
        count = len(kernel.disk_errors)
        yield warn(
            _NAME,
            f"the kernel logged {count} {'error' if count == 1 else 'errors'} of disks: "
            f"{kernel.disk_errors[-1]}",
            "Have the disk checked: smartctl -a, or nvme smart-log.",
        )
    for each in found:
        if not each.read_only:
            yield from _room(first[each], sight)
            yield from _inodes(first[each])


def _nameless(found: FileSystem) -> FileSystem:
    """Return a file system without its path: the same one may be listed under several."""
    return found.model_copy(update={"path": ""})


def _room(disk: FileSystem, sight: Sight) -> Iterator[Finding]:
    share = disk.free_bytes / disk.size_bytes if disk.size_bytes else 1.0
    if share >= _WARN_SHARE or disk.free_bytes >= _WARN_BYTES:
        return
    say = fail if share < _FAIL_SHARE and disk.free_bytes < _FAIL_BYTES else warn
    root = (sight.facts.docker.root if sight.facts.docker else "") or _DOCKER
    docker = "docker system df, " if f"{root}/".startswith(f"{disk.path.rstrip('/')}/") else ""
    yield say(
        _NAME,
        f"{share:.0%} of {disk.path} are free: {disk.free_bytes / _GB:.0f} of "
        f"{disk.size_bytes / _GB:.0f} GB",
        f"See what fills it: {docker}du -xh --max-depth=2 {disk.path} | sort -h | tail.",
    )


def _inodes(disk: FileSystem) -> Iterator[Finding]:
    """Judge the number of files; file systems that make inodes as they need them say 0."""
    if not disk.inodes or disk.inodes_free is None:
        return
    share = disk.inodes_free / disk.inodes
    if share < _WARN_SHARE:
        say = fail if share < _FAIL_SHARE else warn
        yield say(
            _NAME,
            f"{share:.0%} of the inodes of {disk.path} are free",
            "Something makes very many small files there: "
            f"du -x --inodes --max-depth=3 {disk.path} | sort -n | tail.",
        )


DISK: Final = Check(
    name=_NAME,
    group="host",
    reads=("file_systems", "kernel"),
    explain="Images of engines take 10 to 20 GB each, models up to hundreds, and logs grow. On a "
    "full disk pulls and downloads end half-way, containers do not start, and Docker may not "
    "either; a disk can also have room and no inodes left, which very many small files use up. "
    "A file system that the kernel made read-only had errors underneath: everything that still "
    "runs works from memory. Images and containers that nothing uses go with docker system prune; "
    "large disks are judged by what fits into them still, not by the percentage alone.",
    judge=_disk,
)
