"""What an inventory may ask of a hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from provision.serving.hub.wanted import Hub, Wanted


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"source": "modelscope", "id": "Qwen/Qwen3-0.6B"}, "modelscope:Qwen/Qwen3-0.6B@master"),
        ({"source": "huggingface", "id": "a/b"}, "huggingface:a/b@main"),
        (
            {"source": "huggingface", "id": "a/b", "revision": "refs/pr/1"},
            "huggingface:a/b@refs/pr/1",
        ),
        ({"source": "controller", "id": "a/b", "path": Path("/m")}, "controller:a/b"),
    ],
)
def test_a_key_says_source_id_and_revision(values: dict[str, Any], key: str) -> None:
    """Every hub has its own main branch; a folder has no revisions."""
    assert Wanted(**values).key == key


@pytest.mark.parametrize(
    "values",
    [
        {"source": "modelscope", "id": "Qwen"},
        {"source": "modelscope", "id": "a/b/c"},
        {"source": "modelscope", "id": "../b"},
        {"source": "modelscope", "id": "a/-b"},
        {"source": "modelscope", "id": "a/b..c"},
        {"source": "modelscope", "id": "a/b\n"},
        {"source": "modelscope", "id": "a/b", "revision": ""},
        {"source": "modelscope", "id": "a/b", "revision": "../x"},
        {"source": "modelscope", "id": "a/b", "revision": "--upload"},
        {"source": "modelscope", "id": "a/b", "path": "/m"},
        {"source": "controller", "id": "a/b"},
        {"source": "controller", "id": "a/b", "path": "/m", "revision": "main"},
        {"source": "ollama", "id": "a/b"},
        {"source": "modelscope", "id": "a/b", "revison": "main"},
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(values: dict[str, Any]) -> None:
    """An id becomes a folder and a part of URLs, so it is exactly organisation/name."""
    with pytest.raises(ValidationError):
        Wanted(**values)


@pytest.mark.parametrize(
    "url", ["hf-mirror.com", "ftp://a", "https://u:p@a", "https://a?x=1", "https:///"]
)
def test_an_endpoint_is_a_plain_url(url: str) -> None:
    """No password stands in an endpoint, for it is written into the lock file."""
    with pytest.raises(ValidationError):
        Hub(endpoint=url)


def test_an_endpoint_has_no_slash_at_its_end() -> None:
    """One hub has one name."""
    assert Hub(endpoint="https://hf-mirror.com/").endpoint == "https://hf-mirror.com"
