"""How flags and their values are written on a command line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

from provision.errors import ServiceError
from provision.serving.service import Argument

Way = Literal["none", "boolean", "optional", "one", "many", "append"]
"""What follows a flag: nothing; nothing, and it has a `--no-` twin; perhaps a value; one; one or
more; or one each time it is repeated."""
Flags = Mapping[str, Argument]
"""Flags without their dashes, and their values."""
_BARE: Final = frozenset({"none", "boolean"})


def plain(arguments: Flags, where: str) -> dict[str, Argument]:
    """Return the arguments with their names as engines spell them: `max_model_len` has dashes."""
    found: dict[str, Argument] = {}
    for name, value in arguments.items():
        head, dot, rest = name.lstrip("-").partition(".")
        spelled = head.replace("_", "-") + dot + rest
        if spelled in found:
            raise ServiceError(
                f"the argument {spelled} is there twice",
                where=where,
                remedy="Leave one of its spellings out.",
            )
        found[spelled] = value
    return found


def written(name: str, way: Way, value: Argument, where: str) -> Iterator[str]:
    """Yield what stands on the command line for one flag."""
    if isinstance(value, bool):
        yield from _bare(name, way, value, where)
    elif way in _BARE:
        raise ServiceError(
            f"--{name} takes no value, and there is {value!r}",
            where=where,
            remedy=f"Write {name}: true, or false to leave it out.",
        )
    elif isinstance(value, list) and way in {"many", "append"}:
        yield from _several(name, way, [_text(item) for item in value])
    elif (text := _text(value)).startswith("-"):
        yield f"--{name}={text}"
    else:
        yield from (f"--{name}", text)


def _bare(name: str, way: Way, value: bool, where: str) -> Iterator[str]:  # noqa: FBT001  it is the value of a flag
    if value and way not in {*_BARE, "optional"}:
        raise ServiceError(
            f"--{name} needs a value, and there is only true", where=where, remedy="Give it one."
        )
    if value:
        yield f"--{name}"
    elif way == "boolean":
        # The engine's own default may be on.
        yield f"--no-{name}"


def _several(name: str, way: Way, texts: Sequence[str]) -> Iterator[str]:
    if way == "many" and texts:
        yield from (f"--{name}", *texts)
    elif way == "append":
        for text in texts:
            yield from (f"--{name}", text)


def _text(value: object) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
