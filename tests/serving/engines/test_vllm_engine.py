"""vLLM's command line fits its release, says what was decided, and refuses what cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from truth import parser, refusals, releases

from provision.errors import ServiceError
from provision.secret import Secret
from provision.serving.engines import engine_of
from provision.serving.engines.engine import Launch
from provision.serving.service import Service

Make = Callable[..., Service]
MODELS = {
    "generate": ("Qwen/Qwen3-8B", "meta-llama/Llama-3.1-8B-Instruct", "some/model"),
    "embed": ("BAAI/bge-m3", "some/model"),
    "score": ("Qwen/Qwen3-Reranker-8B", "BAAI/bge-reranker-base", "BAAI/bge-m3", "some/model"),
}


def launch(service: Service) -> Launch:
    """Return what vLLM runs."""
    return engine_of("vllm").launch(service)


def outcome(service: Service) -> Launch | ServiceError:
    """Return what vLLM runs, or why it cannot."""
    try:
        return launch(service)
    except ServiceError as error:
        return error


def value(launched: Launch, flag: str) -> str | None:
    """Return what follows a flag; None where it is not there."""
    command = launched.command
    return command[command.index(flag) + 1] if flag in command else None


def example(flag: dict[str, Any]) -> Any:
    """Return a value that a flag takes."""
    if flag["value"] in {"none", "boolean"}:
        return True
    one = flag.get("choices", ["1"])[0]
    return [one] if flag["value"] in {"many", "append"} else one


@pytest.mark.parametrize("release", releases())
@pytest.mark.parametrize("task", MODELS)
def test_no_release_is_told_what_it_does_not_know(release: str, task: str, service: Make) -> None:
    """Of every model's defaults, its own parser takes every flag, or the service is refused."""
    for model in MODELS[task]:
        wish = service(release, task=task, model=model, gpus=(0, 1))
        found = outcome(wish)
        if isinstance(found, ServiceError):
            assert task == "score", found
            assert "the first release that can is" in found.what
        else:
            assert list(refusals(found.command, release)) == []


@pytest.mark.parametrize("release", releases())
def test_no_argument_of_another_release_is_rendered(release: str, service: Make) -> None:
    """A flag of any other release is translated, left out with a note, or refused by name."""
    known = parser(release)["flags"]
    others = {flag: item for name in releases() for flag, item in parser(name)["flags"].items()}
    for flag in others.keys() - known.keys():
        wish = service(release, arguments={flag.removeprefix("--"): example(others[flag])})
        found = outcome(wish)
        if isinstance(found, ServiceError):
            assert flag in found.what
            assert found.remedy
        else:
            assert list(refusals(found.command, release)) == []
            assert any(flag in note for note in found.notes), flag


@pytest.mark.parametrize("release", releases())
def test_every_flag_of_a_release_may_be_set(release: str, service: Make) -> None:
    """What a release has is passed on as it is written there."""
    ours = {"--model", "--served-model-name", "--host", "--port", "--api-key"}
    ours |= {"--tool-call-parser", "--reasoning-parser"}  # known by name, see below
    for flag, content in parser(release)["flags"].items():
        if flag in ours:
            continue
        name = flag.removeprefix("--").replace("-", "_")
        launched = launch(service(release, arguments={name: example(content)}, gpus=()))
        assert flag in launched.command
        assert list(refusals(launched.command, release)) == []


@pytest.mark.parametrize("release", releases())
def test_every_parser_of_a_release_may_be_asked_for(release: str, service: Make) -> None:
    """And none that it has not."""
    for kind, setting in (
        ("tool_parsers", "tool_parser"),
        ("reasoning_parsers", "reasoning_parser"),
    ):
        for name in parser(releases()[-1])[kind]:
            wish = service(release, **{setting: name})
            if name in parser(release)[kind]:
                assert list(refusals(launch(wish).command, release)) == []
            else:
                with pytest.raises(ServiceError, match="the first release with it is"):
                    launch(wish)


@pytest.mark.parametrize(
    ("arguments", "release", "expected"),
    [
        ({"task": "embed"}, "0.13.0", {"--runner": "pooling", "--convert": "embed"}),
        ({"worker-use-ray": True}, "0.11.0", {"--distributed-executor-backend": "ray"}),
        ({"guided-decoding-backend": "xgrammar:no-fallback"}, "0.12.0",
         {"--structured-outputs-config": '{"backend": "xgrammar"}'}),
        ({"guided-decoding-backend": "xgrammar", "guided-decoding-disable-any-whitespace": True},
         "0.12.0",
         {"--structured-outputs-config": '{"backend": "xgrammar", "disable_any_whitespace": true}'}),
        ({"override-pooler-config": {"normalize": True}}, "0.12.0",
         {"--pooler-config": '{"normalize": true}'}),
        ({"rope-scaling": {"rope_type": "yarn"}, "rope-theta": 1000}, "0.12.0",
         {"--hf-overrides": '{"rope_scaling": {"rope_type": "yarn"}, "rope_theta": 1000}'}),
    ],
)  # fmt: skip
def test_an_old_argument_is_said_anew(
    arguments: dict[str, Any], release: str, expected: dict[str, str], service: Make
) -> None:
    """A flag that was replaced is replaced, and the note names it."""
    launched = launch(service(release, arguments=arguments))
    assert {flag: value(launched, flag) for flag in expected} == expected
    assert all(any(f"--{name} " in note for note in launched.notes) for name in arguments)


def test_requests_are_logged_as_asked_in_every_release(service: Make) -> None:
    """`disable-log-requests: false` asks for a log, which is off by default where the flag went."""
    assert (
        "--enable-log-requests"
        in launch(service("0.18.0", arguments={"disable-log-requests": False})).command
    )


@pytest.mark.parametrize("release", ["0.8.5", "0.17.0"])
def test_ray_is_kept_where_the_image_has_it(release: str, service: Make) -> None:
    """Up to 0.17 it is passed on."""
    launched = launch(service(release, arguments={"distributed-executor-backend": "ray"}))
    assert value(launched, "--distributed-executor-backend") == "ray"


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"arguments": {"enable-prefix-cachin": True}}, "Did you mean 'enable-prefix-caching'?"),
        ({"arguments": {"max-model-len": True}}, "needs a value"),
        ({"arguments": {"enforce-eager": "yes"}}, "takes no value"),
        ({"arguments": {"max-model-len": 1, "max_model_len": 2}}, "is there twice"),
        ({"arguments": {"port": 9000}}, "the argument port is 9000"),
        ({"arguments": {"served-model-name": "other"}}, "write `served_name`"),
        ({"arguments": {"api-key": "secret"}}, "can be read by everybody"),
        ({"arguments": {"tensor-parallel-size": 4}}, "need 4 GPUs, and it has 1"),
        ({"tool_parser": "hermess"}, "Did you mean 'hermes'?"),
        ({"tool_parser": "beam"}, "the first release with it is 0.33.0"),
        ({"reasoning_parser": "deepseek"}, "Did you mean 'deepseek_"),
        ({"arguments": {"tool-call-parser": "hermess"}}, "Did you mean 'hermes'?"),
        ({"task": "embed", "tool_parser": "hermes"}, "has no use for a tool_parser"),
        ({"image": "vllm/vllm-openai:nightly"}, "such as version: 0.33.0"),
        ({"image": "vllm/vllm-openai@sha256:0123"}, "such as version: 0.33.0"),
        ({"image": "vllm/vllm-openai:v0.99.0"}, "such as version: 0.33.0"),
        ({"image": "vllm/vllm-openai:v0.5.5"}, "only those of 0.6.6 to 0.33.0"),
        ({"version": "newest"}, "the flags of vLLM newest are not known"),
        ({"arguments": {"prompt-adapters": ["a=b"]}}, "the last with it is 0.9.2"),
        ({"arguments": {"rope-scaling": {"rope_type": "yarn"}}}, "rope_parameters"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(more: dict[str, Any], what: str, service: Make) -> None:
    """With the service's name and what to do, before any container is started."""
    with pytest.raises(ServiceError) as raised:
        launch(service(**more))
    assert what in str(raised.value)
    assert str(raised.value).startswith("service chat: ")
    assert raised.value.remedy


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("vllm/vllm-openai:v0.8.5", "0.8.5"),
        ("vllm/vllm-openai:v0.32.0-cu129", "0.32.0"),
        ("hub.local:5000/ai/vllm-openai:0.32.0", "0.32.0"),
        ("vllm/vllm-openai:v0.8.5.post1", "0.8.5.post1"),
        ("vllm/vllm-openai:v0.19.0-x86_64-ubuntu2404", "0.19.0"),
        ("vllm/vllm-openai:v0.32.0@sha256:0123", "0.32.0"),
        ("hub.local:5000/vllm-openai", None),
        ("vllm/vllm-openai:latest", None),
        ("vllm/vllm-openai:2026.11.1a", None),
    ],
)
def test_the_version_is_that_of_the_tag(image: str, version: str | None, service: Make) -> None:
    """A registry's port is no tag, and a tag without a release says nothing."""
    assert engine_of("vllm").version(service(image=image)) == version


def test_a_stated_version_wins_and_a_contradiction_is_said(service: Make) -> None:
    """An image built by the operator may have any tag."""
    launched = launch(service("0.8.5", task="embed", version="0.32.0"))
    assert value(launched, "--runner") == "pooling"
    assert launched.notes[0] == "version 0.32.0, as stated, though the image's tag says 0.8.5"


def test_arguments_win_over_every_default(service: Make) -> None:
    """Parsers, overrides and sizes are the operator's to change."""
    arguments = {
        "tensor-parallel-size": 1,
        "hf-overrides": {"a": 1},
        "convert": "none",
        "chat-template": "/t.jinja",
    }
    wish = service(task="score", model="Qwen/Qwen3-Reranker-8B", gpus=(0, 1), arguments=arguments)
    launched = launch(wish)
    assert value(launched, "--tensor-parallel-size") == "1"
    assert value(launched, "--hf-overrides") == '{"a": 1}'
    assert value(launched, "--convert") == "none"
    assert value(launched, "--chat-template") == "/t.jinja"
    assert "1 of its 2 GPUs are used" in launched.notes


def test_false_turns_off_what_the_release_has_on(service: Make) -> None:
    """Prefix caching is on by default; leaving the flag out would not turn it off."""
    off = {"arguments": {"enable-prefix-caching": False}}
    assert "--no-enable-prefix-caching" in launch(service(**off)).command
    off = {"arguments": {"no-enable-prefix-caching": True}}
    assert "--no-enable-prefix-caching" in launch(service(**off)).command


def test_an_empty_parser_turns_the_familys_off(service: Make) -> None:
    """Nothing of tool calls or reasoning is left, and nothing is noted."""
    wish = service(model="meta-llama/Llama-3.1-8B-Instruct", tool_parser="", reasoning_parser="")
    launched = launch(wish)
    assert not {"--tool-call-parser", "--chat-template", "--reasoning-parser"} & {*launched.command}
    assert launched.notes == ()


def test_two_parsers_need_a_release_that_takes_both(service: Make) -> None:
    """Before 0.8.2 the stated one stays; two stated ones are refused."""
    launched = launch(service("0.8.0", model="Qwen/Qwen3-8B"))
    assert "--enable-reasoning" not in launched.command
    assert any("takes only one parser" in note for note in launched.notes)
    launched = launch(service("0.8.0", model="Qwen/Qwen3-8B", reasoning_parser="deepseek_r1"))
    assert "--tool-call-parser" not in launched.command
    with pytest.raises(ServiceError, match="cannot both call tools and reason"):
        launch(service("0.8.0", tool_parser="hermes", reasoning_parser="deepseek_r1"))


def test_a_mounted_template_is_found_where_it_is_mounted(service: Make) -> None:
    """A name is one of the mounted files, a path is one of the image."""
    launched = launch(service(chat_template="mine.jinja"))
    assert value(launched, "--chat-template") == "/etc/provision/mine.jinja"
    assert value(launch(service(chat_template="/a/b.jinja")), "--chat-template") == "/a/b.jinja"


def test_a_template_is_taken_only_from_images_that_have_it(service: Make) -> None:
    """An image of somebody else may lack vLLM's examples: then it is said what is missing."""
    wish = service(model="meta-llama/Llama-3.1-8B-Instruct", image="local/mine:1", version="0.32.0")
    launched = launch(wish)
    assert value(launched, "--tool-call-parser") == "llama3_json"
    assert "--chat-template" not in launched.command
    assert any("tool_chat_template_llama3.1_json.jinja" in note for note in launched.notes)


def test_the_api_key_never_stands_in_argv(service: Make) -> None:
    """It travels as a secret variable."""
    launched = launch(service(api_key="env:SOME_KEY"))
    assert launched.secrets == {"VLLM_API_KEY": Secret("env:SOME_KEY")}
    assert "SOME_KEY" not in " ".join((*launched.command, *launched.environment.values()))


@pytest.mark.parametrize(
    ("more", "noted"),
    [
        ({"task": "embed"}, True),
        ({"task": "score"}, True),
        ({"task": "embed", "gpus": ()}, False),
        ({"task": "embed", "arguments": {"gpu_memory_utilization": 0.2}}, False),
        ({"task": "embed", "arguments": {"kv-cache-memory-bytes": "1G"}}, False),
        ({}, False),
    ],
)
def test_a_pooling_service_that_takes_a_whole_gpu_is_noted(
    more: dict[str, Any],
    noted: bool,  # noqa: FBT001  a column of the table
    service: Make,
) -> None:
    """It needs a tenth of that, and whoever shares the GPU gets nothing."""
    notes = launch(service(**more)).notes
    assert any("gpu-memory-utilization" in note for note in notes) == noted


def test_a_value_with_a_dash_is_not_taken_for_a_flag(service: Make) -> None:
    """`-1` is joined to its flag."""
    assert "--max-model-len=-1" in launch(service(arguments={"max-model-len": -1})).command
