"""How a model's files come to a folder of the controller, each with the digest that was listed."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from provision.errors import HubError
from provision.serving.hub import hubs
from provision.serving.hub.digest import matches
from provision.serving.hub.listing import MANIFEST, Listing, RemoteFile
from provision.serving.hub.problems import UnreachableError
from provision.serving.hub.wanted import Hub

_AT_ONCE: Final = 4
_BEAT: Final = 0.5  # seconds between two calls of tell
_TRIES: Final = 2  # of a file whose digest is wrong
_PARTIAL: Final = re.compile(r".+\.incomplete|.+_\d+_\d+")  # as the two clients name them
Seal = tuple[int, int, str]  # size, mtime in ns and digest of a file that was verified


def download(listing: Listing, hub: Hub, folder: Path, tell: Callable[[int, int], None]) -> None:
    """Fetch what is missing or wrong into `folder`, verify it, and tell (done, total) bytes.

    What was verified once is not read again while size and time stay the same. A controller's own
    folder is only verified.
    """
    job = _Download(listing, hub, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        due = [file for file in listing.files if not job.is_sealed(file)]
        job.check_room(due)
        _work(
            [lambda file=file: job.bring(file) for file in due],  # type: ignore[misc]
            lambda: tell(job.arrived(), listing.size_bytes),
        )
        shutil.rmtree(folder / ".cache", ignore_errors=True)  # what the clients keep for resuming
    except OSError as error:
        raise HubError(
            f"{error.filename or folder}: {error.strerror}",
            where=listing.key,
            remedy="Check the folder and its permissions.",
        ) from error
    finally:
        job.save()
    tell(listing.size_bytes, listing.size_bytes)


class _Download:
    """One model on its way into one folder."""

    def __init__(self, listing: Listing, hub: Hub, folder: Path) -> None:
        self._listing = listing
        self._folder = folder
        self._fetch = hubs.fetcher(listing, hub, folder)
        self._seals = _read_seals(folder / MANIFEST)

    def is_sealed(self, file: RemoteFile) -> bool:
        """Say whether this very file was verified before and was not touched since."""
        seal = _seal(self._folder / file.path, file)
        return seal is not None and self._seals.get(file.path) == seal

    def check_room(self, due: Iterable[RemoteFile]) -> None:
        """Raise if the disk cannot hold what is still to come."""
        if self._fetch is None:
            return
        needed = sum(file.size_bytes for file in due) - self._partly(due)
        free = shutil.disk_usage(self._folder).free
        if needed > free:
            raise HubError(
                f"{self._folder} has room for {free} bytes, the model needs {needed} more",
                where=self._listing.key,
                remedy="Make room, or choose another folder.",
            )

    def bring(self, file: RemoteFile) -> None:
        """Have one file in the folder, with the digest that was listed."""
        path = self._folder / file.path
        for left in reversed(range(_TRIES + 1)):
            if _is_right(path, file):
                self._seals[file.path] = _seal(path, file)
                return
            if self._fetch is None or not left:
                break
            path.unlink(missing_ok=True)
            self._fetch_on(file)
        if self._fetch is None:
            raise self._wrong(file, "is missing or changed", "List the model anew.")
        path.unlink(missing_ok=True)
        raise self._wrong(
            file,
            "came twice with another digest than the hub lists",
            "The model may have moved on: list it anew; else a mirror or proxy spoils it.",
        )

    def arrived(self) -> int:
        """Return the bytes that are in the folder, whole or in part."""
        return min(self._partly(self._listing.files), self._listing.size_bytes)

    def save(self) -> None:
        """Remember what was verified."""
        with suppress(OSError):  # the next run reads the files again, no more
            path = self._folder / MANIFEST
            path.write_text(json.dumps(self._seals, sort_keys=True, indent=1), encoding="utf-8")

    def _fetch_on(self, file: RemoteFile) -> None:
        """Fetch a file, and go on after a break as long as bytes came through."""
        if self._fetch is None:
            return
        before = -1
        while True:
            try:
                self._fetch(file)
            except UnreachableError:
                now = self.arrived()
                if now <= before:
                    raise
                before = now
            else:
                return

    def _partly(self, files: Iterable[RemoteFile]) -> int:
        sizes = [_size(self._folder / file.path) for file in files]
        partial = (path for path in self._folder.rglob("*") if _PARTIAL.fullmatch(path.name))
        return sum(sizes) + sum(_size(path) for path in partial)

    def _wrong(self, file: RemoteFile, what: str, remedy: str) -> HubError:
        return HubError(f"{file.path} {what}", where=self._listing.key, remedy=remedy)


def _is_right(path: Path, file: RemoteFile) -> bool:
    return path.is_file() and _size(path) == file.size_bytes and matches(path, file.digest)


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _seal(path: Path, file: RemoteFile) -> Seal | None:
    with suppress(OSError):
        info = path.stat()
        return (info.st_size, info.st_mtime_ns, file.digest)
    return None


def _read_seals(path: Path) -> dict[str, Seal | None]:
    with suppress(OSError, ValueError, TypeError, AttributeError):
        found = json.loads(path.read_text(encoding="utf-8")).items()
        return {name: (size, mtime, digest) for name, (size, mtime, digest) in found}
    return {}


def _work(jobs: Iterable[Callable[[], None]], beat: Callable[[], None]) -> None:
    """Do the jobs in a few threads, beat meanwhile; the first failure lets no further one begin.

    The threads are daemons: an operator's Ctrl-C ends the process at once, and what came so far
    is resumed by the next run.
    """
    queue: SimpleQueue[Callable[[], None]] = SimpleQueue()
    for job in jobs:
        queue.put(job)
    errors: list[Exception] = []

    def run() -> None:
        with suppress(Empty):
            while not errors:
                job = queue.get_nowait()
                try:
                    job()
                except Exception as error:  # noqa: BLE001  raised below, in the caller's thread
                    errors.append(error)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(_AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(_BEAT)
            beat()
    if errors:
        raise errors[0]
