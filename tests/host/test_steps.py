"""How steps run: in few execs, with secrets in the shell only, and told as they go on."""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from provision.errors import ApplyError, ConnectError
from provision.host.bulk import Listener
from provision.host.channel import Result
from provision.host.connection import Connection
from provision.host.steps import Amount, Runner, StepError
from provision.inventory.schema import Host
from provision.secret import Secret
from provision.state.plan import HostPlan, RolePlan, Step
from provision.state.resource import Bulk, Calls, Command, Transfer

BULK = Bulk(key="m@1", folder="/data/m", files=(("a", 3),))
PEER = Transfer(way="peer", bulk=BULK)


@dataclass
class Local:
    """Stands in for a connection: runs scripts by this machine's sh."""

    host: Host = field(default_factory=lambda: Host(name="gpu01"))
    scripts: list[str] = field(default_factory=list)

    def run(self, script: str, *, on_line: Callable[[str], None], **_: Any) -> Result:
        """Run a script, and say its lines."""
        self.scripts.append(script)
        done = subprocess.run(
            ["sh", "-s"], input=script, capture_output=True, text=True, check=False
        )
        for line in done.stdout.splitlines():
            on_line(line)
        return Result(done.returncode, done.stdout, done.stderr)


@dataclass
class Bearer:
    """Stands in for a carrier: brings data, has none, or fails; and notes what it is told."""

    has: bool = True
    error: ApplyError | None = None
    told: list[str] = field(default_factory=list)

    def carry(self, connection: Connection, transfer: Transfer, listener: Listener) -> bool:
        """Do as told."""
        del connection
        self.told.append(f"carry {transfer.way}")
        listener.say("copy from gpu02", "")
        listener.tell(1, 3)
        if self.error:
            raise self.error
        return self.has

    def offer(self, host: Host, bulk: Bulk) -> None:
        """Note it."""
        self.told.append(f"offer {host.name} {bulk.key}")

    def gave_up(self, host: Host) -> None:
        """Note it."""
        self.told.append(f"gave up {host.name}")


@dataclass
class Questioner:
    """Stands in for who calls services: is content, or not with those named."""

    bad: set[str] = field(default_factory=set)
    called: list[str] = field(default_factory=list)

    def call(self, connection: Connection, calls: Calls, say: object) -> None:
        """Do as told."""
        del connection, say
        self.called.append(calls.release or "before")
        if calls.release in self.bad:
            raise ApplyError("chat: no answer", where="check chat", remedy="Look at its log.")


Said = list[tuple[str, str | Amount]]


def _run(
    *commands: Command,
    stopped: bool = False,
    carrier: Bearer | None = None,
    caller: Questioner | None = None,
) -> tuple[Local, Said]:
    local, said = Local(), cast("Said", [])
    steps = [Step(ids=(f"thing:{command.title}",), command=command) for command in commands]
    runner = Runner(
        cast("Connection", local),
        lambda *words: said.append(words),
        lambda: stopped,
        carrier,
        caller,
    )
    try:
        runner.run(steps)
    except StepError as error:
        error.add_note("\n".join(local.scripts))
        raise
    return local, said


def _command(title: str, script: str = ":", **more: Any) -> Command:
    return Command(title=title, script=script, **more)


# ---------------------------------------------------------------- secrets


def test_secret_is_a_variable_of_its_own_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """The step finds it byte by byte; the next one does not, and no child's environment has it."""
    value = 'it\'s $x `id` \\ "q"'
    monkeypatch.setenv("TOKEN", value)
    script = 'printf "%s" "$token" | base64 -w 0; echo; env | grep -c "^token=" || :'
    own = _command("own", script, secrets=(("token", Secret("env:TOKEN")),))
    local, said = _run(own, _command("next", 'echo "<${token:-none}>"'))
    lines = [detail for _, detail in said if detail]
    assert lines == [base64.b64encode(value.encode()).decode(), "0", "<none>"]
    assert value not in local.scripts[0]


def test_secret_stands_in_no_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan has its reference, in JSON and in every repr."""
    monkeypatch.setenv("TOKEN", "hunter2")
    command = _command("x", "long", shown="short", secrets=(("token", Secret("env:TOKEN")),))
    plan = HostPlan(
        host="gpu01",
        roles=(
            RolePlan(role="r", rows=(), steps=(Step(ids=("a",), command=command),), notices=()),
        ),
    )
    text = plan.model_dump_json()
    assert HostPlan.model_validate_json(text) == plan
    assert "hunter2" not in text + repr(plan) + command.shown
    assert base64.b64encode(b"hunter2").decode() not in text


def test_secret_that_cannot_be_read_fails_before_anything_runs() -> None:
    """Nothing is sent to the host."""
    command = _command("x", secrets=(("token", Secret("env:NO_SUCH_NAME")),))
    with pytest.raises(Exception, match="NO_SUCH_NAME is not set"):
        _run(command)


# ---------------------------------------------------------------- transfers


def test_transfers_split_what_runs_in_one_exec() -> None:
    """What lies between two of them is one exec; what was carried runs no script."""
    carried = _command("b", "echo not-this", transfer=PEER)
    bearer = Bearer()
    local, said = _run(_command("a1"), _command("a2"), carried, _command("c"), carrier=bearer)
    assert [len(re.findall(r" begin \d'", script)) for script in local.scripts] == [2, 1]
    assert bearer.told == ["carry peer"]
    assert ("copy from gpu02", Amount(1, 3)) in said
    assert not any("not-this" in script for script in local.scripts)


def test_script_runs_where_no_peer_has_the_data() -> None:
    """The carrier says so, and the step fetches for itself."""
    carried = _command("b", "echo fetched", transfer=PEER)
    local, said = _run(carried, carrier=Bearer(has=False))
    assert len(local.scripts) == 1
    assert ("b", "fetched") in said


def test_failed_transfer_is_the_failure_of_its_step() -> None:
    """With what was done before it, the carrier's own words, and nothing behind it run."""
    error = ApplyError("no route", where="gpu01: /data/m", remedy="Look at the network.")
    steps = (_command("a"), _command("b", transfer=PEER), _command("c"))
    with pytest.raises(StepError) as raised:
        _run(*steps, carrier=Bearer(error=error))
    assert (raised.value.ids, raised.value.done) == (("thing:b",), ("thing:a",))
    assert str(raised.value) == str(error)


def test_transfer_that_was_ended_for_the_operator_is_told_so() -> None:
    """Not by what its end looks like from here."""
    bearer = Bearer(error=ApplyError("it ended without a word", where="gpu01: /data/m"))
    with pytest.raises(StepError, match=r"b: stopped by the operator\. Run again") as raised:
        _run(_command("a"), _command("b", transfer=PEER), carrier=bearer, stopped=True)
    assert raised.value.left


def test_offer_is_made_as_soon_as_its_step_has_ended() -> None:
    """Other hosts need not wait for the steps behind it; a failed step offers nothing."""
    bearer = Bearer()
    with pytest.raises(StepError):
        _run(_command("a", offers=BULK), _command("b", "false"), carrier=bearer)
    assert bearer.told == ["offer gpu01 m@1"]
    bearer = Bearer()
    with pytest.raises(StepError):
        _run(_command("a", "false", offers=BULK), carrier=bearer)
    assert bearer.told == []


# ---------------------------------------------------------------- progress


@pytest.mark.parametrize(
    ("line", "amount"),
    [
        ("progress bytes 3 9", Amount(3, 9)),
        ("progress files 1 400", Amount(1, 400, "files")),
        ("progress bytes 0 0", Amount(0, 0)),
    ],
)
def test_progress_is_an_amount(line: str, amount: Amount) -> None:
    """A line of the script's own form says how far it is."""
    assert _run(_command("x", f"echo '{line}'"))[1][1:] == [("x", amount)]


@pytest.mark.parametrize(
    "line",
    ["progress bytes 3", "progress bytes -1 9", "progress: 3 9", f"progress bytes {'9' * 30} 1"],
)
def test_what_only_looks_like_progress_is_output(line: str) -> None:
    """It is shown as it is."""
    assert _run(_command("x", f"echo '{line}'"))[1][1:] == [("x", line)]


def test_step_that_was_ended_for_the_operator_is_told_so() -> None:
    """What was done before it is known; one that ended well all the same was done."""
    with pytest.raises(StepError, match=r"stopped by the operator\. Run again") as raised:
        _run(_command("first", "echo x"), _command("load", "exit 1"), stopped=True)
    assert (raised.value.ids, raised.value.done) == (("thing:load",), ("thing:first",))
    assert _run(_command("plain", "echo x"), stopped=True)[1][-1] == ("plain", "x")


# ---------------------------------------------------------------- rescue


def _ask(release: str) -> Command:
    calls = Calls(base="/opt/x", release=release, services=("chat",))
    return _command(f"call {release or 'before'}", calls=calls)


def test_a_wrong_answer_brings_back_what_was_there_before() -> None:
    """The rescue runs in order, is called too, and the error says both, with the seconds."""
    rescue = (_command("back", "echo back"), _ask(""))
    asked = _ask("new").model_copy(update={"rescue": rescue})
    caller = Questioner(bad={"new"})
    with pytest.raises(StepError) as raised:
        _run(_command("up", "echo up", rescue=rescue), asked, _command("keep"), caller=caller)
    assert caller.called == ["new", "before"]
    assert raised.value.ids == ("thing:call new",)
    assert raised.value.done == ("thing:up",)
    assert str(raised.value) == (
        "check chat: chat: no answer. Look at its log. "
        "Rolled back (call before) 0 s after the change began."
    )
    ran = raised.value.__notes__[0]
    assert "echo back" in ran
    assert "thing:keep" not in ran


def test_a_way_back_that_fails_is_told_beside_the_cause() -> None:
    """The operator must know that nothing answers now."""
    step = _command("up", "exit 3", rescue=(_command("back", "echo no disk; exit 4"),))
    with pytest.raises(StepError, match="exit status 3") as raised:
        _run(step)
    assert "The way back failed too: back" in raised.value.remedy
    assert "no disk" in raised.value.remedy


def test_who_leaves_does_not_roll_back() -> None:
    """A release that goes on starting when the operator leaves is finished by the next run."""
    step = _command("wait", "echo a; exit 1", rescue=(_command("back", "echo taken-back"),))
    with pytest.raises(StepError, match="stopped by the operator") as raised:
        _run(step, stopped=True)
    assert "taken-back" not in raised.value.__notes__[0]


@dataclass
class Parting(Local):
    """Stands in for a host that is lost on the way back, or kills its script there."""

    lost: bool = True

    def run(self, script: str, **more: Any) -> Result:
        """Run what comes first, and lose what comes second."""
        if not self.scripts:
            return super().run(script, **more)
        if self.lost:
            raise ConnectError("no answer in time", where="gpu01")
        return Result(137, "", "", waits=True)


@pytest.mark.parametrize("lost", [True, False])
def test_a_way_back_whose_end_nobody_saw_may_still_be_at_work(*, lost: bool) -> None:
    """The error says so, and the host keeps its lock for it."""
    command = _command("up", "exit 3", rescue=(_command("back"),))
    runner = Runner(cast("Connection", Parting(lost=lost)), lambda *_: None)
    with pytest.raises(StepError, match="The way back failed too") as raised:
        runner.run([Step(ids=("thing:up",), command=command)])
    assert raised.value.left


def test_without_a_failure_there_is_no_rescue() -> None:
    """All is called once, and nothing is brought back."""
    caller = Questioner()
    local, _ = _run(
        _command("up", rescue=(_command("back", "echo taken-back"),)), _ask("new"), caller=caller
    )
    assert caller.called == ["new"]
    assert "taken-back" not in "".join(local.scripts)


class Killed(Local):
    """Stands in for a host that kills a script's shell, and goes on to answer."""

    def run(self, script: str, **_: Any) -> Result:
        """Say nothing of the step."""
        del script
        return Result(137, "", "", waits=True)


def test_a_step_whose_shell_was_killed_is_no_lost_connection() -> None:
    """Its status says more: 137 is a kill, mostly for want of memory."""
    step = Step(ids=("thing:a",), command=_command("a"))
    runner = Runner(cast("Connection", Killed()), lambda *_: None, lambda: False)
    with pytest.raises(StepError, match="its shell on the host ended with status 137") as raised:
        runner.run([step])
    assert raised.value.left
