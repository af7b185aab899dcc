"""What chat must do: answer with text or reasoning, whole and in pieces."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from provision.serving.validation.questions import ASK_PING, PONG
from provision.serving.validation.talk import (
    Talk,
    Trouble,
    dig,
    mapping,
    objects,
    shown,
    wrong_shape,
)
from provision.serving.validation.wire import Reply

_FINISHED: Final = ("stop", "length", "tool_calls")
_DONE: Final = "[DONE]"
_THINK: Final = re.compile(r"</?think>")


class Said(NamedTuple):
    """What the model said, without its tool calls."""

    content: str
    reasoning: str

    @property
    def anything(self) -> str:
        """Return the content, or else the reasoning."""
        return self.content.strip() or self.reasoning.strip()


def check_chat(talk: Talk) -> str:
    """Ask for one word."""
    said = _answer(talk)
    if not talk.thinks and (said.reasoning.strip() or _THINK.search(said.content)):
        talk.thinks = True  # a longer answer, and no reasoning if it can
        said = _answer(talk)
    return _judged(said)


def check_stream(talk: Talk) -> str:
    """Ask for the same in pieces, and see that they are whole, in order and ended."""
    events = streamed(talk, ASK_PING)
    pieces = [delta for event in events for delta in deltas(event)]
    said = said_together(pieces)
    if not said.anything:
        raise wrong_shape("the chunks hold no text")
    if not any(completion_tokens(event) for event in events):
        raise wrong_shape("no chunk tells the usage, though it was asked for")
    texts = sum(bool(said_in(piece).anything) for piece in pieces)
    return f"{texts} chunks of text, the usage and {_DONE}"


def message(talk: Talk, question: Mapping[str, Any]) -> Mapping[str, Any]:
    """Ask and return the message that came back, its surroundings checked."""
    body = {"model": talk.service.served_name, **question, **talk.sampling()}
    answer = talk.ask_json(talk.dialect.chat, body)
    choice = mapping(answer, "choices", 0)
    found = mapping(choice, "message")
    _refuse_unfinished(dig(choice, "finish_reason"))
    if not completion_tokens(answer):
        raise wrong_shape("usage.completion_tokens is not a number above 0")
    return found


def streamed(talk: Talk, question: Mapping[str, Any]) -> list[Any]:
    """Ask for a stream and return its events, which end as they must."""
    asked = {"stream": True, "stream_options": {"include_usage": True}}
    body = {"model": talk.service.served_name, **question, **talk.sampling(), **asked}
    answer = talk.ask(talk.dialect.chat, body, stream=True)
    events = list(_events(answer))
    ends = [
        choice["finish_reason"]
        for event in events
        for choice in objects(event, "choices")
        if choice.get("finish_reason")
    ]
    _refuse_unfinished(ends[0] if len(ends) == 1 else None)
    if len({str(event.get("id")) for event in events}) > 1:
        raise wrong_shape("the chunks of two answers are mixed")
    return events


def deltas(event: Any) -> Iterator[Mapping[str, Any]]:
    """Yield what one event adds to the message."""
    for choice in objects(event, "choices"):
        yield mapping(choice, "delta")


def said_in(found: Mapping[str, Any]) -> Said:
    """Return the texts of a message or of a piece of one; both names of the reasoning count."""
    reasoning = found.get("reasoning") or found.get("reasoning_content") or ""
    return Said(str(found.get("content") or ""), str(reasoning))


def said_together(pieces: list[Mapping[str, Any]]) -> Said:
    """Return the texts of all pieces."""
    texts = [said_in(piece) for piece in pieces]
    return Said("".join(t.content for t in texts), "".join(t.reasoning for t in texts))


def completion_tokens(answer: Any) -> int:
    """Return how many tokens were made, as far as an answer or event tells; 0: it does not."""
    usage = answer.get("usage") if isinstance(answer, Mapping) else None
    count = usage.get("completion_tokens") if isinstance(usage, Mapping) else None
    return count if isinstance(count, int) and count > 0 else 0


def _answer(talk: Talk) -> Said:
    said = said_in(message(talk, ASK_PING))
    if not said.anything:
        raise wrong_shape("neither content nor reasoning holds any text")
    return said


def _judged(said: Said) -> str:
    if _THINK.search(said.content):
        raise Trouble(
            f"the reasoning comes as content: {shown(said.content)}",
            "Set reasoning_parser, for example qwen3 or deepseek_r1.",
            concern="quality",
        )
    if said.content.strip() and PONG not in said.content.casefold():
        raise Trouble(
            f"answers {shown(said.content)} where {PONG} was asked for",
            "Small and base models do that; from others check chat_template, dtype and "
            "quantisation.",
            concern="quality",
        )
    only = "" if said.content.strip() else "with reasoning only: "
    return f"answers {only}{shown(said.anything)}"


def _events(answer: Reply) -> Iterator[Any]:
    """Yield the events of a stream; raise `Trouble` where it does not end as it must."""
    lines = answer.text.split("\n")  # no other ends a line here: JSON may hold all of Unicode
    rows = [line.removeprefix("data:").strip() for line in lines if line.startswith("data:")]
    if not rows:
        raise wrong_shape(f"no stream of events: {shown(answer.text)}")
    if rows[-1] != _DONE:
        raise Trouble(f"the stream broke off after {len(rows)} chunks, without {_DONE}")
    for row in rows[:-1]:
        try:
            event = json.loads(row)
        except (ValueError, RecursionError) as error:
            raise wrong_shape(f"a chunk is not JSON: {shown(row)}") from error
        if not isinstance(event, Mapping) or "error" in event:
            raise Trouble(f"the stream ends in an error: {shown(row)}")
        yield event


def _refuse_unfinished(reason: object) -> None:
    if reason not in _FINISHED:
        raise wrong_shape(f"finish_reason is {json.dumps(reason)}, neither stop nor length")
