"""Reports: what an operator and a program read, with nothing eaten and nothing shown too much."""

from __future__ import annotations

import io
import json
import sys
import threading
from typing import Any

import paramiko
import pytest
from rich.console import Console

from provision import secret as secret_module
from provision.facts import GPU, OS, Disk, Driver, Facts
from provision.finding import Finding
from provision.fleet import Visit
from provision.host.apply import Outcome, RowOutcome
from provision.host.connection import Connection
from provision.host.known_hosts import UnknownKeyError
from provision.inventory.schema import Host
from provision.report.console import consoles
from provision.report.facts import print_facts
from provision.report.keys import print_keys
from provision.report.machine import facts_document, outcome_document, plan_document, write_json
from provision.report.outcome import print_outcomes
from provision.report.plan import print_plan, summary
from provision.report.progress import Progress, progress
from provision.secret import MASK
from provision.state.plan import HostPlan, Notice, RolePlan, Row, Step
from provision.state.resource import Command, Handler
from provision.trust import HostKey

RESTART = Handler(
    resource="systemd_service:docker",
    verb="restart",
    command=Command(title="restart docker", script="systemctl restart docker"),
)


@pytest.fixture(autouse=True)
def revealed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Let every test begin without any secret read."""
    values: set[str] = set()
    monkeypatch.setattr(secret_module, "_revealed", values)
    return values


def _console(width: int = 200, *, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=width, highlight=False, force_terminal=terminal)


def _text(console: Console) -> str:
    file: Any = console.file
    return str(file.getvalue())


def _visit(name: str, *rows: Row, **more: Any) -> Visit:
    host = Host(name=name)
    steps = tuple(
        Step(ids=(row.id,), command=Command(title=f"write {row.id}", script="long", shown="short"))
        for row in rows
    )
    notices = (Notice(handler=RESTART, notified_by=("file:/a",), fears=("restarts Docker",)),)
    plan = HostPlan(
        host=name,
        roles=(RolePlan(role="docker", rows=rows, steps=steps, notices=notices if rows else ()),),
    )
    return Visit(host, Connection(host), **{"plan": plan, **more})


def _row(name: str = "file:/a", **more: Any) -> Row:
    values = {"verdict": "change", "action": "update", "before": {"mode": "0600"}}
    return Row(id=name, role="docker", **{**values, "after": {"mode": "0644"}, **more})


def _plan(*visits: Visit, commands: bool = False) -> str:
    console = _console()
    print_plan(console, visits, commands=commands)
    return _text(console)


# ---------------------------------------------------------------- the plan


def test_a_plan_reads_as_signs_values_handlers_and_a_sum() -> None:
    """One row a change, what differs beside it, restarts once, and one line in sum."""
    rows = (
        _row(),
        _row("package:b", action="create", before={}, after={"installed": True}),
        _row(
            "command:cdi",
            verdict="maybe",
            action="none",
            before={},
            after={},
            because=("package:b",),
        ),
        _row("package:old", action="remove", after={}, fears=("removes a package",)),
    )
    assert _plan(_visit("gpu01", *rows)).splitlines() == [
        "gpu01",
        "  docker",
        "    ~ file:/a   mode: 0600 → 0644",
        "    + package:b   installed: true",
        "    ? command:cdi   may change after package:b",
        "    - package:old",
        "      ! removes a package",
        "  then once: restart docker   after file:/a",
        "      ! restarts Docker",
        "",
        "1 host: 3 changes, 1 may change, 1 handler",
    ]


def test_hosts_with_the_same_plan_stand_together() -> None:
    """A fleet of equal hosts is one block; the one that differs has its own."""
    other = _visit("gpu03", _row(after={"mode": "0755"}))
    text = _plan(_visit("gpu01", _row()), _visit("gpu02", _row()), other, _visit("gpu04"))
    assert "gpu01, gpu02  (2 hosts)\n" in text
    assert text.count("~ file:/a") == 2
    assert "\ngpu03\n" in text
    assert "gpu04" not in text
    assert text.endswith("4 hosts: 3 changes, 3 handlers\n")


def test_nothing_to_do_is_one_line() -> None:
    """A converged fleet prints its sum and nothing else."""
    assert _plan(_visit("gpu01"), _visit("gpu02")) == "2 hosts: 0 changes\n"


def test_errors_and_warnings_follow_the_plan() -> None:
    """A host that could not be read is a line and a number in the sum."""
    warning = Finding(check="host.boot", verdict="warn", what="no systemd", remedy="Boot it.")
    failed = _visit("gpu02", plan=None, error="gpu02: [Errno 111] refused. Try ssh.")
    text = _plan(_visit("gpu01", _row(), findings=[warning]), failed)
    assert "gpu01: no systemd. Boot it.\n" in text
    assert "gpu02: [Errno 111] refused. Try ssh.\n" in text
    assert summary([failed]) == "1 host: 0 changes; 1 failed"


def test_brackets_in_a_file_are_printed_as_they_are() -> None:
    """`[plugins."io.containerd"]` is text: neither rows nor diffs are read as markup."""
    before = '[Service]\n[bold]x[/bold]\nkey = "[red]"\n'
    row = _row(
        "file:/etc/[a].toml", before={"content": before}, after={"content": before + "[/]\n"}
    )
    text = _plan(_visit("gpu01", row))
    assert "~ file:/etc/[a].toml\n" in text
    assert "        +[/]\n" in text
    assert ' key = "[red]"\n' in text
    short = _plan(_visit("gpu01", _row(after={"mode": "[bold]"})))
    assert "mode: 0600 → [bold]" in short


def test_a_long_diff_is_cut_and_says_so() -> None:
    """Thirty lines of a diff are shown, the rest is counted."""
    after = "".join(f"line {index}\n" for index in range(100))
    text = _plan(_visit("gpu01", _row(before={}, after={"content": after})))
    assert text.count("        +line") == 29
    assert "more lines of content\n" in text


def test_commands_are_shown_on_demand() -> None:
    """`--show-commands` prints what `shown` says, not the script with its payload."""
    assert "        short\n" in _plan(_visit("gpu01", _row()), commands=True)
    assert "$ " not in _plan(_visit("gpu01", _row()))


def test_secrets_are_masked_in_the_plan(revealed: set[str]) -> None:
    """Rows, diffs, errors and commands pass through the mask."""
    revealed.add("hunter2")
    rows = (
        _row(after={"mode": "hunter2"}),
        _row("file:/b", before={"content": "a\n"}, after={"content": "key=hunter2\n"}),
    )
    failed = _visit("gpu02", plan=None, error="gpu02: hunter2 is wrong")
    text = _plan(_visit("gpu01", *rows), failed, commands=True)
    assert "hunter2" not in text
    assert text.count(MASK) == 3


# ---------------------------------------------------------------- documents for programs


def _written(capsys: pytest.CaptureFixture[str], document: dict[str, Any]) -> dict[str, Any]:
    write_json(document)
    out = capsys.readouterr()
    assert out.err == ""
    result: dict[str, Any] = json.loads(out.out)
    return result


def test_the_plan_document_has_everything_that_the_text_has(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Counts, rows, handlers, findings and errors, one entry a host."""
    warning = Finding(check="host.boot", verdict="warn", what="no systemd", remedy="Boot it.")
    failed = _visit("gpu02", plan=None, error="gpu02: gone")
    document = _written(
        capsys, plan_document([_visit("gpu01", _row(), findings=[warning]), failed])
    )
    one, two = document["hosts"]["gpu01"], document["hosts"]["gpu02"]
    assert (one["changes"], one["may_change"], one["error"]) == (1, 0, "")
    assert one["roles"][0]["rows"][0]["after"] == {"mode": "0644"}
    assert "role" not in one["roles"][0]["rows"][0]
    assert one["roles"][0]["handlers"] == [
        {
            "id": "systemd_service:docker:restart",
            "notified_by": ["file:/a"],
            "fears": ["restarts Docker"],
        }
    ]
    assert one["findings"][0]["remedy"] == "Boot it."
    assert (two["roles"], two["changes"], two["error"]) == (None, None, "gpu02: gone")


def test_documents_mask_secrets(capsys: pytest.CaptureFixture[str], revealed: set[str]) -> None:
    """A secret in a value or an error is a mask, and the document stays JSON."""
    revealed.add("hunter2")
    document = plan_document(
        [_visit("gpu01", _row(after={"content": "key=hunter2\n"}), error="hunter2!")]
    )
    text = json.dumps(_written(capsys, document))
    assert "hunter2" not in text
    assert text.count(MASK) == 2


@pytest.mark.parametrize("value", ['quo"te', "back\\slash", "two\nlines"])
def test_a_secret_that_json_escapes_is_masked(
    capsys: pytest.CaptureFixture[str], revealed: set[str], value: str
) -> None:
    """What a program parses out of the document must not be the secret."""
    revealed.add(value)
    assert _written(capsys, {"error": f"x{value}x"}) == {"error": f"x{MASK}x"}


def test_a_short_secret_does_not_break_the_document(
    capsys: pytest.CaptureFixture[str], revealed: set[str]
) -> None:
    """Only texts are masked: names of keys and numbers are the document's own."""
    revealed |= {"1", "hosts"}
    assert _written(capsys, {"hosts": {"changes": 1}}) == {"hosts": {"changes": 1}}


def test_facts_and_outcomes_are_documents_too(capsys: pytest.CaptureFixture[str]) -> None:
    """A host that failed has null facts and its error; one that was not due has no outcome."""
    facts = Facts(os=OS(id="debian"))
    document = facts_document([_visit("a", facts=facts), _visit("b", error="b: gone")])
    assert _written(capsys, document)["hosts"]["a"]["facts"]["os"]["id"] == "debian"
    assert document["hosts"]["b"] == {"facts": None, "error": "b: gone"}
    outcome = Outcome(host="a", rows=(RowOutcome(id="x", role="r", outcome="changed"),), seconds=1)
    document = outcome_document([_visit("a", _row()), _visit("b")], [outcome])
    assert _written(capsys, document)["hosts"]["a"]["outcome"]["rows"][0]["outcome"] == "changed"
    assert document["hosts"]["b"]["outcome"] is None


# ---------------------------------------------------------------- progress


def test_without_a_terminal_each_step_is_one_line() -> None:
    """A step is printed when it begins, not for every line of its output, and then the failure."""
    console = _console()
    watch = Progress(console, "provision", 2)
    watch.step("gpu01", "install docker-ce")
    for percent in range(5):
        watch.step("gpu01", "install docker-ce", f"{percent} %")
    watch.step("gpu01", "restart [docker]", "")
    watch.step("gpu02", "install docker-ce")
    watch.done("gpu01", failed=False)
    watch.done("gpu02", failed=True)
    assert _text(console).splitlines() == [
        "gpu01: install docker-ce",
        "gpu01: restart [docker]",
        "gpu02: install docker-ce",
        "gpu02: failed",
    ]


def test_progress_from_many_threads_keeps_lines_whole() -> None:
    """Lines of hosts that work at once do not mix, and none is lost."""
    console = _console()
    watch = Progress(console, "provision", 8)

    def work(host: str) -> None:
        for step in range(20):
            watch.step(host, f"step {step}")
        watch.done(host, failed=False)

    threads = [threading.Thread(target=work, args=(f"gpu{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {f"gpu{host}: step {step}" for host in range(8) for step in range(20)}
    assert sorted(_text(console).splitlines()) == sorted(expected)


def test_the_live_table_shows_who_is_under_way(revealed: set[str]) -> None:
    """Hosts, steps, the last line of output and how many have ended; secrets masked."""
    revealed.add("hunter2")
    console = _console(width=100, terminal=True)
    with progress(console, "provision", 30) as watch:
        for host in range(30):
            watch.step(f"gpu{host:02}", "pull [bold]x", "hunter2 50 %")
        watch.done("gpu00", failed=False)
        watch.done("gpu01", failed=True)
        table = _console(width=100)
        table.print(watch)
    text = _text(table)
    assert "2/30 hosts, 1 failed" in text
    assert "pull [bold]x  ******** 50 %" in text
    assert "more" in text.splitlines()[-1]
    assert "gpu00" not in text


# ---------------------------------------------------------------- tables


def test_facts_are_one_row_a_host() -> None:
    """GPUs are counted by name; what is not known is a question mark or named."""
    facts = Facts(
        os=OS(id="ubuntu", version="24.04", architecture="amd64"),
        cpus=64,
        memory_bytes=2**40,
        disks=(Disk(path="/", size_bytes=2**40, free_bytes=2**39),),
        driver=Driver(status="ok", library="580.159.04", cuda="13.0"),
        gpus=tuple(GPU(index=n, uuid=str(n), name="NVIDIA H200") for n in range(8)),
    )
    bare = Facts(os=OS(id="debian"), unknown=("driver", "gpus"))
    console = _console()
    failed = _visit("c", error="c: [gone]")
    print_facts(console, [_visit("a", facts=facts), _visit("b", facts=bare), failed])
    head, one, two, error = _text(console).splitlines()
    assert head.split()[:2] == ["host", "system"]
    for word in ("ubuntu 24.04 amd64", "64", "1024 GiB", "512 GiB", "8 × NVIDIA H200", "CUDA 13.0"):  # noqa: RUF001
        assert word in one
    assert "driver, gpus" in two
    assert error == "c: [gone]"


def test_outcomes_say_what_became_of_each_host() -> None:
    """One row for each host that was worked on, one line a failure, and the sum of all."""
    row = RowOutcome(id="x", role="r", outcome="changed")
    changed = Outcome(host="a", rows=(row,), handlers=("restart",), seconds=1.25)
    rows = (RowOutcome(id="y", role="r", outcome="not run"),)
    failed = Outcome(host="b", rows=rows, error="b: install [x]: exit status 100", seconds=2)
    console = _console()
    visits = [_visit("a"), _visit("b"), _visit("c"), _visit("d", error="d: no")]
    print_outcomes(console, visits, [changed, failed])
    _, one, two, error, total = _text(console).splitlines()
    assert one.split() == ["a", "changed", "1", "0", "1", "1.2"]
    assert two.split() == ["b", "failed", "0", "1", "0", "2.0"]
    assert error == "b: install [x]: exit status 100"
    assert total == "1 changed, 1 unchanged, 2 failed"


def _key(name: str) -> HostKey:
    return HostKey(Host(name="gpu01"), UnknownKeyError(name, paramiko.ECDSAKey.generate()))


def test_keys_are_shown_all_at_once() -> None:
    """One row for each unknown key, one line for each error, and a count of all."""
    console = _console()
    error = HostKey(Host(name="gpu02"), None, "gpu02: [refused]")
    print_keys(console, [_key("gpu01"), error, HostKey(Host(name="gpu03"))])
    lines = _text(console).splitlines()
    assert "SHA256:" in lines[1]
    assert lines[2:] == ["gpu02: [refused]", "1 known, 1 unknown, 1 failed"]


def test_a_name_with_a_port_keeps_its_brackets() -> None:
    """`[gpu01.lan]:2222` is the name under which the key is recorded."""
    console = _console()
    print_keys(console, [_key("[gpu01.lan]:2222")])
    assert "[gpu01.lan]:2222" in _text(console)


def test_what_a_host_says_of_itself_is_text() -> None:
    """A GPU's name may hold brackets."""
    console = _console()
    gpu = GPU(index=0, uuid="x", name="Graphics [a770]")
    print_facts(console, [_visit("a", facts=Facts(os=OS(id="debian"), gpus=(gpu,)))])
    assert "Graphics [a770]" in _text(console)


def test_results_and_talk_have_their_own_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stdout is wide when a program reads it, and nothing is written to it but results."""
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    stdout, stderr = consoles()
    stdout.print("result")
    stderr.print("talk")
    assert (out.getvalue(), err.getvalue(), stdout.width) == ("result\n", "talk\n", 200)
