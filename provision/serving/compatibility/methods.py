"""Quantisation: whether the release knows the model's method, and the GPU can do it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from provision.errors import nearest
from provision.finding import Finding
from provision.serving.compatibility.dtype import weakest
from provision.serving.compatibility.findings import fail, fine, warn
from provision.serving.compatibility.images import built
from provision.serving.compatibility.method_table import INT8_MOST, METHODS, SUCCESSORS
from provision.serving.compatibility.options import (
    engine_version,
    mapping,
    number,
    options,
    scheme,
)
from provision.serving.compatibility.seen import NOTHING, Seen
from provision.serving.compatibility.subject import Subject
from provision.serving.compatibility.versions import Version, known, short, text

CHECK: Final = "fit.quantisation"
_FP8: Final = known("8.9")
_BLACKWELL_ULTRA: Final = known("10.3")
_CUDA_13: Final = known("13.0")


def quantisation(subject: Subject, _seen: Seen = NOTHING) -> Iterator[Finding]:
    """Judge the method that the arguments or the model's config.json name."""
    release = engine_version(subject)
    name = _method(subject)
    if not name or release is None or subject.engine.name != "vllm":
        return
    name = _successor(name, release)
    yield from _of_release(name, release)
    if least := weakest(subject):
        yield from _of_gpu(subject, name, release, *least)


def _method(subject: Subject) -> str:
    stated = options(subject).get("quantization")
    found = scheme(subject)
    name = str(stated or found.get("quant_method") or "").lower()
    if name == "modelopt":
        algorithm = str(found.get("quant_algo") or "").upper()
        return {"NVFP4": "modelopt_fp4", "MXFP8": "modelopt_mxfp8"}.get(algorithm, name)
    return name


def _successor(name: str, release: Version) -> str:
    method = METHODS.get(name)
    gone = method and method.last and release > known(method.last)
    return SUCCESSORS.get(name, name) if gone else name


def _of_release(name: str, release: Version) -> Iterator[Finding]:
    method = METHODS.get(name)
    if method is None:
        remedy = nearest(name, set(METHODS))
        yield warn(CHECK, f"unknown: whether vLLM {text(release)} can quantise by {name}", remedy)
    elif release < known(method.first):
        yield fail(
            CHECK,
            f"vLLM {text(release)} does not know the quantisation {name}; {method.first} is the first",
            f"Take a newer image, such as vllm/vllm-openai:v{method.first}.",
        )
    elif method.last and release > known(method.last):
        yield fail(
            CHECK,
            f"vLLM {text(release)} does not know the quantisation {name} any more; {method.last} is the last",
            f"Take vllm/vllm-openai:v{method.last}, or the model in FP8, AWQ or GPTQ.",
        )


def _of_gpu(
    subject: Subject, name: str, release: Version, gpu: str, capability: Version
) -> Iterator[Finding]:
    method = METHODS.get(name)
    about = f"{gpu} has compute capability {short(capability)}"
    needed = [least for since, least in method.least if release >= known(since)] if method else []
    if needed and capability < known(needed[-1]):
        remedy = "Take the model in another form: GPTQ or AWQ for Turing, GPTQ for older ones."
        later = method.least[-1] if method else ("", needed[-1])
        if capability >= known(later[1]):
            remedy = f"Take vLLM {later[0]} or later, which needs only {later[1]}."
        yield fail(CHECK, f"{name} needs compute capability {needed[-1]}, and {about}", remedy)
    elif name == "fp8" and capability < _FP8:
        yield fine(CHECK, f"FP8 saves memory but not time: {about}, and computes in 16 bits")
    yield from _special(subject, name, capability, about)


def _special(subject: Subject, name: str, capability: Version, about: str) -> Iterator[Finding]:
    if _is_int8(scheme(subject)) and capability > known(INT8_MOST):
        remedy = "Take the model in FP8."
        yield fail(CHECK, f"INT8 for weights and activations has no kernels here: {about}", remedy)
    cuda = built(subject).cuda
    if "fp4" in name and capability == _BLACKWELL_ULTRA and cuda and cuda < _CUDA_13:
        remedy = "Take an image from v0.20.0 on without -cu129."
        yield fail(CHECK, f"NVFP4 needs an image on CUDA 13 here: {about}", remedy)


def _is_int8(found: Mapping[str, Any]) -> bool:
    """Say whether weights and activations are both integers of 8 bits (compressed-tensors)."""
    groups = mapping(found.get("config_groups")).values()
    return any(
        all(
            mapping(mapping(group).get(part)).get("type") == "int"
            and number(mapping(mapping(group).get(part)).get("num_bits")) == 8  # noqa: PLR2004  bits
            for part in ("weights", "input_activations")
        )
        for group in groups
    )
