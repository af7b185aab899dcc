"""The laws of the lab's vLLM: the real engine on a host, with models that answer rightly."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from operator import mul
from typing import TYPE_CHECKING, Any

import pytest
from keyboard import inv

from provision import lab as labs
from provision.lab.serving_models import CHAT, EMBEDDING, RERANKER
from provision.lab.vllm_image import NAME as IMAGE
from provision.serving.validation import questions

if TYPE_CHECKING:
    from provision.lab import Lab

pytestmark = pytest.mark.lab
NAME = os.environ.get("PROVISION_TEST_LAB", "test") + "-vllm"
COMPOSE = f"""
x-vllm: &vllm
  image: {IMAGE}
  pull_policy: never
  shm_size: 1gb
  volumes: ["/data/models:/models:ro"]
  environment: {{HF_HUB_OFFLINE: "1", VLLM_NO_USAGE_STATS: "1"}}
  healthcheck: {{test: [CMD, curl, -fsS, "http://localhost:8000/health"], interval: 2s, start_period: 600s, start_interval: 2s}}
services:
  chat:
    <<: *vllm
    container_name: chat
    command: >-
      --model /models/{CHAT} --served-model-name chat --dtype float32 --enforce-eager
      --max-model-len 2048 --kv-cache-memory-bytes 64M --enable-auto-tool-choice --tool-call-parser hermes
  embed:
    <<: *vllm
    container_name: embed
    command: >-
      --model /models/{EMBEDDING} --served-model-name embed --runner pooling --convert embed
      --dtype float32 --enforce-eager --kv-cache-memory-bytes 64M
  rerank:
    <<: *vllm
    container_name: rerank
    command: >-
      --model /models/{RERANKER} --served-model-name rerank --runner pooling --convert classify
      --dtype float32 --enforce-eager --kv-cache-memory-bytes 64M
"""
UP = "cat >/root/compose.yaml && cd /root && docker compose up --detach --wait --wait-timeout 500"
Ask = Callable[[str, str, dict[str, Any]], Any]


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """Start the three services on one host, and return what posts a request to one of them."""
    labs.down(NAME)
    lab = labs.up(hosts=1, name=NAME, roles=("base", "docker"), serving=True)
    answer = inv("provision", "--inventory", lab.inventory, "--yes")
    assert answer.status == 0, answer.text
    lab.load("gpu01", lab.vllm_archive)
    for model in (CHAT, EMBEDDING, RERANKER):
        bring(lab, model)
    done = lab.exec("gpu01", UP, COMPOSE)
    logs = lab.exec("gpu01", "cd /root && docker compose logs --tail 20").stdout
    assert done.returncode == 0, done.stderr + logs

    def post(service: str, path: str, body: dict[str, Any]) -> Any:
        curl = "curl -sS -H 'Content-Type: application/json' --data @-"
        command = f"docker exec --interactive {service} {curl} http://localhost:8000{path}"
        said = lab.exec("gpu01", command, json.dumps(body)).stdout
        return said if body.get("stream") else json.loads(said)

    yield post
    labs.down(NAME)


def bring(lab: Lab, model: str) -> None:
    """Put the files of a model from the hub on the host, without what the product does for it."""
    about = f"{lab.hub.url}/api/models/{model}/revision/main"
    with urllib.request.urlopen(about) as listing:  # noqa: S310  the lab's own hub
        files = [sibling["rfilename"] for sibling in json.load(listing)["siblings"]]
    folder = f"/data/models/{model}"
    url = f"{lab.hub.url}/{model}/resolve/main"
    loop = f"for file in {' '.join(files)}; do curl -fsS --create-dirs -o $file {url}/$file; done"
    run = f"docker run --rm --network host --volume {folder}:/model --workdir /model"
    done = lab.exec("gpu01", f"{run} --entrypoint sh {IMAGE} -ec '{loop}'")
    assert done.returncode == 0, done.stderr


def dot(one: list[float], other: list[float]) -> float:
    """Return the cosine of two vectors of length one."""
    return sum(map(mul, one, other))


def chat(ask: Ask, text: str, **more: Any) -> dict[str, Any]:
    """Ask the chat model one thing, and return its message."""
    body = {**questions.chat_body("chat"), "messages": [{"role": "user", "content": text}], **more}
    message: dict[str, Any] = ask("chat", "/v1/chat/completions", body)["choices"][0]["message"]
    return message


def test_chat_answers_and_streams_in_pieces(ask: Ask) -> None:
    """The validation's question is answered with the one word, also streamed and rephrased."""
    body = questions.chat_body("chat")
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
    body = questions.tool_body("chat")
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
    asked = {"model": "embed", "input": [texts.text, texts.related, texts.unrelated]}
    first, related, unrelated = (
        one["embedding"] for one in ask("embed", "/v1/embeddings", asked)["data"]
    )
    assert len(first) == 384
    assert dot(first, related) > dot(first, unrelated) + 0.5


def test_the_relevant_document_is_ranked_first_by_far(ask: Ask) -> None:
    """The reranker knows which document answers the validation's query."""
    asked = {"query": questions.QUERY, "documents": list(questions.DOCUMENTS)}
    results = ask("rerank", "/rerank", {"model": "rerank", **asked})["results"]
    scores = [one["relevance_score"] for one in results]
    assert results[0]["index"] == questions.RELEVANT
    assert scores[0] - scores[-1] > 0.5
