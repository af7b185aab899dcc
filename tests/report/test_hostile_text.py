"""Text of hosts on its way to a terminal: whatever stands in it, it steers nothing there."""

from __future__ import annotations

import io
import json
import re
import sys
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.live import Live
from rich.table import Table
from rich.text import Text

from provision import secret
from provision.facts import GPU, OS, Facts
from provision.fleet import Visit
from provision.host.apply import Outcome
from provision.host.connection import Connection
from provision.inventory.schema import Host
from provision.report.console import SafeConsole, consoles
from provision.report.facts import print_facts
from provision.report.machine import write_json
from provision.report.outcome import print_outcomes
from provision.report.plan import print_plan
from provision.report.progress import Progress
from provision.report.visible import say_on_stderr, visible, visible_block, visible_json
from provision.state.plan import HostPlan, RolePlan, Row

OBEYED: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""What a terminal, or the eye of its reader, obeys; new lines and tabs are how a block is shown."""
ATTACKS: Final = (
    "\x1b[2J\x1b[H\x1b]0;owned\x07",
    "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "\x1b]52;c;cm0gLXJmIH4=\x07",
    "\x9b31m\x90q\x9c",
    "\u202egnp.exe\u202c\u2066x\u2069\u200f\u061c",
    "10%\r100% done\b\b\b",
    "[red]no markup[/] [link=http://evil.example]x[/link] [/] :warning:",
    "half \udcff and \ud83d a pair",
    "line\u2028line\x85line\x0bline\x0cline",
    "\x00\x7f\ufffe\ue000",
)
text = st.one_of(st.sampled_from(ATTACKS), st.text(st.characters(exclude_categories=())))


def _console(*, terminal: bool = False) -> SafeConsole:
    about: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
    return SafeConsole(file=io.StringIO(), width=100, force_terminal=terminal, **about)


def _printed(console: SafeConsole) -> str:
    file: Any = console.file
    return str(file.getvalue())


@settings(deadline=None)
@given(text)
def test_what_is_shown_steers_nothing_and_can_be_encoded(said: str) -> None:
    """Of one line, of a block and of JSON; what was shown already is shown as it is."""
    for shown in (visible(said), visible_block(said), visible_json(json.dumps(said))):
        assert not OBEYED.search(shown)
        assert shown.encode("utf-8") is not None
    assert not {"\n", "\t"} & set(visible(said))
    assert visible_block(visible_block(said)) == visible_block(said)


@settings(deadline=None)
@given(text)
def test_json_says_what_was_said(said: str) -> None:
    """Escapes are JSON's own: a program reads the very text, also keys, with both ways to write it."""
    document = visible_json(json.dumps({said: [said]}, ensure_ascii=False))
    read = json.loads(document)
    assert json.dumps(read) == json.dumps({said: [said]})


@given(st.text(st.sampled_from("aé中\n\t →😀[]{}\\'\"")))
def test_honest_text_is_left_as_it_is(said: str) -> None:
    """Letters of all languages, signs, new lines and tabs."""
    assert visible_block(said) == said


@pytest.mark.parametrize("terminal", [False, True])
@settings(deadline=None)
@given(text)
def test_rich_draws_nothing_of_its_own_from_a_text(terminal: bool, said: str) -> None:  # noqa: FBT001
    """As a string, as a text, in a table, in a live display: only rich's own colours steer."""
    console = _console(terminal=terminal)
    table = Table(said, box=None)
    table.add_row(said)
    for each in (said, Text(said), table):
        console.print(each, soft_wrap=True)
    with Live(table, console=console, auto_refresh=False):
        pass
    own = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", _printed(console)).replace("\r", "")
    assert not OBEYED.search(own)
    if not terminal:
        assert "\x1b" not in _printed(console)


@pytest.mark.parametrize("said", ATTACKS)
def test_no_report_lets_a_host_steer(said: str) -> None:
    """Errors, diffs, values, notes, fears, commands, facts, steps and results of a hostile host."""
    host, console = Host(name="gpu01"), _console()
    row = Row(
        id="file:/a", role="docker", verdict="change", action="update", note=said,
        before={"content": f"{said}\n{said}", "mode": said}, after={"content": "a\n", "mode": "0644"},
        fears=(said,),
    )  # fmt: skip
    plan = HostPlan(host="gpu01", roles=(RolePlan(role="r", rows=(row,), steps=(), notices=()),))
    facts = Facts(
        os=OS(id=said, version=said), gpus=(GPU(index=0, uuid="", name=said),), toolkit=said
    )
    visits = [
        Visit(host, Connection(host), plan=plan, facts=facts),
        Visit(host, Connection(host), error=f"gpu01: {said}"),
    ]
    print_plan(console, visits, commands=True)
    print_facts(console, visits)
    print_outcomes(console, visits, [Outcome(host="gpu01", error=said)])
    progress = Progress(console, "plan", 1)
    progress.step("gpu01", said, said)
    progress.note(said)
    console.print(progress)
    assert not OBEYED.search(_printed(console))
    assert _printed(console).count("owned") == _printed(console).count(r"\x1b]0;owned")


@pytest.mark.parametrize("said", ATTACKS)
@pytest.mark.parametrize("encoding", ["utf-8", "gbk", "ascii"])
def test_stdout_stderr_and_json_take_every_text(
    said: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No character stops a report half-way, whatever the locale; JSON stays JSON."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    write_json({"error": said})
    sys.stdout.flush()
    document = streams[0].buffer.getvalue()  # type: ignore[attr-defined]
    assert json.dumps(json.loads(document)["error"]) == json.dumps(said)
    stdout, stderr = consoles()
    stdout.print(f"{said} → 😀")
    stderr.print(f"{said} → 😀")
    say_on_stderr(f"{said} → 😀\n")


def test_a_diff_of_a_host_that_answers_without_end_is_made_in_bounded_time() -> None:
    """What is compared and what is shown of a line is bounded: the host chooses one of the sides."""
    console = _console()
    before = "\n".join(f"{number % 7}" for number in range(200_000)) + "x" * 1_000_000
    after = "\n".join(f"{number % 5}" for number in range(10_000))
    row = Row(
        id="file:/a", role="r", verdict="change", action="update",
        before={"content": before, "mode": "y" * 1_000_000}, after={"content": after, "mode": "0644"},
    )  # fmt: skip
    plan = HostPlan(host="gpu01", roles=(RolePlan(role="r", rows=(row,), steps=(), notices=()),))
    print_plan(console, [Visit(Host(name="gpu01"), Connection(Host(name="gpu01")), plan=plan)])
    assert len(_printed(console)) < 60_000


def test_no_console_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a report forgot to mask it: in a line, and in a cell."""
    monkeypatch.setattr(secret, "_revealed", {"hunter22"})
    console, table = _console(), Table("hunter22")
    table.add_row(Text("is hunter22"))
    console.print("said hunter22", table, soft_wrap=True)
    assert "hunter22" not in _printed(console)
    assert _printed(console).count(secret.MASK) == 3
