"""The lock of a host: one run has it, and it is taken over only when that run is proven gone."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from shutil import which
from typing import Final

import pytest

from provision.facts.questions import SECTIONS
from provision.host.channel import Result
from provision.host.hold import _events
from provision.state.shell import framed, functions, quote

SHELLS: Final = [[path] for name in ("sh", "dash", "bash") if (path := which(name))] + [
    [path, "sh"] for path in [which("busybox")] if path
]
SILENCE: Final = 90
WORD: Final = "@word"


class Host:
    """A folder that is the host's /var/lib/provision, and the shells that run there."""

    def __init__(self, home: Path, shell: list[str]) -> None:
        """Begin with nothing there."""
        self.home = home
        self.shell = shell
        self.children: list[subprocess.Popen[str]] = []
        self.mark = f"_{secrets.token_hex(4).upper()}"
        """At the end of the variables by which a run's processes are known, wherever they run."""

    def start(self, call: str, **environment: str) -> subprocess.Popen[str]:
        """Start a call of the lock's functions as a run does: by a shell's stdin, which stays open."""
        text = functions("lock", "provision.host").replace("/var/lib/provision", str(self.home))
        text = re.sub("PROVISION_(LOCK|RUN)", rf"\g<0>{self.mark}", text)
        child = subprocess.Popen(
            [*self.shell, "-s"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={
                **os.environ,
                **{f"{name}{self.mark}": text for name, text in environment.items()},
            },
            start_new_session=True,
        )
        self.children.append(child)
        assert child.stdin
        child.stdin.write(framed(f"{text}\n{call}", talks=True))
        child.stdin.flush()
        return child

    def call(self, call: str, **environment: str) -> str:
        """Call to the end and return what was said."""
        child = self.start(call, **environment)
        return child.communicate(timeout=30)[0]

    def take(self, run: str, who: str = "anna@a", patience: int = 1) -> subprocess.Popen[str]:
        """Let a run take the lock and hold it."""
        owner = quote(json.dumps({"who": who, "what": "inv test"}))
        words = f"{run} {quote(who)} {owner} {SILENCE} {patience} {WORD}"
        return self.start(f"lock_take {words} && lock_hold {run} {WORD}", PROVISION_LOCK=run)

    def taken(self, run: str, who: str = "anna@a") -> subprocess.Popen[str]:
        """Let a run take the lock, and see that it has it."""
        child = self.take(run, who)
        assert said(child).split()[0] == "taken", run
        return child

    def step(self, run: str) -> subprocess.Popen[str]:
        """Start a step of a run that takes long."""
        child = self.start("echo ready; sleep 300; :", PROVISION_RUN=run)
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
        return child

    @property
    def events(self) -> list[tuple[str, str]]:
        """Return run and event of each line of the journal."""
        text = (self.home / "journal.jsonl").read_text()
        lines = list(_events(Result(0, text, "")))
        assert len(lines) == len(text.splitlines())
        return [(line["run"], line["event"]) for line in lines]

    @property
    def last_run(self) -> str:
        """Return what a look at the host tells of the last run."""
        text = SECTIONS["last_run"].text.replace("/var/lib/provision", str(self.home))
        return self.call(f"{text}\n").strip()

    @property
    def is_locked(self) -> bool:
        """Say whether there is a lock, whosever it is."""
        return (self.home / "lock").is_dir()

    def write(self, name: str, text: str) -> None:
        """Change what the lock says."""
        (self.home / "lock" / name).write_text(text)


def said(child: subprocess.Popen[str]) -> str:
    """Return the next line of ours that a shell says, without the word."""
    assert child.stdout
    cut = threading.Timer(30, os.killpg, (child.pid, signal.SIGKILL))
    cut.start()
    try:
        for line in child.stdout:
            if line.startswith(f"{WORD} "):
                return line.removeprefix(f"{WORD} ").strip()
    finally:
        cut.cancel()
    return ""


def tell(child: subprocess.Popen[str], line: str) -> None:
    """Say a line to a shell that holds the lock."""
    assert child.stdin
    child.stdin.write(f"{line}\n")
    child.stdin.flush()


def hang_up(child: subprocess.Popen[str], *, wait: bool = True) -> None:
    """End the connection of a run."""
    assert child.stdin
    child.stdin.close()
    if wait:
        child.wait(timeout=30)


@pytest.fixture(params=SHELLS, ids=lambda shell: Path(shell[0]).name)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    """Return a host whose shell is one of those that hosts have."""
    host = Host(tmp_path / "provision", request.param)
    yield host
    for child in host.children:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        for stream in (child.stdin, child.stdout):
            with suppress(OSError):
                stream.close() if stream else None


def test_only_one_run_has_the_lock(host: Host) -> None:
    """A second run is told who has it, since when and what for; it is free once it was given back."""
    first = host.taken("r1")
    state, _, owner = said(host.take("r2", "bob@b")).partition(" ")
    assert state == "held"
    assert json.loads(owner).items() >= {"who": "anna@a", "what": "inv test"}.items()
    assert json.loads(owner)["since"].endswith("Z")
    tell(first, 'end {"run":"r1","event":"end"')
    assert said(first) == "ended"
    assert not host.is_locked
    host.taken("r2", "bob@b")
    assert host.events == [("r1", "begin"), ("r1", "end"), ("r2", "begin")]


def test_whoever_looked_before_learns_whether_a_run_was_there_since(host: Host) -> None:
    """What a look and the taking of the lock tell is the same where nobody was, and never else."""
    assert host.last_run == "none"
    first = host.take("r1")
    assert (said(first), host.last_run) == ("taken none", "")
    tell(first, 'end {"run":"r1","event":"end"')
    assert (said(first), host.last_run) == ("ended", "r1")
    second = host.take("r2")
    assert said(second) == "taken r1"
    second.kill()
    second.wait()
    assert host.last_run == ""  # its steps may be at work
    third = host.take("r3")
    assert said(third) == "taken"
    assert host.call(f"lock_away '{{}}' {WORD}").startswith(f"{WORD} freed")
    assert host.last_run == ""  # here too
    assert said(host.take("r4")) == "taken"


def test_run_whose_connection_ends_leaves_no_lock(host: Host) -> None:
    """When nobody talks any more and nothing runs, the lock goes and the journal says why."""
    hang_up(host.taken("r1"))
    assert not host.is_locked
    assert host.events == [("r1", "begin"), ("r1", "died")]


def test_killed_holder_is_proven_gone(host: Host) -> None:
    """A lock whose holder was killed is taken over at once, and the journal says that it died."""
    first = host.taken("r1")
    first.kill()
    first.wait()
    assert host.is_locked
    host.taken("r2", "bob@b")
    assert host.events == [("r1", "begin"), ("r1", "died"), ("r2", "begin")]


def test_step_that_still_runs_keeps_the_lock(host: Host) -> None:
    """A run that died leaves the host to nobody before its step has ended, itself included."""
    first, step = host.taken("r1"), host.step("r1")
    hang_up(first, wait=False)
    _until((host.home / "lock" / "left").exists)
    waiting = host.take("r2", patience=5)
    state = said(waiting)
    assert state.startswith("wait ")
    while state.startswith("wait "):
        state = said(waiting)
    assert state.startswith("step ")
    patient = host.take("r3", patience=60)
    assert said(patient).startswith("wait ")
    os.killpg(step.pid, signal.SIGKILL)
    step.wait()
    for _ in range(40):
        state = said(patient)
        if not state.startswith("wait"):
            break
    assert state.split()[0] == "taken"


def test_reboot_proves_that_a_run_is_gone(host: Host) -> None:
    """A lock of another boot is nobody's."""
    first = host.taken("r1")
    host.write("boot", "another\n")
    host.taken("r2", "bob@b")
    del first


def test_holder_without_a_sign_of_life_is_ended(host: Host) -> None:
    """Silence proves that nobody is there any more, and the holder's shell goes with it."""
    first = host.taken("r1")
    uptime = int(float(Path("/proc/uptime").read_text().split()[0]))
    host.write("beat", f"{uptime - SILENCE - 1}\n")
    host.taken("r2", "bob@b")
    assert first.wait(timeout=10) == -signal.SIGKILL


def test_sign_of_life_keeps_the_lock(host: Host) -> None:
    """A beat makes an old lock young."""
    first = host.taken("r1")
    uptime = int(float(Path("/proc/uptime").read_text().split()[0]))
    host.write("beat", f"{uptime - SILENCE - 1}\n")
    tell(first, "beat")
    _until(lambda: int((host.home / "lock" / "beat").read_text() or 0) >= uptime)
    assert said(host.take("r2")).startswith("held ")


def test_lock_by_hand_stays_until_it_is_taken_away(host: Host) -> None:
    """It survives its maker; who takes it away is in the journal."""
    owner = quote(json.dumps({"who": "anna@a", "what": "inv lock", "why": "memory test"}))
    assert f"{WORD} taken 0" in host.call(f"lock_by_hand r1 anna@a {owner} {SILENCE} {WORD}")
    host.write("boot", "another\n")
    assert said(host.take("r2")).startswith("manual ")
    other = quote(json.dumps({"who": "bob@b", "what": "inv unlock", "why": "she left"}))
    assert f"{WORD} freed" in host.call(f"lock_away {other} {WORD}")
    assert host.call(f"lock_away {other} {WORD}").strip() == f"{WORD} free"
    host.taken("r3")
    assert host.events == [("r1", "lock"), ("r1", "unlock"), ("r3", "begin")]


def test_run_whose_lock_was_taken_away_writes_nothing_any_more(host: Host) -> None:
    """It cannot give back what is another's, and its next step sees that the lock is lost."""
    first = host.taken("r1")
    host.call(f'lock_away \'{{"who":"bob@b"}}\' {WORD}')
    host.taken("r2", "bob@b")
    assert "ours" not in host.call("! lock_is r1 || echo ours")
    assert "ours" in host.call("! lock_is r2 || echo ours")
    tell(first, 'end {"run":"r1","event":"end"')
    assert said(first) == "ended"
    assert host.is_locked
    assert ("r1", "end") not in host.events


def test_stop_ends_every_process_of_the_run_and_no_other(host: Host) -> None:
    """Children that ignore SIGTERM go too; those of another run stay."""
    first = host.taken("r1")
    stubborn = host.start("trap '' TERM; echo ready; sleep 300; sleep 300", PROVISION_RUN="r1")
    assert stubborn.stdout
    assert stubborn.stdout.readline() == "ready\n"
    other = host.step("r9")
    tell(first, "stop")
    assert stubborn.wait(timeout=10) != 0
    _until(lambda: _processes(f"PROVISION_RUN{host.mark}=r1") == [])
    assert other.poll() is None
    tell(first, 'end {"run":"r1","event":"end"')
    assert said(first) == "ended"


def test_two_that_come_at_once_are_one(host: Host) -> None:
    """Of many runs that want a dead lock at the same time one gets it."""
    first = host.taken("r0")
    first.kill()
    first.wait()
    states = [said(one).partition(" ")[0] for one in [host.take(f"r{n}") for n in range(1, 9)]]
    assert sorted(states) == ["held"] * 7 + ["taken"]


def test_journal_of_many_years_is_cut(host: Host) -> None:
    """Beyond 4 MiB a new file begins, and one old one is kept."""
    host.home.mkdir()
    (host.home / "journal.jsonl").write_text("x" * (4 << 20))
    host.taken("r1")
    assert (host.home / "journal.jsonl.1").stat().st_size == 4 << 20
    assert host.events == [("r1", "begin")]


def _processes(marker: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if marker.encode() in path.read_bytes().split(b"\0"):
                found.append(path.parent.name)
    return found


def _until(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + 10
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.mark.parametrize("how", ["lost", "rebooted", "left"])
def test_no_step_begins_without_the_lock(host: Host, how: str) -> None:
    """Not after somebody took it away, not on a host that was booted since, not when nobody waits."""
    first = host.taken("r1")
    serves = f"! lock_serves r1 {WORD} || echo ours"
    assert host.call(serves) == "ours\n"
    if how == "lost":
        host.call(f"lock_away '{{}}' {WORD}")
        assert host.call(serves) == f"{WORD} lost \n"
        host.taken("r2", "CORP\\bob@b")
        state, _, owner = host.call(serves).removeprefix(f"{WORD} ").partition(" ")
        assert (state, json.loads(owner)["who"]) == ("lost", "CORP\\bob@b")
        return
    if how == "rebooted":
        host.write("boot", "another\n")
    else:
        step = host.step("r1")
        hang_up(first, wait=False)
        _until((host.home / "lock/left").exists)
        assert step.poll() is None
    assert host.call(serves) == f"{WORD} left\n"


def test_a_step_goes_on_alone_when_its_silent_run_is_ended(host: Host) -> None:
    """A script of that run begins no other step: its lock says that nobody waits for it."""
    first = host.taken("r1")
    host.step("r1")
    uptime = int(float(Path("/proc/uptime").read_text().split()[0]))
    host.write("beat", f"{uptime - SILENCE - 1}\n")
    assert said(host.take("r2", "bob@b", patience=60)).startswith("wait ")
    assert first.wait(timeout=10) == -signal.SIGKILL
    assert host.call(f"! lock_serves r1 {WORD} || echo ours") == f"{WORD} left\n"


def test_a_step_whose_end_nobody_saw_keeps_the_lock(host: Host) -> None:
    """The run ends and says so; the host is free when the step has ended too."""
    first = host.taken("r1")
    step = host.step("r1")
    tell(first, 'leave {"run":"r1","event":"end"')
    assert said(first) == "ended"
    assert first.stdin
    first.stdin.close()
    _until((host.home / "lock/left").exists)
    second = host.take("r2", "bob@b", patience=30)
    assert said(second).startswith("wait ")
    os.killpg(step.pid, signal.SIGKILL)
    step.wait()
    while (state := said(second)).startswith("wait "):
        pass
    assert state.split()[0] == "taken"
    assert [event for event in host.events if event[0] == "r1"] == [("r1", "begin"), ("r1", "end")]


def test_a_run_that_left_nothing_at_work_frees_the_host_before_it_says_so(host: Host) -> None:
    """Whoever asks at once finds no lock."""
    first = host.taken("r1")
    tell(first, 'leave {"run":"r1","event":"end"')
    assert said(first) == "ended"
    assert not host.is_locked


def test_unlock_works_on_a_full_disk(host: Host) -> None:
    """The journal then says nothing of it."""
    host.taken("r1")
    journal = host.home / "journal.jsonl"
    journal.unlink()
    journal.symlink_to("/dev/full")
    assert f"{WORD} freed" in host.call(f"lock_away '{{}}' {WORD}")
    assert not host.is_locked
