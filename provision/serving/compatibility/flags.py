"""The command line: what the engine itself refuses of a service's flags and parsers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provision.errors import ServiceError
from provision.finding import Finding
from provision.serving.compatibility.findings import fail, warn
from provision.serving.compatibility.images import tag_of
from provision.serving.compatibility.options import engine_version, options
from provision.serving.compatibility.seen import NOTHING, Seen
from provision.serving.compatibility.subject import Subject
from provision.serving.compatibility.versions import known, minor, version
from provision.serving.engines.vllm_flags import releases

CHECK: Final = "fit.flags"
_AUTO: Final = "0.14.0"
"""First vLLM that finds the longest context itself."""
_NO_RAY: Final = "0.18.0"
_CHECKS: Final = (
    ("fit.parser", ("tool_parser", "reasoning_parser", "tool parser", "reasoning parser")),
    ("fit.parallel", ("-parallel-size",)),
    ("fit.model", ("cannot rerank", "does not generate")),
)
"""What a refusal is about, by words in it."""


def flags(subject: Subject, _seen: Seen = NOTHING) -> Iterator[Finding]:
    """Judge the arguments as the engine does when it writes the command line."""
    try:
        subject.engine.launch(subject.service)
    except ServiceError as error:
        yield fail(_check(error.what), error.what, error.remedy)
    if subject.engine.name == "vllm":
        yield from _newer_than_known(subject)
        yield from _automatic_length(subject)
        yield from _gone_variables(subject)
        yield from _without_ray(subject)


def _check(what: str) -> str:
    return next((check for check, words in _CHECKS if any(word in what for word in words)), CHECK)


def _newer_than_known(subject: Subject) -> Iterator[Finding]:
    """Say that the flags of a release are guessed: one newer than all that are known."""
    tag = tag_of(subject.service.image)
    if tag and minor(tag.version) > minor(known(releases()[-1])) and subject.service.version:
        stated = subject.service.version
        what = f"unknown: whether vLLM {tag.text} takes the flags of {stated}, as stated"
        yield warn(CHECK, what, "Try it on one host first.")


def _automatic_length(subject: Subject) -> Iterator[Finding]:
    """Refuse what older releases read as a wrong number."""
    stated = str(options(subject).get("max-model-len", "")).lower()
    release = engine_version(subject)
    if stated in {"auto", "-1"} and release and release < known(_AUTO):
        what = f"max-model-len {stated} came with vLLM {_AUTO}"
        yield fail(CHECK, what, "Write the number of tokens, or take a newer image.")


def _gone_variables(subject: Subject) -> Iterator[Finding]:
    release = engine_version(subject)
    for name, (last, instead) in _VARIABLES.items():
        until = version(last)
        if name in subject.service.environment and release and until and release > until:
            yield warn(CHECK, f"{name} belongs to vLLM up to {last}", instead)


def _without_ray(subject: Subject) -> Iterator[Finding]:
    """Refuse Ray for data parallelism; of tensor parallelism the engine drops it itself."""
    release = engine_version(subject)
    asked = options(subject).get("data-parallel-backend") == "ray"
    if asked and release and release >= known(_NO_RAY):
        what = f"images of vLLM from {_NO_RAY} on carry no Ray"
        yield fail(CHECK, what, "Drop data-parallel-backend, or add Ray to an image of your own.")


_VARIABLES: Final = {
    # Facts: V0 went with 0.11.0, and its switch with 0.11.1.
    "VLLM_USE_V1": ("0.11.0", "Drop it: there is only the V1 engine."),
    # --attention-backend, which takes its place, came in 0.13.0.
    "VLLM_ATTENTION_BACKEND": ("0.12.0", "Say arguments: {attention-backend: …} instead."),
}
