"""The server of stand-in engines, with the standard library alone: containers of the lab run it too."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class StandIn(ThreadingHTTPServer):
    """Answers as it is told, the first fitting answer of the list, and keeps what it was asked."""

    daemon_threads = True

    def __init__(
        self,
        answers: Sequence[Mapping[str, Any]],
        key: str = "",
        *,
        address: tuple[str, int] = ("127.0.0.1", 0),
        hang: float = 30,
    ) -> None:
        super().__init__(address, _Handler)
        self.answers = answers
        self.key = key
        self.hang = hang  # seconds until it hangs up where an answer hangs or stalls
        self.asked: list[tuple[str, Any]] = []
        self.over = threading.Event()

    @property
    def port(self) -> int:
        """Return the port at which it answers."""
        return int(self.server_address[1])

    def handle_error(self, *_: Any) -> None:
        """Say nothing of clients that went away."""


@contextlib.contextmanager
def running(answers: Sequence[Mapping[str, Any]], key: str = "") -> Iterator[StandIn]:
    """Run a stand-in as long as the block lasts; with a key it guards /v1 as vLLM does."""
    server = StandIn(answers, key)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StandIn

    def do_GET(self) -> None:
        self._answer("")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append((self.path, json.loads(body)))
        self._answer(body)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def _answer(self, body: str) -> None:
        given = self.headers.get("Authorization")
        if self.server.key and self.path.startswith("/v1") and given != f"Bearer {self.server.key}":
            self._send(401, b'{"error":"Unauthorized"}')
            return
        name = f"{self.command} {self.path}"
        for answer in self.server.answers:
            if answer["request"] == name and all(part in body for part in answer.get("holds", ())):
                self._give(answer)
                return
        self._send(404, b'{"detail":"Not Found"}')

    def _give(self, answer: Mapping[str, Any]) -> None:
        does = answer.get("does")
        if does == "hang":
            self.server.over.wait(self.server.hang)
        elif does == "close":
            self.close_connection = True
        elif does == "noise":
            self.wfile.write(b"\x00\x01 this is no HTTP\r\n\r\n")
            self.close_connection = True
        elif does == "flood":
            self._flood()
        elif "events" in answer:
            self._stream(answer["events"], does)
        else:
            text = answer["text"] if "text" in answer else json.dumps(answer.get("body", {}))
            self._send(answer.get("status", 200), text.encode(), cut=does == "cut")

    def _send(self, status: int, body: bytes, *, cut: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body) + (100 if cut else 0)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def _stream(self, events: Sequence[Any], does: str | None) -> None:
        """Send events as a stream in chunks; `cut` ends it early, `stall` says nothing more."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            text = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
            self._chunk(f"data: {text}\n\n".encode())
        if does == "stall":
            self.server.over.wait(self.server.hang)
        if does != "cut":
            self._chunk(b"")
        self.close_connection = True

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _flood(self) -> None:
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while not self.server.over.is_set():
                self.wfile.write(b" " * (1 << 16))
        self.close_connection = True
