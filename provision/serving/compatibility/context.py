"""The longest context: what was asked for against what the model was made for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from provision.finding import Finding
from provision.serving.compatibility.findings import fail, warn
from provision.serving.compatibility.options import (
    config_of,
    mapping,
    number,
    options,
    positive,
    text_of,
)
from provision.serving.compatibility.subject import Subject

CHECK: Final = "fit.model"
ALLOW: Final = "VLLM_ALLOW_LONG_MAX_MODEL_LEN"
_KEYS: Final = (
    # What vLLM looks at (max_position_embeddings and its older names); the least one counts.
    *("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"),
    *("max_sequence_length", "max_seq_length", "seq_len"),
)
_MOST: Final = 1e6
"""No scaling is as large; it also keeps infinity out."""
_UNSCALED: Final = frozenset({"su", "longrope", "llama3", "default", "mrope"})


def context(subject: Subject) -> Iterator[Finding]:
    """Judge max-model-len of a service."""
    own = options(subject)
    asked = number(own.get("max-model-len"))
    config = text_of(config_of(subject))
    if "rope-scaling" in own:
        config = {**config, "rope_scaling": mapping(own["rope-scaling"])}
    most = longest(config)
    if not asked or asked < 0 or not most or asked <= most:
        return
    if asked <= (positive(config, "model_max_length") or 0):
        return
    what = f"max-model-len {asked} is more than the {most} tokens that the model was made for"
    if subject.service.environment.get(ALLOW) == "1":
        yield warn(CHECK, what, f"Drop {ALLOW}: beyond that its answers may be nonsense.")
        return
    yield fail(
        CHECK, what, f"Set max-model-len: {most}, or rope scaling by hf-overrides if it is made so."
    )


def longest(config: Mapping[str, Any]) -> int | None:
    """Return the tokens that a model was made for, with its rope scaling; None: not known."""
    found = [value for key in _KEYS if (value := positive(config, key))]
    if not found:
        return None
    scaling = mapping(config.get("rope_scaling")) or mapping(config.get("rope_parameters"))
    if any(isinstance(value, Mapping) for value in scaling.values()):
        return None  # of each kind of layer its own
    kind = str(scaling.get("rope_type") or scaling.get("type") or "default")
    if kind in _UNSCALED or str(config.get("model_type", "")).startswith("gemma3"):
        return min(found)
    factor = scaling.get("factor")
    if not isinstance(factor, int | float) or not 0 < factor < _MOST:
        return min(found)
    base = positive(scaling, "original_max_position_embeddings") if kind == "yarn" else None
    return int((base or min(found)) * factor)
