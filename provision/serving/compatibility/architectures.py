"""Model architectures: from which release of vLLM on, and up to which, a model can be loaded."""

from __future__ import annotations

from typing import Final

from provision.serving.compatibility.architecture_table import FIRST, LAST
from provision.serving.compatibility.options import config_of, texts
from provision.serving.compatibility.subject import Subject
from provision.serving.compatibility.versions import Version, known

_CONVERTED: Final = ("ForSequenceClassification", "ForRewardModel", "Model")
"""Endings of what vLLM makes of a generating model itself."""
_CONVERTS: Final = "0.10.0"
"""The first release that does."""


def architectures(subject: Subject) -> tuple[str, ...]:
    """Return the architectures that the model's config.json names; none = not known."""
    return texts(config_of(subject).get("architectures"))


def first(name: str) -> str | None:
    """Return the first release that loads an architecture, if need be by making it of another."""
    if name in FIRST:
        return FIRST[name]
    for ending in _CONVERTED:
        base = f"{name.removesuffix(ending)}ForCausalLM"
        if name.endswith(ending) and base in FIRST:
            return max(FIRST[base], _CONVERTS, key=known)
    return None


def last(name: str) -> str | None:
    """Return the last release that loads an architecture; None: the newest does."""
    return LAST.get(name)


def loads(subject: Subject, release: Version) -> bool:
    """Say whether nothing known speaks against a release of vLLM loading the model."""
    named = [(name, since) for name in architectures(subject) if (since := first(name))]
    return not named or any(
        known(since) <= release <= known(last(name) or "99") for name, since in named
    )
