"""The laws of the connection: the operator's ssh configuration, gateways and agent, always strict."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import BoundedSemaphore

import pytest
from keyboard import inv

from provision.host.connection import Connection
from provision.inventory.schema import Host
from provision.inventory.settings import SSH
from provision.lab import Lab

pytestmark = pytest.mark.lab
Write = Callable[..., Path]
TIME_OUT = 10
"""Seconds that a host has to answer, unless the inventory says otherwise."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return an operator's home folder with an empty ssh configuration."""
    (tmp_path / ".ssh").mkdir(mode=0o700)
    return tmp_path


@pytest.fixture
def agent(lab: Lab) -> Iterator[dict[str, str]]:
    """Run an ssh-agent that holds the lab's key, and end it."""
    said = subprocess.run(["ssh-agent", "-s"], capture_output=True, text=True, check=True).stdout
    names = dict(part.split("=", 1) for part in said.replace("\n", "").split(";") if "=" in part)
    environment = {"SSH_AUTH_SOCK": names["SSH_AUTH_SOCK"]}
    subprocess.run(["ssh-add", "-q", lab.key], env={**os.environ, **environment}, check=True)
    yield environment
    os.kill(int(names["SSH_AGENT_PID"]), 15)


def test_ssh_configuration_is_honoured(lab: Lab, home: Path) -> None:
    """An alias, in a file that ~/.ssh/config includes, gives address, user and key to a host."""
    (home / ".ssh/config").write_text("Include config.d/*\n")
    (home / ".ssh/config.d").mkdir()
    (home / ".ssh/config.d/lab").write_text(
        f"Host gpu01\n  HostName {lab.host('gpu01').address}\n  User ops\n"
        f"  IdentityFile {lab.key}\n  UserKnownHostsFile {lab.known_hosts}\n"
    )
    path = home / "fleet.yaml"
    path.write_text("hosts: {gpu01: {}}\n")
    answer = inv("facts", "--inventory", path, HOME=str(home), SSH_AUTH_SOCK="")
    assert answer.status == 0, answer.text


def test_proxy_jump_of_the_ssh_configuration_is_strict_too(lab: Lab, home: Path) -> None:
    """A ProxyJump host with an unknown key is refused, and accepted once its key is known."""
    gateway, target = lab.host("gpu02").address, lab.host("gpu01").address
    (home / ".ssh/config").write_text(
        f"Host gpu01\n  HostName {target}\n  ProxyJump ops@{gateway}\n"
        f"Host *\n  User ops\n  IdentityFile {lab.key}\n"
    )
    keys = lab.known_hosts.read_text().splitlines(keepends=True)
    known = home / ".ssh/known_hosts"
    path = home / "fleet.yaml"
    path.write_text("hosts: {gpu01: {}}\n")
    known.write_text("".join(line for line in keys if target in line))
    refused = inv("facts", "--inventory", path, HOME=str(home), SSH_AUTH_SOCK="")
    known.write_text("".join(keys))
    accepted = inv("facts", "--inventory", path, HOME=str(home), SSH_AUTH_SOCK="")
    assert refused.status == 1
    assert f"({gateway}): unknown host key" in refused.stdout
    assert accepted.status == 0, accepted.text


def test_gateway_of_the_inventory_carries_the_connection(lab: Lab, write_inventory: Write) -> None:
    """A host behind a gateway is reached through it, and sshd there sees the gateway's address."""
    gateway = lab.host("gpu02").address
    path = write_inventory(gpu01={"ssh": {"gateway": f"ops@{gateway}"}})
    answer = inv("facts", "--inventory", path, "--host", "gpu01")
    assert answer.status == 0, answer.text
    assert f"Accepted publickey for ops from {gateway}" in lab.logs("gpu01")


def test_gateway_that_cannot_reach_the_host_is_named(lab: Lab, write_inventory: Write) -> None:
    """When the gateway cannot reach the host, the error names the gateway."""
    ssh = {"gateway": f"ops@{lab.host('gpu02').address}", "port": 2299, "connect_timeout": 3}
    answer = inv("facts", "--inventory", write_inventory(gpu01={"ssh": ssh}), "--host", "gpu01")
    assert answer.status == 1
    assert f"through the gateway ops@{lab.host('gpu02').address}" in answer.stdout
    assert "Traceback" not in answer.text


def test_agent_is_asked_where_no_key_is_stated(lab: Lab, home: Path, agent: dict[str, str]) -> None:
    """Without ssh.key the agent's keys are tried."""
    path = home / "fleet.yaml"
    address = lab.host("gpu01").address
    path.write_text(
        f"hosts: {{gpu01: {{ssh: {{address: {address}, user: ops, known_hosts: {lab.known_hosts}}}}}}}\n"
    )
    assert inv("facts", "--inventory", path, HOME=str(home), **agent).status == 0
    refused = inv("facts", "--inventory", path, HOME=str(home), SSH_AUTH_SOCK="")
    assert refused.status == 1
    assert "the agent's and ~/.ssh's keys" in refused.stdout


def test_hosts_that_hang_cost_their_own_time_out(lab: Lab, write_inventory: Write) -> None:
    """Hosts that accept packets and answer nothing fail by their own time-out, and all at once."""
    address = lab.host("gpu01").address
    hung = {f"hung{number:02}": {"ssh": {"address": address}} for number in range(1, 41)}
    lab.exec("gpu01", "kill -STOP $(cat /run/sshd.pid 2>/dev/null || pgrep -o sshd)")
    begun = time.monotonic()
    try:
        path = write_inventory(gpu01={"ssh": {"connect_timeout": 2}}, **hung)
        answer = inv("facts", "--inventory", path, timeout=100)
    finally:
        lab.exec("gpu01", "kill -CONT $(cat /run/sshd.pid 2>/dev/null || pgrep -o sshd)")
    assert time.monotonic() - begun < 3 * TIME_OUT
    assert answer.status == 1
    assert "gpu02" in answer.stdout
    assert len(answer.lines_about("gpu01")) == 1, answer.text
    assert len(answer.lines_about("hung40")) == 1, answer.text


def test_a_host_that_never_ends_its_handshake_does_not_answer(tmp_path: Path) -> None:
    """A stand-in for sshd says who it is and nothing more: that costs a time-out, and is said so."""
    path = tmp_path / "fleet.yaml"
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        server.settimeout(30)
        port = server.getsockname()[1]
        path.write_text(
            f"hosts: {{mute: {{ssh: {{address: 127.0.0.1, port: {port}, user: ops, "
            "connect_timeout: 2, known_hosts: /dev/null}}}\n"
        )
        begun = time.monotonic()
        asked = pool.submit(inv, "facts", "--inventory", path)
        peer, _ = server.accept()
        with peer:
            peer.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")
            answer = asked.result(timeout=60)
    assert time.monotonic() - begun < TIME_OUT
    assert answer.status == 1
    assert "the host does not answer" in answer.stdout, answer.text


class Turns(BoundedSemaphore):
    """Turns of which it is known how many were taken at once at most."""

    def __init__(self, count: int) -> None:
        """Begin with all of them free."""
        super().__init__(count)
        self.taken = self.most = 0

    def __enter__(self) -> bool:
        """Take one."""
        super().__enter__()
        self.taken += 1
        self.most = max(self.most, self.taken)
        return True

    def __exit__(self, *error: object) -> None:
        """Give it back."""
        self.taken -= 1
        self.release()


def test_more_hosts_than_shake_hands_at_once_all_get_in(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Handshakes take turns: many more hosts than turns cost no error."""
    turns = Turns(2)
    monkeypatch.setattr("provision.host.client._handshakes", turns)
    address = lab.host("gpu01").address
    ssh = SSH(address=address, user="ops", key=lab.key, known_hosts=lab.known_hosts)

    def asked(number: int) -> str:
        with Connection(Host(name="gpu01", ssh=ssh)) as connection:
            return connection.run(f"echo {number}", timeout=20).stdout

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(asked, range(16), timeout=60))
    assert said == [f"{number}\n" for number in range(16)]
    assert turns.most == 2


def test_more_hosts_than_sshd_lets_in_at_once_all_get_in(lab: Lab, tmp_path: Path) -> None:
    """40 logins to one sshd (MaxStartups 10:30:100) back off by themselves until all are in."""
    address = lab.host("gpu01").address
    path = tmp_path / "fleet.yaml"
    path.write_text(
        f"vars: {{ssh: {{address: {address}, user: ops, key: {lab.key}, known_hosts: {lab.known_hosts}}}}}\n"
        "hosts: {'h[01:40]': {}}\n"
    )
    answer = inv("facts", "--inventory", path, "--forks", "40")
    assert answer.status == 0, answer.text
    assert answer.stdout.count("\nh") == 40


def behind(lab: Lab, tmp_path: Path, user: str) -> Path:
    """Write an inventory of eight hosts behind one gateway, which `user` logs in to."""
    gateway, address = lab.host("gpu02").address, lab.host("gpu01").address
    path = tmp_path / "fleet.yaml"
    path.write_text(
        f"vars: {{ssh: {{address: {address}, gateway: {user}@{gateway}, user: ops, key: {lab.key}, "
        f"known_hosts: {lab.known_hosts}}}}}\nhosts: {{'h[01:08]': {{}}}}\n"
    )
    return path


def test_hosts_behind_one_gateway_share_a_login_to_it(lab: Lab, tmp_path: Path) -> None:
    """A bastion is logged in to once, however many hosts are behind it."""
    before = len(lab.logs("gpu02"))
    answer = inv("facts", "--inventory", behind(lab, tmp_path, "ops"))
    assert answer.status == 0, answer.text
    assert answer.stdout.count("\nh") == 8
    assert lab.logs("gpu02")[before:].count("Accepted publickey") == 1


def test_gateway_that_refuses_is_told_for_each_host_and_asked_once(
    lab: Lab, tmp_path: Path
) -> None:
    """Hosts that wait for the same login fail with it, each with the gateway's name."""
    before = len(lab.logs("gpu02"))
    answer = inv("facts", "--inventory", behind(lab, tmp_path, "nobody"))
    assert answer.status == 1
    assert answer.text.count(f"nobody@{lab.host('gpu02').address}") >= 8, answer.text
    assert "Traceback" not in answer.text
    assert lab.logs("gpu02")[before:].count("nobody from") <= 3
