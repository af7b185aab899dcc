"""Why a login failed, in words that name host, user, address, what was tried and what to do."""

from __future__ import annotations

import errno
import socket
from typing import Any, Final

import paramiko

from provision.errors import ConnectError
from provision.host.known_hosts import fingerprint
from provision.inventory.schema import Host

_SSH_PORT: Final = 22


def place_of(host: Host, connection: Any) -> str:
    """Return `gpu01 (ops@10.0.0.11:22)`, resolved as far as the ssh configuration does."""
    return f"{host.name} ({_target(host, connection)})"


def explain(error: Exception, host: Host, connection: Any, target: Any = None) -> ConnectError:
    """Return the error an operator can act on for one of paramiko's or the system's.

    `connection` is the one that failed: `target` itself, or a gateway before it.
    """
    place = place_of(host, connection)
    if target is not None and connection is not target:
        place = f"{host.name}, at its gateway ({_target(host, connection)})"
    if isinstance(error, paramiko.BadHostKeyException):
        return _changed_key(error, host, connection, place)
    if isinstance(error, paramiko.AuthenticationException) or "No authentication" in str(error):
        return _refused_login(error, host, connection, place)
    if isinstance(error, FileNotFoundError):
        return ConnectError(
            f"the file {error.filename} does not exist",
            where=place,
            remedy="Set ssh.key to the private key, or install what ProxyCommand runs.",
        )
    what, remedy = _network(error, _ssh_command(host, connection))
    gateway = _gateway(host, connection)
    if gateway:
        what += f" (through the gateway {gateway})"
    return ConnectError(what, where=place, remedy=remedy)


def _changed_key(
    error: paramiko.BadHostKeyException, host: Host, connection: Any, place: str
) -> ConnectError:
    files = f" -f {host.ssh.known_hosts}" if host.ssh.known_hosts else ""
    port = connection.port if connection else _SSH_PORT
    name = error.hostname if port == _SSH_PORT else f"[{error.hostname}]:{port}"
    return ConnectError(
        f"the host key has CHANGED: expected {fingerprint(error.expected_key)}, "
        f"got {fingerprint(error.key)}",
        where=place,
        remedy="Somebody may be in between. Only if the host was installed anew: "
        f"ssh-keygen{files} -R '{name}' && inv trust --host {host.name}",
    )


def _refused_login(error: Exception, host: Host, connection: Any, place: str) -> ConnectError:
    if isinstance(error, paramiko.PasswordRequiredException):
        return ConnectError(
            f"the key {host.ssh.key or ''} is encrypted",
            where=place,
            remedy="Unlock it for this login: ssh-add.",
        )
    tried = f"the key {host.ssh.key}" if host.ssh.key else "the agent's and ~/.ssh's keys, if any"
    return ConnectError(
        f"the login was refused; tried {tried}",
        where=place,
        remedy=f"Check ssh.user and ssh.key, then try: {_ssh_command(host, connection)}",
    )


def _network(error: Exception, command: str) -> tuple[str, str]:
    if isinstance(error, socket.gaierror):
        return "the name cannot be resolved", "Set ssh.address to an address or a known name."
    if isinstance(error, paramiko.ssh_exception.NoValidConnectionsError):
        error = next(iter(error.errors.values()))
    if isinstance(error, TimeoutError) and "command" in str(error):
        return "the command did not end in time", "Look at the host: it may hang or be very slow."
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused", f"Is sshd running there? Try: {command}"
    if isinstance(error, TimeoutError) or getattr(error, "errno", 0) in _UNREACHABLE:
        return "the host does not answer", f"Is it up, the address right, a firewall between? Try: {command}"  # fmt: skip
    text = str(error) or type(error).__name__
    return f"the connection failed: {text}", f"Try: {command}"


def _ssh_command(host: Host, connection: Any) -> str:
    user, address, port = _parts(host, connection)
    key = f" -i {host.ssh.key}" if host.ssh.key else ""
    gateway = _gateway(host, connection)
    jump = f" -J {gateway}" if gateway else ""
    return f"ssh{key}{jump} -p {port} {user + '@' if user else ''}{address} true"


def _gateway(host: Host, connection: Any) -> str:
    """Return `user@host` of the gateway before a connection, as the inventory or ssh has it."""
    if connection is None or connection.gateway is None:
        return (host.ssh.gateway or "") if connection is None else ""
    gateway = connection.gateway
    return f"{gateway.user}@{gateway.host}" if hasattr(gateway, "user") else "ProxyCommand"


def _target(host: Host, connection: Any) -> str:
    user, address, port = _parts(host, connection)
    return f"{user + '@' if user else ''}{address}:{port}"


def _parts(host: Host, connection: Any) -> tuple[str, str, int]:
    """Return user, address and port of the connection, or what the inventory says of them."""
    if connection is not None:
        return connection.user, connection.host, connection.port
    return host.ssh.user or "", host.ssh.address, host.ssh.port or _SSH_PORT


_UNREACHABLE: Final = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT, errno.EHOSTDOWN}
