"""The laws of bulk data on real hosts: it arrives whole, from wherever, and leaves no key behind."""

from __future__ import annotations

import hashlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from keyboard import NAME

from provision import lab as labs
from provision.errors import ApplyError, LockError
from provision.host.bulk import Listener
from provision.host.carrier import Carrier
from provision.host.connection import Connection
from provision.host.hold import take_away
from provision.host.lock import Locks
from provision.host.peer_scripts import grant_script, revoke_script
from provision.host.push import push
from provision.inventory.schema import SSH, Host
from provision.lab import Lab
from provision.state.resource import Bulk, Transfer

pytestmark = pytest.mark.lab
LAB = f"{NAME}-bulk"
MIB = 1 << 20
AUTHORIZED = "/home/ops/.ssh/authorized_keys"
Steps = list[tuple[str, str]]


@pytest.fixture(scope="module")
def fleet() -> Iterator[Lab]:
    """Bring up four hosts of a lab of their own, and take them down at the end."""
    labs.down(LAB)
    yield labs.up(hosts=4, name=LAB)
    labs.down(LAB)


@pytest.fixture(autouse=True)
def clean(fleet: Lab) -> None:
    """Begin each test on hosts without bulk data."""
    for each in fleet.hosts:
        fleet.exec(each, "umount /srv/tiny; rm -rf /srv/* /run/provision")


def host(fleet: Lab, name: str, **ssh: object) -> Host:
    """Return a host as an inventory has it."""
    settings = {"address": fleet.host(name).address, "user": "ops", "key": fleet.key}
    return Host(
        name=name, ssh=SSH.model_validate({**settings, "known_hosts": fleet.known_hosts, **ssh})
    )


def bulk_of(origin: Path, folder: str, key: str = "model@1") -> Bulk:
    """Return all files of a folder."""
    files = [path for path in sorted(origin.rglob("*")) if path.is_file()]
    sizes = tuple((str(path.relative_to(origin)), path.stat().st_size) for path in files)
    return Bulk(key=key, folder=folder, files=sizes)


def pushed(fleet: Lab, name: str, origin: Path, folder: str) -> Bulk:
    """Push a folder to a host and return what is there."""
    bulk = bulk_of(origin, folder)
    send(host(fleet, name), bulk, origin)
    return bulk


def send(
    to: Host,
    bulk: Bulk,
    origin: Path,
    tell: Callable[[int, int], None] = lambda _done, _total: None,
) -> None:
    """Push without an operator."""
    push(to, Transfer(way="push", bulk=bulk, origin=str(origin)), tell, lambda: False)


def sums(fleet: Lab, name: str, folder: str) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder on a host."""
    script = f"cd {shlex.quote(folder)} && find . -type f -print0 | xargs -0 sha256sum -z | tr '\\0' '\\n'"
    lines = fleet.exec(name, script).stdout.splitlines()
    return {line[66:].removeprefix("./"): line[:64] for line in lines}


def expected(origin: Path) -> dict[str, str]:
    """Return the same of a folder here."""
    files = [path for path in origin.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(origin)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def copy(
    carrier: Carrier, fleet: Lab, name: str, bulk: Bulk, listener: Listener | None = None
) -> tuple[bool, Steps]:
    """Let a host fetch `bulk`, and return whether it got it and what the operator was told."""
    said: Steps = []
    heard = listener or Listener(
        lambda step, detail: said.append((step, detail)), lambda _done, _total: None
    )
    with Connection(host(fleet, name)) as connection:
        return carrier.carry(connection, Transfer(way="peer", bulk=bulk), heard), said


def ssh(fleet: Lab, key: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    """Log in to gpu01 with a key and nothing else."""
    options = ["-F/dev/null", "-oBatchMode=yes", "-oIdentitiesOnly=yes", "-oIdentityAgent=none"]
    options += [f"-oUserKnownHostsFile={fleet.known_hosts}", f"-oIdentityFile={key}"]
    address = f"ops@{fleet.host('gpu01').address}"
    argv = ["ssh", *options, *words[:-1], address, words[-1]]
    return subprocess.run(argv, capture_output=True, check=False, timeout=30)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a folder with odd names and files of all sizes."""
    origin = tmp_path / "model"
    (origin / "子目录").mkdir(parents=True)
    (origin / 'it\'s "big" 大.bin').write_bytes(os.urandom(9 * MIB))
    (origin / "子目录/权重 $x.bin").write_bytes(os.urandom(5 * MIB))
    for name in ("-dash", "a b.json", "`id`;", "empty"):
        (origin / name).write_bytes(b"" if name == "empty" else name.encode())
    return origin


def test_push_brings_odd_names_as_roots_files(fleet: Lab, model: Path) -> None:
    """All files arrive byte by byte, root's, readable for all, below a folder with an odd name."""
    folder = "/srv/mo del's/模型"
    pushed(fleet, "gpu01", model, folder)
    assert sums(fleet, "gpu01", folder) == expected(model)
    listed = fleet.exec("gpu01", f"find {shlex.quote(folder)} -type f -printf '%U %m\\n' | sort -u")
    assert listed.stdout == "0 644\n"


def test_push_through_a_gateway(fleet: Lab, model: Path) -> None:
    """A host behind a gateway gets its files through it, and sshd there sees the gateway."""
    gateway = fleet.host("gpu02").address
    to = host(fleet, "gpu01", gateway=f"ops@{gateway}")
    send(to, bulk_of(model, "/srv/m"), model)
    assert sums(fleet, "gpu01", "/srv/m") == expected(model)
    assert f"Accepted publickey for ops from {gateway}" in fleet.logs("gpu01")


def test_push_goes_on_where_a_killed_ssh_left_it(fleet: Lab, tmp_path: Path) -> None:
    """When ssh dies in the middle of a file, the rest follows and the file is whole."""
    (tmp_path / "big").write_bytes(os.urandom(256 * MIB))
    told: list[int] = []
    killed: list[int] = []

    def tell(done: int, _total: int) -> None:
        told.append(done)
        if done > 32 * MIB and not killed:
            found = subprocess.run(
                ["pgrep", "-P", str(os.getpid()), "-x", "ssh"],
                capture_output=True,
                text=True,
                check=True,
            )
            killed.append(int(found.stdout))
            os.kill(killed[0], signal.SIGKILL)

    send(host(fleet, "gpu01"), bulk_of(tmp_path, "/srv/m"), tmp_path, tell)
    after = told[told.index(next(done for done in told if done > 32 * MIB)) + 1 :]
    assert min(after) > 16 * MIB  # what was in flight is lost, what had arrived is not
    assert sums(fleet, "gpu01", "/srv/m") == expected(tmp_path)


def test_push_to_a_full_disk_is_told_before_it_begins(fleet: Lab, model: Path) -> None:
    """What cannot fit is not sent."""
    fleet.exec("gpu01", "mkdir -p /srv/tiny && mount -t tmpfs -o size=1m tmpfs /srv/tiny")
    with pytest.raises(ApplyError, match="gpu01: /srv/tiny/m: the disk is full"):
        pushed(fleet, "gpu01", model, "/srv/tiny/m")


@pytest.mark.quiet
def test_push_is_nearly_as_fast_as_scp(fleet: Lab, tmp_path: Path) -> None:
    """One file to three hosts at once takes at most 1/0.6 of the time that scp takes."""
    (tmp_path / "big").write_bytes(os.urandom(256 * MIB))
    names = ["gpu01", "gpu02", "gpu03"]

    def scp(name: str) -> None:
        options = ["-F/dev/null", f"-oUserKnownHostsFile={fleet.known_hosts}", "-i", str(fleet.key)]
        target = f"ops@{fleet.host(name).address}:big"
        subprocess.run(["scp", "-q", *options, str(tmp_path / "big"), target], check=True)

    def ours(name: str) -> None:
        pushed(fleet, name, tmp_path, "/srv/m")

    def seconds(work: Callable[[str], None]) -> float:
        began = time.monotonic()
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(work, names))
        return time.monotonic() - began

    theirs, mine = seconds(scp), seconds(ours)
    assert theirs / mine >= 0.6, f"scp {theirs:.1f} s, push {mine:.1f} s"


def test_hosts_copy_from_each_other_and_no_key_stays(fleet: Lab, model: Path) -> None:
    """One has it, three get it; during the run each key expires; after it nothing is left."""
    fleet.exec("gpu01", f"printf '# no newline at the end\\r' >>{AUTHORIZED}")
    before = {each.name: fleet.exec(each, f"cat {AUTHORIZED}").stdout for each in fleet.hosts}
    bulk = pushed(fleet, "gpu01", model, "/srv/原 one")
    with Carrier() as carrier, ThreadPoolExecutor(3) as pool:
        carrier.offer(host(fleet, "gpu01"), bulk)
        mine = bulk.model_copy(update={"folder": "/srv/it's mine"})
        names = ["gpu02", "gpu03", "gpu04"]
        results = list(pool.map(lambda name: copy(carrier, fleet, name, mine), names))
        granted = fleet.exec("gpu01", f"cat {AUTHORIZED}; date +%Y%m%d%H%M%S").stdout.splitlines()
    assert all(got for got, _ in results)
    assert sum(("copy model@1 from gpu01", "") in said for _, said in results) < 3
    *_, line, now = granted
    assert line.startswith('restrict,expiry-time="')
    expires, read = (
        datetime.strptime(f"{at}Z", "%Y%m%d%H%M%S%z") for at in (line.split('"')[1], now)
    )
    assert timedelta(0) < expires - read < timedelta(days=1, minutes=10)
    for name in names:
        assert sums(fleet, name, "/srv/it's mine") == expected(model)
    for each in fleet.hosts:
        after = fleet.exec(each, f"cat {AUTHORIZED}").stdout
        assert after.removesuffix("\n") == before[each.name].removesuffix("\n")
        left = fleet.exec(each, f"find /run/provision {AUTHORIZED}.provision-new; pgrep -x ssh")
        assert left.stdout == ""
        owner = fleet.exec(each, f"stat -c '%U %a' {AUTHORIZED}").stdout
        assert owner == "ops 600\n"


def test_a_granted_key_reads_what_was_granted_only(fleet: Lab, model: Path, tmp_path: Path) -> None:
    """No shell, no other file, no sftp, no forwarding; after the run, or its day, not even a login."""
    bulk = pushed(fleet, "gpu01", model, "/srv/m")
    fleet.exec("gpu01", "chmod -R go= /srv/m")  # then it takes sudo
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = key.with_suffix(".pub").read_text()
    with Connection(host(fleet, "gpu01")) as connection:
        script = grant_script("feed", 0, " ".join(public.split()[:2]), bulk)
        assert connection.run(script, timeout=30).status == 0
        for number, (path, _) in enumerate(sorted(bulk.files)):
            assert ssh(fleet, key, f"{number} 0").stdout == (model / path).read_bytes()
        for request in ("6 0", "cat /etc/passwd", "0 0; id", "", "sh -i", "/srv/m/a b.json"):
            done = ssh(fleet, key, request)
            assert (done.returncode, done.stdout) == (64, b""), request
        assert ssh(fleet, key, "-s", "sftp").returncode == 64
        assert b"prohibited" in ssh(fleet, key, "-W127.0.0.1:22", "0 0").stderr
        late = f'sed -i \'s/expiry-time="[0-9]*"/expiry-time="20200101000000"/\' {AUTHORIZED}'
        fleet.exec("gpu01", late)
        assert b"Permission denied" in ssh(fleet, key, "0 0").stderr
        assert connection.run(script, timeout=30).status == 0
        assert ssh(fleet, key, "0 0").returncode == 0
        assert connection.run(revoke_script("feed"), timeout=30).status == 0
        assert b"Permission denied" in ssh(fleet, key, "0 0").stderr


def test_a_broken_server_is_replaced_and_a_lost_one_leaves_a_leader(
    fleet: Lab, model: Path
) -> None:
    """Who lacks a file after all is passed over for one that has it; without any, the host leads."""
    bulk = pushed(fleet, "gpu02", model, "/srv/m")
    with Carrier() as carrier:
        carrier.offer(host(fleet, "gpu01"), bulk)
        carrier.offer(host(fleet, "gpu02"), bulk)
        got, said = copy(carrier, fleet, "gpu03", bulk)
    assert got
    assert [step for step, _ in said] == [
        "copy model@1 from gpu01",
        said[1][0],
        "copy model@1 from gpu02",
    ]
    assert said[1][0].startswith("could not copy from gpu01: ")
    assert "No such file" in said[1][0]
    with Carrier() as carrier:
        carrier.offer(host(fleet, "gpu01", port=2299, connect_timeout=2), bulk)
        fleet.exec("gpu04", "rm -rf /srv/m")
        got, said = copy(carrier, fleet, "gpu04", bulk)
    assert not got
    assert "refused" in said[-1][0]


def test_a_copy_goes_on_where_it_stopped_and_a_stop_leaves_nothing(
    fleet: Lab, tmp_path: Path
) -> None:
    """An operator's stop ends the copy on the host and its key; the next run takes the rest."""
    origin = tmp_path / "model"
    origin.mkdir()
    (origin / "big").write_bytes(os.urandom(256 * MIB))
    bulk = pushed(fleet, "gpu01", origin, "/srv/m")
    told: list[int] = []
    listener = Listener(
        lambda _step, _detail: None, lambda done, _total: told.append(done), lambda: bool(told)
    )
    fleet.exec("gpu01", "tc qdisc replace dev eth0 root tbf rate 200mbit burst 256kb latency 50ms")
    with Carrier() as carrier:
        carrier.offer(host(fleet, "gpu01"), bulk)
        with pytest.raises(ApplyError, match="stopped by the operator"):
            copy(carrier, fleet, "gpu02", bulk, listener)
    ends = time.monotonic() + 10
    while fleet.exec("gpu02", "pgrep -x ssh || pgrep -x dd || ls /run/provision").stdout:
        assert time.monotonic() < ends
    there = int(fleet.exec("gpu02", "stat -c %s /srv/m/big.copying").stdout)
    assert 0 < there < 256 * MIB
    fleet.exec("gpu01", "tc qdisc del dev eth0 root")
    with Carrier() as carrier:
        carrier.offer(host(fleet, "gpu01"), bulk)
        assert copy(carrier, fleet, "gpu02", bulk)[0]
    assert sums(fleet, "gpu02", "/srv/m") == expected(origin)


def test_no_copy_begins_without_the_lock(fleet: Lab, model: Path) -> None:
    """It may be taken away while a host waits for its turn; a copy under it is the run's own."""
    bulk = pushed(fleet, "gpu01", model, "/srv/m")
    locks = Locks("test")
    with Carrier() as carrier, Connection(host(fleet, "gpu02")) as connection:
        carrier.offer(host(fleet, "gpu01"), bulk)
        lease = locks.take(connection, lambda *_: None)
        heard = Listener(lambda *_: None, lambda *_: None, lease=lease)
        take_away(connection, "test")
        with pytest.raises(LockError, match="the lock is not ours any more"):
            copy(carrier, fleet, "gpu02", bulk, heard)
        locks.end(lease, {})
        assert fleet.exec("gpu02", "ls -d /srv/m").stdout == ""
        lease = locks.take(connection, lambda *_: None)
        heard = heard._replace(lease=lease)
        assert copy(carrier, fleet, "gpu02", bulk, heard)[0]
        locks.end(lease, {})
    locks.close()
    assert sums(fleet, "gpu02", "/srv/m") == expected(model)


def test_a_host_without_ssh_or_room_says_so(fleet: Lab, model: Path) -> None:
    """The copying host's own fault ends the copy, with the remedy."""
    bulk = pushed(fleet, "gpu01", model, "/srv/m")
    with Carrier() as carrier:
        carrier.offer(host(fleet, "gpu01"), bulk)
        fleet.exec("gpu02", "mkdir -p /srv/tiny && mount -t tmpfs -o size=1m tmpfs /srv/tiny")
        with pytest.raises(ApplyError, match="gpu02: /srv/tiny: the disk is full"):
            copy(carrier, fleet, "gpu02", bulk.model_copy(update={"folder": "/srv/tiny"}))
        fleet.exec("gpu02", "mv /usr/bin/ssh /usr/bin/ssh.away")
        try:
            with pytest.raises(
                ApplyError, match=r"no ssh program .* apt-get install openssh-client"
            ):
                copy(carrier, fleet, "gpu02", bulk)
        finally:
            fleet.exec("gpu02", "mv /usr/bin/ssh.away /usr/bin/ssh")
    assert fleet.exec("gpu02", "ls -d /run/provision").stdout == ""
