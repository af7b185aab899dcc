"""One SSH channel: a script goes in, its output comes back in bounded amounts and in time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import paramiko

CHANNEL_TIMEOUT: Final = 30  # seconds until a host must accept what is sent to it
_MOST_BYTES: Final = 8 << 20  # an answer larger than this is no answer
_LONGEST_LINE: Final = 1 << 16  # bytes; of a longer one only the end is told
_CHUNK: Final = 1 << 16  # bytes
_GLANCE: Final = 0.5  # seconds between looks at stderr while stdout is silent


class Result(NamedTuple):
    """What a script left: exit status and text, undecodable bytes kept as surrogates."""

    status: int
    stdout: str
    stderr: str


def send(channel: paramiko.Channel, script: str) -> None:
    """Send a script and nothing after it."""
    channel.settimeout(CHANNEL_TIMEOUT)
    try:
        channel.sendall(script.encode("utf-8", "surrogateescape"))
        channel.shutdown_write()
    except OSError:
        return  # the other side ended early: what it said about that is worth more


def read(
    channel: paramiko.Channel, deadline: float, on_line: Callable[[str], object] | None
) -> Result:
    """Read both streams as they come: one that is left alone would block the other.

    A line that `on_line` calls settled (true) is not kept: progress of days is no answer.
    """
    stdout, stderr, rest = bytearray(), bytearray(), b""
    for chunk, is_error in _chunks(channel, deadline):
        if is_error or on_line is None:
            (stderr if is_error else stdout).extend(chunk)
        else:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if not on_line(line[-_LONGEST_LINE:].decode("utf-8", "replace")):
                    stdout.extend(line + b"\n")
        if len(stdout) + len(stderr) + len(rest) > _MOST_BYTES:
            raise paramiko.SSHException(f"more than {_MOST_BYTES >> 20} MiB of output")
    # a host may close its output and say nothing of the end
    if not channel.status_event.wait(max(0.0, deadline - time.monotonic())):
        raise TimeoutError("the command did not end in time")
    return Result(channel.recv_exit_status(), _text(stdout + rest), _text(stderr))


def _chunks(channel: paramiko.Channel, deadline: float) -> Iterator[tuple[bytes, bool]]:
    """Yield what arrives, with whether it is of stderr, until both streams have ended."""
    channel.settimeout(_GLANCE)
    while True:
        while channel.recv_stderr_ready():
            yield channel.recv_stderr(_CHUNK), True
        if time.monotonic() > deadline:
            raise TimeoutError("the command did not end in time")
        try:
            chunk = channel.recv(_CHUNK)
        except TimeoutError:
            continue
        if not chunk:
            break
        yield chunk, False
    while True:
        try:
            chunk = channel.recv_stderr(_CHUNK)
        except TimeoutError:
            if time.monotonic() > deadline:
                raise TimeoutError("the command did not end in time") from None
            continue
        if not chunk:
            return
        yield chunk, True


def _text(data: bytearray) -> str:
    return data.decode("utf-8", "surrogateescape")


class Dialogue:
    """A script that runs while we talk to it, line by line. One thread reads, any may send."""

    def __init__(self, channel: paramiko.Channel) -> None:
        """Talk over a channel on which a script was started."""
        self._channel = channel
        self._rest = b""

    def say(self, text: str) -> None:
        """Send text; `OSError` when nobody is there any more."""
        self._channel.settimeout(CHANNEL_TIMEOUT)
        self._channel.sendall(text.encode("utf-8", "surrogateescape"))

    def hear(self, timeout: float) -> str:
        """Return the next line within `timeout` seconds; `EOFError` when the script has ended.

        Whatever else is wrong with the connection is an `OSError`.
        """
        deadline = time.monotonic() + timeout
        while b"\n" not in self._rest:
            self._channel.settimeout(max(0.01, deadline - time.monotonic()))
            chunk = self._channel.recv(_CHUNK)
            if not chunk:
                raise EOFError("the script has ended")
            self._rest += chunk
            if len(self._rest) > _LONGEST_LINE:
                raise OSError("a line without an end")
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode("utf-8", "surrogateescape")

    def complaint(self) -> str:
        """Return what has arrived on stderr."""
        said = b""
        while self._channel.recv_stderr_ready() and len(said) < _LONGEST_LINE:
            said += self._channel.recv_stderr(_CHUNK)
        return said.decode("utf-8", "replace")

    def close(self) -> None:
        """End it: the script's stdin ends."""
        self._channel.close()
