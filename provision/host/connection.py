"""The one user of Fabric and paramiko: connect to a host strictly and run scripts as root."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import fabric
import paramiko
import stamina
from stamina.instrumentation import set_on_retry_hooks

from provision.errors import ConnectError
from provision.host.known_hosts import DEFAULT_FILES, StrictPolicy, UnknownKeyError, known_keys
from provision.host.login import explain, explain_sudo, place_of
from provision.host.ssh_config import config
from provision.inventory.schema import Host

_BANNER_TIMEOUT: Final = 30  # seconds
_AUTH_TIMEOUT: Final = 30  # seconds
_CHANNEL_TIMEOUT: Final = 30  # seconds
_SSH_PORT: Final = 22
_KEEPALIVE: Final = 15  # seconds
_MOST_BYTES: Final = 64 << 20  # an answer larger than this is no answer
_CHUNK: Final = 1 << 16  # bytes
_HANDSHAKES: Final = threading.BoundedSemaphore(16)
"""Logins under way at once: they cost the controller's CPU, and a bastion refuses more."""

set_on_retry_hooks([])  # a login that succeeds at the second try is no news
logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # its errors reach us as exceptions


class Result(NamedTuple):
    """What a script left: exit status and text, undecodable bytes kept as surrogates."""

    status: int
    stdout: str
    stderr: str


class Connection:
    """An SSH connection to one host; use it as a context manager."""

    def __init__(self, host: Host) -> None:
        """Prepare the connection; nothing is sent before `open`."""
        self.host = host
        self._fabric: Any = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Connect and log in, patiently where a busy sshd drops us; raise `ConnectError`."""
        with self._explained():
            for attempt in stamina.retry_context(
                on=_is_busy, attempts=5, wait_initial=0.4, wait_max=6, timeout=60
            ):
                with attempt, _HANDSHAKES:
                    self._fabric = _fabric(self.host)
                    self._fabric.open()
            self._transport.set_keepalive(_KEEPALIVE)

    def close(self) -> None:
        """Close the connection and its gateway, if any."""
        if self._fabric is not None:
            self._fabric.close()
            gateway = self._fabric.gateway
            if isinstance(gateway, fabric.Connection):
                gateway.close()
            self._fabric = None

    def run(
        self, script: str, *, timeout: float, on_line: Callable[[str], None] | None = None
    ) -> Result:
        """Run `script` with root's sh on the host; raise `ConnectError` when it cannot be run.

        `timeout` is in seconds and for the whole script; `on_line` gets each line of its output.
        """
        if not self._fabric.is_connected:  # lost while the operator was asked
            self.open()
        root = self._fabric.user == "root"
        with self._explained():
            channel = self._transport.open_session(timeout=_CHANNEL_TIMEOUT)
            with channel:
                channel.exec_command("sh -s" if root else "env LC_ALL=C sudo -n sh -s")
                self._send(channel, script)
                result = _read(channel, time.monotonic() + timeout, on_line)
        if not root:
            explain_sudo(self.where, self._fabric.user, result.status, result.stderr)
        return result

    @property
    def _transport(self) -> paramiko.Transport:
        transport = self._fabric.transport if self._fabric else None
        if transport is None:
            raise ConnectError("not connected", where=self.where)
        assert isinstance(transport, paramiko.Transport)  # noqa: S101  for the type checker
        return transport

    @property
    def where(self) -> str:
        """Return `gpu01 (ops@10.0.0.11:22)`."""
        return place_of(self.host, self._fabric)

    @staticmethod
    def _send(channel: paramiko.Channel, script: str) -> None:
        try:
            channel.sendall(script.encode("utf-8", "surrogateescape"))
            channel.shutdown_write()
        except OSError:
            return  # the other side ended early: what it said about that is worth more

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except UnknownKeyError as error:
            error.host = self.host
            raise
        except (paramiko.SSHException, OSError, EOFError, ValueError) as error:
            raise explain(error, self.host, self._fabric) from error


def _read(
    channel: paramiko.Channel, deadline: float, on_line: Callable[[str], None] | None
) -> Result:
    stdout, rest, size = [], b"", 0
    while chunk := _receive(channel.recv, channel, deadline):
        size += len(chunk)
        if size > _MOST_BYTES:
            raise paramiko.SSHException(f"more than {_MOST_BYTES >> 20} MiB of output")
        stdout.append(chunk)
        if on_line:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                on_line(line.decode("utf-8", "replace"))
    stderr = []
    while chunk := _receive(channel.recv_stderr, channel, deadline):
        stderr.append(chunk)
    return Result(channel.recv_exit_status(), _text(stdout), _text(stderr))


def _receive(receive: Callable[[int], bytes], channel: paramiko.Channel, deadline: float) -> bytes:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the command did not end in time")
    channel.settimeout(left)
    try:
        return receive(_CHUNK)
    except TimeoutError as error:
        raise TimeoutError("the command did not end in time") from error


def _text(chunks: list[bytes]) -> str:
    return b"".join(chunks).decode("utf-8", "surrogateescape")


def _is_busy(error: Exception) -> bool:
    """Tell an sshd that drops connections (MaxStartups) from one that refuses us."""
    if isinstance(error, ConnectionResetError | EOFError):
        return True
    return isinstance(error, paramiko.SSHException) and "banner" in str(error)


def _fabric(host: Host) -> Any:
    ssh = host.ssh
    arguments: dict[str, Any] = {
        "banner_timeout": _BANNER_TIMEOUT,
        "auth_timeout": _AUTH_TIMEOUT,
        "channel_timeout": _CHANNEL_TIMEOUT,
    }
    if ssh.key:
        arguments |= {"key_filename": str(ssh.key), "look_for_keys": False}
    gateway = _gateway(host) if ssh.gateway else None
    connection = fabric.Connection(
        ssh.address,
        user=ssh.user,
        port=ssh.port,
        config=config(),
        gateway=gateway,
        connect_timeout=ssh.connect_timeout,
        connect_kwargs=arguments,
    )
    _be_strict(connection, host)
    return connection


def _gateway(host: Host) -> Any:
    ssh = host.ssh
    arguments = {"key_filename": str(ssh.key)} if ssh.key else {}
    return fabric.Connection(
        ssh.gateway,
        config=config(),
        connect_timeout=ssh.connect_timeout,
        connect_kwargs={"banner_timeout": _BANNER_TIMEOUT, **arguments},
    )


def _be_strict(connection: Any, host: Host) -> None:
    """Undo Fabric's AutoAddPolicy, for the host and for every gateway before it."""
    while isinstance(connection, fabric.Connection):
        port = "" if connection.port == _SSH_PORT else f":{connection.port}"
        name = f"[{connection.host}]{port}" if port else connection.host
        connection.client.set_missing_host_key_policy(StrictPolicy())
        for kind, key in known_keys(_known_hosts(host, connection), name):
            connection.client.get_host_keys().add(name, kind, key)
        connection = connection.gateway


def _known_hosts(host: Host, connection: Any) -> tuple[Path, ...]:
    if host.ssh.known_hosts:
        return (host.ssh.known_hosts,)
    files = connection.ssh_config.get("userknownhostsfile", "").split()
    return (*map(Path, files), *DEFAULT_FILES) if files else DEFAULT_FILES
