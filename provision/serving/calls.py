"""Calls to the services of a release, as the host keeps it: the same for a new one and an old."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final

from pydantic import ValidationError

from provision.errors import ApplyError, ProvisionError
from provision.host.connection import Connection
from provision.host.steps import Say
from provision.host.tunnel import direct_address
from provision.secret import Secret, conceal
from provision.serving.engines import engine_of
from provision.serving.finding import BEFORE, Finding
from provision.serving.service import Service
from provision.serving.validation.call import OnHost
from provision.serving.validation.outside import seen_from_controller
from provision.serving.validation.validate import validate
from provision.state.resource import Calls
from provision.state.shell import framed, quote

KEY: Final = "key"
"""Of what is kept about a service: the variable of its env file that holds the API key."""
_BRIEF: Final = 60  # seconds


class ServiceCaller:
    """Calls the services that steps want called, and keeps every finding. Thread-safe."""

    def __init__(self) -> None:
        """Begin without findings."""
        self.findings: list[Finding] = []
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

    def _keep(self, found: Sequence[Finding], calls: Calls) -> None:
        release = PurePath(calls.release).name if calls.release else BEFORE
        with self._lock:
            self.findings += [one.model_copy(update={"release": release}) for one in found]


def answers_of(connection: Connection, base: str, service: str) -> Sequence[Finding]:
    """Call a service as the release has it that it was validated in; return all findings.

    Raises `ApplyError` where the host does not know how to call it.
    """
    calls = Calls(base=base, release="", services=(service,))
    return _validated(connection, _kept(connection, calls, service))


def _validated(connection: Connection, service: Service) -> Sequence[Finding]:
    return validate(
        service,
        engine_of(service.engine).dialect,
        OnHost(connection, service),
        required=frozenset(service.required),
        max_model_len=_length(service),
    )


def _seen(connection: Connection, service: Service) -> Sequence[Finding]:
    """Return what the controller gets of a service that is well on its host."""
    dialect, here = engine_of(service.engine).dialect, direct_address(connection)
    found = seen_from_controller(service, dialect, connection.host.name, here)
    return [found] if found else []


def _refuse_failed(found: Sequence[Finding], calls: Calls) -> None:
    for finding in found:
        if finding.verdict == "fail":
            log = f"After a roll back its log is {calls.release}/{finding.service}.log."
            raise ApplyError(
                f"{finding.service}: {finding.what}",
                where=f"check {finding.check}",
                remedy=f"{finding.remedy}. {log}" if calls.release else finding.remedy,
            )


def _length(service: Service) -> int | None:
    """Return the length in tokens that was asked for, where it was."""
    asked = service.arguments.get("max-model-len")
    return asked if isinstance(asked, int) else None


class _Kept(Secret):
    """A secret whose value the host itself told."""

    __slots__ = ("value",)

    def __init__(self, value: str, where: str) -> None:
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
    except (ValueError, KeyError, ValidationError) as error:
        raise ApplyError(
            f"nothing is known of how to call {name}: {done.stderr.strip() or error}",
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
    return Service.model_validate({**values, "folder": "/", "api_key": key})
