"""Fabric's connection made strict: host keys, time-outs and gateways as an operator expects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import fabric

from provision.host.known_hosts import DEFAULT_FILES, StrictPolicy, known_keys
from provision.host.ssh_config import config
from provision.inventory.schema import Host

KEEPALIVE: Final = 15  # seconds
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
    connection.connect_kwargs = {**_TIMEOUTS, **connection.connect_kwargs}
    connection.connect_timeout = connection.connect_timeout or host.ssh.connect_timeout
    connection.client.set_missing_host_key_policy(StrictPolicy())
    name = host_key_name(connection)
    for kind, key in known_keys(known_hosts_files(host, connection), name):
        connection.client.get_host_keys().add(name, kind, key)
