"""Validation as an operator and as a program read it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from provision.report.validation import print_validation, validation_document
from provision.secret import Secret
from provision.serving.answer import BEFORE, Answer

CHAT: dict[str, Any] = {"service": "chat", "host": "gpu01", "seconds": 0.25}
SOUND = Answer(check="health", verdict="ok", what="/health answers 200", **CHAT)
WEAK = Answer(
    check="tools",
    verdict="warn",
    what="answers '[bold]no' instead of calling get_weather",
    remedy="Models may decline.",
    concern="quality",
    **CHAT,
)
WRONG = Answer(
    check="chat",
    verdict="fail",
    what="HTTP 500 from /v1/chat/completions",
    remedy="Look at its log.",
    **{**CHAT, "view": "controller", "seconds": 12},
)


def printed(*answers: Answer) -> list[str]:
    """Return what is printed, line by line."""
    stream = io.StringIO()
    print_validation(Console(file=stream, width=120, highlight=False), answers)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_each_check_is_one_row_and_each_remedy_one_line() -> None:
    """What others wrote is shown as it is, never read as markup."""
    assert printed(SOUND, WEAK) == [
        "host   service  check   verdict  answer                                             seconds",
        "gpu01  chat     health  ok       /health answers 200                                    0.2",
        "gpu01  chat     tools   warn     answers '[bold]no' instead of calling get_weather      0.2",
        "gpu01: chat: tools: Models may decline.",
        "1 service: 1 ok, 1 warning, 0 failed",
    ]


def test_two_views_are_told_apart() -> None:
    """Where the calls came from is a column only where it says something."""
    lines = printed(SOUND, WRONG)
    assert lines[0].startswith("host   service  seen from   check ")
    assert lines[1].startswith("gpu01  chat     host        health")
    assert lines[2].startswith("gpu01  chat     controller  chat ")
    assert lines[2].endswith("12.0")


def test_a_note_is_a_line_of_its_own_and_no_row() -> None:
    """A deploy behind a firewall reads as well as any other, and still says what was not seen."""
    what = "not seen from the controller: no connection to 10.0.0.11:1281: timed out"
    note = SOUND.model_copy(update={"verdict": "note", "view": "controller", "what": what})
    assert printed(SOUND, note) == [
        "host   service  check   verdict  answer               seconds",
        "gpu01  chat     health  ok       /health answers 200      0.2",
        f"gpu01: chat: {what}",
        "1 service: 1 ok, 0 warnings, 0 failed; 1 not seen from the controller",
    ]


def test_nothing_validated_is_said() -> None:
    """An empty table says nothing."""
    assert printed() == ["0 services: 0 ok, 0 warnings, 0 failed"]


def test_a_secret_that_an_engine_repeats_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines quote what they refuse."""
    monkeypatch.setenv("PROVISION_TEST_KEY", "sk-very-secret")
    Secret("env:PROVISION_TEST_KEY").reveal()
    told = SOUND.model_copy(update={"what": "no key sk-very-secret", "remedy": "sk-very-secret?"})
    assert not any("sk-very-secret" in line for line in printed(told))


def test_the_document_has_every_answer_by_host_and_service() -> None:
    """A program finds a service's answers where it looks for the service."""
    other = WEAK.model_copy(update={"host": "gpu02"})
    document = validation_document([SOUND, WEAK, other])
    assert list(document["hosts"]) == ["gpu01", "gpu02"]
    rows = document["hosts"]["gpu01"]["services"]["chat"]
    assert rows[0] == {
        "check": "health",
        "release": "",
        "verdict": "ok",
        "what": "/health answers 200",
        "remedy": "",
        "seconds": 0.25,
        "concern": "protocol",
        "view": "host",
    }
    assert [row["check"] for row in rows] == ["health", "tools"]


def test_an_answer_reads_as_one_line() -> None:
    """Host, service and check, what is wrong, what to do."""
    assert str(WRONG) == ("gpu01: chat: chat: HTTP 500 from /v1/chat/completions. Look at its log.")


def test_the_release_is_named_where_two_answered() -> None:
    """After a roll back one sees which of the answers were the old release's."""
    new = SOUND.model_copy(update={"release": "ab12"})
    old = SOUND.model_copy(update={"release": BEFORE})
    head, first, second, *_ = printed(new, old)
    assert head.startswith("host   service  release  check")
    assert (first.split()[2], second.split()[2]) == ("new", "before")
    assert "release" not in printed(new)[0]


def test_a_remedy_is_told_once() -> None:
    """What both releases are told is one line."""
    lines = printed(WEAK, WEAK)
    assert sum(line.startswith(f"{WEAK.host}: {WEAK.service}:") for line in lines) == 1
