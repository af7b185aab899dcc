"""A way through SSH to a port as the host itself sees it; nothing is needed on the host."""

from __future__ import annotations

import socket

import paramiko

from provision.errors import ConnectError
from provision.host.connection import Connection

_PROHIBITED = 1
"""Reason of a refused channel: the server's settings forbid it."""


def direct_address(connection: Connection) -> str | None:
    """Return the IP address at which SSH reaches the host; None: something is in between."""
    pipe = connection.transport().sock
    try:
        return str(pipe.getpeername()[0]) if isinstance(pipe, socket.socket) else None
    except OSError as error:
        raise _lost(connection.where, str(error)) from error


class Tunnel:
    """One connection to a port, with the methods of a socket that a client needs."""

    def __init__(self, connection: Connection, address: str, port: int, timeout: float) -> None:
        """Open it within `timeout` seconds.

        `ConnectError`: SSH does not carry it. `ConnectionRefusedError`: nothing listens there.
        """
        self._where = connection.where
        self._transport = connection.transport()
        try:
            self._channel = self._transport.open_channel(
                "direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=timeout
            )
        except paramiko.ChannelException as error:
            if error.code == _PROHIBITED:
                raise self._forbidden(address, port) from error
            raise ConnectionRefusedError(error.text) from error
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise _lost(self._where, str(error)) from error

    def settimeout(self, timeout: float, /) -> None:
        """Set how long the next call may take, in seconds."""
        self._channel.settimeout(timeout)

    def recv(self, size: int, /) -> bytes:
        """Return what has arrived; nothing: the other side has ended."""
        chunk = self._channel.recv(size)
        if not chunk and not self._transport.is_active():
            raise _lost(self._where, "it ended during a call")
        return chunk

    def sendall(self, data: bytes, /) -> None:
        """Send everything."""
        try:
            self._channel.sendall(data)
        except TimeoutError:
            raise
        except OSError as error:
            if not self._transport.is_active():
                raise _lost(self._where, "it ended during a call") from error
            raise ConnectionResetError(str(error)) from error

    def close(self) -> None:
        """Close it; the SSH connection stays."""
        self._channel.close()

    def _forbidden(self, address: str, port: int) -> ConnectError:
        return ConnectError(
            f"the SSH server forbids forwarding to {address}:{port}, by which services are called",
            where=self._where,
            remedy="In its sshd_config allow it for this user: AllowTcpForwarding local "
            "(no DisableForwarding, and PermitOpen any); then: systemctl reload ssh",
        )


def _lost(where: str, detail: str) -> ConnectError:
    return ConnectError(
        f"the SSH connection carries no call: {detail}",
        where=where,
        remedy="Run the same command again.",
    )
