"""Whether a service fits into the memory of its GPUs, and what would where it does not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from provision.errors import ServiceError
from provision.finding import Finding, Verdict
from provision.serving.compatibility import settings as arguments
from provision.serving.compatibility.memory import Device, Fit
from provision.serving.compatibility.model_config import model_config
from provision.serving.compatibility.overhead import CONTEXT
from provision.serving.compatibility.remedies import (
    Case,
    gib,
    remedies,
    round_length,
    share_beside,
)
from provision.serving.compatibility.seen import NOTHING, Seen
from provision.serving.compatibility.settings import GIB
from provision.serving.compatibility.subject import Model, Subject
from provision.serving.compatibility.weights import file_bytes

CHECK: Final = "fit.memory"


def memory(subject: Subject, seen: Seen = NOTHING) -> Iterator[Finding]:
    """Judge whether a service fits beside what others have taken."""
    yield from judge_memory(subject, seen.memory_in_use)


def judge_memory(subject: Subject, in_use: Mapping[int, int] | None = None) -> list[Finding]:
    """Judge whether a service fits; `in_use` has the bytes that others took, by GPU."""
    device, model = device_of(subject, in_use or {}), subject.model
    if device is None or model is None:
        return _unseen(subject)
    try:
        if subject.service.engine == "vllm":
            return [_vllm(subject, model, device)]
        if subject.service.engine == "tei":
            return [_tei(subject, model, device)]
    except ServiceError as error:
        return [_unknown(subject, str(error))]
    return [_unknown(subject, f"how {subject.service.engine} uses memory")]


def judge_shares(subjects: Sequence[Subject]) -> list[Finding]:
    """Judge whether the services of one host that share a GPU take no more than all of it."""
    sharing: dict[int, list[Subject]] = defaultdict(list)
    for subject in subjects:
        for index in subject.service.gpus:
            if subject.service.engine == "vllm":
                sharing[index].append(subject)
    return [
        finding
        for index, together in sorted(sharing.items())
        if len(together) > 1
        for finding in _shared(index, together)
    ]


def device_of(subject: Subject, in_use: Mapping[int, int]) -> Device | None:
    """Return the smallest of a service's GPUs; None where there is none, or its size is unknown."""
    sizes = [gpu.memory_mib for gpu in subject.gpus]
    found = [size for size in sizes if size]
    if not found or len(found) < len(sizes):
        return None
    gpus = subject.gpus
    return Device(
        memory_bytes=min(found) * 2**20,
        capability=min(_capability(gpu.compute_capability) for gpu in gpus),
        name=gpus[0].name,
        in_use_bytes=max((in_use.get(gpu.index, 0) for gpu in gpus), default=0),
    )


def _alike(subject: Subject, device: Device) -> int:
    """Return how many GPUs the host has that are no smaller than the service's own."""
    gpus = subject.facts.gpus if subject.facts else ()
    return sum((gpu.memory_mib or 0) * 2**20 >= device.memory_bytes for gpu in gpus)


def _unseen(subject: Subject) -> list[Finding]:
    """Say nothing where there is no GPU, or where host or model were not looked at."""
    if subject.model and subject.gpus and not all(gpu.memory_mib for gpu in subject.gpus):
        return [_unknown(subject, "how much memory its GPUs have")]
    return []


def _vllm(subject: Subject, model: Model, device: Device) -> Finding:
    if model.config is None:
        return _unknown(subject, "how much memory the model needs, for it has no config.json")
    stated = arguments.settings(subject)
    case = Case(model.config, model.files, stated, device, _alike(subject, device))
    shape = model_config({**model.config, **case.settings.overrides})
    beside = _QUANTIZATION in model.files and not shape.quantization
    if not shape.known:
        what = f"how much memory a model of type '{shape.model_type or 'none'}' needs"
        return _unknown(subject, what)
    if beside and not file_bytes(model.files):
        return _unknown(subject, f"how much memory the model needs: {_BESIDE}")
    found = case.fit()
    if not found.fits:
        remedy = " or ".join(remedies(case, found)) or "give it GPUs with more memory"
        return _finding(subject, "fail", _need(found, device), f"{_capital(remedy)}.")
    if beside:
        return _unknown(subject, f"how much of the cache fits: {_BESIDE}; {_figures(found)}")
    return _roomy(subject, found)


def _roomy(subject: Subject, found: Fit) -> Finding:
    if found.crowded:
        # How much CUDA takes was measured on H200s alone; nothing is refused for it elsewhere.
        what = (
            f"may not start: it wants {gib(found.budget_bytes)} of a GPU of "
            f"{gib(found.usable_bytes)}, of which CUDA takes up to {gib(found.beyond_bytes)}"
        )
        share = share_beside(found)
        return _finding(subject, "warn", what, f"Set gpu-memory-utilization to {share:g}.")
    tight = subject.service.task == "generate" and found.concurrency < _FEW
    if found.cache.groups and tight:
        return _finding(subject, "warn", _tight(found), _loosen(found))
    return _finding(subject, "ok", _figures(found))


def _tei(subject: Subject, model: Model, device: Device) -> Finding:
    """Judge text-embeddings-inference: weights, and a batch, and nothing else."""
    size = file_bytes(model.files)
    if not size:
        return _unknown(subject, "how much memory the model needs, for it has no weights")
    stated = str((model.config or {}).get("torch_dtype") or (model.config or {}).get("dtype"))
    wide = str(subject.service.arguments.get("dtype")) == "float32"
    needed = int(size * (1 if wide else 0.5 if stated == "float32" else 1)) + GIB
    free = device.usable_bytes - device.in_use_bytes
    what = f"needs {gib(needed)} for weights and a batch, and its GPU has {gib(free)}"
    if needed > free:
        return _finding(subject, "fail", what, "Give it a GPU with more memory.")
    return _finding(subject, "ok", what)


def _need(found: Fit, device: Device) -> str:
    if found.missing_bytes > 0:
        what = f"wants {gib(found.budget_bytes)} of a GPU of {gib(found.usable_bytes)}"
        if found.in_use_bytes:
            return f"{what}, of which others have taken {gib(found.in_use_bytes)}"
        return f"{what}, of which CUDA takes {gib(CONTEXT)}"
    needed, gpus = found.needed_bytes * found.gpus, found.gpus
    what = f"needs {gib(needed)} for weights and one request of {found.length} tokens"
    share = found.budget_bytes / device.usable_bytes
    return f"{what} on {gpus} × {gib(found.usable_bytes)}, of which it may take {share:.0%}"  # noqa: RUF001  a product


def _tight(found: Fit) -> str:
    return f"only {found.concurrency:.1f} requests of {found.length} tokens fit at once"


def _loosen(found: Fit) -> str:
    half = round_length(found.length // 2)
    return f"Set max-model-len to {half} for twice as many, or leave it if requests are short."


def _figures(found: Fit) -> str:
    about = "about " if found.estimated else ""
    what = f"{about}{gib(found.weights_bytes)} of weights on each of {found.gpus} GPUs"
    if not found.cache.groups:
        return f"{what}, and no KV cache"
    return (
        f"{what}, {gib(found.cache_bytes)} of KV cache for {found.tokens} tokens: "
        f"{found.concurrency:.1f} requests of {found.length}"
    )


def _shared(index: int, together: Sequence[Subject]) -> Iterator[Finding]:
    try:
        wanted = [arguments.shares(subject) for subject in together]
    except ServiceError:
        # The service's own finding says so.
        return
    if sum(wanted) <= 1:
        return
    first = together[0]
    names = " and ".join(
        f"{subject.service.name} ({share:g})"
        for subject, share in zip(together, wanted, strict=True)
    )
    each = int(95 / len(together)) / 100
    yield _finding(
        first,
        "fail",
        f"{names} share GPU {index}, and want {sum(wanted):.2f} of its memory",
        f"Set gpu-memory-utilization of each, such as {each:g}: together no more than 1.",
    )


def _capability(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return (int(major), int(minor or 0)) if major.isdecimal() and minor.isdecimal() else (0, 0)


def _unknown(subject: Subject, what: str) -> Finding:
    return _finding(subject, "warn", f"unknown: {what}", "Watch its first start.")


def _finding(subject: Subject, verdict: Verdict, what: str, remedy: str = "") -> Finding:
    return Finding(
        check=CHECK, verdict=verdict, what=what, remedy=remedy, service=subject.service.name
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


_QUANTIZATION: Final = "hf_quant_config.json"
_BESIDE: Final = f"how it is quantised stands in {_QUANTIZATION}, which was not read"
_FEW: Final = 1.5
