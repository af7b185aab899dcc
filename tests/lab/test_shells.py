"""The laws of the shell that stays for the next script: one login of sudo's, and nothing left over."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from provision.host.connection import Connection
from provision.inventory.schema import Host
from provision.inventory.settings import SSH
from provision.lab import Lab

pytestmark = pytest.mark.lab
HOST = "gpu01"


@pytest.fixture
def connection(lab: Lab) -> Iterator[Connection]:
    """Return an open connection to a host where root is had by sudo."""
    address = lab.host(HOST).address
    ssh = SSH(address=address, user="ops", key=lab.key, known_hosts=lab.known_hosts)
    with Connection(Host(name=HOST, ssh=ssh)) as opened:
        yield opened


def test_scripts_share_a_session_and_nothing_else(lab: Lab, connection: Connection) -> None:
    """Folder, variables, functions, options, traps and the exit of one script are not the next one's."""
    before = len(lab.logs(HOST))
    first = connection.run(
        "cd /var/lib; left=over; left() { :; }; set -eu; trap 'echo trapped' 0; umask 777; exit 7",
        timeout=20,
    )
    ask = "pwd; echo ${left-none} $- $(umask); command -v left; exec 3>&-; echo here >&2; false"
    second = connection.run(ask, timeout=20)
    third = connection.run(ask, timeout=20)
    assert (first.status, first.stdout) == (7, "trapped\n")
    assert second == third
    assert (second.status, second.stderr) == (1, "here\n")
    assert "over" not in second.stdout
    assert not second.stdout.startswith("/var/lib")
    assert "e" not in second.stdout.split()[2]
    assert len(re.findall("Starting session: command", lab.logs(HOST)[before:])) == 1


@pytest.mark.parametrize("said", ["", "no end", "\n", "\n\nword 0\n", "x" * 300_000])
def test_output_comes_back_as_it_was(connection: Connection, said: str) -> None:
    """With or without a line's end, empty or large, on both streams."""
    chunk = "".join(f"\\{ord(each):03o}" for each in said[:40])
    times = len(said) // 40 + 1 if len(said) > 40 else 1
    loop = f"i=0; while [ $i -lt {times} ]; do printf '{chunk}'; printf '{chunk}' >&2; i=$((i+1)); done"
    for _ in range(2):
        result = connection.run(loop, timeout=60)
        assert result.stdout == result.stderr == said[:40] * times
        assert result.status == 0


def test_a_shell_that_was_killed_is_replaced(connection: Connection) -> None:
    """A script that ends its shell has a status of its own, and the next one runs all the same."""
    killed = connection.run("echo before; kill -9 $$", timeout=20)
    assert killed.stdout == "before\n"
    assert killed.status != 0
    assert connection.run("echo after", timeout=20).stdout == "after\n"


def test_a_script_that_is_too_late_does_not_hold_up_the_next_one(connection: Connection) -> None:
    """What is given up is cut off; the next script has another shell."""
    started = time.monotonic()
    with pytest.raises(Exception, match="in time"):
        connection.run("sleep 60; echo late", timeout=1)
    assert connection.run("echo next", timeout=20).stdout == "next\n"
    assert time.monotonic() - started < 15


def test_scripts_of_two_threads_do_not_mix(connection: Connection) -> None:
    """Each has a shell while it runs."""
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(connection.run, f"sleep 0.3; echo {n}", timeout=20) for n in range(4)]
        assert [each.result().stdout for each in asked] == [f"{n}\n" for n in range(4)]


def test_what_reads_its_input_reads_no_script(connection: Connection) -> None:
    """A script that is framed takes nothing from the next one, though it reads all that it gets."""
    framed = "main() {\ncat\n}\nmain </dev/null"
    assert connection.run(framed, timeout=20).stdout == ""
    assert connection.run("echo next", timeout=20).stdout == "next\n"


def test_two_sessions_are_enough(lab: Lab, connection: Connection) -> None:
    """Where sshd allows two (MaxSessions), a talk and one script after the other have room."""
    lab.exec(HOST, "echo MaxSessions 2 >/etc/ssh/sshd_config.d/few.conf; systemctl restart ssh")
    try:
        connection.close()  # what is open keeps what it was allowed
        connection.open()
        connection.run("echo this shell waits", timeout=20)
        talk = connection.dialogue("provision_main() { echo ready; read -r _; }; provision_main\n")
        assert talk.hear(20) == "ready"
        for number in range(8):
            assert connection.run(f"echo {number}", timeout=20).stdout == f"{number}\n"
            lines: list[str] = []
            connection.run(f"echo {number}", timeout=20, on_line=lines.append)
            assert lines == [str(number)]
        talk.close()
    finally:
        lab.exec(HOST, "rm /etc/ssh/sshd_config.d/few.conf; systemctl restart ssh")


def test_a_script_that_is_listened_to_is_a_process_of_its_own(connection: Connection) -> None:
    """All that it starts has the environment it was given, and `$$` is itself; no argument tells it."""
    ask = "echo $$ ${MARK-none}; sh -c 'echo $MARK'; grep -l h1dden /proc/[0-9]*/cmdline; exit 9"
    lines: list[str] = []
    result = connection.run(ask, timeout=20, on_line=lines.append, environment={"MARK": "it's 1"})
    shell = connection.run("echo $$ ${MARK-none}", timeout=20).stdout.split()
    process, *mark = lines[0].split()
    assert (mark, lines[1:], result.status) == (["it's", "1"], ["it's 1"], 9)
    assert process != shell[0]
    assert shell[1] == "none"


def test_what_a_script_leaves_behind_speaks_into_no_answer(connection: Connection) -> None:
    """A process that goes on to speak is waited for; one that has let go of the output is not."""
    loud = (
        "(for _ in 1 2 3 4 5 6 7 8 9; do sleep 0.1; echo noise; done) & sleep 30 >&- 2>&- & exit 5"
    )
    started = time.monotonic()
    lines: list[str] = []
    result = connection.run(loud, timeout=20, on_line=lines.append)
    assert (result.status, lines) == (5, ["noise"] * 9)
    answer = connection.run("echo; echo here; exit 3", timeout=20)
    assert (answer.status, answer.stdout) == (3, "\nhere\n")
    assert time.monotonic() - started < 10


def test_a_host_that_is_gone_in_the_midst_of_a_script_is_given_up(
    lab: Lab, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for its end hears of it in seconds that we set, not when TCP itself gives up."""
    monkeypatch.setattr("provision.host.client._GONE", 3000)
    monkeypatch.setattr("provision.host.connection.KEEPALIVE", 1)
    connection.close()
    connection.open()
    with ThreadPoolExecutor(1) as pool:
        began = Event()
        script = "echo ready; sleep 300"
        asked = pool.submit(connection.run, script, timeout=300, on_line=lambda _: began.set())
        assert began.wait(20)
        lab.exec(HOST, "iptables -I INPUT -p tcp --dport 22 -j DROP")
        try:
            assert asked.result(timeout=20).status == -1
        finally:
            lab.exec(HOST, "iptables -D INPUT -p tcp --dport 22 -j DROP; pkill -f 'sleep 300'")
