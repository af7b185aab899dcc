"""What vLLM is told of a service's task, GPUs and chat template, release by release."""

from __future__ import annotations

from math import prod
from typing import Final, NamedTuple

from provision.errors import ServiceError
from provision.serving.engines.arguments import Flags
from provision.serving.engines.families import Family
from provision.serving.engines.vllm_changes import Part, joined
from provision.serving.engines.vllm_flags import Release, first
from provision.serving.service import FILES, Service


class Case(NamedTuple):
    """A service, and what is known about it."""

    service: Service
    release: Release
    family: Family | None
    own: Flags
    """Its own arguments, in the words of the release."""

    @property
    def where(self) -> str:
        """Return how errors call it."""
        return f"service {self.service.name}"


def gpus(case: Case) -> Part:
    """Return over how many GPUs the model is spread; all of the service's, if nothing is said."""
    own, count = case.own, len(case.service.gpus)
    stated = {name: own[name] for name in _SIZES if name in own}
    if not stated:
        return Part({_SIZES[0]: count}) if count > 1 else Part()
    wanted = prod(int(str(value)) for value in stated.values() if str(value).isdecimal())
    if count and wanted > count:
        raise ServiceError(
            f"{' and '.join(f'{name} {value}' for name, value in stated.items())} need {wanted} "
            f"GPUs, and it has {count}",
            where=case.where,
            remedy="Give the service more `gpus`, or make the sizes smaller.",
        )
    if wanted < count:
        return Part(notes=(f"{wanted} of its {count} GPUs are used",))
    return Part()


def task(case: Case) -> Part:
    """Return what makes it generate, embed or score."""
    wanted = case.service.task
    if wanted == "generate":
        return Part()
    part = _share(case)
    if wanted == "score":
        part = both(part, _rerank(case))
    if {"task", "runner", "convert"} & case.own.keys():
        return part
    if not case.release.flag("runner"):
        return both(part, Part({"task": wanted}))
    if wanted == "score" and case.family and case.family.rerank:
        return both(part, Part({"runner": "pooling"}))
    convert = "embed" if wanted == "embed" else "classify"
    return both(part, Part({"runner": "pooling", "convert": convert}))


def template(case: Case) -> Part:
    """Return the chat template, if it is not the model's own."""
    service, family = case.service, case.family
    if service.chat_template:
        path = service.chat_template
        return Part({"chat-template": path if path.startswith("/") else f"{FILES}/{path}"})
    name = _template_name(case)
    if not family or not name or "chat-template" in case.own or service.chat_template == "":
        return Part()
    use = "reranks" if service.task == "score" else "calls tools"
    if not _is_official(service) or not case.release.has("templates", name):
        since, what = first("templates", name), "scores" if use == "reranks" else "tool calls"
        note = f"its {what} may be off without {name}, which vllm-openai has from {since} on"
        return Part(notes=(note,))
    return Part(
        {"chat-template": f"{_IN_IMAGE}/{name}"}, (f"{name}, as {family.name} {use} with it",)
    )


def both(one: Part, other: Part) -> Part:
    """Return two parts as one; of a flag in both the other's value is taken."""
    return Part(joined(one.flags, other.flags), (*one.notes, *other.notes))


def _share(case: Case) -> Part:
    if not case.service.gpus or _SHARES & case.own.keys():
        return Part()
    return Part(
        notes=("no gpu-memory-utilization: it takes nearly all of its GPU; 0.1 to 0.25 will do",)
    )


def _rerank(case: Case) -> Part:
    family, release = case.family, case.release
    rerank = family.rerank if family else None
    since = (rerank.since if rerank else "") or _FIRST_RERANK
    if not release.since(since):
        what = family.name if family and rerank else "any model"
        raise ServiceError(
            f"vLLM {release.name} cannot rerank with {what}; the first release that can is {since}",
            where=case.where,
            remedy="Take a newer image.",
        )
    if not family or not rerank or not rerank.flags:
        return Part()
    if "hf-overrides" in case.own:
        return Part()
    return Part(rerank.flags, (f"hf-overrides, as {family.name} needs them to rerank",))


def _template_name(case: Case) -> str:
    """Return the template that the family needs for the service's task; empty: none."""
    family, wanted = case.family, case.service.task
    if not family or wanted == "embed":
        return ""
    if wanted == "score":
        return family.rerank.template if family.rerank else ""
    stated = case.own.get("tool-call-parser", case.service.tool_parser)
    own = [name for name in family.tools if case.release.has("tool_parsers", name)]
    # It tells the model to call tools in the words that the parser knows.
    return family.template if own and stated in {None, *own} else ""


def _is_official(service: Service) -> bool:
    """Say whether the image has vLLM's examples: others may have none."""
    return service.image.rpartition("/")[2].startswith("vllm-openai")


_IN_IMAGE: Final = "/vllm-workspace/examples"
_SIZES: Final = ("tensor-parallel-size", "pipeline-parallel-size", "data-parallel-size")
_SHARES: Final = frozenset({"gpu-memory-utilization", "kv-cache-memory-bytes"})
_FIRST_RERANK: Final = "0.7.0"
