"""Versions as numbers: how those of drivers, CUDA and engines are compared."""

from __future__ import annotations

import re
from typing import Final

Version = tuple[int, int, int, int]
"""580.65.06 is (580, 65, 6, 0)."""
_LENGTH: Final = 4
_NUMBERS: Final = re.compile(r"v?(\d{1,6}(?:\.\d{1,6}){0,3})(?![\d])")


def version(text: str | None) -> Version | None:
    """Return the numbers that a text begins with; None where it begins with none."""
    found = _NUMBERS.match(text.strip()) if text else None
    if found is None:
        return None
    numbers = [int(part) for part in found[1].split(".")]
    first, second, third, fourth = numbers + [0] * (_LENGTH - len(numbers))
    return first, second, third, fourth


def known(text: str) -> Version:
    """Return the numbers of a version that stands in a table of ours."""
    found = version(text)
    if found is None:
        raise ValueError(f"{text} is no version")
    return found


def minor(found: Version) -> Version:
    """Return its first two numbers: 13.0 of 13.0.2."""
    return found[0], found[1], 0, 0


def short(found: Version) -> str:
    """Return its first two numbers as they are written."""
    return f"{found[0]}.{found[1]}"


def text(found: Version) -> str:
    """Return it as releases are written: 0.8.5, and 1.9 where the third number is not in use."""
    return ".".join(map(str, found[:3]))
