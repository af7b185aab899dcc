# ruff: noqa: INP001, T201  a program to copy: it stands alone, and prints
"""Chat, a stream, a tool call and embeddings with the OpenAI SDK (`pip install openai`).

Each option may also stand in the environment, as CHAT_URL for --chat-url. Models go by the names
under which they are served. Keys are read from CHAT_KEY and EMBED_KEY.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from math import hypot

from openai import OpenAI
from openai.types.chat import ChatCompletionMessageFunctionToolCall, ChatCompletionToolParam

PING = "Reply with the single word pong."
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "Name of the city."}},
            "required": ["city"],
        },
    },
}
TEXTS = (
    "How do I reset the password of my account?",
    "I forgot my account password and want to reset it.",
    "This cake needs three ripe bananas.",
)


def main() -> None:
    """Ask both services, and print what they answer."""
    asked = options()
    chat = OpenAI(base_url=asked.chat_url, api_key=os.environ.get("CHAT_KEY", "none"))
    print("chat:", answer(chat, asked.chat_model))
    print("stream:", " | ".join(pieces(chat, asked.chat_model)))
    print("tool:", *call(chat, asked.chat_model))

    embed = OpenAI(base_url=asked.embed_url, api_key=os.environ.get("EMBED_KEY", "none"))
    found = embed.embeddings.create(model=asked.embed_model, input=TEXTS)
    first, related, unrelated = (item.embedding for item in found.data)
    print("dimensions:", len(first))
    print(f"related: {cosine(first, related):.4f}")
    print(f"unrelated: {cosine(first, unrelated):.4f}")


def answer(client: OpenAI, model: str) -> str:
    """Return the answer to one message."""
    done = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": PING}], temperature=0, max_tokens=128
    )
    return done.choices[0].message.content or ""


def pieces(client: OpenAI, model: str) -> Iterator[str]:
    """Yield the pieces of an answer as they come."""
    stream = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": PING}],
        temperature=0,
        max_tokens=128,
        stream=True,
    )
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            yield chunk.choices[0].delta.content


def call(client: OpenAI, model: str) -> tuple[str, str]:
    """Return the name and the arguments of the function that the model wants called."""
    done = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "What is the weather in Beijing?"}],
        tools=[WEATHER],
        tool_choice="auto",
        temperature=0,
        max_tokens=128,
    )
    for wanted in done.choices[0].message.tool_calls or ():
        if isinstance(wanted, ChatCompletionMessageFunctionToolCall):
            arguments = json.loads(wanted.function.arguments)
            return wanted.function.name, json.dumps(arguments)
    return "none", "{}"


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Return how near two vectors are: 1 is the same direction."""
    return sum(a * b for a, b in zip(one, other, strict=True)) / (hypot(*one) * hypot(*other))


def options() -> argparse.Namespace:
    """Return the options, from the command line or the environment."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("CHAT_URL", "CHAT_MODEL", "EMBED_URL", "EMBED_MODEL"):
        option = f"--{name.lower().replace('_', '-')}"
        default = os.environ.get(name)
        parser.add_argument(option, default=default, required=default is None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
