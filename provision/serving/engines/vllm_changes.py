"""What an operator's vLLM arguments of another release are in this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from provision.errors import ServiceError, nearest
from provision.serving.engines.arguments import Flags
from provision.serving.engines.vllm_flags import Release, all_flags, first, last
from provision.serving.service import Argument


class Part(NamedTuple):
    """A part of a command line, and what was decided in it."""

    flags: Flags = MappingProxyType({})
    notes: tuple[str, ...] = ()


def joined(below: Flags, above: Flags) -> dict[str, Argument]:
    """Return both; what is above wins, and of two mappings each of its keys does."""
    both = {**below, **above}
    for name in below.keys() & above.keys():
        under, over = below[name], above[name]
        if isinstance(under, dict) and isinstance(over, dict):
            both[name] = {**under, **over}
    return both


def adapted(arguments: Flags, release: Release, where: str) -> Part:
    """Return the arguments in the words of a release.

    Raises `ServiceError` for a flag that no release has, that only later ones have, or that
    cannot be left out without changing what the model answers.
    """
    flags: dict[str, Argument] = {}
    notes: list[str] = []
    for name, value in arguments.items():
        part = _adapted(name, value, release, where)
        flags = joined(flags, part.flags)
        notes += part.notes
    return Part(flags, tuple(notes))


def _adapted(name: str, value: Argument, release: Release, where: str) -> Part:
    base = name.partition(".")[0]
    if base.startswith("no-") and isinstance(value, bool) and base[3:] in all_flags():
        return _adapted(base[3:], not value, release, where)
    if name == "distributed-executor-backend" and value == "ray" and release.since(_NO_RAY):
        return Part(notes=(f"no Ray: images from {_NO_RAY} carry none, and one host needs none",))
    if release.flag(base):
        return Part({name: value})
    if base not in all_flags():
        raise ServiceError(
            f"vLLM has no flag --{base}", where=where, remedy=nearest(base, _names(release))
        )
    since = first("flags", f"--{base}")
    if since and not release.since(since):
        return _too_new(name, value, since, release, where)
    return _gone(base, value, release, where)


def _names(release: Release) -> set[str]:
    return {name.removeprefix("--") for name in release.names("flags")}


def _too_new(name: str, value: Argument, since: str, release: Release, where: str) -> Part:
    if value is False:
        return Part()
    if name in {"runner", "convert"}:
        return Part(notes=(f"--{name} {value} left out: {release.name} has --task for it",))
    raise ServiceError(
        f"vLLM {release.name} has no flag --{name}; the first release with it is {since}",
        where=where,
        remedy="Take a newer image or drop the argument.",
    )


def _gone(name: str, value: Argument, release: Release, where: str) -> Part:
    """Return what says the same in a release without the flag, or nothing, with a note."""
    remedy = _NEEDED.get(name)
    if name in _ROPE and release.since(_NEW_ROPE):
        remedy = _ROPE_REMEDY
    if remedy and value is not False:
        raise ServiceError(
            f"vLLM {release.name} has no flag --{name} any more; the last with it is {last(name)}",
            where=where,
            remedy=remedy,
        )
    part = adapted(_CHANGES[name](value) if name in _CHANGES else {}, release, where)
    said = ", ".join(f"--{flag}" for flag in part.flags) or _WHY.get(
        name, "nothing takes its place"
    )
    if value is False and not part.flags:
        return Part()
    return Part(
        part.flags, (f"--{name} is not in vLLM {release.name} any more: {said}", *part.notes)
    )


def _by_json(flag: str, key: str) -> Callable[[Argument], Flags]:
    """Return what puts the value below a key of a flag that takes JSON."""
    return lambda value: {flag: {key: value}} if value is not False else {}


def _renamed(flag: str) -> Callable[[Argument], Flags]:
    return lambda value: {flag: value}


def _when_true(flags: Flags) -> Callable[[Argument], Flags]:
    return lambda value: flags if value is True else {}


def _task(value: Argument) -> Flags:
    return _TASKS.get(str(value), {})


def _backend(value: Argument) -> Flags:
    # Older releases took options behind a colon: `xgrammar:no-fallback`.
    return {"structured-outputs-config": {"backend": str(value).partition(":")[0]}}


_NO_RAY: Final = "0.18.0"
_NEW_ROPE: Final = "0.20.0"
_ROPE: Final = frozenset({"rope-scaling", "rope-theta"})
_ROPE_REMEDY: Final = (
    "Say all of it as hf-overrides: {rope_parameters: {rope_type: …, rope_theta: …, factor: …}}"
)
_KEEP: Final = "Drop it, or keep an image that has it."
_NEEDED: Final[Mapping[str, str]] = {
    "enable-prompt-adapter": _KEEP,
    "prompt-adapters": _KEEP,
    "qlora-adapter-name-or-path": _KEEP,
    "quantization-param-path": _KEEP,
    "logits-processor-pattern": _KEEP,
    "override-attention-dtype": _KEEP,
    "speculative-model": "Say it as speculative-config: {model: …, num_speculative_tokens: …}",
}
"""Flags that change what the model answers: they are not left out silently."""
_POOLING: Final = "pooling"
_TASKS: Final[Mapping[str, Flags]] = {
    "embed": {"runner": _POOLING, "convert": "embed"},
    "embedding": {"runner": _POOLING, "convert": "embed"},
    "classify": {"runner": _POOLING, "convert": "classify"},
    "score": {"runner": _POOLING, "convert": "classify"},
    "reward": {"runner": _POOLING},
}
_CHANGES: Final[Mapping[str, Callable[[Argument], Flags]]] = {
    "task": _task,
    "worker-use-ray": _when_true({"distributed-executor-backend": "ray"}),
    "guided-decoding-backend": _backend,
    "guided-decoding-disable-any-whitespace": _by_json(
        "structured-outputs-config", "disable_any_whitespace"
    ),
    "guided-decoding-disable-additional-properties": _by_json(
        "structured-outputs-config", "disable_additional_properties"
    ),
    "override-pooler-config": _renamed("pooler-config"),
    "rope-scaling": _by_json("hf-overrides", "rope_scaling"),
    "rope-theta": _by_json("hf-overrides", "rope_theta"),
    "disable-log-requests": lambda value: {"enable-log-requests": True} if value is False else {},
    "disable-mm-preprocessor-cache": _when_true({"mm-processor-cache-gb": 0}),
    "enable-multimodal-encoder-data-parallel": _when_true({"mm-encoder-tp-mode": "data"}),
    "cuda-graph-sizes": _renamed("cudagraph-capture-sizes"),
    "num-redundant-experts": _by_json("eplb-config", "num_redundant_experts"),
    "eplb-window-size": _by_json("eplb-config", "window_size"),
    "eplb-step-interval": _by_json("eplb-config", "step_interval"),
    "eplb-log-balancedness": _by_json("eplb-config", "log_balancedness"),
}
"""What says the same in releases without a flag."""
_WHY: Final[Mapping[str, str]] = {
    "task": "the model's own task is taken",
    "enable-reasoning": "the reasoning parser alone turns it on",
    "disable-log-requests": "requests are not logged unless asked for",
    "device": "the image is built for its device",
    "worker-use-ray": "one host needs no Ray",
}
