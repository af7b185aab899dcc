"""What tool calls must do: come as calls with JSON arguments, whole and in pieces."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from provision.serving.validation.chat import (
    Said,
    deltas,
    message,
    said_in,
    said_together,
    streamed,
)
from provision.serving.validation.leaks import leaked
from provision.serving.validation.questions import ASK_WEATHER, TOOL_ARGUMENT, TOOL_NAME
from provision.serving.validation.refusals import NO_PARSER
from provision.serving.validation.talk import Talk, Trouble, dig, mapping, objects, shown

_SMALL: Final = "Small models do that; from others check chat_template and quantisation."


class _ToolCall(NamedTuple):
    name: str
    arguments: str


def check_tools(talk: Talk) -> str:
    """Ask what only the tool can answer."""
    try:
        found = message(talk, ASK_WEATHER)
    except Trouble as trouble:
        if talk.service.tool_parser is None and trouble.remedy == NO_PARSER:
            raise Trouble(trouble.what, NO_PARSER, concern="quality") from trouble  # nobody asked
        raise
    if not found.get("tool_calls"):
        raise _no_call(said_in(found), talk)
    function = mapping(found, "tool_calls", 0, "function")
    return _judged(_ToolCall(dig(function, "name"), dig(function, "arguments")))


def check_tools_stream(talk: Talk) -> str:
    """Ask the same in pieces, as most clients do."""
    events = streamed(talk, ASK_WEATHER)
    pieces = [delta for event in events for delta in deltas(event)]
    calling = [piece for piece in pieces if piece.get("tool_calls")]
    parts = [part for piece in calling for part in objects(piece, "tool_calls")]
    if not parts:
        raise _no_call(said_together(pieces), talk)
    return f"{_judged(_first(parts))}, in {len(parts)} pieces"


def _first(parts: list[Mapping[str, Any]]) -> _ToolCall:
    """Return the first call, put together from its pieces."""
    functions = [mapping(part, "function") for part in parts if dig(part, "index") == 0]
    name, arguments = (
        "".join(str(function.get(what) or "") for function in functions)
        for what in ("name", "arguments")
    )
    return _ToolCall(name, arguments)


def _judged(call: _ToolCall) -> str:
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, TypeError, RecursionError) as error:
        raise Trouble(
            f"the arguments of the tool call are not JSON: {shown(str(call.arguments))}",
            "The tool-call parser does not fit the model: set tool_parser to that of its family.",
        ) from error
    if call.name != TOOL_NAME:
        raise Trouble(
            f"calls {shown(str(call.name))}, which is no tool on offer", _SMALL, concern="quality"
        )
    city = arguments.get(TOOL_ARGUMENT) if isinstance(arguments, Mapping) else None
    if not isinstance(city, str) or not city:
        raise Trouble(
            f"calls {TOOL_NAME} without its {TOOL_ARGUMENT}: {shown(call.arguments)}",
            _SMALL,
            concern="quality",
        )
    return f"calls {TOOL_NAME}({TOOL_ARGUMENT}={shown(city)})"


def _no_call(said: Said, talk: Talk) -> Trouble:
    for text in said:
        leak = leaked(text)
        if leak:
            now = f", not {talk.service.tool_parser}" if talk.service.tool_parser else ""
            return Trouble(
                f"the tool call comes as text: {shown(text)}",
                f"It is the wrong parser: set tool_parser to {leak}{now}.",
            )
    return Trouble(
        f"answers {shown(said.anything)} instead of calling {TOOL_NAME}",
        "Models may decline, small ones often; from others check tool_parser and chat_template.",
        concern="quality",
    )
