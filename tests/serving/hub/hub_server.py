"""A small model hub in a thread, as ModelScope and as Hugging Face, that can be told to misbehave."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD: Final = "a" * 40
OLDER: Final = "b" * 40
MODEL: Final = "Qwen/Tiny"
FILES: Final = {
    ".gitattributes": b"*.bin lfs\n",
    "config.json": b"{}",
    "sub/notes.txt": b"notes",
    "tokenizer.json": b"[]",
    "model.safetensors": bytes(range(256)) * 400,
}
LFS: Final = ".safetensors"


@dataclass
class Answer:
    """What is said to one path instead of what a hub would say."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0  # seconds before it is said


@dataclass
class FakeHub:
    """One model on two hubs; `instead` maps a part of a path and query to another answer."""

    files: dict[str, bytes] = field(default_factory=lambda: dict(FILES))
    instead: dict[str, Answer] = field(default_factory=dict)
    entries: list[dict[str, Any]] | None = None  # what ModelScope lists, if not the files
    knows_commits: bool = True
    spoil: int = 0  # so many times the weights come wrong
    cut: int = 0  # so many times the weights stop half-way
    seen: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    url: str = ""

    def answer(self, handler: Handler) -> Answer:
        """Return the answer to one request."""
        url = urlsplit(handler.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.seen.append(f"{handler.command} {unquote(handler.path)}")
        self.tokens.add((handler.headers.get("Authorization") or "").removeprefix("Bearer "))
        for part, instead in self.instead.items():
            if part in unquote(handler.path):
                return instead
        path = unquote(url.path)
        if path.startswith(f"/api/v1/models/{MODEL}/"):
            return self._modelscope(path.rpartition(f"{MODEL}/")[2], query, handler)
        if path.startswith(f"/api/models/{MODEL}/"):
            return self._huggingface(path.rpartition(f"{MODEL}/")[2])
        if path.startswith(f"/{MODEL}/resolve/{HEAD}/"):
            return self._content(path.rpartition(f"{HEAD}/")[2], handler)
        return Answer(404, b'{"error": "not found"}')

    def _modelscope(self, route: str, query: dict[str, str], handler: Handler) -> Answer:
        revision = query.get("Revision", "")
        if route == "revisions":
            return _data({"RevisionMap": {"Branches": [{"Revision": "master"}], "Tags": []}})
        if revision not in ({"master", HEAD} if self.knows_commits else {"master"}):
            return _data({"Files": None})
        if route == "repo/files":
            return _data({"Files": self._entries() if self.entries is None else self.entries})
        return self._content(query["FilePath"], handler)

    def _entries(self) -> list[dict[str, Any]]:
        folder = {"Path": "sub", "Type": "tree", "Size": 0, "Sha256": "", "Revision": ""}
        return [folder] + [
            {
                "Path": path,
                "Type": "blob",
                "Size": len(body),
                "Sha256": hashlib.sha256(body).hexdigest(),
                "Revision": HEAD if path == "config.json" else OLDER,
                "CommittedDate": 1_700_000_000 + (path == "config.json"),
            }
            for path, body in self.files.items()
        ]

    def _huggingface(self, route: str) -> Answer:
        if route == "refs":
            return _json({"branches": [{"name": "main", "ref": "refs/heads/main", "targetCommit": HEAD}], "tags": [], "converts": []})  # fmt: skip
        if route == "revision/main":
            return _json({"id": MODEL, "sha": HEAD, "siblings": []})
        if route.startswith("revision/"):
            return Answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        if route == f"tree/{HEAD}":
            folder = {"type": "directory", "path": "sub", "oid": OLDER}
            return _json([folder, *(_tree_entry(path, body) for path, body in self.files.items())])
        return Answer(404, b"{}")

    def _content(self, path: str, handler: Handler) -> Answer:
        body = self.files[path]
        headers = {
            "ETag": f'"{_etag(path, body)}"',
            "X-Repo-Commit": HEAD,
            "Accept-Ranges": "bytes",
        }
        if handler.command == "GET" and path.endswith(LFS) and self.spoil:
            self.spoil -= 1
            body = body[:-1] + b"?"
        begin = int((handler.headers.get("Range") or "bytes=0-")[6:].partition("-")[0])
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{len(body) - 1}/{len(body)}"
        if handler.command == "GET" and path.endswith(LFS) and self.cut:
            self.cut -= 1
            headers["X-Cut"] = "yes"
        return Answer(206 if begin else 200, body[begin:], headers)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    hub: FakeHub

    def do_GET(self) -> None:
        """Answer any request."""
        answer = self.hub.answer(self)
        Event().wait(answer.delay)
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            cut = "X-Cut" in answer.headers
            self.wfile.write(answer.body[: len(answer.body) // 2] if cut else answer.body)
            self.close_connection = cut

    do_HEAD = do_GET  # noqa: N815  the name that http.server calls

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """One port, a thread a connection."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Let a client that goes away go, for stderr is what tests look at."""


def serving() -> Iterator[FakeHub]:
    """Run a hub until the test is over."""
    hub = FakeHub()
    handler = type("Bound", (Handler,), {"hub": hub})
    server = Server(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield hub
    server.shutdown()
    server.server_close()


def git_sha1(body: bytes) -> str:
    """Return git's id of a blob."""
    return hashlib.sha1(b"blob %d\0" % len(body) + body, usedforsecurity=False).hexdigest()


def _etag(path: str, body: bytes) -> str:
    return hashlib.sha256(body).hexdigest() if path.endswith(LFS) else git_sha1(body)


def _tree_entry(path: str, body: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(body), "oid": git_sha1(body)}
    if path.endswith(LFS):
        sha256 = hashlib.sha256(body).hexdigest()
        entry["lfs"] = {"oid": sha256, "size": len(body), "pointerSize": 134}
    return entry


def _data(data: object) -> Answer:
    return _json({"Code": 200, "Success": True, "Data": data})


def _json(value: object) -> Answer:
    return Answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})
