"""Images as facts: their names, and what they demand of the driver."""

from __future__ import annotations

import pytest

from provision.facts import Image
from provision.facts.sections.images import parse

ANSWER = """\
image|amd64
tag|vllm/vllm-openai:v0.32.0
tag|registry.lab:5000/vllm/vllm-openai:v0.32.0
env|CUDA_VERSION=13.0.3
env|NVIDIA_REQUIRE_CUDA=cuda>=13.0 brand=tesla,driver>=535,driver<536
image|arm64
image|amd64
tag|tiny:1
"""


def test_images_with_a_name_are_read() -> None:
    """Each with all its names and the variables that matter; one without a name is left out."""
    assert parse(ANSWER)["images"] == (
        Image(
            tags=("vllm/vllm-openai:v0.32.0", "registry.lab:5000/vllm/vllm-openai:v0.32.0"),
            architecture="amd64",
            environment={
                "CUDA_VERSION": "13.0.3",
                "NVIDIA_REQUIRE_CUDA": "cuda>=13.0 brand=tesla,driver>=535,driver<536",
            },
        ),
        Image(tags=("tiny:1",), architecture="amd64"),
    )


def test_no_docker_is_no_image() -> None:
    """The section says nothing then."""
    assert parse("") == {"images": ()}


@pytest.mark.parametrize("text", ["tag|a:1", "env|CUDA_VERSION=1"])
def test_an_answer_without_a_beginning_makes_no_sense(text: str) -> None:
    """It is unknown then, as every section that gave no sense."""
    with pytest.raises(IndexError):
        parse(text)
