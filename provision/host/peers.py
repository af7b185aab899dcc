"""How hosts hand bulk data to each other by ssh, with keys that read nothing else and do not last."""

from __future__ import annotations

import re
import secrets
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, Self

from provision.errors import ApplyError, ConnectError, ProvisionError
from provision.host.bulk import Listener, failed, heed, last_line
from provision.host.channel import Result
from provision.host.connection import Connection
from provision.host.lock import Lease
from provision.host.peer_scripts import (
    LIFE,
    NO_SSH,
    PEER_FAILED,
    copy_script,
    grant_script,
    revoke_script,
)
from provision.host.seeds import Content, Seeds, content_of
from provision.inventory.schema import Host
from provision.state.resource import Bulk, Transfer
from provision.state.shell import nonce

_MOST_TRIES: Final = 3  # serving hosts; then the host fetches the data itself
_BRIEF: Final = 60  # seconds for a grant or its end
_SLOWEST: Final = 1 << 20  # bytes a second; a copy that is slower is cut off
_AT_ONCE: Final = 16  # hosts from which keys are removed at the same time


class _PeerError(Exception):
    """The serving host's failure; another may do better."""

    gained = False
    """Whether bytes came before it: then the same host is worth another try."""


@dataclass
class _Server:
    """A host that serves: its connection, which one thread at a time may use."""

    connection: Connection
    lock: threading.Lock = field(default_factory=threading.Lock)
    granted: bool = False


class _Key(NamedTuple):
    """The key of one content in one run."""

    number: int
    private: bytes
    public: str


class Peers:
    """Copies between the hosts of one run; its end takes every key back. Thread-safe."""

    def __init__(self) -> None:
        """Prepare a run in which nobody has anything yet."""
        self.run = secrets.token_hex(8)
        self.seeds = Seeds()
        self._lock = threading.Lock()
        self._closed = False
        self._servers: dict[str, _Server] = {}
        self._keys: dict[Content, _Key] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def offer(self, host: Host, bulk: Bulk) -> None:
        """Note that a host has the data in full: from now on it serves others."""
        self.seeds.offer(host, bulk)

    def gave_up(self, host: Host) -> None:
        """Note that a host will not have the data: the next one in want becomes the leader."""
        self.seeds.gave_up(host.name)

    @contextmanager
    def work_on(self, host: Host) -> Iterator[None]:
        """Do all of a host's work inside: whatever ends it, nobody goes on waiting for the host."""
        try:
            yield
        finally:
            self.gave_up(host)

    def fetch(self, connection: Connection, transfer: Transfer, listener: Listener) -> bool:
        """Copy the data from a host that has it, as soon as one is free; False: fetch it yourself.

        After False, tell `offer` or `gave_up` at once when that has ended: others wait for it. Call
        it inside `work_on`, which tells the latter also where an exception ends the host.
        """
        name, bulk = connection.host.name, transfer.bulk
        if transfer.running:
            self.seeds.lead(name, bulk)
            return False

        def waiting(why: str) -> None:
            heed(listener.stopped, name, bulk.folder)
            listener.say(why, bulk.key)

        tried: set[str] = set()
        while len(tried) < _MOST_TRIES:
            seed = self.seeds.take(name, bulk, tried, waiting)
            if seed is None:
                return False
            try:
                listener.say(f"copy {bulk.key} from {seed[0].name}", "")
                key = self._grant(*seed)
                self._copy(connection, seed[0], key, bulk, listener)
            except _PeerError as error:
                tried.update(() if error.gained else (seed[0].name,))
                listener.say(f"could not copy from {seed[0].name}: {error}", "")
            else:
                self.offer(connection.host, bulk)
                return True
            finally:
                self.seeds.release(seed[0].name)
        self.seeds.lead(name, bulk)
        return False

    def close(self) -> list[str]:
        """Remove all keys from all hosts; return a line for each host that still has one."""
        with self._lock:
            self._closed = True
            servers = [server for server in self._servers.values() if server.granted]
            self._servers, self._keys = {}, {}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return [line for line in pool.map(self._revoke, servers) if line]

    def _revoke(self, server: _Server) -> str:
        why = ""
        try:
            with server.lock:
                done = server.connection.run(revoke_script(self.run), timeout=_BRIEF)
                why = "" if done.status == 0 else last_line(done.stderr)
        except ProvisionError as error:
            why = error.what
        finally:
            server.connection.close()
        if not why:
            return ""
        return (
            f"{server.connection.host.name}: the key of this run could not be removed ({why}). It "
            f"ends by itself within {LIFE}; or delete the lines with 'provision-peer {self.run}' "
            "from ~/.ssh/authorized_keys there."
        )

    @staticmethod
    def _copy(
        connection: Connection, server: Host, key: _Key, bulk: Bulk, listener: Listener
    ) -> None:
        seen = set()
        lease, word = listener.lease, nonce()
        script = copy_script(server, key.private, bulk, lease.guard(word) if lease else "")

        def on_line(line: str) -> None:
            heed(listener.stopped, connection.host.name, bulk.folder)
            progress = re.fullmatch(r"progress (\d+) (\d+)", line)
            if progress:
                seen.add(progress[1])
                listener.tell(int(progress[1]), int(progress[2]))

        timeout = _BRIEF + bulk.size_bytes / _SLOWEST
        environment = lease.environment if lease else {}
        result = connection.run(script, timeout=timeout, on_line=on_line, environment=environment)
        Lease.kept(connection.host.name, result.stdout, word)
        try:
            _judge(result, connection.host, bulk.folder)
        except _PeerError as error:
            error.gained = len(seen) > 1
            raise

    def _grant(self, host: Host, bulk: Bulk) -> _Key:
        """Let the key of this data in on `host`, for reading it and for a day."""
        with self._lock:
            if self._closed:
                raise _PeerError("the run is over")
            key = self._key(content_of(bulk))
            server = self._servers.setdefault(host.name, _Server(Connection(host)))
        try:
            with server.lock:
                server.granted = True
                script = grant_script(self.run, key.number, key.public, bulk)
                done = server.connection.run(script, timeout=_BRIEF)
        except ConnectError as error:
            self.seeds.lose(host.name)  # for all others too
            raise _PeerError(error.what) from error
        if done.status != 0:
            self.seeds.lose(host.name)
            raise _PeerError(last_line(done.stderr))
        return key

    def _key(self, content: Content) -> _Key:
        if content not in self._keys:
            private, public = _new_key()
            self._keys[content] = _Key(len(self._keys), private, public)
        return self._keys[content]


def _new_key() -> tuple[bytes, str]:
    """Return a key pair as OpenSSH writes it: the private half, and `ssh-ed25519 …`."""
    with tempfile.TemporaryDirectory() as folder:  # 0700
        path = Path(folder, "key")
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
        try:
            subprocess.run(argv, check=True, capture_output=True, stdin=subprocess.DEVNULL)
        except (OSError, subprocess.SubprocessError) as error:
            raise ApplyError(
                f"no key can be made on this machine: {error}",
                where="ssh-keygen",
                remedy="Install OpenSSH's client: apt-get install openssh-client.",
            ) from error
        return path.read_bytes(), " ".join(path.with_suffix(".pub").read_text().split()[:2])


def _judge(result: Result, host: Host, folder: str) -> None:
    if result.status == 0:
        return
    if result.status == PEER_FAILED:
        said = [line for line in result.stdout.splitlines() if line.startswith("peer: ")]
        raise _PeerError(last_line("\n".join(said)).removeprefix("peer: "))
    if result.status == NO_SSH:
        raise ApplyError(
            "there is no ssh program on the host, so it cannot copy from another",
            where=f"{host.name}: {folder}",
            remedy="Install it there: apt-get install openssh-client.",
        )
    raise failed(host.name, folder, result.stderr)
