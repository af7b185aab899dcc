"""The wire: no wait without end, no read without bound, whatever the other side does."""

from __future__ import annotations

import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from provision.serving.validation.wire import (
    MOST_BYTES,
    Limits,
    NoAnswerError,
    Reply,
    Request,
    exchange,
)

sys.path.insert(0, str(Path(__file__).parent))
from stand_in import running

SHORT = Limits(connect=1, first_byte=0.3, whole=0.6)
ASK = Request("GET", "/health")


def said(*pieces: bytes, pause: float = 0, end: bool = True) -> Reply:
    """Return what is made of an answer that comes in pieces, with pauses, in seconds."""
    ours, theirs = socket.socketpair()

    def talk() -> None:
        try:
            for piece in pieces:
                theirs.sendall(piece)
                time.sleep(pause)
            if end:
                theirs.shutdown(socket.SHUT_WR)
        except OSError:
            return

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        return exchange(ours, ASK, SHORT)
    finally:
        thread.join(5)
        theirs.close()


HEAD = b"HTTP/1.1 200 OK\r\n"


def test_an_answer_comes_back_whole() -> None:
    """By its length, by chunks, or until the other side ends."""
    assert said(HEAD + b"Content-Length: 4\r\n\r\npong") == Reply(200, b"pong")
    assert said(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\npo\r\n", b"2\r\nng\r\n0\r\n\r\n"
    ) == (Reply(200, b"pong"))
    assert said(HEAD + b"\r\npo", b"ng") == Reply(200, b"pong")
    assert said(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n") == Reply(503, b"")


@pytest.mark.parametrize(
    "head", [b"Content-Length: 9\r\n\r\npong", b"Transfer-Encoding: chunked\r\n\r\n4\r\npong\r\n"]
)
def test_an_answer_that_breaks_off_is_known_as_one(head: bytes) -> None:
    """What came before the break is kept, for it shows where it broke."""
    assert said(HEAD + head) == Reply(200, b"pong", cut=True)


@pytest.mark.parametrize(
    ("pieces", "pause", "text"),
    [
        ((), 0.0, "GET /health: no byte of an answer in 0.3 s"),
        ((HEAD,), 0.0, "GET /health: the answer began, then nothing came for 0.3 s"),
        ((HEAD + b"Content-Length: 9\r\n\r\npo",), 0.0, "the answer began, then nothing"),
        ((HEAD + b"\r\n", *[b"x"] * 20), 0.1, "GET /health: the answer did not end in 0.6 s"),
        ((HEAD + b"X-A: ", *[b"x"] * 20), 0.1, "GET /health: the answer did not end in 0.6"),
        ((b"220 mail.example.org ESMTP\r\n",), 0.0, "GET /health: what came back is not HTTP"),
        ((HEAD + b"\r\n", b" " * (MOST_BYTES + 1)), 0.0, "the answer is longer than 4 MiB"),
    ],
)
def test_no_answer_is_told_by_how_it_failed(
    pieces: tuple[bytes, ...], pause: float, text: str
) -> None:
    """Silence, a stall, a trickle that never ends, another protocol, a flood: each has its words."""
    begun = time.monotonic()
    with pytest.raises(NoAnswerError) as error:
        said(*pieces, pause=pause, end=False)
    assert text in str(error.value)
    assert error.value.timed_out == (" HTTP" not in text and "MiB" not in text)
    assert time.monotonic() - begun < 4


def test_an_end_without_a_word_is_no_timeout() -> None:
    """The engine was reached, and went away."""
    with pytest.raises(NoAnswerError, match="closed without an answer") as error:
        said()
    assert not error.value.timed_out


def test_the_pipe_is_closed_after_every_exchange() -> None:
    """A channel that stays open counts against the server's limit."""
    with running([{"request": "GET /health", "text": ""}]) as server:
        pipe = socket.create_connection(("127.0.0.1", server.port))
        exchange(pipe, ASK, SHORT)
        assert pipe.fileno() == -1
    ours, theirs = socket.socketpair()
    theirs.close()
    with pytest.raises(NoAnswerError):
        exchange(ours, ASK, SHORT)
    assert ours.fileno() == -1
