"""One login to each gateway, for all hosts behind it: a bastion refuses many at once."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Any

from provision.host.client import KEEPALIVE, chain
from provision.host.known_hosts import UnknownKeyError


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
                raise self.error
            self.attempts += 1
            try:
                self.connection.open()
                self.connection.transport.set_keepalive(KEEPALIVE)
            except UnknownKeyError:  # each host says so in its own words
                raise
            except Exception as error:
                self.error = error
                raise
            self.error = None
            return self.connection


_guard = threading.Lock()
_gateways: dict[Hashable, _Gateway] = {}


def shared(connection: Any) -> Any:
    """Return an open connection to the same gateway as `connection`, which is not open yet.

    It stays open until the process ends, or is opened again where it was lost.
    """
    with _guard:
        gateway = _gateways.setdefault(_identity(connection), _Gateway(connection))
    return gateway.open()


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
