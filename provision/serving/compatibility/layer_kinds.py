"""What each layer of a model keeps of the tokens it has seen, by the model's config.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from provision.errors import ServiceError
from provision.serving.compatibility.json_fields import Fields

LayerKind = Literal["full", "sliding", "linear", "shared"]
"""Attends to everything; to a window; keeps a constant state; uses the cache of another layer."""
_SHARED: Final[LayerKind] = "shared"
_KINDS: Final[Mapping[str, LayerKind]] = {
    "full_attention": "full",
    "attention": "full",
    "sliding_attention": "sliding",
    # The hybrid cache manager is off for them by default, so they keep everything.
    "chunked_attention": "full",
    "linear_attention": "linear",
}
_EVERY_NTH_FULL: Final = {"gemma2": 2, "gemma3": 6, "gemma3_text": 6, "gpt_oss": 2, "cohere2": 4}
_MOST_LAYERS: Final = 2000


def layer_kinds(text: Fields, model_type: str) -> tuple[LayerKind, ...]:
    """Return the kind of each layer: as listed, or as the model type's own code has it."""
    count = text.need("num_hidden_layers", "n_layer", "num_layers", "n_layers")
    if count > _MOST_LAYERS:
        raise ServiceError(f"config.json: num_hidden_layers is {count}, which no model has")
    listed = text.texts("layer_types", "layers_block_type")
    if listed and len(listed) < count:
        raise ServiceError(f"config.json: layer_types has {len(listed)} entries for {count} layers")
    kinds = [_kind(name) for name in listed[:count]] if listed else _usual(text, model_type, count)
    if not text.number("sliding_window"):
        kinds = ["full" if kind == "sliding" else kind for kind in kinds]
    shared = text.number("num_kv_shared_layers") or 0
    own = max(0, count - shared)
    return (*kinds[:own], *[_SHARED] * (count - own))


def _kind(name: str) -> LayerKind:
    if name in _KINDS:
        return _KINDS[name]
    raise ServiceError(f"config.json: layer_types has '{name}', which is not known")


def _usual(text: Fields, model_type: str, count: int) -> list[LayerKind]:
    linear_step = text.number("full_attention_interval")
    if linear_step:
        return ["linear" if (index + 1) % linear_step else "full" for index in range(count)]
    step = text.number("sliding_window_pattern", "_sliding_window_pattern")
    step = step or _EVERY_NTH_FULL.get(model_type)
    if step:
        return ["sliding" if (index + 1) % step else "full" for index in range(count)]
    if text.flag("use_sliding_window") is False or not text.number("sliding_window"):
        return ["full"] * count
    first = (text.number("max_window_layers") or 0) if text.flag("use_sliding_window") else 0
    return ["full" if index < first else "sliding" for index in range(count)]
