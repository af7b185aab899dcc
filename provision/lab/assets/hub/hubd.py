# ruff: noqa: INP001  runs alone, in the hub's container or by hand
"""A model hub over one folder, as ModelScope and as Hugging Face, with faults on demand.

The folder holds `models/<owner>/<name>.json` (written by `provision/lab/repository.py`),
`blobs/<sha256>`, `faults.json`, and what this program writes: `access.log`, `faults-used.json`.
While it holds a file `down`, every connection is refused. Blobs that several hubs share may
lie in other folders (`--blobs`).
"""

from __future__ import annotations

import argparse
import http.server
import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit

# Both lie beside this program, wherever it is copied to; mypy checks them by themselves.
from faults import Faults  # type: ignore[import-not-found]
from routes import (  # type: ignore[import-not-found]
    BRANCH,
    STATUSES,
    HuggingFace,
    Json,
    Models,
    ModelScope,
    Refusal,
    Reply,
    file_reply,
    form,
    json_reply,
    narrowed,
    refused,
)

CHUNK = 1 << 20  # bytes
TICK = 0.05  # seconds between two looks at whether to be down
TCP_INFO_ACKED = slice(120, 128)  # tcpi_bytes_acked in Linux's struct tcp_info
# Where a hub's models begin; what begins nowhere else may be a file of Hugging Face's.
PREFIXES = {
    "api/v1/models": "modelscope",
    "openapi/v1/models": "openapi",
    "api/models": "huggingface",
    "models": "modelscope",
}


class Hub:
    """A folder of models, its faults and its access log."""

    def __init__(self, folder: Path, blobs: list[Path]) -> None:
        self.models = Models(folder / "models", [folder / "blobs", *blobs])
        self.faults = Faults(folder)
        self.access_log, self.lock = folder / "access.log", threading.Lock()

    def log(self, entry: Json) -> None:
        """Append one line to the access log, which others may empty at any time."""
        with self.lock, self.access_log.open("a") as log:
            log.write(json.dumps(entry) + "\n")


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection: asks the routes, applies the faults, writes the log."""

    protocol_version = "HTTP/1.1"
    timeout = 120  # seconds, of silence on a kept connection
    disable_nagle_algorithm = True  # an answer's last byte leaves by itself
    hub: Hub
    written = 0  # bytes that this connection was given, headers with them

    def do_GET(self) -> None:
        """Answer a request of any kind."""
        self.began, url = time.time(), urlsplit(self.path)
        self.sent = self.status = self.start = 0
        self.model_file, self.logged = "", False
        try:
            reply = self._reply(url.path, parse_qs(url.query, keep_blank_values=True))
            self._send(reply, self._faults(url.path))
        except OSError:
            self.close_connection = True  # the client went away
            self.sent = max(0, self.sent - self._unacknowledged())
        self._log()

    def _log(self, coming: int = 0) -> None:
        """Write this request's line, once, so early that who has the whole answer finds it."""
        if self.logged:
            return
        self.logged = True
        self.hub.log(
            {
                "time": round(self.began, 3),
                "seconds": round(time.time() - self.began, 3),
                "client": self.client_address[0],
                "method": self.command,
                "path": self.path,
                "file": self.model_file,
                "status": self.status,
                "start": self.start,
                "sent": self.sent + coming,
                "agent": self.headers.get("User-Agent", ""),
            }
        )

    do_HEAD = do_POST = do_GET  # noqa: N815  the names that http.server calls

    def _reply(self, path: str, query: dict[str, list[str]]) -> Reply:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            for fault in self._faults(path):
                kind = str(fault["kind"])
                if kind.isdigit() and self.hub.faults.use(fault):
                    raise self._fault_refusal(int(kind), fault)
            first = {key: values[0] for key, values in query.items()}
            return self._route(*self._target(unquote(path)), first, body)
        except Refusal as refusal:
            return refused(refusal, hugging_face=not path.startswith("/api/v1/"))

    def _fault_refusal(self, status: int, fault: Json) -> Refusal:
        kind = "file" if status == HTTPStatus.NOT_FOUND and self.model_file else STATUSES[status]
        wait = {"Retry-After": str(fault.get("retry_after", 1))} if status in {429, 503} else {}
        return Refusal(status, kind, wait)

    def _target(self, path: str) -> tuple[str, str, str]:
        """Return which hub, which model and which of its routes a path stands for."""
        parts = path.strip("/").split("/")
        for prefix, hub in PREFIXES.items():
            depth = prefix.count("/") + 1
            if "/".join(parts[:depth]) == prefix and len(parts) >= depth + 2:
                return hub, "/".join(parts[depth : depth + 2]), "/".join(parts[depth + 2 :])
        return "", "/".join(parts[:2]), "/".join(parts[2:])

    def _route(self, hub: str, name: str, route: str, query: dict[str, str], body: bytes) -> Reply:
        model = self.hub.models.read(name)
        self._require_token(model)
        kind, _, rest = route.partition("/")
        if kind == "resolve":
            default = BRANCH if hub == "modelscope" else "main"
            revision, _, path = rest.partition("/")
            return self._file(file_reply(self.hub.models, model, revision, default, path))
        if hub == "modelscope":
            return self._file(ModelScope.answer(self.hub.models, model, name, route, query))
        if hub == "openapi":
            return json_reply({"success": True, "data": {"id": name}})
        if hub == "huggingface":
            return HuggingFace.answer(model, name, route, query, form(body))
        raise Refusal(404, "route")

    def _file(self, reply: Reply) -> Reply:
        return reply if reply.file is None else narrowed(reply, self.headers.get("Range"))

    def _require_token(self, model: Json) -> None:
        """Refuse a request for a restricted model: both clients send a bearer, one a cookie too."""
        bearer = (self.headers.get("Authorization") or "").removeprefix("Bearer ").strip()
        cookie = (self.headers.get("Cookie") or "").partition("m_session_id=")[2].partition(";")[0]
        given = bearer or cookie
        if model["token"] and given != model["token"]:
            raise Refusal(403, "access") if given else Refusal(401, "token")

    def _faults(self, path: str) -> list[Json]:
        """Return the faults of this request, which goes by its path and by its file's names."""
        hub, name, route = self._target(unquote(path))
        file = ""
        if route.startswith("resolve/"):
            file = route.split("/", 2)[2]
        elif hub == "modelscope" and route == "repo":
            file = parse_qs(urlsplit(self.path).query).get("FilePath", [""])[0]
        self.model_file = f"{name}/{file}" if file else ""
        names = (unquote(path), file, self.model_file) if file else (unquote(path),)
        found: list[Json] = self.hub.faults.matching(names)
        return found

    def _send(self, reply: Reply, faults: list[Json]) -> None:
        self.status, self.start = reply.status, reply.start
        self.send_response(reply.status)
        length = reply.length if reply.file else len(reply.body)
        for name, value in {**reply.headers, "Content-Length": str(length)}.items():
            self.send_header(name, value)
        if self.command == "HEAD" or not length:
            self._log()
        self.end_headers()
        if self.command == "HEAD":
            return
        if reply.file is None:
            self._push(memoryview(reply.body), last=True)
            return
        with reply.file.open("rb") as content:
            content.seek(reply.start)
            self._stream(content, reply, {fault["kind"]: fault for fault in reversed(faults)})

    def _stream(self, content: BinaryIO, reply: Reply, faults: dict[str, Json]) -> None:
        """Send a file's content, as slowly, as wrongly and as far as the faults say."""
        here = self.hub.faults
        limit = here.end_of(faults.get("cut"), reply.length)
        size = Path(content.name).stat().st_size
        wrong = here.spoiled(faults.get("corrupt"), size, reply.start, reply.length)
        rate = faults["slow"].get("rate", CHUNK) if "slow" in faults else 0
        piece = max(1, min(CHUNK, rate // 10)) if rate else CHUNK
        began, position = time.monotonic(), 0
        while position < limit:
            block = bytearray(content.read(min(piece, limit - position)))
            if position <= wrong < position + len(block):
                block[wrong - position] ^= 0xFF
            position += len(block)
            if rate:
                time.sleep(max(0.0, began + position / rate - time.monotonic()))
            self._push(memoryview(block), last=position == reply.length)
        if limit < reply.length:
            self._log()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_WR)  # what was sent still arrives

    def _push(self, block: memoryview, *, last: bool) -> None:
        """Send a piece of the body; the last byte of all leaves when the log has its line."""
        if last:
            self._push(block[:-1], last=False)
            self._log(coming=1)
            block = block[-1:]
        while block:
            count = self.connection.send(block)
            self.sent += count
            self.written += count
            block = block[count:]

    def flush_headers(self) -> None:
        """Send the headers, counting them as what this connection was given."""
        self.written += sum(map(len, getattr(self, "_headers_buffer", [])))
        super().flush_headers()

    def _unacknowledged(self) -> int:
        """Return how many bytes this machine took that the client's machine never received."""
        info = self.connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        return max(0, self.written - int.from_bytes(info[TCP_INFO_ACKED], "little"))

    def log_message(self, *_: object) -> None:
        """Say nothing more than the access log does."""


class Server(http.server.ThreadingHTTPServer):
    """One port, a thread a connection."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, Handler)
        self.connections: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember a connection for as long as it lasts."""
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget a connection that ends."""
        self.connections.discard(request)
        super().shutdown_request(request)

    def serve_while(self, wanted: Callable[[], bool]) -> None:
        """Serve for as long as wanted, then refuse connections and hang up on those there are."""
        threading.Thread(target=self.serve_forever, args=(TICK,), daemon=True).start()
        while wanted():
            time.sleep(TICK)
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: object) -> None:
        """Let a client that goes away go."""


def main() -> None:
    """Serve until killed, saying the port first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--blobs", type=Path, action="append", default=[])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    Handler.hub = Hub(given.folder, given.blobs)
    address, down = (given.host, given.port), given.folder / "down"
    while True:
        server = Server(address)
        address = server.server_address[:2]
        print(address[1], flush=True)  # noqa: T201  port 0 means any: whoever asked needs it
        server.serve_while(lambda: not down.exists())
        while down.exists():
            time.sleep(TICK)


if __name__ == "__main__":
    main()
