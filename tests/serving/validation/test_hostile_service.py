"""Services that lie: no answer breaks a check, costs more than its limit, or leads us elsewhere."""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest

from provision import secret
from provision.serving.calls import _service as read_about
from provision.serving.validation.call import FromController
from provision.serving.validation.leaks import leaked
from provision.serving.validation.refusals import advice
from provision.serving.validation.validate import validate
from provision.serving.validation.wire import Reply

sys.path.insert(0, str(Path(__file__).parent))
from stand_in import VLLM, service

LARGE: Final = 1 << 20
EMBEDDED: Final = {"data": [{"index": index, "embedding": [5e-324]} for index in range(7)]}


class Says:
    """A service that gives one answer to everything."""

    host = "gpu01"
    view = "host"

    def __init__(self, body: bytes, status: int = 200) -> None:
        self.reply = Reply(status, body)

    def request(self, *_: Any, **__: Any) -> Reply:
        """Return it."""
        return self.reply


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("task", ["generate", "embed", "score"])
@pytest.mark.parametrize(
    "body",
    [
        b"[" * LARGE,
        b'{"a":' * 200_000,
        b'{"choices":[{"message":{"content":' + b"[" * 900 + b"]" * 900 + b"}}]}",
        b'{"data":[{"id":' + b"9" * 4000 + b"}]}",
        b'{"data":[{"id":' + b"9" * 5000 + b"}]}",
        b'{"results":[{"index":0,"relevance_score":1e999}]}',
        b"\x1b]0;x\x07" * (LARGE // 6),
        b"\xff" * LARGE,
        json.dumps(EMBEDDED).encode(),
        json.dumps({"data": [{"id": "x" * LARGE}]}).encode(),
        b"data: {}\n\n" * 300_000 + b"data: [DONE]\n\n",
        b'{"name":' * (LARGE // 8),
        b"model `" * (LARGE // 7),
    ],
    ids=lambda body: f"{body[:12]!r}…",
)
def test_an_answer_of_the_largest_size_is_a_short_verdict(
    body: bytes, task: str, status: int
) -> None:
    """Nested without end, without numbers that can be had, or of one word: a line each."""
    found = validate(service(1, task=task), VLLM, Says(body, status), max_model_len=9)  # type: ignore[arg-type]
    assert "fail" in {each.verdict for each in found}
    assert all(len(each.what) <= 500 for each in found)


@pytest.mark.parametrize(
    "piece", ['{"name":', '{ "name" :x"parameter', "model `", "[x(", "<tool_call>"]
)
def test_what_reads_words_in_an_answer_reads_a_bounded_part_of_it(piece: str) -> None:
    """1 MiB of the beginning of a mark: each place where it could begin is not tried to the end."""
    text = piece * (LARGE // len(piece))
    leaked(text)
    advice(text, 400)


class Redirects(BaseHTTPRequestHandler):
    """Leads everybody elsewhere, and remembers what was asked."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """Answer that it has moved."""
        self.asked.append(self.path)
        self.send_response(302)
        self.send_header("Location", self.path.partition("?")[2] or "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@pytest.mark.parametrize("to", ["/elsewhere", "file:///etc/passwd", "http://127.0.0.1:1/"])
def test_a_redirect_is_not_followed(to: str) -> None:
    """It is no answer of an engine, and what it names may be any machine that we can reach."""
    Redirects.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Redirects)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        call = FromController("gpu01", "127.0.0.1", server.server_port)
        reply = call.request("GET", f"/v1/models?{to}")
    finally:
        server.shutdown()
        server.server_close()
    assert (reply.status, Redirects.asked) == (302, [f"/v1/models?{to}"])


@pytest.mark.parametrize(
    "change",
    [
        {"port": 0},
        {"port": 1 << 40},
        {"port": -1},
        {"bind": "localhost"},
        {"bind": "../x"},
        {"key": ["a"]},
        {"key": {"a": 1}},
        {"name": None},
        {"arguments": []},
        {"more": 1},
    ],
    ids=str,
)
def test_what_a_host_tells_of_a_service_is_judged(change: dict[str, Any]) -> None:
    """A port that is none, an address that is a name, a key that is a list: refused, not used."""
    about = service(8000).model_dump(mode="json", exclude={"folder", "api_key"})
    read_about({**about, "key": ""}, "", "x.env")
    with pytest.raises((ValueError, TypeError, AttributeError)):
        read_about({**about, "key": "", **change}, "KEY='x'\n", "x.env")


def test_a_key_that_is_a_letter_blots_out_no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that tells `e` as its key masks no letter of what is said of the others."""
    monkeypatch.setattr(secret, "_revealed", set())
    about = service(8000).model_dump(mode="json", exclude={"folder", "api_key"})
    found = read_about({**about, "key": "KEY"}, "KEY='e'\n", "x.env")
    assert found.api_key is not None
    assert (found.api_key.reveal(), secret.redact("reset")) == ("e", "reset")
    read_about({**about, "key": "KEY"}, "KEY='sk-long-enough'\n", "x.env")
    assert "sk-long-enough" not in secret.redact("said sk-long-enough")
