"""What the controller gets of a service that is well on its host: an answer, or a calm note."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from provision.serving.answer import Answer
from provision.serving.validation.outside import seen_from_controller

sys.path.insert(0, str(Path(__file__).parent))
from stand_in import KEY, TEI, VLLM, base, running, service

ALL = "0.0.0.0"  # noqa: S104  nothing is bound to it here
HERE = "127.0.0.1"
VLLM_ANSWERS = base("vllm-chat")["answers"]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the services' key be had."""
    monkeypatch.setenv("PROVISION_TEST_KEY", KEY)


def seen(port: int, here: str | None = HERE, **wish: Any) -> Answer:
    """Return what the controller gets of a service on all addresses of `here`."""
    found = seen_from_controller(service(port, bind=ALL, **wish), VLLM, "gpu01", here)
    assert found is not None
    assert found.view == "controller"
    return found


def test_all_addresses_are_called_at_the_one_of_ssh() -> None:
    """With the key, and with one cheap question: the model is left alone."""
    with running(VLLM_ANSWERS, KEY) as server:
        found = seen(server.port, api_key="env:PROVISION_TEST_KEY")
    assert (found.check, found.verdict, found.what) == ("models", "ok", "serves gpt-4, 2048 tokens")
    assert server.asked == []


def test_an_address_of_its_own_is_called_itself() -> None:
    """Wherever SSH reaches the host; nobody answers at this one, which is for documentation."""
    found = seen_from_controller(service(9, bind="192.0.2.7"), VLLM, "gpu01", HERE)
    assert found is not None
    assert "no connection to 192.0.2.7:9" in found.what


@pytest.mark.parametrize(
    "bind",
    [
        *("127.0.0.1", "127.0.0.53", "::1", "::ffff:127.0.0.1"),
        *("169.254.169.254", "fe80::1", "224.0.0.1"),
    ],
)
def test_what_only_the_host_can_reach_is_not_tried(bind: str) -> None:
    """The controller's own loopback and link are another machine's, however they are written.

    The host tells the address: its word must not send the controller's calls to somebody else.
    """
    with running(VLLM_ANSWERS) as server:
        assert seen_from_controller(service(server.port, bind=bind), VLLM, "gpu01", HERE) is None


def test_an_engine_without_a_list_of_models_is_asked_for_its_health() -> None:
    """As `tei` is."""
    with running(base("tei-embed")["answers"]) as server:
        it = service(server.port, bind=ALL, engine="tei", task="embed")
        found = seen_from_controller(it, TEI, "gpu01", HERE)
    assert found is not None
    assert (found.check, found.verdict, found.what) == ("health", "ok", "/health answers 200")


def test_a_port_that_is_closed_to_us_is_a_note_with_the_cause() -> None:
    """A firewall may be meant: neither well nor a warning, and nothing to be done about it."""
    with socket.socket() as unheard:
        unheard.bind((HERE, 0))  # bound, but nobody listens
        port = unheard.getsockname()[1]
        found = seen(port)
    assert (found.verdict, found.remedy) == ("note", "")
    assert found.what == (
        f"not seen from the controller: no connection to {HERE}:{port}: Connection refused"
    )


def test_behind_a_gateway_nothing_is_sent() -> None:
    """The host's addresses may be other machines' here, which would be told the key."""
    with running(VLLM_ANSWERS) as server:
        found = seen(server.port, None)
    assert (found.verdict, found.what) == (
        "note",
        "not seen from the controller: the host is behind a gateway",
    )


def test_another_s_answer_warns_and_never_fails() -> None:
    """On its host the service is well, so there is nothing to roll back; clients are served wrongly."""
    with running([{"request": "GET /v1/models", "status": 403, "text": "Forbidden"}]) as server:
        found = seen(server.port)
        port = server.port
    assert (found.verdict, found.what) == ("warn", "HTTP 403 from /v1/models: 'Forbidden'")
    assert found.remedy == (
        "On its host it answers as it must: see what else answers the controller at "
        f"{HERE} port {port}, such as a proxy or another machine."
    )
