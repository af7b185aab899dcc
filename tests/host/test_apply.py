"""What came of a run is told as it is, whatever went wrong; over a connection that tests steer."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from provision.errors import ConnectError, LockError
from provision.facts import OS, Facts
from provision.host.apply import Orders, Outcome, apply_plan
from provision.host.channel import Result
from provision.host.connection import Connection
from provision.host.lock import Locks
from provision.host.look import clock, look
from provision.inventory.schema import Host
from provision.state.kinds.directory import Directory
from provision.state.kinds.systemd_service import SystemdService
from provision.state.resource import Resource
from provision.state.role import Role

SERVICE = SystemdService(name="thing")
FOLDERS = tuple(Directory(name=f"/{name}", notify=(SERVICE.restart,)) for name in "ab")
FACTS = Facts(os=OS(id="debian"), last_run="r1")
RUNNING = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n"
THERE = "directory|755|root|root|4096\n"


class Given(Role):
    """A role that makes two folders for a service."""

    def resources(self, host: Host, facts: Facts) -> list[Resource]:  # type: ignore[override]
        """Yield them."""
        del host, facts
        return [*FOLDERS, SERVICE]


class Steered:
    """Stands in for a connection: answers probes from what is `there`, and steps as told."""

    def __init__(self) -> None:
        """Start with nothing there; the next steps do what `on_steps` says."""
        self.host = Host(name="gpu01")
        self.there: set[str] = set()
        self.disabled = self.noting = self.noted = False
        self.on_steps: Callable[[str], Result] = self.do
        self.on_probe: Callable[[str], object] = str

    def run(self, script: str, **_: object) -> Result:
        """Answer a script."""
        if re.search(r"^set -e$", script, re.MULTILINE):
            return self.on_steps(script)
        word = re.search(r"'(@\w+) begin 0'", script)
        assert word
        self.on_probe(script)
        probes = re.findall(r"^[({]\n(.*?)\n[)}]$", script, re.MULTILINE | re.DOTALL)
        return Result(0, "".join(self._answer(word[1], i, p) for i, p in enumerate(probes)), "")

    def do(self, script: str, until: int = 99) -> Result:
        """Do the steps up to the step `until`, which fails."""
        word = re.search(r"'(@\w+) begin 0'", script)
        assert word
        said = ""
        steps = re.findall(r"^set -e\n(.*?)\n\) 2>&1$", script, re.MULTILINE | re.DOTALL)
        for index, step in enumerate(steps):
            failed = index == until
            said += f"{word[1]} begin {index}\nsaid\n{word[1]} end {index} {int(failed)}\n"
            if failed:
                break
            self.there |= set(re.findall(r" (/[ab])$", step))
            self.disabled = self.disabled and "systemctl enable" not in step
            self.noted = self.noting and (self.noted or "mkdir -p" in step) and "rm -f" not in step
        return Result(0, said, "")

    def _answer(self, word: str, index: int, probe: str) -> str:
        path = re.search(r"probe_path (/[ab])", probe)
        status, text = (0, THERE) if path and path[1] in self.there else (1, "")
        if not path:
            text = RUNNING.replace("enabled", "disabled") if self.disabled else RUNNING
            status, text = 0, f"{text}RestartPending=yes\n" if self.noted else text
        return f"\n{word} begin {index}\n{text}\n{word} end {index} {status}\n"


@pytest.fixture
def steered() -> Steered:
    """Return a connection on which nothing is there yet."""
    return Steered()


class Bearer:
    """Stands in for a carrier: notes who gave up."""

    def __init__(self) -> None:
        """Start with nobody."""
        self.gone: list[str] = []

    def carry(self, *_: object) -> bool:
        """Bring nothing."""
        raise NotImplementedError

    def offer(self, *_: object) -> None:
        """Take nothing."""
        raise NotImplementedError

    def gave_up(self, host: Host) -> None:
        """Note it."""
        self.gone.append(host.name)


class Free:
    """Stands in for the locks of a run on a host that nobody else wants."""

    def __init__(self, before: str) -> None:
        """Know which run had the lock before."""
        self.before = before
        self.seen: bool | None = None

    def take(self, *_: object) -> SimpleNamespace:
        """Give the lock."""
        return SimpleNamespace(
            before=self.before,
            environment={},
            functions="",
            fence=lambda _: "",
            entry=lambda _: "{",
            note=lambda _: None,
        )

    def end(self, *_: object, seen: bool) -> None:
        """Take it back."""
        self.seen = seen


def _apply(
    steered: Steered,
    *,
    stopped: bool = False,
    carrier: Bearer | None = None,
    seconds: float = 0,
    locks: Free | None = None,
) -> Outcome:
    """Plan, and apply the plan when it is `seconds` old."""
    connection = cast("Connection", steered)
    roles = {"given": Given()}
    seen = look(connection, roles, FACTS)
    shown, begun = seen.plan("gpu01"), clock() - seconds
    orders = Orders(
        roles,
        seen,
        shown,
        cast("Locks", locks or Free(FACTS.last_run)),
        begun,
        lambda: stopped,
        carrier,
    )
    return apply_plan(connection, orders, lambda _step, _line: None)


def test_all_well(steered: Steered) -> None:
    """Every row is changed and the handler ran once."""
    outcome = _apply(steered)
    assert (outcome.error, outcome.handlers) == ("", ("systemd_service:thing:restart",))
    assert [row.outcome for row in outcome.rows] == ["changed", "changed"]


def test_failed_step_tells_what_was_done_before_it(steered: Steered) -> None:
    """Of two changes the first is changed, the second failed, and the restart is still to do."""
    steered.on_steps = lambda script: steered.do(script, until=2)
    outcome = _apply(steered)
    assert [(row.id, row.outcome) for row in outcome.rows] == [
        ("directory:/a", "changed"),
        ("directory:/b", "failed"),
    ]
    assert outcome.error.startswith("gpu01: make the directory /b (directory:/b): exit status 1")
    assert outcome.error.endswith("Still to do, and noted on the host: restart thing.")


def test_step_that_lies_is_found_by_the_probe(steered: Steered) -> None:
    """A step that ends well without its effect is failed, whatever its exit status says."""
    word = r"'(@\w+) begin 0'"

    def lie(script: str) -> Result:
        found = re.search(word, script)
        assert found
        said = "".join(f"{found[1]} begin {i}\n\n{found[1]} end {i} 0\n" for i in range(3))
        return Result(0, said, "")

    steered.on_steps = lie
    outcome = _apply(steered)
    assert {row.outcome for row in outcome.rows} == {"failed"}
    assert "directory:/a: was applied, but it is not there" in outcome.error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectError("the connection was refused", where="gpu01 (ops@10.0.0.1:22)"), "gpu01 (ops"),
        (KeyError("surprise"), "gpu01: unexpected KeyError: 'surprise'. Run again with --debug"),
    ],
)
def test_no_error_leaves_its_host(steered: Steered, error: Exception, said: str) -> None:
    """A lost connection and a bug of ours are the host's outcome, never an exception."""

    def fail(_: str) -> Result:
        raise error

    steered.on_steps = fail
    outcome = _apply(steered)
    assert outcome.error.startswith(said)
    assert type(error).__name__ in outcome.trace
    assert "trace" not in outcome.model_dump()


def test_stopped_run_begins_no_role(steered: Steered) -> None:
    """After Ctrl-C no further role begins, and the outcome says that it was the operator."""
    outcome = _apply(steered, stopped=True)
    assert outcome.error == "gpu01: stopped by the operator. Run again to go on."
    assert {row.outcome for row in outcome.rows} == {"not run"}


def test_row_that_came_out_well_is_changed_though_its_neighbour_failed(steered: Steered) -> None:
    """When one of two changes has no effect, the other is still told as changed."""

    def half(script: str) -> Result:
        result = steered.do(script)
        steered.there.discard("/b")
        return result

    steered.on_steps = half
    outcome = _apply(steered)
    assert [row.outcome for row in outcome.rows] == ["changed", "failed"]


def test_note_of_this_run_is_no_fault_of_the_service(steered: Steered) -> None:
    """A service that changes in the role that notes its restart is not failed for the note."""
    steered.disabled = steered.noting = True
    outcome = _apply(steered)
    assert outcome.error == ""
    assert [row.outcome for row in outcome.rows] == ["changed", "changed", "changed"]


@pytest.mark.parametrize("how", ["well", "step fails", "surprise", "stopped"])
def test_whoever_ends_is_waited_for_by_nobody(steered: Steered, how: str) -> None:
    """However a host's work ends, the others hear that it will fetch nothing more, and once."""

    def surprise(_: str) -> Result:
        raise KeyError("surprise")

    if how == "step fails":
        steered.on_steps = lambda script: steered.do(script, until=0)
    elif how == "surprise":
        steered.on_steps = surprise
    carrier = Bearer()
    outcome = _apply(steered, stopped=how == "stopped", carrier=carrier)
    assert (outcome.error == "") is (how == "well")
    assert carrier.gone == ["gpu01"]


@pytest.mark.parametrize(
    ("seconds", "before", "probes"),
    [(1, "r1", 1), (9, "r1", 1), (11, "r1", 2), (1, "r2", 2), (1, "", 2), (1, "none", 2)],
)
def test_a_host_is_probed_again_before_a_change_unless_the_plan_is_of_just_now(
    steered: Steered, monkeypatch: pytest.MonkeyPatch, seconds: float, before: str, probes: int
) -> None:
    """Of just now: less than 10 s old, and nobody's run was there since."""
    monkeypatch.setattr("provision.host.look.read_facts", lambda _: FACTS)
    steered.there = {"/a"}
    probed = []
    steered.on_probe = lambda script: probed.append("probe_path /a" in script)
    assert _apply(steered, seconds=seconds, locks=Free(before)).error == ""
    assert sum(probed) == probes


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (None, True),
        (ConnectError("no answer in time", where="gpu01 (ops@10.0.0.1:22)"), False),
        (LockError("the lock is not ours any more", where="gpu01"), True),
        (KeyError("surprise"), False),
    ],
)
def test_a_host_is_given_back_with_what_may_be_at_work_there(
    steered: Steered, error: Exception | None, *, seen: bool
) -> None:
    """Who did not see a step end says so; and what was notified is still to do.

    Where the lock was gone before the first step, nothing is.
    """

    def fail(script: str) -> Result:
        if error:
            raise error
        return steered.do(script, until=0)

    steered.on_steps = fail
    locks = Free(FACTS.last_run)
    outcome = _apply(steered, locks=locks)
    assert locks.seen is seen
    assert ("Still to do" in outcome.error) is not isinstance(error, KeyError | LockError)


def test_a_lock_that_is_lost_between_steps_leaves_what_they_notified(steered: Steered) -> None:
    """Two folders are to be made; after the first the fence ends the script."""

    def lose(script: str) -> Result:
        done = steered.do(script, until=2).stdout
        word = done.split()[0]
        return Result(0, f"{done.partition(f'{word} begin 2')[0]}{word} lost \n", "")

    steered.on_steps = lose
    outcome = _apply(steered)
    assert "the lock is not ours any more" in outcome.error
    assert outcome.error.endswith("Still to do, and noted on the host: restart thing.")
