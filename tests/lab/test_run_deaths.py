"""Runs that die and runs that meet: the next one finishes, and a host is never changed by two."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import pytest
from keyboard import NAME, Answer, await_that
from workshop import Workshop, furnish

from provision import lab as labs

pytestmark = pytest.mark.lab
HOSTS: Final = ("gpu01", "gpu02")
MOMENTS: Final = 20
LONGEST: Final = 3.0  # seconds that a run takes, about
ROLE: Final = '''\
"""Hall: changes of all sorts, of which one takes a while and one must never run twice at once."""

from __future__ import annotations

from collections.abc import Iterator

from provision.facts import Facts
from provision.inventory.schema import Host
from provision.state.kinds.directory import Directory
from provision.state.kinds.file import File
from provision.state.kinds.guarded_command import GuardedCommand
from provision.state.kinds.json_file import JsonFile
from provision.state.kinds.package import Package
from provision.state.kinds.systemd_service import SystemdService
from provision.state.resource import Resource
from provision.state.role import Role


class Hall(Role):
    """What a service needs, and the service."""

    text: str = "new"
    """What the configuration says."""
    pause: str = "sleep 0.4"
    """What somebody does in the hall."""

    def resources(self, host: Host, facts: Facts) -> Iterator[Resource]:
        """Yield them."""
        service = SystemdService(name="things")
        yield Directory(name="/etc/hall")
        yield File(name="/etc/hall/conf", content=self.text, notify=(service.restart,))
        yield JsonFile(
            name="/etc/hall/daemon.json", merge={"text": self.text}, notify=(service.restart,)
        )
        yield GuardedCommand(
            name="walk through the hall",
            done_when=f"[ \\"$(cat /etc/hall/seen 2>/dev/null)\\" = '{self.text}' ]",
            script=(
                "exec 5>/run/hall; flock -n 5 || : >/root/met-somebody\\n"
                f"{self.pause}; printf %s '{self.text}' >/etc/hall/seen"
            ),
        )
        yield Package(name="zstd")
        yield service
'''
PREPARE: Final = """\
rm -rf /etc/hall /root/met-somebody
DEBIAN_FRONTEND=noninteractive dpkg --configure -a >/dev/null && dpkg -P zstd >/dev/null 2>&1
systemctl restart things
"""
UNLOCKED: Final = "test ! -e /var/lib/provision/lock"
LAST: Final = """\
[ ! -e /root/met-somebody ] || echo "two at once"
[ -z "$(ls -A /var/lib/provision/pending 2>/dev/null)" ] || echo "a note is left"
[ -z "$(dpkg --audit)" ] || echo "a package is broken"
started=$(date -d "$(systemctl show -p ExecMainStartTimestamp --value things)" +%s)
for file in conf daemon.json; do
    [ "$started" -ge "$(stat -c %Y /etc/hall/$file)" ] || echo "$file was written after the restart"
done
"""


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """Return a project with a role that has all sorts of changes, and two hosts."""
    name = f"{NAME}-deaths"
    labs.down(name)
    workshop = furnish(labs.up(hosts=2, name=name, roles=()), tmp_path_factory.mktemp("hall"))
    (workshop.folder / "roles/hall").mkdir()
    (workshop.folder / "roles/hall/role.py").write_text(ROLE)
    workshop.prepare(*HOSTS)
    yield workshop
    labs.down(name)


def prepared(hall: Workshop, *hosts: str) -> None:
    """Bring hosts back to where a run has all to do."""
    for host in hosts:
        hall.lab.exec(host, PREPARE)


def described(hall: Workshop, text: str, *hosts: str, **more: str) -> str:
    """Write an inventory in which these hosts are to say `text`; return its name."""
    wanted = {"hall": {"text": text, **more}}
    hall.describe("hall", **{host: {**hall.address(host), **wanted} for host in hosts})
    path = hall.inventory.with_name(f"{text}.yaml")
    path.write_text(hall.inventory.read_text())
    return str(path)


def await_line(hall: Workshop, line: str) -> None:
    """Wait until gpu01's journal has a line, to a hundredth of a second."""
    seen = f"until grep -Eqs '{line}' /var/lib/provision/journal.jsonl; do sleep 0.01; done"
    assert hall.lab.exec("gpu01", f"timeout 120 sh -c {json.dumps(seen)}").returncode == 0


def assert_finished(hall: Workshop, inventory: str, host: str = "gpu01") -> None:
    """See that the next run finishes a host, and that the one after it has nothing to do."""
    words = ("--inventory", inventory, "--host", host)
    finished = hall.inv("provision", *words, "--yes")
    assert finished.status == 0, finished.text
    again = hall.inv("plan", *words)
    assert (again.status, "0 changes" in again.stdout) == (0, True), again.text
    await_that(lambda: hall.lab.exec(host, UNLOCKED).returncode == 0, 10)
    assert hall.lab.exec(host, LAST).stdout == ""


@pytest.mark.matrix
@pytest.mark.parametrize("seed", range(1, 6))
def test_run_killed_at_any_moment_is_finished_by_the_next(hall: Workshop, seed: int) -> None:
    """Twenty moments a seed: restarts that were pending are done, and nothing is left behind."""
    inventory = described(hall, "new", *HOSTS)
    chance = random.Random(seed)  # noqa: S311  no secret
    for _ in range(MOMENTS):
        prepared(hall, "gpu01")
        run = hall.begin("provision", "--inventory", inventory, "--host", "gpu01", "--yes")
        with suppress(subprocess.TimeoutExpired):
            run.wait(chance.uniform(0.2, LONGEST))
        run.kill()
        run.communicate()
        assert_finished(hall, inventory)


@pytest.mark.parametrize(
    "line",
    [
        '"event":"begin"',
        '"event": "step".*"make the directory',
        '"event": "done".*"make the directory',
        '"event": "step".*"note: restart',
        '"event": "done".*"note: restart',
        '"event": "done".*"write /etc/hall/daemon.json',
        '"event": "step".*"install zstd',
        '"event": "step".*"title": "restart',
        '"event": "done".*"title": "restart',
        '"event": "end"',
    ],
)
def test_run_killed_after_a_line_of_the_journal_is_finished_by_the_next(
    hall: Workshop, line: str
) -> None:
    """Whatever the journal says last, the next run brings the host to its end."""
    inventory = described(hall, "new", *HOSTS)
    prepared(hall, "gpu01")
    hall.lab.exec("gpu01", "rm -f /var/lib/provision/journal.jsonl")
    run = hall.begin("provision", "--inventory", inventory, "--host", "gpu01", "--yes")
    await_line(hall, line)
    run.kill()
    run.communicate()
    assert_finished(hall, inventory)


def test_what_a_dead_run_did_is_in_the_history(hall: Workshop) -> None:
    """Who, when, what, and its last step, for it begins no other; then what the next run did."""
    inventory = described(hall, "new", *HOSTS, pause="sleep 5")
    prepared(hall, "gpu01")
    hall.lab.exec("gpu01", "rm -f /var/lib/provision/journal.jsonl")
    run = hall.begin("provision", "--inventory", inventory, "--host", "gpu01", "--yes")
    await_line(hall, '"event": "step".*"walk through the hall')
    run.kill()
    run.communicate()
    assert_finished(hall, inventory)
    answer = hall.inv("history", "--inventory", inventory, "--host", "gpu01", "--format", "json")
    died, done = (runs := json.loads(answer.stdout)["hosts"]["gpu01"])[:2]
    assert len(runs) == 2, runs
    assert (died["outcome"], died["what"]) == ("died", "inv provision")
    assert died["detail"] == "last step: walk through the hall"
    assert done["outcome"] == "done"
    assert "package:zstd" in done["changed"]
    assert died["who"] == done["who"]


@pytest.mark.matrix
@pytest.mark.parametrize("seed", range(1, 6))
def test_two_operators_never_change_one_host_at_once(hall: Workshop, seed: int) -> None:
    """Ten schedules a seed: who comes second is told who is there, and no lock is left."""
    chance = random.Random(seed)  # noqa: S311  no secret
    for _ in range(10):
        runs = []
        prepared(hall, *HOSTS)
        for text in ("anna", "bob"):
            hosts = chance.choice([("gpu01",), ("gpu02",), HOSTS, HOSTS])
            inventory = described(hall, text, *hosts)
            runs.append(hall.begin("provision", "--inventory", inventory, "--yes"))
            time.sleep(chance.uniform(0, 1.5))
        if chance.random() < 0.3:
            runs[0].send_signal(chance.choice([signal.SIGKILL, signal.SIGINT]))
        answers = [_answer(run) for run in runs]
        for answer in answers:
            assert _is_sound(answer), answer.text
        for host in HOSTS:  # a step of a run that was killed has its end first
            await_that(lambda: hall.lab.exec(host, UNLOCKED).returncode == 0, 10)  # noqa: B023
            assert hall.lab.exec(host, "ls -d /root/met-somebody").stdout == "", answers


def _answer(run: subprocess.Popen[str]) -> Answer:
    stdout, stderr = run.communicate(timeout=120)
    return Answer(run.returncode, stdout, stderr)


def _is_sound(answer: Answer) -> bool:
    """Tell a run that did all, or says why not, from one that failed otherwise."""
    reasons = (
        *("is at work there since", "Stopping what runs", "interrupted", "still runs"),
        *("was not in the plan that was shown", "no longer what was probed"),
    )
    over = answer.status == -signal.SIGINT and ", 0 failed" in answer.stdout  # as it was leaving
    return (
        over or answer.status in {0, -signal.SIGKILL} or any(why in answer.text for why in reasons)
    )


def _at_work(hall: Workshop, inventory: str, step: str) -> subprocess.Popen[str]:
    """Begin to provision, and return when that step has begun on all hosts."""
    run = hall.begin("provision", "--inventory", inventory, "--yes")
    assert run.stderr
    missing = {f"{host}: {step}" for host in HOSTS}
    for line in run.stderr:
        missing.discard(line.strip())
        if not missing:
            return run
    raise AssertionError(missing)


def _ended(run: subprocess.Popen[str], within: float) -> Answer:
    """Press Ctrl-C and return what the run says within so many seconds."""
    run.send_signal(signal.SIGINT)
    began = time.monotonic()
    answer = _answer(run)
    assert time.monotonic() - began < within, answer.text
    assert "Traceback" not in answer.text
    return answer


@pytest.mark.quiet
@pytest.mark.parametrize("pause", ["sleep 60", "trap '' TERM; sleep 60; sleep 60"])
def test_ctrl_c_stops_what_runs_on_the_hosts_and_leaves_nothing(hall: Workshop, pause: str) -> None:
    """Within 3 seconds: what was done and what was not; no lock, no process; the next run finishes."""
    inventory = described(hall, "new", *HOSTS, pause=pause)
    prepared(hall, *HOSTS)
    answer = _ended(_at_work(hall, inventory, "walk through the hall"), 3)
    assert answer.status == 1
    assert "Stopping what runs on the hosts" in answer.stderr
    for host in HOSTS:
        assert f"{host}: walk through the hall: stopped by the operator" in answer.stdout
        assert hall.lab.exec(host, UNLOCKED).returncode == 0
        assert hall.lab.exec(host, "pgrep -f '[s]leep 60'").stdout == ""
        assert hall.lab.exec(host, "grep -lzs PROVISION_ /proc/[0-9]*/environ").stdout == ""
        assert hall.lab.exec(host, "test -e /etc/hall/daemon.json").returncode == 0
    inventory = described(hall, "new", *HOSTS)
    assert_finished(hall, inventory)


@pytest.mark.quiet
def test_second_ctrl_c_leaves_at_once(hall: Workshop) -> None:
    """Nobody waits for a host any more; what it does is the next run's business."""
    inventory = described(hall, "new", *HOSTS, pause="trap '' TERM; sleep 3; sleep 3")
    prepared(hall, *HOSTS)
    run = _at_work(hall, inventory, "walk through the hall")
    run.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert _ended(run, 1).status == 1
    for host in HOSTS:
        await_that(lambda host=host: hall.lab.exec(host, UNLOCKED).returncode == 0, 20)  # type: ignore[misc]
    assert_finished(hall, described(hall, "new", *HOSTS))


@pytest.mark.quiet
def test_ctrl_c_ends_a_plan_that_waits_for_a_host(hall: Workshop) -> None:
    """A host that accepts connections and says nothing holds nobody."""
    inventory = described(hall, "new", *HOSTS)
    hall.lab.exec("gpu02", "iptables -I INPUT -p tcp --dport 22 -j DROP")
    try:
        run = hall.begin("plan", "--inventory", inventory)
        time.sleep(1.5)
        assert run.poll() is None
        answer = _ended(run, 3)
    finally:
        hall.lab.exec("gpu02", "iptables -D INPUT -p tcp --dport 22 -j DROP")
    assert answer.status == 1
    assert "interrupted" in answer.stderr


def test_host_locked_by_hand_is_left_alone_until_it_is_unlocked(hall: Workshop) -> None:
    """The run says who locked it and why, changes nothing there, and does the other hosts."""
    inventory = described(hall, "new", *HOSTS)
    prepared(hall, *HOSTS)
    where = ("--inventory", inventory, "--host", "gpu01")
    assert hall.inv("lock", *where, "--why", "memory test").status == 0
    answer = hall.inv("provision", "--inventory", inventory, "--yes")
    assert answer.status == 1
    assert re.search(r"gpu01: locked by \S+@\S+ since \S+Z: memory test\. Wait", answer.stdout)
    assert "1 changed, 0 unchanged, 0 failed, 1 not begun" in answer.stdout
    assert hall.lab.exec("gpu01", "test -e /etc/hall").returncode == 1
    assert "memory test" in hall.inv("lock", *where).stdout
    assert "without a reason" in hall.inv("unlock", *where).stderr
    assert hall.inv("unlock", *where, "--why", "it is over").status == 0
    assert_finished(hall, inventory)
    assert "it is over" in hall.inv("history", *where).stdout


def test_run_whose_lock_is_taken_away_begins_no_other_step(hall: Workshop) -> None:
    """The step that has begun ends; the operator is told, and the next run finishes."""
    inventory = described(hall, "new", *HOSTS, pause="sleep 5")
    prepared(hall, "gpu01")
    hall.lab.exec("gpu01", "rm -f /var/lib/provision/journal.jsonl")
    where = ("--inventory", inventory, "--host", "gpu01")
    run = hall.begin("provision", *where, "--yes")
    await_line(hall, '"event": "step".*"walk through the hall')
    assert hall.inv("unlock", *where, "--why", "mine now").status == 0
    answer = _answer(run)
    assert answer.status == 1
    assert "gpu01: the lock is not ours any more" in answer.stdout, answer.text
    assert "Still to do, and noted on the host: restart things" in answer.stdout, answer.text
    last = hall.lab.exec("gpu01", "tail -n 1 /var/lib/provision/journal.jsonl").stdout
    assert re.search('"done".*"walk through the hall', last), last
    assert_finished(hall, inventory)
