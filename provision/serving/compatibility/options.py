"""What an operator set for a service, and what its model's config.json says, read leniently."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from provision.errors import ServiceError
from provision.serving.compatibility.subject import Subject
from provision.serving.compatibility.versions import Version, version
from provision.serving.engines.arguments import Flags, plain

_NOTHING: Final[Mapping[str, Any]] = {}
_SCALES: Final = {
    **{letter: 1000**power for power, letter in enumerate("kmgt", 1)},
    **{letter: 1024**power for power, letter in enumerate("KMGT", 1)},
}
_AMOUNT: Final = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)([kKmMgGtT]?)")


def options(subject: Subject) -> Flags:
    """Return the service's own arguments by the engine's names; none where they contradict."""
    try:
        return plain(subject.service.arguments, "")
    except ServiceError:
        return {}


def engine_version(subject: Subject) -> Version | None:
    """Return the engine's release; None: unknown."""
    return version(subject.engine.version(subject.service))


def config_of(subject: Subject) -> Mapping[str, Any]:
    """Return the model's config.json with the service's hf-overrides; empty: not known."""
    config = subject.model.config if subject.model else None
    if not isinstance(config, Mapping):
        return _NOTHING
    return {**config, **mapping(options(subject).get("hf-overrides"))}


def scheme(subject: Subject) -> Mapping[str, Any]:
    """Return what config.json says of how the model is quantised; empty: not, or not known."""
    config = config_of(subject)
    inner = text_of(config)
    for place in (config, inner):
        for key in ("quantization_config", "compression_config"):
            if found := mapping(place.get(key)):
                return found
    return {}


def text_of(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what is about the language model of one that also sees or hears."""
    for name in ("text_config", "llm_config", "language_config", "thinker_config"):
        if inner := mapping(config.get(name)):
            return {**config, **text_of(inner)}
    return config


def mapping(value: object) -> Mapping[str, Any]:
    """Return a mapping, also one that is written as JSON; empty for anything else."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return _NOTHING
    return value if isinstance(value, Mapping) else _NOTHING


def number(value: object) -> int | None:
    """Return a whole number, also one written as 32k or 32K; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    found = _AMOUNT.fullmatch(value.strip()) if isinstance(value, str) else None
    return int(float(found[1]) * _SCALES.get(found[2], 1)) if found else None


def positive(config: Mapping[str, Any], *names: str) -> int | None:
    """Return the first of these numbers that is there and above zero."""
    found = (number(config.get(name)) for name in names)
    return next((value for value in found if value and value > 0), None)


def texts(value: object) -> tuple[str, ...]:
    """Return the texts of a list; none for anything else."""
    if not isinstance(value, list | tuple):
        return ()
    return tuple(item for item in value if isinstance(item, str))
