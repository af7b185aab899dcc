"""The connection to one host: log in strictly, run scripts as root, never wait for ever."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, Self

import paramiko
import stamina
from stamina.instrumentation import set_on_retry_hooks

from provision.errors import ConnectError
from provision.host.client import chain, client, known_hosts_files
from provision.host.known_hosts import UnknownKeyError
from provision.host.login import explain, explain_sudo, place_of
from provision.inventory.schema import Host

_CHANNEL_TIMEOUT: Final = 30  # seconds
_KEEPALIVE: Final = 15  # seconds
_MOST_BYTES: Final = 64 << 20  # an answer larger than this is no answer
_CHUNK: Final = 1 << 16  # bytes
_GLANCE: Final = 0.5  # seconds between looks at stderr while stdout is silent
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
        try:
            for attempt in stamina.retry_context(
                on=_is_busy, attempts=5, wait_initial=0.4, wait_max=6, timeout=60
            ):
                with attempt, _HANDSHAKES:
                    self.close()
                    self._fabric = client(self.host)
                    self._open_all()
        except (paramiko.SSHException, OSError, EOFError, ValueError) as error:
            self.close()
            raise explain(error, self.host, None) from error
        except ConnectError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection and its gateways."""
        for each in list(chain(self._fabric)):
            each.close()
        self._fabric = None

    def run(
        self, script: str, *, timeout: float, on_line: Callable[[str], None] | None = None
    ) -> Result:
        """Run `script` with root's sh on the host; raise `ConnectError` when it cannot be run.

        `timeout` is in seconds and for the whole script; `on_line` gets each line of its output.
        """
        self.transport()
        user = self._fabric.user
        with self._explained(self._fabric):
            command = "sh -s" if user == "root" else "env LC_ALL=C sudo -n sh -s"
            with self._started(command) as channel:
                _send(channel, script)
                result = _read(channel, time.monotonic() + timeout, on_line)
        if user != "root":
            explain_sudo(self.where, user, result.status, result.stderr)
        return result

    def transport(self) -> paramiko.Transport:
        """Return what channels are opened on; log in again where it was lost while nobody looked."""
        if self._fabric is None or not self._fabric.is_connected:
            self.open()
        transport: paramiko.Transport = self._fabric.transport
        return transport

    @property
    def where(self) -> str:
        """Return `gpu01 (ops@10.0.0.11:22)`."""
        return place_of(self.host, self._fabric)

    def _open_all(self) -> None:
        """Open the farthest gateway first, so that each error is told of the one it is about."""
        for each in reversed(list(chain(self._fabric))):
            with self._explained(each, tried_again=True):
                each.open()
                each.transport.set_keepalive(_KEEPALIVE)

    def _started(self, command: str) -> paramiko.Channel:
        """Start a command; a host that accepts and then says nothing is cut off."""
        transport: paramiko.Transport = self._fabric.transport
        cut = threading.Timer(_CHANNEL_TIMEOUT, transport.close)  # paramiko would wait for ever
        cut.daemon = True
        cut.start()
        try:
            channel = transport.open_session(timeout=_CHANNEL_TIMEOUT)
            channel.exec_command(command)
        finally:
            cut.cancel()
        return channel

    @contextmanager
    def _explained(self, connection: Any, *, tried_again: bool = False) -> Iterator[None]:
        try:
            yield
        except UnknownKeyError as error:
            error.host = self.host
            error.file = known_hosts_files(self.host, connection)[0]
            raise
        except (paramiko.SSHException, OSError, EOFError, ValueError) as error:
            if tried_again and _is_busy(error):
                raise
            raise explain(error, self.host, connection, self._fabric) from error


def _send(channel: paramiko.Channel, script: str) -> None:
    channel.settimeout(_CHANNEL_TIMEOUT)
    try:
        channel.sendall(script.encode("utf-8", "surrogateescape"))
        channel.shutdown_write()
    except OSError:
        return  # the other side ended early: what it said about that is worth more


def _read(
    channel: paramiko.Channel, deadline: float, on_line: Callable[[str], None] | None
) -> Result:
    """Read both streams as they come: one that is left alone would block the other."""
    stdout, stderr, rest = bytearray(), bytearray(), b""
    for chunk, is_error in _chunks(channel, deadline):
        (stderr if is_error else stdout).extend(chunk)
        if len(stdout) + len(stderr) > _MOST_BYTES:
            raise paramiko.SSHException(f"more than {_MOST_BYTES >> 20} MiB of output")
        if on_line and not is_error:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                on_line(line.decode("utf-8", "replace"))
    return Result(channel.recv_exit_status(), _text(stdout), _text(stderr))


def _chunks(channel: paramiko.Channel, deadline: float) -> Iterator[tuple[bytes, bool]]:
    """Yield what arrives, with whether it is of stderr, until both streams have ended."""
    channel.settimeout(_GLANCE)
    while True:
        while channel.recv_stderr_ready():
            yield channel.recv_stderr(_CHUNK), True
        if time.monotonic() > deadline:
            raise TimeoutError("the command did not end in time")
        try:
            chunk = channel.recv(_CHUNK)
        except TimeoutError:
            continue
        if not chunk:
            break
        yield chunk, False
    while True:
        try:
            chunk = channel.recv_stderr(_CHUNK)
        except TimeoutError:
            if time.monotonic() > deadline:
                raise TimeoutError("the command did not end in time") from None
            continue
        if not chunk:
            return
        yield chunk, True


def _text(data: bytearray) -> str:
    return data.decode("utf-8", "surrogateescape")


def _is_busy(error: Exception) -> bool:
    """Tell an sshd that drops connections (MaxStartups) from one that refuses us."""
    if isinstance(error, ConnectionResetError | EOFError):
        return True
    return isinstance(error, paramiko.SSHException) and "banner" in str(error)
