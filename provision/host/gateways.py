"""One login to each gateway, for all hosts behind it: a bastion refuses many at once."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from copy import copy
from typing import Any, Final

import paramiko

from provision.host.client import KEEPALIVE, chain
from provision.host.known_hosts import UnknownKeyError

_PATIENCE: Final = 5  # seconds for a gateway to show that it is still there


class _Gateway:
    """A gateway that hosts share: who comes first logs in, and the others wait for that."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.attempts = 0
        self.error: Exception | None = None
        self.lock = threading.Lock()

    def open(self) -> Any:
        """Log in unless somebody has; who waited while that failed has failed with it."""
        before = self.attempts
        with self.lock:
            if self.connection.is_connected:
                return self.connection
            if self.attempts != before and self.error:
                raise copy(self.error)  # each thread adds its own frames
            try:
                self.connection.open()
                self.connection.transport.set_keepalive(KEEPALIVE)
            except UnknownKeyError:  # each host says so in its own words
                raise
            except Exception as error:
                self.error = error
                raise
            finally:
                self.attempts += 1  # not before it has ended: who comes meanwhile waits for it
            self.error = None
            return self.connection

    def close_if_dead(self) -> None:
        """Close a login that gives no answer any more: TCP itself would notice in a quarter of an hour."""
        with self.lock:
            if not self.connection.is_connected:
                return
            try:
                self.connection.transport.open_session(timeout=_PATIENCE).close()
            except paramiko.ChannelException:  # refused, which is an answer
                return
            except (paramiko.SSHException, OSError, EOFError):
                self.connection.close()


_guard = threading.Lock()
_gateways: dict[Hashable, _Gateway] = {}


def shared(connection: Any) -> Any:
    """Return an open connection to the same gateway as `connection`, which is not open yet.

    It stays open until the process ends, or is opened again where it was lost.
    """
    return _gateway(connection).open()


def close_if_dead(connection: Any) -> None:
    """Close the shared connection to the same gateway if it gives no answer; the next host logs in."""
    _gateway(connection).close_if_dead()


def _gateway(connection: Any) -> _Gateway:
    with _guard:
        return _gateways.setdefault(_identity(connection), _Gateway(connection))


def _identity(connection: Any) -> Hashable:
    """Return what makes two ways to a gateway the same: addresses, users, keys, known host keys."""
    return tuple(
        (each.user, each.host, each.port, str(each.connect_kwargs), _known(each))
        for each in chain(connection)
    )


def _known(connection: Any) -> Hashable:
    keys = connection.client.get_host_keys()
    return tuple(
        (name, kind, key.get_base64())
        for name, found in keys.items()
        for kind, key in found.items()
    )
