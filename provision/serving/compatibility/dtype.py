"""Number formats: of the model, of its KV cache, and the attention kernels, by GPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provision.finding import Finding
from provision.serving.compatibility.findings import fail, warn
from provision.serving.compatibility.method_table import BACKENDS
from provision.serving.compatibility.options import (
    config_of,
    engine_version,
    options,
    scheme,
    text_of,
)
from provision.serving.compatibility.seen import NOTHING, Seen
from provision.serving.compatibility.subject import Subject
from provision.serving.compatibility.versions import Version, known, short, version

CHECK: Final = "fit.dtype"
_BFLOAT16: Final = known("8.0")
_FP8: Final = known("8.9")
_FALLS_BACK: Final = known("0.9.0")
"""From here on `dtype: auto` takes float16 where bfloat16 cannot be had."""


def dtype(subject: Subject, _seen: Seen = NOTHING) -> Iterator[Finding]:
    """Judge the formats of weights and cache, and the attention backend."""
    least = weakest(subject)
    if least is None or subject.engine.name != "vllm":
        return
    name, capability = least
    about = f"{name} has compute capability {short(capability)}"
    yield from _weights(subject, capability, about)
    yield from _cache(subject, capability, about)
    yield from _attention(subject, capability, about)


def weakest(subject: Subject) -> tuple[str, Version] | None:
    """Return the GPU of a service with the lowest compute capability; None: none is known."""
    found = [(version(gpu.compute_capability), gpu.name) for gpu in subject.gpus]
    known_ones = [(capability, name) for capability, name in found if capability]
    if not known_ones:
        return None
    capability, name = min(known_ones)
    return name, capability


def _weights(subject: Subject, capability: Version, about: str) -> Iterator[Finding]:
    if capability >= _BFLOAT16:
        return
    stated = str(options(subject).get("dtype", "auto"))
    config = text_of(config_of(subject))
    made_for = str(config.get("torch_dtype") or config.get("dtype") or "").removeprefix("torch.")
    release = engine_version(subject)
    remedy = "Say it with arguments: {dtype: half}."
    if stated == "bfloat16":
        yield fail(CHECK, f"bfloat16 needs compute capability 8.0, and {about}", remedy)
    elif stated == "auto" and made_for == "bfloat16" and release and release < _FALLS_BACK:
        what = f"{_part(subject)} is in bfloat16, which needs compute capability 8.0, and {about}"
        yield fail(CHECK, what, remedy)
    elif stated == "auto" and made_for == "bfloat16":
        what = f"{_part(subject)} is made for bfloat16 and will run in float16: {about}"
        yield warn(CHECK, what, f"Look whether its answers are sound. {remedy}")


def _part(subject: Subject) -> str:
    """Say of what `dtype` is the format: of all that is not quantised."""
    return "what is not quantised of the model" if scheme(subject) else "the model"


def _cache(subject: Subject, capability: Version, about: str) -> Iterator[Finding]:
    stated = str(options(subject).get("kv-cache-dtype", "auto"))
    if not stated.startswith("fp8") or capability >= _FP8:
        return
    yield warn(
        CHECK,
        f"unknown: whether a KV cache in {stated} works: {about}, and FP8 is native from 8.9 on",
        "Leave kv-cache-dtype out, or try it on one host first.",
    )


def _attention(subject: Subject, capability: Version, about: str) -> Iterator[Finding]:
    stated = options(subject).get("attention-backend") or subject.service.environment.get(
        "VLLM_ATTENTION_BACKEND"
    )
    name = str(stated or "").removesuffix("_VLLM_V1").upper()
    able = BACKENDS.get(name)
    if able is None or any(_is(capability, rule) for rule in able):
        return
    fitting = [
        other for other in BACKENDS if any(_is(capability, rule) for rule in BACKENDS[other])
    ]
    plain = next((other for other in fitting if "MLA" not in other), "TRITON_ATTN")
    yield fail(
        CHECK,
        f"the attention backend {name} does not run here: {about}",
        f"Leave it out, or take {plain if 'MLA' not in name else 'TRITON_MLA'}.",
    )


def _is(capability: Version, rule: str) -> bool:
    if rule.endswith("+"):
        return capability >= known(rule[:-1])
    return capability[0] == int(rule)
