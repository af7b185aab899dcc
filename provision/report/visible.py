"""Text of hosts and services made safe to show: what would steer a terminal is shown as its number."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import lru_cache
from typing import Final

from provision.secret import redact

_SPACE: Final = re.compile(r"[\t\n\r\x0b\x0c\x85\u2028\u2029]+")
_PERHAPS: Final = re.compile(r"[^\t\n\x20-\x7e]")
_HIDDEN: Final = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})
_TURNS: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
"""Marks that turn the direction of what follows: with them a line can look like another one."""


def visible(text: str, encoding: str = "utf-8") -> str:
    """Return text on one line in which nothing steers a terminal, a browser or a parser of XML."""
    line = visible_block(_SPACE.sub(" ", text))
    return line if line.isascii() else line.encode(encoding, "replace").decode(encoding)


def visible_block(text: str) -> str:
    r"""Return text whose lines and tabs are kept, and in which ESC stands as the letters `\x1b`."""
    return _PERHAPS.sub(lambda found: _shown(found[0]), text)


def visible_json(document: str) -> str:
    """Return a JSON document, which may be read on a terminal too, with the same characters escaped."""
    return _PERHAPS.sub(lambda found: _shown_in_json(found[0]), document)


def say_on_stderr(text: str) -> None:
    """Write what is for the operator alone, on lines of its own, with secrets masked."""
    sys.stderr.write(visible_block(redact(text)))


@lru_cache(4096)
def _shown(char: str) -> str:
    """Return the character, or its number in Python's notation where it is not one to look at."""
    if char in _TURNS or unicodedata.category(char) in _HIDDEN:
        return char.encode("unicode_escape", "surrogatepass").decode()
    return char


@lru_cache(4096)
def _shown_in_json(char: str) -> str:
    if _shown(char) == char:
        return char
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))
