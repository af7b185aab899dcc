"""One SSH channel: a script goes in, its output comes back in bounded amounts and in time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from shlex import quote
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
    waits: bool = False
    """Whether its shell waits for another script."""


class _Stream:
    """What one stream of a script has said so far."""

    def __init__(self, word: str) -> None:
        """Know the word at the script's end."""
        self.said = bytearray()
        self._mark = re.compile(rb"(?:\A|\n)%s (\d{1,3})\n" % word.encode())
        self._longest = len(word) + 7
        self._looked = 0

    def mark(self) -> re.Match[bytes] | None:
        """Return the mark, once it has come; what a left process says after it is nobody's."""
        start = max(0, self._looked - self._longest)
        found = self._mark.search(self.said, start)
        if found is None:
            self._looked = len(self.said)
        return found


def send(channel: paramiko.Channel, script: str, word: str) -> None:
    """Send a script to a shell that waits for more; `word` stands at its end on both streams.

    It has a subshell of its own, of which nothing is left for the next one.
    """
    mark = f"printf '\\n{word} %d\\n' \"$provision_status\""
    text = f"(\n{script}\n)\nprovision_status=$?\n{mark} >&2\n{mark}\n"
    channel.settimeout(CHANNEL_TIMEOUT)
    try:
        channel.sendall(text.encode("utf-8", "surrogateescape"))
    except OSError:  # the other side ended early: what it said about that is worth more
        with suppress(OSError):
            channel.shutdown_write()


def process(script: str, environment: Mapping[str, str]) -> str:
    """Return sh that runs a script in a process of its own, with the environment for all it starts.

    The script is in no argument and no file of the host, where others might read it. Whoever it leaves
    with its stdout is waited for: they would speak into what is asked next.
    """
    words = "".join(f"{name}={quote(value)} " for name, value in environment.items())
    alone = f"printf '%s\\n' {quote(script)} | {words}sh -s 2>&5 3>&- 4>&- 5>&-"
    # bash says of a process that was killed which command it was: all of the script
    watched = f"{{ {alone}; echo $? >&3; }} 5>&2 2>/dev/null | cat >&4 3>&-"
    return f'{{ provision_ended=$({{ {watched}; }} 3>&1); }} 4>&1\nexit "$provision_ended"'


def read(
    channel: paramiko.Channel,
    deadline: float,
    word: str,
    on_line: Callable[[str], object] | None = None,
) -> Result:
    """Read both streams as they come, until `send` has marked the script's end on them.

    One that is left alone would block the other. `on_line` gets each line that is not empty; one that
    it calls settled (true) is not kept: progress of days is no answer.
    """
    out, err, rest = _Stream(word), _Stream(word), b""
    for chunk, is_error in _chunks(channel, deadline, (out, err)):
        if is_error or on_line is None:
            (err if is_error else out).said.extend(chunk)
        else:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                text = line[-_LONGEST_LINE:].decode("utf-8", "replace")
                if not text or text.startswith(word) or not on_line(text):
                    out.said.extend(line + b"\n")
        if len(out.said) + len(err.said) + len(rest) > _MOST_BYTES:
            raise paramiko.SSHException(f"more than {_MOST_BYTES >> 20} MiB of output")
    end, last = out.mark(), err.mark()
    if end and last:
        texts = _text(out.said[: end.start()]), _text(err.said[: last.start()])
        return Result(int(end[1]), *texts, waits=True)
    # a host may close its output and say nothing of the end
    if not channel.status_event.wait(max(0.0, deadline - time.monotonic())):
        raise TimeoutError("the command did not end in time")
    return Result(channel.recv_exit_status(), _text(out.said + rest), _text(err.said))


def _chunks(
    channel: paramiko.Channel, deadline: float, streams: tuple[_Stream, _Stream]
) -> Iterator[tuple[bytes, bool]]:
    """Yield what arrives, with whether it is of stderr, until both have the mark or have ended."""
    out, err = streams
    channel.settimeout(_GLANCE)
    while not out.mark():
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
    while not err.mark():
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


def why_not_begun(channel: paramiko.Channel) -> str:
    """Say why a channel has ended on which nothing was begun."""
    alive = channel.get_transport().is_active()
    return "the host starts no process for us" if alive else "the connection was lost"


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
                ready = self._channel.event_ready
                raise EOFError("the script has ended" if ready else why_not_begun(self._channel))
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
