"""How files travel from the controller to a host: through OpenSSH, resumable, never through us."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import quote
from typing import Final, NamedTuple

from provision.errors import ApplyError, ProvisionError
from provision.host import origin
from provision.host.bulk import Stopped, Tell, failed, full, heed
from provision.host.openssh import Ended, as_root, explain_ended, run_ssh
from provision.inventory.schema import Host
from provision.state.resource import Transfer
from provision.state.shell import framed, nonce

_SMALL: Final = 4 << 20  # bytes; smaller files travel together
_BATCH: Final = 256 << 20  # bytes of small files in one stream
_PAUSES: Final = (1, 2, 4, 8, 15)  # seconds before each new try after a lost connection
_GLANCE: Final = 0.25  # seconds

_LOOK: Final = """\
umask 022
look() { # PATH: its size and that of what was sent of it
    for look_path in "$1" "$1.pushing"; do
        if [ -f "$look_path" ]; then stat -L -c %s -- "$look_path"; else echo -1; fi
    done
}
"""
# At an offset of its own, not appended: a writer of a lost connection that lives a little longer
# then only repeats what it wrote before. For the same reason nothing is truncated.
_RECEIVE: Final = """\
export LC_ALL=C; umask 022; [ "$3" != 0 ] || rm -f -- "$1"; \
dd of="$1" bs=1048576 iflag=fullblock oflag=seek_bytes seek="$3" conv=notrunc status=none && \
if [ "$(stat -c %s -- "$1")" = "$4" ]; then sync -- "$1" && mv -f -- "$1" "$2"; fi"""
_UNPACK: Final = """\
export LC_ALL=C; umask 022; rm -rf -- "$1"/.pushing.*; new=$(mktemp -d -- "$1/.pushing.XXXXXX") && \
trap 'rm -rf -- "$new"' EXIT && tar -x -f - --no-same-owner -C "$new" && \
chmod -R u=rwX,go=rX -- "$new" && cd -- "$new" && find . -type f -exec sync -- {} + && \
find . -type f -exec sh -c 'for path; do mv -f -- "$path" "$0/$path" || exit 1; done' "$1" {} +"""


class _Item(NamedTuple):
    """A file that is not there in full, and how much of it is."""

    path: str
    size: int
    offset: int


class _LostError(Exception):
    """The connection was lost; what came over stays."""

    def __init__(self, told: ProvisionError, *, busy: bool) -> None:
        super().__init__(str(told))
        self.told = told
        self.busy = busy


def push(host: Host, transfer: Transfer, tell: Tell, stopped: Stopped) -> None:
    """Send the files of `transfer.origin` to a host; those that are there in full are left.

    Raises `ApplyError`, or `ConnectError`; what came over is kept and the next push goes on there.
    """
    job = _Push(host, transfer, tell, stopped)
    job.check_origin()
    most, failures = -1, 0
    while True:
        try:
            missing = job.look()
            if job.done > most:
                most, failures = job.done, 0
            job.send(missing)
        except _LostError as lost:
            failures += 1
            if failures > len(_PAUSES) or (most < 0 and not lost.busy):
                raise lost.told from None
            job.pause(_PAUSES[failures - 1])
        else:
            return


class _Push:
    """One push: what is there, and how the rest gets there."""

    def __init__(self, host: Host, transfer: Transfer, tell: Tell, stopped: Stopped) -> None:
        self.host = host
        self.origin = Path(transfer.origin)
        self.bulk = transfer.bulk
        self.tell = tell
        self.stopped = stopped
        self.done = 0

    def check_origin(self) -> None:
        """Raise `ApplyError` for a file that is not here as planned."""
        for path, size in self.bulk.files:
            origin.check(self.origin / path, size)

    def look(self) -> list[_Item]:
        """Ask the host, once, what is missing; make the folders; refuse what does not fit."""
        sizes = self._sizes()
        missing, self.done = [], 0
        free = next(sizes)
        for path, size in self.bulk.files:
            there, sent = next(sizes), next(sizes)
            if there == size:
                self.done += size
                continue
            missing.append(_Item(path, size, sent if 0 < sent <= size else 0))
            self.done += missing[-1].offset
        if free < self.bulk.size_bytes - self.done:
            raise full(
                self.host.name,
                self.bulk.folder,
                f"{self.bulk.size_bytes - self.done} bytes to come, {free} free",
            )
        self.tell(self.done, self.bulk.size_bytes)
        return missing

    def send(self, missing: Sequence[_Item]) -> None:
        """Send what is missing and ask again whether it is there."""
        if not missing:
            return
        small = [item for item in missing if item.size < _SMALL]
        for batch in _batches(small):
            self._send_small(batch)
        for item in missing:
            if item.size >= _SMALL:
                self._send_big(item)
        if still := self.look():
            raise ApplyError(
                f"{len(still)} files were sent, but are not there in full",
                where=f"{self.host.name}: {self.bulk.folder}/{still[0].path}",
                remedy="Something on the host removes them; look there, then run again.",
            )

    def pause(self, seconds: float) -> None:
        """Wait, but not for an operator who wants to stop."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self._heed()
            time.sleep(_GLANCE)

    def _send_big(self, item: _Item) -> None:
        """Let ssh read the file from where the host has it; we see how far it is by our own fd."""
        local = self.origin / item.path
        target = f"{self.bulk.folder}/{item.path}"
        command = as_root(
            self.host, _RECEIVE, f"{target}.pushing", target, str(item.offset), str(item.size)
        )
        before = self.done
        with origin.opened(local) as file:
            os.lseek(file, item.offset, os.SEEK_SET)

            def watch() -> None:
                self.done = before + os.lseek(file, 0, os.SEEK_CUR) - item.offset
                self.tell(min(self.done, self.bulk.size_bytes), self.bulk.size_bytes)
                self._heed()

            self._judge(run_ssh(self.host, command, file, watch))
        origin.check(local, item.size)
        self.done = before + item.size - item.offset
        self.tell(self.done, self.bulk.size_bytes)

    def _send_small(self, batch: Sequence[_Item]) -> None:
        """Send many files as one stream that goes from tar straight into ssh."""
        with origin.stream(self.origin, [item.path for item in batch]) as stream:
            command = as_root(self.host, _UNPACK, self.bulk.folder)
            self._judge(run_ssh(self.host, command, stream, self._heed))
        for item in batch:
            origin.check(self.origin / item.path, item.size)
        self.done += sum(item.size - item.offset for item in batch)
        self.tell(self.done, self.bulk.size_bytes)

    def _sizes(self) -> Iterator[int]:
        folders = {str(Path(self.bulk.folder, path).parent) for path, _ in self.bulk.files}
        made = " ".join(map(quote, sorted({self.bulk.folder, *folders})))
        free = f"df -B1 --output=avail -- {quote(self.bulk.folder)} | tail -n 1"
        looks = "".join(
            f"look {quote(f'{self.bulk.folder}/{path}')}\n" for path, _ in self.bulk.files
        )
        word = nonce()  # a login shell may print what it likes before
        script = framed(f"{_LOOK}mkdir -p -- {made} || return 1\necho {word}\n{free}\n{looks}")
        with tempfile.TemporaryFile() as file:
            file.write(script.encode("utf-8", "surrogateescape"))
            file.seek(0)
            ended = run_ssh(self.host, as_root(self.host, "exec sh -s"), file, self._heed)
        self._judge(ended)
        return map(int, ended.stdout.rpartition(f"{word}\n")[2].split())

    def _heed(self) -> None:
        heed(self.stopped, self.host.name, self.bulk.folder)

    def _judge(self, ended: Ended) -> None:
        if ended.status == 0:
            return
        error = explain_ended(self.host, ended)
        if error is not None and ended.is_lost:
            raise _LostError(error, busy=ended.is_busy)
        if error is not None:
            raise error
        raise failed(self.host.name, self.bulk.folder, ended.stderr)


def _batches(items: Sequence[_Item]) -> Iterator[list[_Item]]:
    """Split small files, so that a lost connection costs one batch."""
    batch: list[_Item] = []
    size = 0
    for item in items:
        if batch and size + item.size > _BATCH:
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += item.size
    if batch:
        yield batch
