"""Which parsers of tool calls and reasoning vLLM is told to use, release by release."""

from __future__ import annotations

from typing import Final, NamedTuple

from provision.errors import ServiceError, nearest
from provision.serving.engines.arguments import Flags
from provision.serving.engines.families import Family
from provision.serving.engines.vllm_changes import Part
from provision.serving.engines.vllm_flags import Kind, Release, first
from provision.serving.engines.vllm_parts import Case, both


def parsers(case: Case) -> Part:
    """Return the parsers of a service that generates; `ServiceError` for those of any other."""
    service = case.service
    if service.task != "generate":
        _refuse_parsers(case)
        return Part()
    tools, reasoning = _part(_TOOLS, case), _part(_REASONING, case)
    if not tools.flags or not reasoning.flags or case.release.since(_TWO):
        return both(tools, reasoning)
    if service.tool_parser and service.reasoning_parser:
        raise ServiceError(
            f"vLLM {case.release.name} cannot both call tools and reason; {_TWO} is the first that can",
            where=case.where,
            remedy="Take a newer image, or leave one of the two parsers out.",
        )
    kept, dropped = (reasoning, tools) if service.reasoning_parser else (tools, reasoning)
    note = f"--{list(dropped.flags)[-1]} left out: vLLM before {_TWO} takes only one parser"
    return Part(kept.flags, (*kept.notes, note))


class _Kind(NamedTuple):
    known: Kind
    flag: str
    plugin: str
    setting: str
    does: str

    def stated(self, case: Case) -> str | None:
        """Return what the operator asked for; None: nothing."""
        if self.flag in case.own:
            return str(case.own[self.flag])
        found: str | None = getattr(case.service, self.setting)
        return found

    def of(self, family: Family | None) -> tuple[str, ...]:
        """Return the family's parsers, the best first."""
        if not family:
            return ()
        return family.tools if self.known == "tool_parsers" else family.reasoning


def _refuse_parsers(case: Case) -> None:
    for kind in (_TOOLS, _REASONING):
        if getattr(case.service, kind.setting):
            raise ServiceError(
                f"a service that does {case.service.task} has no use for a {kind.setting}",
                where=case.where,
                remedy=f"Drop {kind.setting}.",
            )


def _part(kind: _Kind, case: Case) -> Part:
    """Return the flags of one parser: as stated, or as the family needs it."""
    stated = kind.stated(case)
    if stated == "":
        return Part()
    if stated:
        if kind.plugin not in case.own:
            _refuse_unknown(kind, stated, case)
        return Part(_flags(kind, stated, case.release))
    names = kind.of(case.family)
    if not case.family or not names:
        return Part()
    if found := next((name for name in names if case.release.has(kind.known, name)), ""):
        note = f"{found}, as {case.family.name} {kind.does}"
        return Part(_flags(kind, found, case.release), (note,))
    since = first(kind.known, names[-1])
    note = (
        f"no --{kind.flag}: {names[-1]}, with which {case.family.name} {kind.does}, came in {since}"
    )
    return Part(notes=(note,))


def _flags(kind: _Kind, name: str, release: Release) -> Flags:
    if kind is _TOOLS:
        return {"enable-auto-tool-choice": True, kind.flag: name}
    # From 0.9 on the parser alone turns reasoning on.
    if release.flag("enable-reasoning") and not release.since("0.9.0"):
        return {"enable-reasoning": True, kind.flag: name}
    return {kind.flag: name}


def _refuse_unknown(kind: _Kind, name: str, case: Case) -> None:
    release = case.release
    if release.has(kind.known, name):
        return
    what = kind.setting.replace("_", " ")
    since = first(kind.known, name)
    if since and not release.since(since):
        raise ServiceError(
            f"vLLM {release.name} has no {what} {name}; the first release with it is {since}",
            where=case.where,
            remedy="Take a newer image.",
        )
    raise ServiceError(
        f"vLLM {release.name} has no {what} '{name}'",
        where=case.where,
        remedy=nearest(name, release.names(kind.known)),
    )


_TWO: Final = "0.8.2"
"""The first release that takes a parser of each kind."""
_TOOLS: Final = _Kind(
    "tool_parsers", "tool-call-parser", "tool-parser-plugin", "tool_parser", "calls tools"
)
_REASONING: Final = _Kind(
    "reasoning_parsers",
    "reasoning-parser",
    "reasoning-parser-plugin",
    "reasoning_parser",
    "reasons",
)
