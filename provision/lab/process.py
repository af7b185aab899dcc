"""How the lab runs a local command: as root where it must, and failing with the whole story."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from provision.errors import LabError

Say = Callable[[str], None]
Result = subprocess.CompletedProcess[str]
PATIENCE = 2.0  # seconds that a step may take without a word


def say_on_stderr(line: str) -> None:
    """Print one line of progress where it never mixes with machine output."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201  progress of a long build


def run(  # noqa: PLR0913  what subprocess can be told
    argv: Sequence[str],
    *,
    text: str | None = None,
    check: bool = True,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> Result:
    """Run `argv` with `text` on stdin, and raise LabError with its stderr when it fails.

    One that takes longer than `timeout`, in seconds, is killed and has failed.
    """
    stdin = None if text is not None else subprocess.DEVNULL
    try:
        done = subprocess.run(
            list(argv),
            input=text,
            stdin=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            timeout=timeout,
        )
    except FileNotFoundError as error:
        raise LabError(f"{argv[0]} is not installed", remedy="Install it.") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"no end within {timeout} s", where=" ".join(argv)[-200:]) from error
    if check and done.returncode != 0:
        raise failure(argv, done.returncode, done.stderr or done.stdout)
    return done


def pipe(producer: Sequence[str], consumer: Sequence[str], log: Path) -> None:
    """Run `producer | consumer`, both their stderr kept in `log`, and fail when either fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as errors:
        first = subprocess.Popen(
            list(producer), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
        )
        second = subprocess.Popen(
            list(consumer), stdin=first.stdout, stdout=subprocess.DEVNULL, stderr=errors
        )
        if first.stdout is not None:
            first.stdout.close()
        codes = (second.wait(), first.wait())
    for argv, code in ((producer, codes[1]), (consumer, codes[0])):
        if code != 0:
            raise failure(argv, code, log.read_text(errors="replace"))


def failure(argv: Sequence[str], code: int, output: str) -> LabError:
    """Return the error of a command that ended with `code`, with the last lines it said."""
    tail = " / ".join(line.strip() for line in output.strip().splitlines()[-4:] if line.strip())
    words = [word for word in argv if not word.startswith("-")][:4]
    return LabError(f"exited {code}: {tail or 'no output'}", where=" ".join(words))


def as_root(argv: Sequence[str]) -> list[str]:
    """Return `argv`, behind sudo where this process is not root."""
    return list(argv) if os.geteuid() == 0 else ["sudo", *argv]


@contextmanager
def step(say: Say, what: str) -> Iterator[None]:
    """Announce a step that takes longer than two seconds, and say in the end how long it took."""
    timer = threading.Timer(PATIENCE, say, [f"lab: {what} …"])
    timer.daemon = True
    timer.start()
    began = time.monotonic()
    try:
        yield
    finally:
        timer.cancel()
    took = time.monotonic() - began
    if took > PATIENCE:
        say(f"lab: {what}: {took:.0f} s")
