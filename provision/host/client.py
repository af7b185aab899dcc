"""Fabric's connection made strict: host keys, time-outs and gateways as an operator expects."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import fabric
import paramiko

from provision.host.known_hosts import DEFAULT_FILES, StrictPolicy, known_keys
from provision.host.ssh_config import config
from provision.inventory.schema import Host

KEEPALIVE: Final = 15  # seconds
_GONE: Final = 90_000  # milliseconds without an acknowledgement; as long as a lock is ours unheard
_AT_ONCE: Final = 64  # handshakes; more than a fleet has hosts that hang in theirs
_handshakes = threading.BoundedSemaphore(_AT_ONCE)
_SSH_PORT: Final = 22
_TIMEOUTS: Final = {"banner_timeout": 30, "auth_timeout": 30, "channel_timeout": 30}  # seconds


def client(host: Host) -> Any:
    """Return Fabric's connection to a host, not yet open, with its gateways behind `.gateway`."""
    ssh = host.ssh
    arguments: dict[str, Any] = dict(_TIMEOUTS)
    if ssh.key:
        arguments |= {"key_filename": str(ssh.key), "look_for_keys": False}
    gateway = None
    if ssh.gateway:
        gateway = fabric.Connection(ssh.gateway, config=config(), connect_kwargs=dict(arguments))
    connection = fabric.Connection(
        ssh.address,
        user=ssh.user,
        port=ssh.port,
        config=config(),
        gateway=gateway,
        connect_timeout=ssh.connect_timeout,
        connect_kwargs=arguments,
    )
    for each in chain(connection):
        _be_strict(each, host)
    return connection


def chain(connection: Any) -> Iterator[Any]:
    """Yield a connection and the gateways before it, the nearest to the host first."""
    while isinstance(connection, fabric.Connection):
        yield connection
        connection = connection.gateway


def host_key_name(connection: Any) -> str:
    """Return the name under which a host's key is known: `address` or `[address]:port`."""
    default = connection.port == _SSH_PORT
    return str(connection.host) if default else f"[{connection.host}]:{connection.port}"


def known_hosts_files(host: Host, connection: Any) -> tuple[Path, ...]:
    """Return the files that may know a key; a new one is recorded in the first."""
    if host.ssh.known_hosts:
        return (host.ssh.known_hosts,)
    files = connection.ssh_config.get("userknownhostsfile", "").split()
    return (*map(Path, files), *DEFAULT_FILES[1:]) if files else DEFAULT_FILES


def _be_strict(connection: Any, host: Host) -> None:
    """Undo Fabric's AutoAddPolicy and paramiko's patience of an hour."""
    connection.connect_kwargs = {
        **_TIMEOUTS,
        "transport_factory": _prompt,
        **connection.connect_kwargs,
    }
    connection.connect_timeout = connection.connect_timeout or host.ssh.connect_timeout
    connection.client.set_missing_host_key_policy(StrictPolicy())
    name = host_key_name(connection)
    for kind, key in known_keys(known_hosts_files(host, connection), name):
        connection.client.get_host_keys().add(name, kind, key)


def _prompt(sock: Any, **options: Any) -> paramiko.Transport:
    """Return a transport whose small packets do not wait for each other, and that ends in time.

    paramiko leaves Nagle's algorithm on, which costs a login 40 ms, or a round trip where that is
    longer (measured with paramiko 5.1.0; OpenSSH switches it off). A host that is gone is noticed by
    the keep-alive, which nobody acknowledges any more: TCP itself would try for a quarter of an hour.
    """
    with suppress(AttributeError, OSError):  # a channel through a gateway is no socket
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _GONE)
    return _Transport(sock, **options)


class _Transport(paramiko.Transport):
    """A transport that takes turns with others: a handshake costs us more time than all the rest.

    Hundreds at once would all come too late: paramiko gives a handshake as long as a TCP connection
    may take to come about, and leaves it to the login to say that there is no session.
    """

    def start_client(self, event: Any = None, timeout: float | None = None) -> None:
        """Shake hands; `TimeoutError` where the host does not."""
        if timeout is not None:  # paramiko's own limits look like a host that is only busy
            self.banner_timeout = self.handshake_timeout = timeout + 1
        with _handshakes:
            super().start_client(event, timeout)
        if event is None and not self.initial_kex_done:
            self.close()
            raise TimeoutError("the host does not shake hands")
