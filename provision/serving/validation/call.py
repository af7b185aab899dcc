"""How a service is called: through SSH as the host sees it, or from the controller."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any, Final, Protocol

from provision.host.connection import Connection
from provision.host.tunnel import Tunnel
from provision.serving.answer import View
from provision.serving.service import Service
from provision.serving.validation.wire import (
    Limits,
    NoAnswerError,
    NoTimeError,
    Pipe,
    Reply,
    Request,
    exchange,
)

ALL_ADDRESSES: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  a name, nothing is bound
"""Binds that are no destination, and how the host reaches them itself."""


class Call(Protocol):
    """One place from which requests reach a service."""

    host: str
    """Name of the host on which the service runs."""
    view: View

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
    ) -> Reply:
        """Return the answer, whatever its status; raise `NoAnswerError` where there is none.

        `body` is sent as JSON. Without one the answer must be a quick one. Raise `ConnectError`
        where it is the way to the host that does not work, and not the service.
        """


class _Http:
    """What both ways have in common: everything but the opening."""

    def __init__(self, host: str, address: str, port: int, limits: Limits | None) -> None:
        self.host = host
        self._to = address, port
        self._limits = limits or Limits()
        self._ends = time.monotonic() + self._limits.together

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
    ) -> Reply:
        """Return the answer; see `Call`."""
        limits = self._left(quick=body is None)
        accept = {"Accept": "text/event-stream" if stream else "application/json"}
        try:
            pipe = self._open(limits.connect)
        except OSError as error:
            reason = error.strerror or str(error) or type(error).__name__
            said = f"no connection to {self._to[0]}:{self._to[1]}: {reason}"
            raise NoAnswerError(said) from error
        try:
            more = {**accept, **(headers or {})}
            return exchange(pipe, Request(method, path, body, more), limits)
        except NoAnswerError as error:
            if error.timed_out and body is not None and limits.first_byte < self._limits.first_byte:
                raise NoTimeError(self._late, timed_out=True) from error
            raise

    def _left(self, *, quick: bool) -> Limits:
        """Return the limits of the next question; `NoTimeError` where others took all the time."""
        limits, left = self._limits, self._ends - time.monotonic()
        if quick:
            return limits._replace(first_byte=limits.quick, whole=limits.quick)
        if left <= 0:
            raise NoTimeError(self._late, timed_out=True)
        whole = round(min(limits.whole, left), 1) or 0.1
        return limits._replace(first_byte=min(limits.first_byte, whole), whole=whole)

    @property
    def _late(self) -> str:
        return f"{self._limits.together:g} s were not enough for all questions"

    def _open(self, timeout: float) -> Pipe:
        raise NotImplementedError


class OnHost(_Http):
    """Calls through the SSH connection, from the host's own point of view."""

    view: View = "host"

    def __init__(
        self, connection: Connection, service: Service, limits: Limits | None = None
    ) -> None:
        """Prepare; nothing is opened before the first request."""
        address = ALL_ADDRESSES.get(service.bind, service.bind)
        super().__init__(connection.host.name, address, service.port, limits)
        self._connection = connection

    def _open(self, timeout: float) -> Pipe:
        return Tunnel(self._connection, *self._to, timeout)


class FromController(_Http):
    """Calls straight from this machine, as clients make them."""

    view: View = "controller"

    def __init__(self, host: str, address: str, port: int, limits: Limits | None = None) -> None:
        """Prepare; nothing is opened before the first request."""
        super().__init__(host, address, port, limits)

    def _open(self, timeout: float) -> Pipe:
        return socket.create_connection(self._to, timeout)
