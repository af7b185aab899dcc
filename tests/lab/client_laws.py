# ruff: noqa: D401  a law is a statement, as the docstring of a test is
"""The laws of real clients against deployed services; a test that has both calls them.

`chat_url` and `embed_url` are base URLs as clients are told them, with `/v1`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

import clients

PROJECT: Final = Path(__file__).resolve().parents[2]
CHAT_MODEL: Final = "tiny-chat-tools"
EMBED_MODEL: Final = "minilm"
OPENAI: Final = "openai_sdk.py"
LANGCHAIN: Final = "langchain_client.py"
READMES: Final = ("README.md", "README.zh.md")
README_NAMES: Final = (
    "http://10.0.0.11:1281/v1",
    "http://10.0.0.11:1282/v1",
    '"gpt-4"',
    '"bge-m3"',
)
"""Chat, embeddings and their models, as the README's services have them."""
PRINTED: Final = {
    "openai": ["pong", "pong", "384"],
    "langchain_openai": ["pong", "get_weather {'city': 'Beijing'}", "384"],
}
"""What the README's blocks print, by the library that they import."""
BASE64: Final = """
import array, base64, json, sys
from openai import OpenAI
client = OpenAI(base_url=sys.argv[1], api_key="none")
ask = lambda **more: client.embeddings.create(model=sys.argv[2], input=["Beijing"], **more)
text = ask(encoding_format="base64").data[0].embedding
plain = ask(encoding_format="float").data[0].embedding
packed = array.array("f", base64.b64decode(text))
print(json.dumps([isinstance(text, str), len(packed), max(map(abs, map(float.__sub__, packed, plain)))]))
"""
"""Asks for one embedding in both encodings; prints whether the first was text, its length when
decoded, and how far apart the two are."""


def law_the_openai_sdk_chats(chat_url: str, embed_url: str) -> None:
    """A message is answered."""
    assert _said(OPENAI, chat_url, embed_url)["chat"] == "pong"


def law_the_openai_sdk_streams(chat_url: str, embed_url: str) -> None:
    """The answer comes in pieces, which are the answer."""
    _is_pong_in_pieces(_said(OPENAI, chat_url, embed_url)["stream"])


def law_the_openai_sdk_calls_a_tool(chat_url: str, embed_url: str) -> None:
    """With `auto` the tool is called for the weather, with its argument."""
    _is_weather_in_beijing(_said(OPENAI, chat_url, embed_url).get("tool", ""))


def law_the_openai_sdk_embeds(chat_url: str, embed_url: str) -> None:
    """What is about one thing lies together, in the encoding that the SDK takes by itself."""
    _embeds_well(_said(OPENAI, chat_url, embed_url))


def law_embeddings_are_the_same_in_base64(chat_url: str, embed_url: str) -> None:
    """The SDK asks for base64 unless told otherwise: the numbers are those of plain JSON."""
    del chat_url
    was_text, length, apart = json.loads(clients.speak("-c", BASE64, embed_url, EMBED_MODEL))
    assert was_text
    assert length == 384
    assert apart < 1e-6


def law_langchain_chats(chat_url: str, embed_url: str) -> None:
    """`ChatOpenAI.invoke` is answered."""
    assert _said(LANGCHAIN, chat_url, embed_url)["chat"] == "pong"


def law_langchain_streams(chat_url: str, embed_url: str) -> None:
    """`ChatOpenAI.stream` brings the answer in pieces."""
    _is_pong_in_pieces(_said(LANGCHAIN, chat_url, embed_url)["stream"])


def law_langchain_calls_a_tool(chat_url: str, embed_url: str) -> None:
    """A function given to `bind_tools`, in LangChain's own words for it, is called."""
    _is_weather_in_beijing(_said(LANGCHAIN, chat_url, embed_url).get("tool", ""))


def law_langchain_embeds(chat_url: str, embed_url: str) -> None:
    """`embed_documents` tells related from unrelated, and `embed_query` agrees with it."""
    said = _said(LANGCHAIN, chat_url, embed_url)
    _embeds_well(said)
    assert float(said["query"]) > 0.999


def law_the_readmes_work(chat_url: str, embed_url: str) -> None:
    """The Python of the READMEs runs as it stands, but for addresses and names of models."""
    texts = [(PROJECT / name).read_text("utf-8") for name in READMES]
    for library, printed in PRINTED.items():
        for block in dict.fromkeys(block_about(library, text) for text in texts):
            words = ("-c", moved(block, chat_url, embed_url))
            said = clients.speak(*words, environment={"CHAT_KEY": "none"})
            assert said.splitlines() == printed, said


LAWS: Final[tuple[Callable[[str, str], None], ...]] = tuple(
    law for name, law in list(globals().items()) if name.startswith("law_")
)


def block_about(library: str, text: str) -> str:
    """Return the one block of Python in a Markdown text that imports a library."""
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (found,) = (block for block in blocks if f"from {library} import" in block)
    return str(found)


def moved(block: str, chat_url: str, embed_url: str) -> str:
    """Return a block of the README as it is for the services of the lab."""
    here = (chat_url, embed_url, f'"{CHAT_MODEL}"', f'"{EMBED_MODEL}"')
    for there, instead in zip(README_NAMES, here, strict=True):
        assert there in block, f"{there} is not in:\n{block}"
        block = block.replace(there, instead)
    return block


@cache
def _said(program: str, chat_url: str, embed_url: str) -> dict[str, str]:
    """Return what an example printed, by its first word; each is run once."""
    options = ("--chat-url", chat_url, "--chat-model", CHAT_MODEL)
    more = ("--embed-url", embed_url, "--embed-model", EMBED_MODEL)
    said = clients.speak(PROJECT / "docs" / "examples" / program, *options, *more)
    return {words[0]: words[2] for words in (line.partition(": ") for line in said.splitlines())}


def _is_pong_in_pieces(text: str) -> None:
    pieces = text.split(" | ")
    assert len(pieces) > 1, text
    assert "".join(pieces) == "pong", text


def _is_weather_in_beijing(text: str) -> None:
    assert text == 'get_weather {"city": "Beijing"}'


def _embeds_well(said: dict[str, str]) -> None:
    assert said["dimensions"] == "384", said
    assert float(said["related"]) > float(said["unrelated"]) + 0.5, said
