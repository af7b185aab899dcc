"""What `[01:16]` in a name or a value stands for."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import product
from typing import Final

_RANGE: Final = re.compile(r"\[([0-9]+):([0-9]+)\]")
_MOST: Final = 10_000  # names from one text; more is a slip of the finger


class RangeError(ValueError):
    """A range that cannot be written out; `remedy` says what to write instead."""

    def __init__(self, what: str, remedy: str) -> None:
        """Name the failure and the next step."""
        super().__init__(what)
        self.remedy = remedy


def expand(text: str) -> list[str]:
    """Return the names that `text` stands for, in order; several ranges multiply.

    Raises `RangeError` for a range that is malformed, runs backwards or is too long.
    """
    if "[" not in text and "]" not in text:
        return [text]
    pieces = _RANGE.split(text)
    if any("[" in piece or "]" in piece for piece in pieces[::3]):
        raise RangeError(
            f"{text!r} has a bracket that is no range",
            "Write a range as [first:last], as in gpu[01:16].",
        )
    choices = [numbers(*pair) for pair in zip(pieces[1::3], pieces[2::3], strict=True)]
    _check_length(text, [len(choice) for choice in choices])
    return [_join(pieces[::3], choice) for choice in product(*choices)]


def has_range(text: str) -> bool:
    """Tell whether a value holds a range."""
    return _RANGE.search(text) is not None


def step(text: str, index: int, count: int) -> str:
    """Return `text` with its ranges at their `index`; each must have `count` values."""

    def at(match: re.Match[str]) -> str:
        values = numbers(match[1], match[2])
        if len(values) != count:
            raise RangeError(
                f"the range {match[0]} has {len(values)} values for {count} hosts",
                f"Write a range of {count} values: it runs in step with the one in the host's name.",
            )
        return values[index]

    return _RANGE.sub(at, text)


@lru_cache(maxsize=256)
def numbers(first: str, last: str) -> tuple[str, ...]:
    """Return the numbers from `first` to `last`, both included, padded as they are written."""
    low, high = _number(first), _number(last)
    if low > high:
        raise RangeError(f"the range [{first}:{last}] runs backwards", f"Write [{last}:{first}].")
    if high - low >= _MOST:
        raise _too_long(f"[{first}:{last}]")
    padded = first != str(low) or last != str(high)
    if padded and len(first) != len(last):
        width = max(len(first), len(last))
        raise RangeError(
            f"the ends of the range [{first}:{last}] are padded differently",
            f"Write [{first.zfill(width)}:{last.zfill(width)}].",
        )
    width = len(first) if padded else 0
    return tuple(str(number).zfill(width) for number in range(low, high + 1))


def _number(text: str) -> int:
    if len(text) > len(str(_MOST)) + 10:  # int() refuses thousands of digits with its own error
        raise RangeError(f"{text[:20]}… is too large for a range", "Write fewer digits.")
    return int(text)


def _check_length(text: str, lengths: list[int]) -> None:
    total = 1
    for length in lengths:
        total *= length
    if total > _MOST:
        raise _too_long(text)


def _too_long(text: str) -> RangeError:
    return RangeError(
        f"the range {text} has more than {_MOST} values", "Write a shorter range, or several."
    )


def _join(between: list[str], values: tuple[str, ...]) -> str:
    return between[0] + "".join(
        value + rest for value, rest in zip(values, between[1:], strict=True)
    )
