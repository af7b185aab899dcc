"""TEI's command line fits its release, and what it cannot do is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from truth import parser, refusals

from provision.errors import ServiceError
from provision.serving.engines import engine_of
from provision.serving.engines.engine import Launch
from provision.serving.service import Service

Make = Callable[..., Service]
RELEASES: Final = sorted(
    path.stem for path in (Path(__file__).parent / "parsers/tei").glob("*.json")
)
IMAGE: Final = "ghcr.io/huggingface/text-embeddings-inference"


def outcome(service: Service) -> Launch | ServiceError:
    """Return what TEI runs, or why it cannot."""
    try:
        return engine_of("tei").launch(service)
    except ServiceError as error:
        return error


@pytest.mark.parametrize("release", RELEASES)
def test_a_flag_is_rendered_only_where_the_release_has_it(release: str, service: Make) -> None:
    """Every flag of every release: passed on, or refused by name."""
    for other in RELEASES:
        for flag, content in parser(f"tei/{other}")["flags"].items():
            example: Any = True if content["value"] == "none" else "1"
            arguments = {flag.removeprefix("--"): example}
            wish = service(
                engine="tei", task="embed", image=f"{IMAGE}:{release[:3]}", arguments=arguments
            )
            found = outcome(wish)
            if isinstance(found, ServiceError):
                assert flag.removeprefix("--") in found.what
            else:
                assert flag in found.command
                assert list(refusals(found.command, f"tei/{release}")) == []


@pytest.mark.parametrize(
    ("tag", "version"),
    [
        ("1.5", "1.5"),
        ("cuda-1.9", "1.9"),
        ("cpu-1.9", "1.9"),
        ("86-1.8", "1.8"),
        ("hopper-1.9.0", "1.9.0"),
        ("cpu-arm64-1.9", "1.9"),
        ("1.6-grpc", "1.6"),
        ("latest", None),
    ],
)
def test_the_version_is_that_of_the_tag(tag: str, version: str | None, service: Make) -> None:
    """Whatever the architecture before it."""
    assert engine_of("tei").version(service(image=f"{IMAGE}:{tag}")) == version


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"task": "generate"}, "TEI does not generate. Take another engine"),
        ({"tool_parser": "hermes"}, "neither parsers nor chat templates"),
        ({"image": f"{IMAGE}:1.5", "api_key": "env:KEY"}, "wants the API key at /health too"),
        ({"gpus": ()}, "needs a GPU, and the service has none. Take image: "),
        ({"image": f"{IMAGE}:latest"}, "such as version: '1.9'"),
        ({"image": f"{IMAGE}:2.0"}, "the flags of TEI 2.0 are not known"),
        ({"arguments": {"max-batch-token": 1}}, "Did you mean 'max-batch-tokens'?"),
        ({"arguments": {"api-key": "k"}}, "the argument api-key belongs to the service itself"),
        ({"arguments": {"port": 1}}, "the argument port belongs to the service itself"),
    ],
)
def test_what_cannot_be_is_refused(more: dict[str, Any], what: str, service: Make) -> None:
    """With the service's name and what to do."""
    usual = {"engine": "tei", "task": "embed", "image": f"{IMAGE}:cuda-1.9"}
    with pytest.raises(ServiceError) as raised:
        engine_of("tei").launch(service(**usual | more))
    assert what in str(raised.value)
    assert str(raised.value).startswith("service chat: ")
