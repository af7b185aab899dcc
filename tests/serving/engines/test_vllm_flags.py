"""What the product knows of vLLM's flags is what was read off its releases."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Final

import pytest
from truth import parser, releases

from provision.serving.engines import vllm_flags

PARSERS: Final = Path(__file__).parent / "parsers"


def test_the_products_file_is_derived_from_the_releases() -> None:
    """Nobody edits it by hand: `python parsers/write_flags.py` writes it."""
    tool = runpy.run_path(str(PARSERS / "write_flags.py"))
    assert tool["PRODUCT"].read_text(encoding="utf-8") == tool["text"]()


@pytest.mark.parametrize("name", releases())
def test_a_release_has_exactly_its_own_flags_and_parsers(name: str) -> None:
    """First, last and gaps of every name lose nothing and invent nothing."""
    release = vllm_flags.release_of(name, "here")
    told = parser(name)
    assert release.names("flags") == {*told["flags"]}
    assert release.names("tool_parsers") == {*told["tool_parsers"]}
    assert release.names("reasoning_parsers") == {*told["reasoning_parsers"]}
    for flag, content in told["flags"].items():
        assert release.flag(flag.removeprefix("--")) == content["value"]


@pytest.mark.parametrize(
    ("version", "known"),
    [
        ("0.8.1", "0.8.0"),  # the same flags, so that no file of its own is kept
        ("0.8.5.post1", "0.8.5"),
        ("v0.10.1.1", "0.10.1"),
        ("0.32.7", "0.32.0"),
        ("0.33.0", "0.33.0"),
    ],
)
def test_a_patch_has_the_flags_of_the_release_before_it(version: str, known: str) -> None:
    """Only a minor release that nobody read is unknown."""
    assert vllm_flags.release_of(version, "here").name == known
