"""What vLLM takes of a GPU beside weights and cache: fitted to what it logged on real hardware."""

from __future__ import annotations

from math import ceil
from typing import Final

from provision.serving.compatibility.model_config import ModelConfig
from provision.serving.compatibility.settings import GIB, Settings


def overhead_bytes(model: ModelConfig, settings: Settings, batched: int, sequences: int) -> int:
    """Return what the largest batch takes at its peak, what libraries keep, and CUDA graphs."""
    newer = _by_newer_runner(model, settings)
    peak = _activations(model, settings, batched)
    if not settings.pooling:
        # The last step scores every word of the vocabulary for each sequence.
        scores = (_SCORES if newer else _SCORES_SORTED) * sequences * model.vocab
        peak = max(peak, int(scores) + 4 * batched * model.hidden)
    # The newer runner captures its graphs beyond the share, once the cache has its size.
    graphs = 0 if settings.eager or newer or model.encoder else _GRAPHS
    return peak + _LIBRARIES + graphs


def beyond_bytes(model: ModelConfig, settings: Settings) -> int:
    """Return what is taken before vLLM counts, and must be free beside its share."""
    if settings.gpus == 1:
        return CONTEXT
    return CONTEXT + _COLLECTIVES + (_EXPERTS_GROUP if model.experts else 0)


def _activations(model: ModelConfig, settings: Settings, batched: int) -> int:
    """Return what the widest layer takes for a batch, in 16 bits."""
    # Compiled code keeps one intermediate result more.
    kept = 3 if settings.eager else 4
    inner = kept * ceil(model.intermediate / settings.tensor)
    if model.experts:
        experts = model.experts
        inner = kept * ceil(max(experts.shared, 1) / settings.tensor)
        part = experts.active * ceil(experts.intermediate / settings.tensor)
        inner = max(inner, kept * part + experts.active * model.hidden)
    heads = model.heads // settings.tensor
    asked, context = heads * (2 * model.head_dim + 2 * model.value_dim), 0
    if model.latent:
        latent = model.latent
        asked = heads * (2 * (latent.nope_dim + latent.rope_dim) + 2 * latent.value_dim)
        # What was said before is decompressed a part at a time, beside the batch.
        context = _CONTEXT_TOKENS * heads * (latent.nope_dim + latent.value_dim)
    return 2 * (batched * (4 * model.hidden + max(inner, asked)) + context)


def _by_newer_runner(model: ModelConfig, settings: Settings) -> bool:
    """Say whether vLLM's second model runner runs it, as far as the release has it."""
    if settings.pooling or model.encoder or not settings.newer_runner or "linear" in model.kinds:
        return False
    return model.experts is None or model.model_type in _EXPERTS_BY_NEWER_RUNNER


# Measured: vLLM 0.26.0, CUDA 13.0, H200, 2026-11-21; see docs/memory-fit.md.
_LIBRARIES: Final = int(0.22 * GIB)
_GRAPHS: Final = int(0.98 * GIB)
CONTEXT: Final = int(0.51 * GIB)
"""CUDA itself: of 139.80 GiB it leaves 139.29."""
_COLLECTIVES: Final = int(0.95 * GIB)
"""NCCL and the buffers of all-reduce, begun before vLLM counts: they leave 138.34."""
_EXPERTS_GROUP: Final = int(0.48 * GIB)
"""Experts talk in a group of their own: 137.86 are left."""
_SCORES: Final = 2
"""Bytes of a score: the newer runner samples from them as they come, in 16 bits."""
_SCORES_SORTED: Final = 18
"""In 16 bits, in 32, sorted, and with where they stood in 64."""
_CONTEXT_TOKENS: Final = 65536
_EXPERTS_BY_NEWER_RUNNER: Final = frozenset({"deepseek_v2", "qwen2_moe"})
