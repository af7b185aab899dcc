"""The questions that a service is asked: exact, so that their answers can be compared."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

EXACT: Final[dict[str, Any]] = {"temperature": 0, "seed": 0}
"""Sampling of every question to a chat model."""
TOKENS: Final = 128
"""Most tokens of an answer: some models say a sentence before they call a tool."""
THINKING_TOKENS: Final = 1024
"""Most tokens of an answer where the model reasons first."""
NO_THINKING: Final[dict[str, Any]] = {"chat_template_kwargs": {"enable_thinking": False}}
"""Sent to models that reason, and to no other."""

PING: Final = "Reply with the single word pong."
"""The question of plain and of streamed chat, the only message, from the user."""
PONG: Final = "pong"
"""Stands in a good answer, in whatever case."""
ASK_PING: Final[dict[str, Any]] = {"messages": [{"role": "user", "content": PING}]}

WEATHER: Final = "What is the weather in Beijing?"
"""The question that is to be answered by a call, the only message, from the user."""
TOOL_NAME: Final = "get_weather"
TOOL_ARGUMENT: Final = "city"
TOOL: Final[dict[str, Any]] = {
    "type": "function",
    "function": {
        "name": TOOL_NAME,
        "description": "Get the current weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {TOOL_ARGUMENT: {"type": "string", "description": "Name of the city."}},
            "required": [TOOL_ARGUMENT],
        },
    },
}
ASK_WEATHER: Final[dict[str, Any]] = {
    "messages": [{"role": "user", "content": WEATHER}],
    "tools": [TOOL],
    "tool_choice": "auto",
}


class Triple(NamedTuple):
    """Three texts, of which the first two are about one thing."""

    language: str
    text: str
    related: str
    unrelated: str


TRIPLES: Final = (
    Triple(
        "English",
        "How do I reset the password of my account?",
        "I forgot my account password and want to reset it.",
        "This cake needs three ripe bananas.",
    ),
    Triple(
        "Chinese",
        "如何重置我的账户密码?",
        "我忘记了账户密码,想重置密码。",
        "做这个蛋糕需要三根熟香蕉。",
    ),
)
"""Embedded in one list. That they come back in order, finite and of one length is protocol; that
the related text is closer is quality, and one language is enough: few models know both."""

QUERY: Final = "What is the capital of China?"
DOCUMENTS: Final = (
    "Bananas are rich in potassium and grow in warm countries.",
    "Beijing is the capital of China.",
    "To reset a password, follow the link in the letter.",
)
"""Ranked for the query; the relevant one is not the first, so that mere input order is seen."""
RELEVANT: Final = 1
"""Index of the relevant document."""


def chat_body(served_name: str) -> dict[str, Any]:
    """Return the whole request of plain chat to a model that does not reason."""
    return {"model": served_name, **ASK_PING, **EXACT, "max_tokens": TOKENS}


def tool_body(served_name: str) -> dict[str, Any]:
    """Return the whole request that offers the tool to a model that does not reason."""
    return {"model": served_name, **ASK_WEATHER, **EXACT, "max_tokens": TOKENS}
