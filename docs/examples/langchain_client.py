# ruff: noqa: INP001, T201  a program to copy: it stands alone, and prints
"""Chat, a stream, a tool call and embeddings with LangChain (`pip install langchain-openai`).

Each option may also stand in the environment, as CHAT_URL for --chat-url. Models go by the names
under which they are served. Keys are read from CHAT_KEY and EMBED_KEY.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from math import hypot
from typing import Annotated

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import SecretStr

PING = "Reply with the single word pong."
TEXTS = [
    "How do I reset the password of my account?",
    "I forgot my account password and want to reset it.",
    "This cake needs three ripe bananas.",
]


def main() -> None:
    """Ask both services, and print what they answer."""
    asked = options()
    chat = ChatOpenAI(
        base_url=asked.chat_url,
        model=asked.chat_model,
        api_key=SecretStr(os.environ.get("CHAT_KEY", "none")),
        temperature=0,
    )
    print("chat:", chat.invoke(PING).text)
    print("stream:", " | ".join(chunk.text for chunk in chat.stream(PING) if chunk.text))
    for call in chat.bind_tools([get_weather]).invoke("What is the weather in Beijing?").tool_calls:
        print("tool:", call["name"], json.dumps(call["args"]))

    embeddings = OpenAIEmbeddings(
        base_url=asked.embed_url,
        model=asked.embed_model,
        api_key=SecretStr(os.environ.get("EMBED_KEY", "none")),
        check_embedding_ctx_length=False,  # send the text itself, not OpenAI's own tokens of it
    )
    first, related, unrelated = embeddings.embed_documents(TEXTS)
    print("dimensions:", len(first))
    print(f"related: {cosine(first, related):.4f}")
    print(f"unrelated: {cosine(first, unrelated):.4f}")
    print(f"query: {cosine(first, embeddings.embed_query(TEXTS[0])):.4f}")


@tool
def get_weather(city: Annotated[str, "Name of the city."]) -> str:
    """Get the current weather in a city."""
    return f"It is sunny in {city}."


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
