"""Calls to the services of a release, as the host keeps it: the same for a new one and an old."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from pathlib import PurePath
from typing import Any, Final

from provision.errors import ApplyError, ProvisionError
from provision.host.connection import Connection
from provision.host.steps import Say
from provision.host.tunnel import direct_address
from provision.secret import Secret, conceal
from provision.serving.answer import BEFORE, Answer
from provision.serving.engines import engine_of
from provision.serving.service import Service
from provision.serving.validation.call import OnHost
from provision.serving.validation.outside import seen_from_controller
from provision.serving.validation.validate import validate
from provision.serving.validation.wire import Limits
from provision.state.resource import Calls
from provision.state.shell import framed, quote

KEY: Final = "key"
"""Of what is kept about a service: the variable of its env file that holds the API key."""
BRIEFLY: Final = Limits(connect=5, quick=5, first_byte=20, whole=25, together=25)
"""How long a sweep waits: 30 s for a service, the look whether it is healthy after all included."""
_BRIEF: Final = 60  # seconds
_SHOWN: Final = 500  # characters of what a host says in an error
_LAST_PORT: Final = 65535
_SHORTEST: Final = 6
"""Characters of a key that is masked: with shorter ones a host could blot out any word of a report."""


class ServiceCaller:
    """Calls the services that steps want called, and keeps all answers. Thread-safe."""

    def __init__(self) -> None:
        """Begin without answers."""
        self.answers: list[Answer] = []
        self._lock = threading.Lock()

    def call(self, connection: Connection, calls: Calls, say: Say) -> None:
        """Call them in order; `ApplyError` for the first that does not answer as it must."""
        for name in calls.services:
            service = _kept(connection, calls, name)
            say(f"call {name}", "")
            found = _validated(connection, service)
            self._keep(found, calls)
            _refuse_failed(found, calls)
            if calls.release:  # the release before is where it was, and has waited long enough
                self._keep(_seen(connection, service), calls)

    def _keep(self, found: Sequence[Answer], calls: Calls) -> None:
        release = PurePath(calls.release).name if calls.release else BEFORE
        with self._lock:
            self.answers += [one.model_copy(update={"release": release}) for one in found]


def answers_of(
    connection: Connection, base: str, services: Sequence[str]
) -> Mapping[str, Sequence[Answer] | ProvisionError]:
    """Call services all at once and briefly, each as the release has it that it was validated in.

    Returns an error in place of the answers of one that the host does not know how to call.
    """

    def called(service: Service) -> Sequence[Answer] | ProvisionError:
        try:
            return _validated(connection, service, BRIEFLY)
        except ProvisionError as error:
            return error

    known, found = dict[str, Service](), dict[str, Sequence[Answer] | ProvisionError]()
    for name in services:
        try:
            known[name] = _kept(connection, Calls(base=base, release="", services=(name,)), name)
        except ProvisionError as error:
            found[name] = error
    with ThreadPoolExecutor(max_workers=len(known) or 1) as pool:
        found |= zip(known, pool.map(called, known.values()), strict=True)
    return found


def _validated(
    connection: Connection, service: Service, limits: Limits | None = None
) -> Sequence[Answer]:
    return validate(
        service,
        engine_of(service.engine).dialect,
        OnHost(connection, service, limits),
        required=frozenset(service.required),
        max_model_len=_length(service),
    )


def _seen(connection: Connection, service: Service) -> Sequence[Answer]:
    """Return what the controller gets of a service that is well on its host."""
    dialect, here = engine_of(service.engine).dialect, direct_address(connection)
    found = seen_from_controller(service, dialect, connection.host.name, here)
    return [found] if found else []


def _refuse_failed(found: Sequence[Answer], calls: Calls) -> None:
    for answer in found:
        if answer.verdict == "fail":
            log = f"After a roll back its log is {calls.release}/{answer.service}.log."
            raise ApplyError(
                f"{answer.service}: {answer.what}",
                where=f"check {answer.check}",
                remedy=f"{answer.remedy}. {log}" if calls.release else answer.remedy,
            )


def _length(service: Service) -> int | None:
    """Return the length in tokens that was asked for, where it was."""
    asked = service.arguments.get("max-model-len")
    return asked if isinstance(asked, int) else None


class _Kept(Secret):
    """A secret whose value the host itself told."""

    __slots__ = ("value",)

    def __init__(self, value: str, where: str) -> None:
        if len(value) >= _SHORTEST:
            conceal(value)
        self.reference = where
        self.value = value

    def reveal(self) -> str:
        return self.value


def _kept(connection: Connection, calls: Calls, name: str) -> Service:
    """Return how to call a service, as its release on the host says."""
    release = calls.release or f"{calls.base}/current/{name}"
    script = (
        f"cd -- {quote(release)} && cat about.json && echo &&"
        f" {{ [ ! -f {quote(name)}.env ] || cat {quote(name)}.env; }}"
    )
    done = connection.run(framed(script), timeout=_BRIEF)
    text, _, env = done.stdout.partition("\n")
    try:
        about: dict[str, Any] = json.loads(text)[name]
        return _service(about, env, f"{release}/{name}.env")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        said = (done.stderr.strip() or str(error))[:_SHOWN]
        raise ApplyError(
            f"nothing is known of how to call {name}: {said}",
            where=f"{connection.host.name}: {release}/about.json",
            remedy="Deploy it again: inv deploy.",
        ) from error
    except ProvisionError as error:
        raise ApplyError(error.what, where=error.where, remedy=error.remedy) from error


def _service(about: Mapping[str, Any], env: str, where: str) -> Service:
    values = dict(about)
    variable = values.pop(KEY)
    found = re.search(rf"^{re.escape(variable)}='(.*)'$", env, re.MULTILINE) if variable else None
    key = _Kept(found[1], where) if found else None
    service = Service.model_validate({**values, "folder": "/", "api_key": key})
    if not 0 < service.port <= _LAST_PORT:
        raise ValueError(f"there is no port {service.port}")
    ip_address(service.bind)
    return service
