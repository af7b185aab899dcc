"""One HTTP exchange over a connection that is there already, limited in time and size."""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from typing import Any, Final, NamedTuple, Protocol

MOST_BYTES: Final = 4 << 20
"""Of an answer, header and all: 7 embeddings of 8192 numbers are 1.2 MB."""
_CHUNK: Final = 1 << 16  # bytes


class Limits(NamedTuple):
    """How long to wait, in seconds."""

    connect: float = 10
    quick: float = 15
    """For the whole of an answer that the model has no part in."""
    first_byte: float = 120
    """Between any two bytes of one that it has."""
    whole: float = 180
    together: float = math.inf
    """For all answers that it has, one after the other."""


class Request(NamedTuple):
    """What is sent."""

    method: str
    path: str
    body: Any = None
    """Sent as JSON; `None` is no body."""
    more: Mapping[str, str] = {}
    """Further headers."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def data(self) -> bytes | None:
        """Return the body as it is sent."""
        return None if self.body is None else json.dumps(self.body, ensure_ascii=False).encode()

    def headers(self) -> dict[str, str]:
        """Return all headers but Host and Content-Length."""
        kind = {} if self.body is None else {"Content-Type": "application/json"}
        return {"Connection": "close", **kind, **self.more}


class Reply(NamedTuple):
    """What came back."""

    status: int
    body: bytes
    cut: bool = False
    """It ended before its end."""

    @property
    def text(self) -> str:
        """Return the body as text."""
        return self.body.decode("utf-8", "replace")


class NoAnswerError(Exception):
    """Nothing came back that can be read as an answer; the text says to what, and why."""

    def __init__(self, what: str, *, timed_out: bool = False) -> None:
        super().__init__(what)
        self.timed_out = timed_out


class NoTimeError(NoAnswerError):
    """The service answered, but not all that was asked in the time for all questions together."""


class Pipe(Protocol):
    """What a socket and an SSH channel have in common."""

    def settimeout(self, timeout: float, /) -> None:
        """Set how long the next call may take, in seconds."""

    def recv(self, size: int, /) -> bytes:
        """Return what has arrived, at most `size` bytes; none: the other side has ended."""

    def sendall(self, data: bytes, /) -> object:
        """Send everything."""

    def close(self) -> None:
        """Close."""


def exchange(pipe: Pipe, request: Request, limits: Limits) -> Reply:
    """Send a request and return its answer; raise `NoAnswerError`; the pipe is closed after it."""
    wire = _Wire(pipe, limits.first_byte, limits.whole)
    client = HTTPConnection("127.0.0.1")
    client.sock = wire
    try:
        client.request(request.method, request.path, request.data(), request.headers())
        return _read(client.getresponse())
    except TimeoutError as error:
        raise NoAnswerError(f"{request}: {wire.silence()}", timed_out=True) from error
    except (HTTPException, OSError, ValueError) as error:
        raise NoAnswerError(f"{request}: {wire.failure(error)}") from error
    finally:
        pipe.close()


def _read(response: HTTPResponse) -> Reply:
    """Read to the end; what was said before a break counts, for it shows where it broke."""
    body = bytearray()
    try:
        while chunk := response.read(_CHUNK):
            body += chunk
    except IncompleteRead as error:
        return Reply(response.status, bytes(body + error.partial), cut=True)
    except ConnectionError:
        return Reply(response.status, bytes(body), cut=True)
    cut = bool(response.length)  # fewer bytes than were promised
    return Reply(response.status, bytes(body), cut=cut)


class _TooMuchError(OSError):
    """More bytes than any answer has."""


class _Wire(io.RawIOBase):
    """A pipe as http.client reads it: it looks at the clock and counts bytes at every step."""

    def __init__(self, pipe: Pipe, idle: float, whole: float) -> None:
        super().__init__()
        self._pipe, self._idle, self._whole = pipe, idle, whole
        self._deadline = time.monotonic() + whole
        self._received = 0

    def sendall(self, data: bytes) -> None:
        self._wait()
        self._pipe.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self, _CHUNK)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._wait()
        chunk = self._pipe.recv(len(memoryview(buffer)))
        self._received += len(chunk)
        if self._received > MOST_BYTES:
            raise _TooMuchError
        memoryview(buffer)[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        """Stay open: http.client closes its socket while the answer is still to be read."""

    def silence(self) -> str:
        """Return what to say when time is up."""
        if not self._received:
            return f"no byte of an answer in {min(self._idle, self._whole):g} s"
        if time.monotonic() >= self._deadline:
            return f"the answer did not end in {self._whole:g} s"
        return f"the answer began, then nothing came for {self._idle:g} s"

    def failure(self, error: Exception) -> str:
        """Return what to say when there is no answer to read."""
        if isinstance(error, _TooMuchError):
            return f"the answer is longer than {MOST_BYTES >> 20} MiB"
        if isinstance(error, ConnectionError) or not self._received:
            return "the connection was closed without an answer"
        return "what came back is not HTTP"

    def _wait(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._pipe.settimeout(min(left, self._idle))
