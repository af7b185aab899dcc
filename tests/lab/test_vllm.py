"""The laws of the lab's vLLM: the real engine on a host, with models that answer rightly."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from operator import mul
from typing import TYPE_CHECKING, Any

import pytest
from client_laws import LAWS
from keyboard import Answer, inv
from real_engines import LAB, Engines, deploy

from provision import lab as labs
from provision.serving.validation import questions

if TYPE_CHECKING:
    from provision.lab import Lab

pytestmark = pytest.mark.lab
SERVED = {"chat": "tiny-chat-tools", "embed": "minilm", "rerank": "tiny-reranker"}
Ask = Callable[[str, str, dict[str, Any]], Any]


@pytest.fixture(scope="module")
def engines() -> Iterator[Engines]:
    """Deploy real engines, which takes minutes, and take them down: they fill the memory."""
    try:
        yield deploy()
    finally:
        labs.down(LAB)


@pytest.fixture(scope="module")
def fleet(engines: Engines) -> Lab:
    """Return the hosts that have the services."""
    return engines.lab


@pytest.fixture(scope="module")
def deployed(engines: Engines) -> Answer:
    """Return what the deployment said."""
    return engines.answer


@pytest.fixture(scope="module")
def ask(fleet: Lab, deployed: Answer) -> Ask:
    """Return what posts a request to one of the services, as a client on this machine does."""
    assert deployed.status == 0, deployed.text
    ports = {"chat": 8001, "embed": 8002, "rerank": 8003}

    def post(service: str, path: str, body: dict[str, Any]) -> Any:
        url = f"http://{fleet.host('gpu01').address}:{ports[service]}{path}"
        data = json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            text = answer.read().decode()
        return text if body.get("stream") else json.loads(text)

    return post


def test_real_engines_pass_the_validation_on_both_hosts(deployed: Answer) -> None:
    """Every check of every service is sound, whether its image came by archive or registry."""
    assert deployed.status == 0, deployed.text
    said = re.findall(r"^(gpu\d+) +(\w+) +host +(\w+) +ok ", deployed.stdout, re.MULTILINE)
    checks = {"chat": ("chat", "stream", "tools", "tools_stream"), "rerank": ("rerank",)}
    checks["embed"] = ("embeddings",)
    wanted = {("gpu01", name, check) for name in SERVED for check in ("health", *checks[name])}
    wanted |= {("gpu02", "embed", check) for check in ("health", "models", "embeddings")}
    assert wanted <= set(said), deployed.text
    seen = re.findall(r"^(gpu\d+) +(\w+) +controller +models +ok ", deployed.stdout, re.MULTILINE)
    assert set(seen) == {*(("gpu01", name) for name in SERVED), ("gpu02", "embed")}
    assert "4 services: 19 ok, 0 warnings, 0 failed" in deployed.stdout


def test_the_first_host_was_done_before_the_second_began(deployed: Answer) -> None:
    """With `--serial 1` nothing happens on gpu02 before gpu01 answers."""
    lines = deployed.stderr.splitlines()
    last = max(n for n, line in enumerate(lines) if line.startswith("gpu01: "))
    begun = [n for n, line in enumerate(lines) if line.startswith("gpu02: pull")]
    assert begun
    assert min(begun) > last


def test_a_second_deploy_touches_nothing(engines: Engines) -> None:
    """What is as wanted keeps running: no container is started anew."""
    fleet = engines.lab
    assert engines.answer.status == 0, engines.answer.text
    about = "docker inspect -f '{{.Name}} {{.State.StartedAt}}' $(docker ps -q) | sort"
    before = [fleet.exec(host.name, about).stdout for host in fleet.hosts]
    again = inv("deploy", "--inventory", engines.inventory, "--yes")
    assert again.status == 0, again.text
    assert "2 hosts: 0 changes" in again.stdout
    assert [fleet.exec(host.name, about).stdout for host in fleet.hosts] == before
    assert before[0].count("\n") == 3


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_real_clients(law: Callable[[str, str], None], fleet: Lab, deployed: Answer) -> None:
    """What applications are written with works against the services, as does the README."""
    assert deployed.status == 0, deployed.text
    at = f"http://{fleet.host('gpu01').address}"
    law(f"{at}:8001/v1", f"{at}:8002/v1")


def dot(one: list[float], other: list[float]) -> float:
    """Return the cosine of two vectors of length one."""
    return sum(map(mul, one, other), 0.0)


def chat(ask: Ask, text: str, **more: Any) -> dict[str, Any]:
    """Ask the chat model one thing, and return its message."""
    body = {
        **questions.chat_body(SERVED["chat"]),
        "messages": [{"role": "user", "content": text}],
        **more,
    }
    message: dict[str, Any] = ask("chat", "/v1/chat/completions", body)["choices"][0]["message"]
    return message


def test_chat_answers_and_streams_in_pieces(ask: Ask) -> None:
    """The validation's question is answered with the one word, also streamed and rephrased."""
    body = questions.chat_body(SERVED["chat"])
    whole = ask("chat", "/v1/chat/completions", body)["choices"][0]
    assert (whole["message"]["content"], whole["finish_reason"]) == ("pong", "stop")
    lines = ask("chat", "/v1/chat/completions", {**body, "stream": True}).split("\n\n")
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    pieces = [chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks]
    assert "".join(pieces) == "pong"
    assert len([piece for piece in pieces if piece]) > 1
    assert lines[-2] == "data: [DONE]"
    assert chat(ask, "Say pong.")["content"] == "pong"


def test_a_tool_is_called_through_the_hermes_parser(ask: Ask) -> None:
    """With `auto` the tool is asked for the weather and for nothing else, and only if it is there."""
    body = questions.tool_body(SERVED["chat"])
    choice = ask("chat", "/v1/chat/completions", body)["choices"][0]
    (call,) = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls"
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "Beijing"}
    offered = {"tools": [questions.TOOL], "tool_choice": "auto"}
    (paris,) = chat(ask, "Tell me the weather in Paris.", **offered)["tool_calls"]
    assert json.loads(paris["function"]["arguments"]) == {"city": "Paris"}
    assert chat(ask, questions.PING, **offered)["content"] == "pong"
    assert chat(ask, questions.WEATHER)["content"] == "I cannot look that up."


def test_embeddings_of_related_texts_are_closer(ask: Ask) -> None:
    """The embedding model is a real one: what is about one thing lies together."""
    texts = questions.TRIPLES[0]
    asked = {"model": SERVED["embed"], "input": [texts.text, texts.related, texts.unrelated]}
    first, related, unrelated = (
        one["embedding"] for one in ask("embed", "/v1/embeddings", asked)["data"]
    )
    assert len(first) == 384
    assert dot(first, related) > dot(first, unrelated) + 0.5


def test_the_relevant_document_is_ranked_first_by_far(ask: Ask) -> None:
    """The reranker knows which document answers the validation's query."""
    asked = {"query": questions.QUERY, "documents": list(questions.DOCUMENTS)}
    results = ask("rerank", "/rerank", {"model": SERVED["rerank"], **asked})["results"]
    scores = [one["relevance_score"] for one in results]
    assert results[0]["index"] == questions.RELEVANT
    assert scores[0] - scores[-1] > 0.5


def test_real_engines_have_no_finding(engines: Engines) -> None:
    """Hosts with real vLLM are well, too: nothing in its logs or answers is taken for a fault."""
    assert engines.answer.status == 0, engines.answer.text
    answer = inv("verify", "--inventory", engines.inventory)
    assert answer.status == 0, answer.text
