"""Hosts to measure on: an sshd each on a loopback address, with a key and a log of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import create_connection
from typing import Final, NamedTuple

from places import BASE, DELAYED, DIRECT, KEY, KNOWN_HOSTS, address, folder, name, root
from workload import prepare, seed

_HIDDEN: Final = ("docker", "dockerd", "containerd", "nvidia-smi", "rpm")
"""Programs that this machine may have and a host here has not."""
_LISTS: Final = ("docker.io", "containerd")
"""Packages of the same kind."""
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SSHD: Final = """\
Port {port}
ListenAddress {address}
HostKey {folder}/host_key
PidFile {folder}/sshd.pid
AuthorizedKeysFile {key}.pub
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
StrictModes no
MaxStartups 200
LogLevel VERBOSE
PrintMotd no
Subsystem sftp internal-sftp
SetEnv SHLVL=5 BENCH_ROOT={root}
"""
"""SHLVL keeps bash from reading root's .bashrc for each command, whatever stands in that here."""


class Counts(NamedTuple):
    """What one host has seen."""

    connections: int
    sessions: int


@contextmanager
def machines(count: int) -> Iterator[None]:
    """Run that many hosts, all as wanted."""
    down()
    BASE.mkdir(parents=True, exist_ok=True)
    _key(KEY)
    processes = [_start(number) for number in range(1, count + 1)]
    try:
        _known(count)
        for number in range(1, count + 1):
            _wait(number)
            prepare(number)
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def down() -> None:
    """End what an aborted run left, by the process ids that it wrote down."""
    for path in (BASE / "hosts").glob("*/sshd.pid"):
        with suppress(OSError, ValueError):
            os.kill(int(path.read_text()), signal.SIGTERM)
        path.unlink(missing_ok=True)


def seen(number: int, start: int) -> Counts:
    """Count what the log of a host says from a position on."""
    with (folder(number) / "sshd.log").open(encoding="utf-8", errors="replace") as file:
        file.seek(start)
        text = file.read()
    return Counts(text.count("Accepted publickey"), text.count("Starting session: "))


def position(number: int) -> int:
    """Return how long the log of a host is."""
    return (folder(number) / "sshd.log").stat().st_size


def _start(number: int) -> subprocess.Popen[bytes]:
    place = folder(number)
    place.mkdir(parents=True, exist_ok=True)
    _key(place / "host_key")
    seed(number)
    settings = {"address": address(number), "folder": place, "key": KEY, "root": root(number)}
    (place / "sshd_config").write_text(_SSHD.format(port=DIRECT, **settings))
    (place / "sshd.log").write_text("")
    # of its own mounts alone: what the machine has and a bare host has not is hidden
    programs = (Path(folder, each) for folder in _PATH.split(":") for each in _HIDDEN)
    paths = (*programs, *(Path(f"/var/lib/dpkg/info/{each}.list") for each in _LISTS))
    hide = " ".join(f"mount --bind /dev/null {path} &&" for path in paths if path.exists())
    sshd = shutil.which("sshd", path=_PATH) or "/usr/sbin/sshd"
    boot = (  # as booted for the first time, with locks and notes of its own
        "mkdir -p /var/lib/provision && mount -t tmpfs tmpfs /var/lib/provision && "
        "mount -t tmpfs tmpfs /run && mkdir -p /run/sshd /run/systemd/system &&"
    )
    script = f"{hide} {boot} exec {sshd} -D -f {place}/sshd_config -E {place}/sshd.log"
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return subprocess.Popen(["unshare", "-m", "sh", "-c", script], env=environment)


def _known(count: int) -> None:
    lines = []
    for number in range(1, count + 1):
        key = " ".join((folder(number) / "host_key.pub").read_text().split()[:2])
        lines += [f"[{address(number)}]:{port} {key}\n" for port in (DIRECT, DELAYED)]
    KNOWN_HOSTS.write_text("".join(lines))
    for port in (DIRECT, DELAYED):
        hosts = (
            f"Host {name(n)} {address(n)}\n  HostName {address(n)}\n  Port {port}\n"
            for n in range(1, count + 1)
        )
        (BASE / f"ssh_config.{port}").write_text(
            "".join(hosts) + f"Host *\n  User root\n  IdentityFile {KEY}\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {KNOWN_HOSTS}\n  StrictHostKeyChecking yes\n  BatchMode yes\n"
            "  GlobalKnownHostsFile /dev/null\n  LogLevel ERROR\n"
        )


def _key(path: Path) -> None:
    if not path.exists():
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)]
        subprocess.run(words, check=True)


def _wait(number: int) -> None:
    until = time.monotonic() + 20
    while True:
        try:
            create_connection((address(number), DIRECT), 1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return
