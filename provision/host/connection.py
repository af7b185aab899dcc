"""The connection to one host: log in strictly, run scripts as root, never wait for ever."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Self

import paramiko
import stamina
from stamina.instrumentation import set_on_retry_hooks

from provision.errors import ConnectError
from provision.host.channel import CHANNEL_TIMEOUT, Dialogue, Result, read, send
from provision.host.client import chain, client, known_hosts_files
from provision.host.known_hosts import UnknownKeyError
from provision.host.login import explain, place_of
from provision.host.sudo import Sudo, explain_sudo
from provision.inventory.schema import Host

_KEEPALIVE: Final = 15  # seconds
_HANDSHAKES: Final = threading.BoundedSemaphore(16)
"""Logins under way at once: they cost the controller's CPU, and a bastion refuses more."""

set_on_retry_hooks([])  # a login that succeeds at the second try is no news
logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # its errors reach us as exceptions
_NOTHING: Final[Mapping[str, str]] = {}


class Connection:
    """An SSH connection to one host; use it as a context manager."""

    def __init__(self, host: Host) -> None:
        """Prepare the connection; nothing is sent before `open`."""
        self.host = host
        self._fabric: Any = None
        self._dropped = False
        self._sudo = Sudo(host.ssh.sudo_password)

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

    def drop(self) -> None:
        """Close the connection for good, whoever works on it: they get a `ConnectError`."""
        self._dropped = True
        self.close()

    def run(
        self,
        script: str,
        *,
        timeout: float,
        on_line: Callable[[str], object] | None = None,
        environment: Mapping[str, str] = _NOTHING,
    ) -> Result:
        """Run `script` with root's sh on the host; raise `ConnectError` when it cannot be run.

        `timeout` is in seconds and for the whole script; `on_line` gets each line of its output,
        which is not kept where it returns something true.
        """
        self.transport()
        user = self._fabric.user
        with self._explained(self._fabric):
            channel, said = self._root(environment)
            with channel:
                send(channel, script)
                result = read(channel, time.monotonic() + timeout, on_line)
        if user != "root":
            refused = said + result.stderr
            if self._sudo.wants_tty(result.status, refused):
                return self.run(script, timeout=timeout, on_line=on_line, environment=environment)
            explain_sudo(self.where, user, result.status, refused)
        return result

    def dialogue(self, script: str, environment: Mapping[str, str] = _NOTHING) -> Dialogue:
        """Start `script` with root's sh and return what talks to it, beside other scripts."""
        self.transport()
        with self._explained(self._fabric):
            talk = Dialogue(self._root(environment)[0])
            talk.say(script)
            return talk

    def transport(self) -> paramiko.Transport:
        """Return what channels are opened on; log in again where it was lost while nobody looked."""
        if self._dropped:
            raise ConnectError("left by the operator", where=self.where, remedy="Run again.")
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

    def _root(self, environment: Mapping[str, str]) -> tuple[paramiko.Channel, str]:
        """Start a shell of root's that waits for a script; return it and what sudo said before."""
        user = self._fabric.user
        channel = self._started(self._sudo.command(user, environment))
        try:
            return channel, self._sudo.enter(channel, user, self.where)
        except BaseException:
            channel.close()
            raise

    def _started(self, command: str) -> paramiko.Channel:
        """Start a command; a host that accepts and then says nothing is cut off."""
        transport: paramiko.Transport = self._fabric.transport
        cut = threading.Timer(CHANNEL_TIMEOUT, transport.close)  # paramiko would wait for ever
        cut.daemon = True
        cut.start()
        try:
            channel = transport.open_session(timeout=CHANNEL_TIMEOUT)
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


def _is_busy(error: Exception) -> bool:
    """Tell an sshd that drops connections (MaxStartups) from one that refuses us."""
    if isinstance(error, ConnectionResetError | EOFError):
        return True
    return isinstance(error, paramiko.SSHException) and "banner" in str(error)
