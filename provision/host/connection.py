"""The connection to one host: log in strictly, run scripts as root, never wait for ever."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, Self

import paramiko
import stamina
from stamina.instrumentation import set_on_retry_hooks

from provision.errors import ConnectError
from provision.host.channel import (
    CHANNEL_TIMEOUT,
    Dialogue,
    Result,
    process,
    read,
    send,
    why_not_begun,
)
from provision.host.client import KEEPALIVE, chain, client, known_hosts_files
from provision.host.gateways import close_if_dead, shared
from provision.host.known_hosts import UnknownKeyError
from provision.host.login import explain, place_of
from provision.host.sudo import Sudo, explain_sudo
from provision.inventory.schema import Host
from provision.state.shell import nonce

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
        self._waiting: list[paramiko.Channel] = []

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
                with attempt:
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
        """Close the connection; gateways are others' too and stay open."""
        self._waiting.clear()
        if self._fabric is not None:
            self._fabric.close()
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

        `timeout` is in seconds and for the whole script; `on_line` gets each line of its output
        but empty ones, and what it returns true for is not kept. With either of `on_line` and
        `environment`, which all that it starts gets, the script is a process of its own.
        """
        self.transport()
        user = self._fabric.user
        with self._explained(self._fabric):
            result = self._asked(script, timeout, on_line, environment)
        if user != "root" and not result.waits:
            if self._sudo.wants_tty(result.status, result.stderr):
                return self.run(script, timeout=timeout, on_line=on_line, environment=environment)
            explain_sudo(self.where, user, result.status, result.stderr)
        return result

    def _asked(
        self,
        script: str,
        timeout: float,
        on_line: Callable[[str], object] | None,
        environment: Mapping[str, str],
    ) -> Result:
        """Run a script in a shell that stays for the next one: one login of sudo's for all."""
        said, word = "", nonce()
        alone = on_line is not None or environment
        channel = self._idle()
        if channel is None:
            channel, said = self._root(_NOTHING)
        try:
            send(channel, process(script, environment) if alone else script, word)
            result = read(channel, time.monotonic() + timeout, word, on_line)
        except BaseException:
            channel.close()
            raise
        if result.waits:
            self._waiting.append(channel)
        else:
            channel.close()
            if not channel.event_ready:
                raise paramiko.SSHException(why_not_begun(channel))
        return result._replace(stderr=said + result.stderr)

    def _idle(self) -> paramiko.Channel | None:
        """Take a shell that waits, if one still does."""
        with suppress(IndexError):  # another thread may take the last one
            channel = self._waiting.pop()
            return None if channel.closed or channel.eof_received else channel
        return None

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
        hops = list(chain(self._fabric))
        for number in range(len(hops) - 1, 0, -1):
            with self._explained(hops[number], tried_again=True):
                hops[number - 1].gateway = shared(hops[number])
        with self._explained(self._fabric, tried_again=True):
            try:
                self._fabric.open()
            except paramiko.ChannelException:
                raise
            except (paramiko.SSHException, TimeoutError):
                if len(hops) > 1:
                    close_if_dead(hops[1])
                raise
            self._fabric.transport.set_keepalive(KEEPALIVE)

    def _root(self, environment: Mapping[str, str]) -> tuple[paramiko.Channel, str]:
        """Start a shell of root's that waits for a script; return it and what sudo said before."""
        user = self._fabric.user
        channel = _session(self._fabric.transport)
        try:
            _begin(channel, self._sudo.command(user, environment))
            return channel, self._sudo.enter(channel, user, self.where)
        except BaseException:
            channel.close()
            raise

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


def _session(transport: paramiko.Transport) -> paramiko.Channel:
    """Open a session; where few are allowed (MaxSessions), sshd takes a moment to forget the last."""
    for attempt in stamina.retry_context(
        on=paramiko.ChannelException, attempts=6, wait_initial=0.05, wait_max=0.5, timeout=5
    ):
        with attempt:
            channel: paramiko.Channel = transport.open_session(timeout=CHANNEL_TIMEOUT)
    return channel


def _begin(channel: paramiko.Channel, command: str) -> None:
    """Start a command and wait for no reply, as OpenSSH does: what is sent next comes behind it.

    paramiko waits, for a round trip, and for ever where a host accepts and then says nothing. Who
    reads sees what was refused: the channel has ended, and is not `event_ready`.
    """
    channel._wait_for_event = lambda: None  # type: ignore[attr-defined]  # noqa: SLF001
    channel.exec_command(command)


def _is_busy(error: Exception) -> bool:
    """Tell an sshd that drops connections (MaxStartups) from one that refuses us."""
    if isinstance(error, ConnectionResetError | EOFError):
        return True
    return isinstance(error, paramiko.SSHException) and "banner" in str(error)
