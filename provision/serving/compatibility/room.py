"""Room on the host: disk for the model and the image that are still to come, and the port."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final, NamedTuple

from provision.facts import Disk, Facts
from provision.finding import Finding
from provision.serving.compatibility.findings import fail, warn
from provision.serving.compatibility.image_table import IMAGE_BYTES
from provision.serving.compatibility.seen import NOTHING, Seen
from provision.serving.compatibility.subject import Subject

CHECK: Final = "fit.disk"
PORT: Final = "fit.port"
_SPARE: Final = 1.05
"""Of the bytes of a model's files, for what file systems add."""
_UNPACKING: Final = 1.5
"""Of an image's bytes, while its layers lie beside what they are unpacked to."""
_DOCKER: Final = "/var/lib/docker"
_HIGHEST_PORT: Final = 65535


def disk(subject: Subject, seen: Seen = NOTHING) -> Iterator[Finding]:
    """Judge whether what is still to come has room."""
    facts = subject.facts
    if facts is None:
        return
    if "disks" in facts.unknown:
        remedy = "Run df -h on the host; a file system that hangs is often NFS."
        yield warn(CHECK, "unknown: how much room the disks have", remedy)
        return
    wanted = [need for need in (_model(subject, seen), _image(subject, facts)) if need]
    for found in facts.disks:
        here = [need for need in wanted if _holding(need.folder, facts) == found]
        yield from _judged(here, found)


def port(subject: Subject, seen: Seen = NOTHING) -> Iterator[Finding]:
    """Judge whether something else listens where the service is to."""
    wanted = subject.service.port
    if wanted not in seen.listening:
        return
    free = (found for found in range(wanted + 1, _HIGHEST_PORT + 1) if found not in seen.listening)
    by = seen.listening[wanted] or "another program"
    remedy = f"Stop it, or give the service another port, such as port: {next(free, 8000)}."
    yield fail(PORT, f"port {wanted} is taken by {by}", remedy)


class _Need(NamedTuple):
    what: str
    folder: str
    least_bytes: int
    """What it takes for certain; 0 = perhaps it is there already."""
    most_bytes: int


def _model(subject: Subject, seen: Seen) -> _Need | None:
    service, there = subject.service, seen.model_bytes
    to_come = int((service.size_bytes - (there or 0)) * _SPARE)
    if to_come <= 0:
        return None
    return _Need("the model", service.folder, 0 if there is None else to_come, to_come)


def _image(subject: Subject, facts: Facts) -> _Need | None:
    size = IMAGE_BYTES.get(subject.engine.name)
    if subject.image is not None or size is None:
        return None
    root = (facts.docker.root if facts.docker else "") or _DOCKER
    return _Need("the image", root, size.least, int(size.most * _UNPACKING))


def _holding(folder: str, facts: Facts) -> Disk | None:
    """Return the file system that a folder is on, as far as those that were looked at tell."""
    path = PurePosixPath(folder)
    held = [found for found in facts.disks if path.is_relative_to(found.path)]
    return max(held, key=lambda found: len(found.path), default=None)


def _judged(needs: list[_Need], found: Disk) -> Iterator[Finding]:
    least = sum(need.least_bytes for need in needs)
    most = sum(need.most_bytes for need in needs)
    what = " and ".join(need.what for need in needs)
    free = f"{found.path} has {_size(found.free_bytes)} free"
    remedy = f"Make room on {found.path}, or name a folder on a larger disk."
    # Only a few folders are looked at: one below / may be another file system.
    certain = all(need.folder.startswith(_LOOKED_AT) for need in needs) or found.path != "/"
    if least > found.free_bytes and certain:
        yield fail(CHECK, f"{what} need {_size(least)} or more, and {free}", remedy)
    elif most > found.free_bytes:
        yield warn(CHECK, f"{what} may need {_size(most)}, and {free}", remedy)


_LOOKED_AT: Final = ("/var/", "/data/", "/opt/")


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
