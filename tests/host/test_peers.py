"""A granted key reads what was granted and nothing else; a tree of hosts doubles and never hangs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from provision.errors import ApplyError
from provision.host import ssh_config
from provision.host.bulk import Listener
from provision.host.connection import Connection
from provision.host.peer_scripts import copy_script, grant_script, revoke_script, serve_script
from provision.host.peers import Peers
from provision.host.seeds import Seeds
from provision.inventory.schema import Host
from provision.state.resource import Bulk, Transfer
from provision.state.shell import literal

SHELLS = [["sh"], ["dash"], ["bash"], ["busybox", "sh"]]
SCRIPTS = sorted(Path(sys.modules[Seeds.__module__].__file__ or "").parent.glob("peer_*.sh"))
BULK = Bulk(key="model", folder="/srv/model", files=(("a", 1), ("b", 2)))
LONG = 20  # seconds; nothing takes so long unless it hangs


class MustWaitError(Exception):
    """There is nobody free."""


def must_wait(why: str) -> None:
    """Refuse to wait."""
    raise MustWaitError(why)


def host(name: str) -> Host:
    """Return a host."""
    return Host(name=name)


# What a granted key runs


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """Return the script that serves two files with odd names."""
    folder = tmp_path / "it's a 模型"
    folder.mkdir()
    (folder / "b $x.bin").write_bytes(b"0123456789")
    (folder / "a").write_bytes(b"first")
    (tmp_path / "secret").write_bytes(b"secret")
    bulk = Bulk(key="m", folder=str(folder), files=(("b $x.bin", 10), ("a", 5)))
    script = tmp_path / "serve.sh"
    script.write_text(serve_script(bulk))
    return script


def ask(shell: list[str], script: Path, request: str | None) -> subprocess.CompletedProcess[bytes]:
    """Run the script as sshd would."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(script.parent)}
    if request is not None:
        environment["SSH_ORIGINAL_COMMAND"] = request
    return subprocess.run(
        [*shell, str(script)],
        env=environment,
        capture_output=True,
        check=False,
        cwd=script.parent,
        timeout=LONG,
    )


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize(
    ("request_", "answer"),
    [("0 0", b"first"), ("1 0", b"0123456789"), ("1 7", b"789"), ("1 10", b""), ("1 99", b"")],
)
def test_a_file_is_read_from_an_offset(
    served: Path, shell: list[str], request_: str, answer: bytes
) -> None:
    """The number is that of the file in the order of paths; the offset counts from 0."""
    done = ask(shell, served, request_)
    assert (done.returncode, done.stdout) == (0, answer)


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize(
    "request_",
    [
        *(None, "", " ", "0", "0 ", " 0", "0  0", "0 0 0", "2 0", "-1 0", "0 -1", "+0 0", "00 0"),
        *("0 08", "010 0", "0 0\n", "0\n0", "0\t0", "0 0;id", "0 $(id)", "`id` 0", "0 0 && id"),
        *("a 0", "0 a", "0x0 0", "1e0 0", "0 0|cat secret", "../secret 0", "secret", "sh", "* 0"),
        *("0 ?", "[0] 0", "0 0\\", "0\\ 0", "'0' 0", "9999999 0", "0 9999999999999999", "٣ 0"),
        *("scp -f secret", "internal-sftp", "/usr/lib/openssh/sftp-server", "0 0 " * 5000),
    ],
)
def test_whatever_else_is_asked_for_is_refused(
    served: Path, shell: list[str], request_: str | None
) -> None:
    """Only two plain numbers are understood: nothing is run, nothing else is read."""
    done = ask(shell, served, request_)
    assert done.returncode == 64
    assert done.stdout == b""
    assert done.stderr == b"provision: refused\n"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_clean(path: Path) -> None:
    """What runs on hosts is plain POSIX sh."""
    tool = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert tool
    # SC2034: variables that another of the scripts' parts reads
    subprocess.run([tool, "--shell=sh", "--exclude=SC2034", path], check=True)


# What stands in authorized_keys


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Return the authorized_keys of a home folder that `getent` names; there is none yet."""
    (tmp_path / "home").mkdir()
    getent = tmp_path / "bin/getent"
    getent.parent.mkdir()
    getent.write_text(f"#!/bin/sh\necho root:x:0:0:root:{tmp_path}/home:/bin/sh\n")
    getent.chmod(0o755)
    return tmp_path / "home/.ssh/authorized_keys"


def as_host(keys: Path, script: str, shell: str = "sh") -> None:
    """Run a script that is meant for a host with `keys`."""
    root = keys.parents[2]
    here = script.replace("/run/provision", f"{root}/run").replace("PATH=/", f"PATH={root}/bin:/")
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    environment = {**os.environ, "SUDO_USER": user}
    subprocess.run([shell, "-s"], input=here, text=True, env=environment, check=True)


def grant(keys: Path, run: str = "ab12", number: int = 0, shell: str = "sh") -> None:
    """Grant a key."""
    as_host(keys, grant_script(run, number, f"ssh-ed25519 KEY{number}", BULK), shell)


@pytest.mark.parametrize("shell", ["sh", "dash", "bash"])
def test_the_line_is_exact(keys: Path, shell: str) -> None:
    """Restricted, expiring, with one command, and with the run's name by which it goes again."""
    grant(keys, shell=shell)
    run = f"{keys.parents[2]}/run"
    assert re.fullmatch(
        rf'restrict,expiry-time="\d{{14}}",command="exec sh {run}/peer-ab12/0.sh" '
        r"ssh-ed25519 KEY0 provision-peer ab12\n",
        keys.read_text(),
    )
    assert keys.stat().st_mode & 0o777 == 0o600
    assert keys.parent.stat().st_mode & 0o777 == 0o700
    assert Path(f"{run}/peer-ab12/0.sh").read_text() == serve_script(BULK)


@pytest.mark.parametrize(
    "before",
    [
        b"",
        b"ssh-ed25519 AAAA me@laptop\n",
        b"# no newline at the end\nssh-rsa AAAA",
        b"\n\r\n \t# \\n $x `id` \xff\xfe \xe6\xa8\xa1\r\nssh-rsa A provision-peer\n\n",
    ],
)
def test_other_lines_stay_byte_by_byte(keys: Path, before: bytes) -> None:
    """Ours are added after them and removed again; only a missing last newline is made good."""
    keys.parent.mkdir(mode=0o700)
    keys.write_bytes(before)
    keys.chmod(0o640)
    grant(keys)
    grant(keys, "cd34")
    kept = before if before.endswith(b"\n") or not before else before + b"\n"
    granted = keys.read_bytes()
    assert granted.startswith(kept)
    assert granted[len(kept) :].count(b"\n") == 2
    for run in ("ab12", "cd34"):
        as_host(keys, revoke_script(run))
    assert keys.read_bytes() == kept
    assert keys.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in keys.parent.iterdir()] == ["authorized_keys"]
    assert not (keys.parents[2] / "run").exists()


def test_a_link_is_followed(keys: Path) -> None:
    """A linked authorized_keys stays a link; what it leads to has the line."""
    real = keys.parents[1] / "real"
    real.write_text("ssh-rsa A me\n")
    keys.parent.mkdir(mode=0o700)
    keys.symlink_to(real)
    grant(keys)
    assert keys.is_symlink()
    assert "provision-peer ab12" in real.read_text()


def test_a_grant_renews_its_own_line_and_leaves_that_of_other_data(keys: Path) -> None:
    """One line for each content of a run; their end is common."""
    for number in (0, 1, 0):
        grant(keys, number=number)
    assert [line.split()[4] for line in keys.read_text().splitlines()] == ["KEY1", "KEY0"]
    as_host(keys, revoke_script("ab12"))
    assert keys.read_text() == ""


def test_lines_of_dead_runs_go_with_the_next_grant(keys: Path) -> None:
    """What has expired is removed; what has not is somebody's run."""
    run = f"{keys.parents[2]}/run"
    lines = [
        f'restrict,expiry-time="{when}",command="exec sh {run}/peer-{name}/0.sh" ssh-ed25519 A provision-peer {name}\n'
        for when, name in (("20200101000000", "01d"), ("29990101000000", "1ive"))
    ]
    theirs = 'restrict,expiry-time="20200101000000",command="x" ssh-rsa A me\n'
    keys.parent.mkdir(mode=0o700)
    keys.write_text(theirs + "".join(lines))
    grant(keys)
    text = keys.read_text()
    assert text.startswith(theirs + lines[1])
    assert "01d" not in text


def test_the_server_is_known_as_the_controller_knows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An alias is resolved here, and the host key that is trusted here is the only one there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    ssh_config._read.cache_clear()  # noqa: SLF001  each test has files of its own
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text(
        "Host gpu01\n  HostName 10.0.0.11\n  Port 2200\n  User me\n"
    )
    key = "AAAAC3NzaC1lZDI1NTE5AAAAICMfBScbBHcHewK6eXE6dTNHADBCc5x3B3cFJ45yS0S4"
    (tmp_path / ".ssh/known_hosts").write_text(f"[10.0.0.11]:2200 ssh-ed25519 {key}\n")
    script = copy_script(host("gpu01"), b"PRIVATE", BULK)
    assert "peer_user=me peer_address=10.0.0.11 peer_port=2200 " in script
    known = literal(f"provision-peer ssh-ed25519 {key}\n".encode())
    assert f'{known} >"$peer_dir/known"\n' in script
    assert "peer_copy 0 1 /srv/model/a\npeer_copy 1 2 /srv/model/b\n" in script
    ssh_config._read.cache_clear()  # noqa: SLF001  each test has files of its own


# Who copies from whom


def round_of(seeds: Seeds, wanting: Iterable[str]) -> list[tuple[str, str]]:
    """Let all that can copy do so, at the same time, and return (server, copier)."""
    pairs = []
    for name in wanting:
        try:
            taken = seeds.take(name, BULK, (), must_wait)
        except MustWaitError:
            continue
        assert taken is not None
        pairs.append((taken[0].name, name))
    for server, copier in pairs:
        seeds.offer(host(copier), BULK)
        seeds.release(server)
    return pairs


def test_servers_double_each_round_and_serve_one_at_a_time() -> None:
    """100 hosts have it after 7 rounds, and no host serves two at once."""
    seeds = Seeds()
    seeds.offer(host("gpu000"), BULK)
    wanting = [f"gpu{number:03}" for number in range(1, 100)]
    rounds = []
    while wanting:
        pairs = round_of(seeds, wanting)
        servers = [server for server, _ in pairs]
        assert len(servers) == len(set(servers))
        wanting = [name for name in wanting if name not in {copier for _, copier in pairs}]
        rounds.append(len(pairs))
    assert rounds == [1, 2, 4, 8, 16, 32, 36]


def test_the_first_leads_and_the_others_wait_for_it() -> None:
    """Only one host downloads; a waiter is told which."""
    seeds = Seeds()
    assert in_thread(lambda: seeds.take("gpu01", BULK, (), must_wait), stay=True) is None
    with pytest.raises(MustWaitError, match="wait for gpu01, which downloads it"):
        seeds.take("gpu02", BULK, (), must_wait)


def test_a_busy_server_is_named() -> None:
    """A waiter is told who serves another."""
    seeds = Seeds()
    seeds.offer(host("gpu01"), BULK)
    assert seeds.take("gpu02", BULK, (), must_wait)
    with pytest.raises(MustWaitError, match="wait for gpu01, which serves another host"):
        seeds.take("gpu03", BULK, (), must_wait)


def test_other_files_are_other_data() -> None:
    """A host serves only what has the same name and files; their order and folder do not matter."""
    seeds = Seeds()
    seeds.offer(host("gpu01"), BULK)
    other = BULK.model_copy(update={"files": (("a", 1), ("b", 3))})
    assert seeds.take("gpu02", other, (), must_wait) is None
    same = BULK.model_copy(update={"files": BULK.files[::-1], "folder": "/data"})
    assert seeds.take("gpu03", same, (), must_wait) == (host("gpu01"), BULK)


def test_a_server_that_failed_is_not_asked_again() -> None:
    """Who tried a host, or learnt that it is lost, gets another, or leads."""
    seeds = Seeds()
    for name in ("gpu01", "gpu02"):
        seeds.offer(host(name), BULK)
    taken = seeds.take("gpu03", BULK, {"gpu01"}, must_wait)
    assert taken
    assert taken[0].name == "gpu02"
    seeds.lose("gpu02")
    assert seeds.take("gpu03", BULK, {"gpu01"}, must_wait) is None


_idle: list[threading.Event] = []


@pytest.fixture(autouse=True)
def _let_threads_end() -> Iterable[None]:
    yield
    while _idle:
        _idle.pop().set()


def in_thread(work: object, *, stay: bool) -> object:
    """Do `work` in a thread of its own, which then stays alive, or does not."""
    assert callable(work)
    answers: list[object] = []
    done, leave = threading.Event(), threading.Event()

    def run() -> None:
        answers.append(work())
        done.set()
        if stay:
            leave.wait(LONG)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert done.wait(LONG)
    if stay:
        _idle.append(leave)
    else:
        thread.join(LONG)
    return answers[0]


def waiter(seeds: Seeds, name: str) -> tuple[threading.Thread, list[object]]:
    """Start a host that waits, and return once it does."""
    waits, answers = threading.Event(), list[object]()
    thread = threading.Thread(
        target=lambda: answers.append(seeds.take(name, BULK, (), lambda _why: waits.set())),
        daemon=True,
    )
    thread.start()
    assert waits.wait(LONG)
    return thread, answers


def test_what_the_leader_got_wakes_the_waiter() -> None:
    """After the download the waiter copies from the leader."""
    seeds = Seeds()
    in_thread(lambda: seeds.take("gpu01", BULK, (), must_wait), stay=True)
    thread, answers = waiter(seeds, "gpu02")
    seeds.offer(host("gpu01"), BULK)
    thread.join(LONG)
    assert answers == [(host("gpu01"), BULK)]


def test_a_leader_that_gives_up_hands_over_to_one() -> None:
    """Of two waiters one becomes the leader, the other waits for it."""
    seeds = Seeds()
    in_thread(lambda: seeds.take("gpu01", BULK, (), must_wait), stay=True)
    first, answers = waiter(seeds, "gpu02")
    seeds.gave_up("gpu01")
    first.join(LONG)
    assert answers == [None]


def test_who_downloads_already_is_waited_for() -> None:
    """A download that an earlier run began leads, and whoever comes later copies from it."""
    peers = Peers()
    transfer = Transfer(way="peer", bulk=BULK, running=True)
    listener = Listener(lambda *_: None, lambda *_: None, lambda: False)
    assert not in_thread(
        lambda: peers.fetch(Connection(host("gpu02")), transfer, listener), stay=True
    )
    with pytest.raises(MustWaitError):
        peers.seeds.take("gpu01", BULK, (), must_wait)
    peers.offer(host("gpu02"), BULK)
    assert peers.seeds.take("gpu01", BULK, (), must_wait) == (host("gpu02"), BULK)


def test_a_host_that_raises_is_no_leader() -> None:
    """Whatever ends the work on a host, even with its thread alive, nobody waits for it."""
    peers = Peers()

    def work() -> None:
        with peers.work_on(host("gpu01")):
            assert peers.seeds.take("gpu01", BULK, (), must_wait) is None
            must_wait("and fails")

    with pytest.raises(MustWaitError):
        work()
    assert in_thread(lambda: peers.seeds.take("gpu02", BULK, (), must_wait), stay=True) is None


def test_a_leader_whose_thread_died_is_no_leader() -> None:
    """Who asks after it leads; nobody waits for the dead."""
    seeds = Seeds()
    assert in_thread(lambda: seeds.take("gpu01", BULK, (), must_wait), stay=False) is None
    assert seeds.take("gpu02", BULK, (), must_wait) is None


def test_a_leader_whose_thread_went_on_is_no_leader() -> None:
    """A thread of a pool outlives its host: with the next host its lead is over."""
    seeds = Seeds()
    other = BULK.model_copy(update={"key": "other"})

    def forgetful() -> None:
        assert seeds.take("gpu01", BULK, (), must_wait) is None
        assert seeds.take("gpu02", other, (), must_wait) is None

    in_thread(forgetful, stay=True)
    assert seeds.take("gpu03", BULK, (), must_wait) is None


def test_leaders_cannot_wait_for_each_other() -> None:
    """A leader that comes back for other data has let go of the first: no circle can close."""
    seeds = Seeds()
    other = BULK.model_copy(update={"key": "other"})
    assert seeds.take("gpu01", BULK, (), must_wait) is None
    assert in_thread(lambda: seeds.take("gpu02", other, (), must_wait), stay=True) is None
    with pytest.raises(MustWaitError):
        seeds.take("gpu01", other, (), must_wait)  # waits for gpu02 …
    assert in_thread(lambda: seeds.take("gpu02", BULK, (), must_wait), stay=True) is None


def test_a_wait_that_is_ended_holds_nothing() -> None:
    """An operator who stops a waiter leaves the others as they were."""
    seeds = Seeds()
    seeds.offer(host("gpu01"), BULK)
    assert seeds.take("gpu02", BULK, (), must_wait)
    with pytest.raises(MustWaitError):
        seeds.take("gpu03", BULK, (), must_wait)
    seeds.release("gpu01")
    assert seeds.take("gpu04", BULK, (), must_wait)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("failures", [0, 2, 40])
def test_a_bounded_pool_never_hangs(threads: int, failures: int) -> None:
    """40 hosts on few threads all come to an end; after two failed leaders all others fail."""
    seeds, led, left = Seeds(), [], [True] * failures

    def fetch(number: int) -> str:
        name = f"gpu{number:02}"
        try:
            taken = seeds.take(name, BULK, (), lambda _why: None)
        except ApplyError as error:
            return error.what
        if taken:
            seeds.offer(host(name), BULK)
            seeds.release(taken[0].name)
            return taken[0].name
        led.append(name)
        if left and left.pop():
            seeds.gave_up(name)
        else:
            seeds.offer(host(name), BULK)
        return ""

    with ThreadPoolExecutor(threads) as pool:
        answers = list(pool.map(fetch, range(40)))
    assert len(led) == answers.count("") == (2 if failures else 1)
    spared = [each for each in answers if "could not download" in each]
    assert len(spared) == (38 if failures else 0)
