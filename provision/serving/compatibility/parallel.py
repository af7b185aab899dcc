"""Spreading a model over GPUs: whether its heads, blocks and layers divide, and how many it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any, Final

from provision.finding import Finding
from provision.serving.compatibility.findings import fail, warn
from provision.serving.compatibility.options import (
    config_of,
    number,
    options,
    positive,
    scheme,
    text_of,
)
from provision.serving.compatibility.seen import NOTHING, Seen
from provision.serving.compatibility.subject import Subject

CHECK: Final = "fit.parallel"
_TENSOR: Final = "tensor-parallel-size"
_PIPELINE: Final = "pipeline-parallel-size"
_SIZES: Final = (_TENSOR, _PIPELINE, "data-parallel-size")
_PADDING: Final = 64
"""vLLM pads the vocabulary to a multiple of this."""
_ENOUGH_SHM: Final = 1 << 30
"""Docker gives 64 MiB; NCCL and PyTorch share hundreds between the processes of a service."""


def parallel(subject: Subject, seen: Seen = NOTHING) -> Iterator[Finding]:
    """Judge over how many GPUs a service spreads its model."""
    given = len(subject.service.gpus)
    if subject.engine.name == "tei" and given > 1:
        what = f"TEI uses one GPU: {given - 1} of its {given} stay idle"
        yield warn(CHECK, what, "Give it 1 of `gpus`, and run a service on each of the others.")
    if subject.engine.name != "vllm" or not given:
        return
    sizes = _sizes(subject)
    yield from _world(subject, sizes)
    yield from _divided(subject, sizes)
    yield from _memory_shared(sizes, seen)


def _sizes(subject: Subject) -> Mapping[str, int]:
    """Return the sizes as stated; nothing stated spreads the model over all its GPUs."""
    own = options(subject)
    if not any(name in own for name in _SIZES):
        return {**dict.fromkeys(_SIZES, 1), _TENSOR: len(subject.service.gpus)}
    return {name: max(1, number(own.get(name)) or 1) for name in _SIZES}


def _world(subject: Subject, sizes: Mapping[str, int]) -> Iterator[Finding]:
    wanted, given = prod(sizes.values()), len(subject.service.gpus)
    if wanted < given:  # more than that the engine refuses itself
        what = f"{given - wanted} of its {given} GPUs stay idle"
        yield warn(CHECK, what, f"Give it {wanted} `gpus`, or spread it over all of them.")


def _divided(subject: Subject, sizes: Mapping[str, int]) -> Iterator[Finding]:
    config = text_of(config_of(subject))
    size = sizes[_TENSOR]
    if why := _obstacle(subject, config, size):
        most = max(len(subject.service.gpus), 1)
        fits = [fit for fit in range(1, most + 1) if not _obstacle(subject, config, fit)]
        remedy = f"Set {_TENSOR} to {', '.join(map(str, fits))}." if fits else "Take other sizes."
        if most > 1:
            remedy = f"{remedy} The rest can be {_PIPELINE}."
        yield fail(CHECK, f"{why} by {_TENSOR} {size}", remedy)
    layers, stages = positive(config, "num_hidden_layers", "n_layer"), sizes[_PIPELINE]
    if layers and stages > layers:
        what = f"its {layers} layers are fewer than {_PIPELINE} {stages}"
        yield fail(CHECK, what, f"Set {_PIPELINE} to {layers} at most.")


def _obstacle(subject: Subject, config: Mapping[str, Any], size: int) -> str:
    """Return what of the model cannot be divided by a size; empty: nothing is known to."""
    heads = positive(config, "num_attention_heads", "n_head", "num_heads")
    if heads and heads % size:
        return f"its {heads} attention heads cannot be divided"
    groups = positive(config, "num_key_value_heads", "multi_query_group_num")
    if groups and "kv_lora_rank" not in config and groups % size and size % groups:
        return f"its {groups} key-value heads can neither be divided nor repeated"
    vocabulary = positive(config, "vocab_size")
    if vocabulary and -(-vocabulary // _PADDING) * _PADDING % size:
        return f"its vocabulary of {vocabulary} cannot be divided"
    return _block_obstacle(subject, config, size)


def _block_obstacle(subject: Subject, config: Mapping[str, Any], size: int) -> str:
    """Return which blocks of an FP8 checkpoint would be cut; expert parallel cuts no expert."""
    block = scheme(subject).get("weight_block_size")
    width = number(block[0]) if isinstance(block, list) and block else None
    expert = positive(config, "moe_intermediate_size")
    whole = options(subject).get("enable-expert-parallel") is True
    inner = None if expert and whole else expert or positive(config, "intermediate_size")
    if not width or not inner or (inner % size == 0 and inner // size % width == 0):
        return ""
    return f"its FP8 blocks of {width} in {inner} columns cannot be divided"


def _memory_shared(sizes: Mapping[str, int], seen: Seen) -> Iterator[Finding]:
    small = seen.shm_bytes is not None and seen.shm_bytes < _ENOUGH_SHM
    if small and prod(sizes.values()) > 1:
        yield warn(
            CHECK,
            f"{(seen.shm_bytes or 0) >> 20} MiB of shared memory are little for processes on "
            "several GPUs: they end with a bus error",
            "Drop services.shm_size, which leaves them the host's, or set 16gb.",
        )
