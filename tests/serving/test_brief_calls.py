"""A sweep calls the services of a host all at once, and none of them for long."""

from __future__ import annotations

import json
import socket
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from provision.errors import ProvisionError
from provision.host.connection import Connection
from provision.serving import calls
from provision.serving.calls import BRIEFLY, answers_of
from provision.serving.validation.wire import Limits

sys.path.insert(0, str(Path(__file__).parent / "validation"))

from stand_in import base, service
from stand_in_server import running

HANG = {"request": "POST /v1/chat/completions", "does": "hang"}


class Host:
    """Stands in for an SSH connection: its channels lead to this machine."""

    def __init__(self, ports: dict[str, int], meeting: threading.Barrier) -> None:
        self.ports, self.meeting = ports, meeting
        self.host, self.where = SimpleNamespace(name="gpu01"), "gpu01"
        self.met = threading.local()

    def run(self, script: str, **_: Any) -> Any:
        """Return how to call the service whose folder is asked for; one of them is not known."""
        name = next(name for name in (*self.ports, "lost") if f"current/{name} " in script)
        left_out = {"environment", "api_key", "folder"}
        about = {
            each: {**service(port, name=each).model_dump(mode="json", exclude=left_out), "key": ""}
            for each, port in self.ports.items()
        }
        text = "" if name == "lost" else json.dumps(about)
        return SimpleNamespace(stdout=f"{text}\n", stderr="", status=0)

    def transport(self) -> Any:
        """Return what opens channels."""
        return self

    def is_active(self) -> bool:
        """Never break."""
        return True

    def open_channel(self, _kind: str, to: tuple[str, int], *_: Any, timeout: float) -> Any:
        """Return the way to a port; the first time only when all services want theirs."""
        if not getattr(self.met, "all", False):
            self.meeting.wait(10)
            self.met.all = True
        return socket.create_connection(to, timeout)


def test_services_are_called_at_once_and_an_unknown_one_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that hangs keeps no other waiting, and what ails one is said of that one."""
    monkeypatch.setattr(calls, "BRIEFLY", Limits(connect=1, quick=1, first_byte=0.4, whole=1))
    sound = base("vllm-chat")["answers"]
    with running(sound) as well, running([HANG, *sound]) as hangs:
        host = Host({"well": well.port, "hangs": hangs.port}, threading.Barrier(2))
        found = answers_of(cast("Connection", host), "/opt", ["well", "lost", "hangs"])
    assert isinstance(found["lost"], ProvisionError)
    assert not isinstance(found["well"], ProvisionError)
    assert {each.verdict for each in found["well"]} == {"ok"}
    assert not isinstance(found["hangs"], ProvisionError)
    assert found["hangs"][-1].check == "wedged"


def test_a_sweep_waits_thirty_seconds_for_a_service_at_most() -> None:
    """For its answers, and then once more for its health."""
    assert BRIEFLY.together + BRIEFLY.quick <= 30
    assert max(BRIEFLY.first_byte, BRIEFLY.whole) <= BRIEFLY.together


def test_what_is_not_asked_for_want_of_time_is_neither_ill_nor_well() -> None:
    """An engine that answered, but slowly, is busy: it is no wedged one, nor is it ok."""
    sound = base("vllm-chat")["answers"]
    streams = {**HANG, "holds": ['"stream": true']}
    brief = Limits(connect=1, quick=1, first_byte=0.4, whole=1, together=0.3)
    with running([streams, *sound]) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls, "BRIEFLY", brief)
        host = Host({"busy": server.port}, threading.Barrier(1))
        found = answers_of(cast("Connection", host), "/opt", ["busy"])["busy"]
    assert not isinstance(found, ProvisionError)
    last = found[-1]
    assert (last.check, last.verdict) == ("stream", "warn")
    assert last.what.startswith(
        "0.3 s were not enough for all questions; without an answer: stream"
    )
    assert "tools" in last.what
