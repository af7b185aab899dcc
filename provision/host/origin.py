"""The files on the controller that are pushed: as planned, open for ssh, or as one stream of tar."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from provision.errors import ApplyError


def check(path: Path, size: int) -> None:
    """Raise `ApplyError` for a file that is not there, or no longer as long as planned."""
    try:
        now = path.stat().st_size
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    if now != size:
        raise ApplyError(
            f"has {now} bytes now, but {size} when it was planned",
            where=str(path),
            remedy="Let whatever writes it end, then plan again.",
        )


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Open a file for a child to read; its position is then ours to see."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    try:
        yield file
    finally:
        os.close(file)


@contextmanager
def stream(folder: Path, paths: Sequence[str]) -> Iterator[IO[bytes]]:
    """Read many files as one stream, for another child; raise `ApplyError` if tar fails alone."""
    with tempfile.TemporaryFile() as names, tempfile.TemporaryFile() as said:
        # `./` keeps a name from being read as an option
        names.write(b"".join(b"./" + os.fsencode(path) + b"\0" for path in paths))
        names.seek(0)
        with _tar(folder, names, said) as tar:
            assert tar.stdout is not None  # noqa: S101  it is a pipe
            yield tar.stdout
        if tar.returncode != 0:
            said.seek(0)
            detail = said.read().decode(errors="replace").strip().splitlines()
            raise _unreadable(folder, detail[0] if detail else "tar failed")


@contextmanager
def _tar(folder: Path, names: IO[bytes], said: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    # -h: a hub's cache is made of links, and the host needs what they lead to
    argv = ["tar", "-c", "-h", "-f", "-", "-C", str(folder), "--null", "-T", "-"]
    environment = {**os.environ, "LC_ALL": "C", "COPYFILE_DISABLE": "1"}  # macOS adds ._ files
    try:
        tar = subprocess.Popen(
            argv,
            stdin=names,
            stdout=subprocess.PIPE,
            stderr=said,
            env=environment,
            start_new_session=True,  # Ctrl-C is ours to judge
        )
    except OSError as error:
        raise ApplyError(
            f"cannot be run on this machine: {error.strerror}", where="tar", remedy="Install tar."
        ) from error
    try:
        yield tar
    finally:
        if tar.stdout:
            tar.stdout.close()  # a tar that nobody reads from any more ends by this
        tar.wait()


def _unreadable(path: Path, detail: str) -> ApplyError:
    return ApplyError(
        f"cannot be read on this machine: {detail}",
        where=str(path),
        remedy="Check the folder that is pushed, then plan again.",
    )
