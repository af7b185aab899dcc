"""What befalls a lab host from outside: slow and lossy links, a clock that is off, a proxy alone."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from provision.errors import LabError
from provision.lab.deb import unpack
from provision.lab.lab import Lab
from provision.lab.names import ASSETS, cache
from provision.lab.process import Say, as_root, run, say_on_stderr
from provision.lab.suite import Suite

PROXY_PORT = 3128
START_TIMEOUT = 10.0  # seconds
FAKETIME = "/usr/local/lib/libfaketimeMT.so.1"


@contextmanager
def slow(lab: Lab, host: str, rate: str = "1mbit") -> Iterator[None]:
    """Let everything to and from a host pass at no more than `rate`, in tc's words."""
    shape = ("root", "tbf", "rate", rate, "burst", "16kb", "latency", "400ms")
    ends = (["tc", "qdisc", "{}", "dev", _outer_end(lab, host)], _inside(lab, host))
    try:
        for end in ends:
            run(as_root([*_verb(end, "replace"), *shape]))
        yield
    finally:
        for end in ends:
            run(as_root([*_verb(end, "delete"), "root"]), check=False)


@contextmanager
def lossy(lab: Lab, host: str, share: float = 0.05) -> Iterator[None]:
    """Lose this share of a host's packets, at random, in both directions."""
    rules = [
        f"{chain} {flag} eth0 -m statistic --mode random --probability {share} -j DROP"
        for chain, flag in (("INPUT", "-i"), ("OUTPUT", "-o"))
    ]
    try:
        for rule in rules:
            _do(lab, host, f"iptables -I {rule}")
        yield
    finally:
        for rule in rules:
            lab.exec(host, f"iptables -D {rule}")


@contextmanager
def clock_off(lab: Lab, host: str, shift: str) -> Iterator[None]:
    """Let the programs of a host see a clock that is off by `shift`: `-10d`, `+2h`.

    A container has no clock of its own, so this is libfaketime under everything that starts now;
    what ran before, and Go's programs, see the real time.
    """
    container = lab.host(host).container
    lab.engine("cp", str(ensure_faketime(say_on_stderr)), f"{container}:{FAKETIME}")
    try:
        _do(lab, host, f"echo '{shift}' >/etc/faketimerc && echo {FAKETIME} >/etc/ld.so.preload")
        yield
    finally:
        lab.exec(host, f"rm -f /etc/ld.so.preload /etc/faketimerc {FAKETIME}")


def ensure_faketime(say: Say) -> Path:
    """Return libfaketime's library, the older Debian's: it runs on the newer one too."""
    target = cache() / "faketime" / Path(FAKETIME).name
    if not target.exists():
        suite = Suite("bookworm")
        suite.refresh(say)
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=target.parent) as scratch:
            unpack(suite.download(["libfaketime"])["libfaketime"], Path(scratch))
            found = next(Path(scratch).rglob(target.name))
            shutil.move(found, target)
    return target


def proxy(lab: Lab) -> str:
    """Start the lab's proxy beside its mirror, unless it runs, and return its URL."""
    url = f"http://{lab.mirror.address}:{PROXY_PORT}"
    if _answers(lab.mirror.address):
        return url
    shutil.copy(ASSETS / "faults" / "proxyd.py", lab.mirror.folder)
    lab.engine("exec", "--detach", lab.mirror.container, "/usr/bin/python3", "/lab/proxyd.py")
    ends = time.monotonic() + START_TIMEOUT
    while not _answers(lab.mirror.address):
        if time.monotonic() > ends:
            raise LabError("the proxy does not answer", where=lab.mirror.container)
        time.sleep(0.1)
    return url


def proxy_log(lab: Lab) -> list[str]:
    """Return what the proxy was asked for, a method and a target each."""
    file = lab.mirror.folder / "proxy.log"
    return file.read_text().splitlines() if file.exists() else []


def _answers(address: str) -> bool:
    try:
        socket.create_connection((address, PROXY_PORT), timeout=1).close()
    except OSError:
        return False
    return True


def _outer_end(lab: Lab, host: str) -> str:
    """Return the name that this machine has for the other end of a host's cable."""
    index = int(_do(lab, host, "cat /sys/class/net/eth0/iflink"))
    for link in json.loads(run(["ip", "-json", "link"]).stdout):
        if link["ifindex"] == index:
            return str(link["ifname"])
    raise LabError(
        "its cable does not end on this machine",
        where=host,
        remedy="Links are shaped only where the Docker Engine runs on this machine itself.",
    )


def _inside(lab: Lab, host: str) -> list[str]:
    pid = lab.engine("inspect", "-f", "{{.State.Pid}}", lab.host(host).container).stdout.strip()
    return ["nsenter", "--target", pid, "--net", "tc", "qdisc", "{}", "dev", "eth0"]


def _verb(command: list[str], verb: str) -> list[str]:
    return [verb if word == "{}" else word for word in command]


def _do(lab: Lab, host: str, script: str) -> str:
    done = lab.exec(host, script)
    if done.returncode != 0:
        raise LabError((done.stderr or done.stdout).strip(), where=f"{host}: {script}")
    return done.stdout.strip()
