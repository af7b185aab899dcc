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
        yield from _several(name, way, [_text(item) for item in value], where)
    else:
        yield from _one(name, _text(value))


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


def _several(name: str, way: Way, texts: Sequence[str], where: str) -> Iterator[str]:
    if way == "many":
        if dashed := next((text for text in texts if text.startswith("-")), None):
            raise ServiceError(
                f"--{name}: '{dashed}' would be read as a flag of its own",
                where=where,
                remedy="Leave it out: such a list takes no value that starts with a dash.",
            )
        yield from (f"--{name}", *texts) if texts else ()
    else:
        for text in texts:
            yield from _one(name, text)


def _one(name: str, text: str) -> Iterator[str]:
    if text.startswith("-"):
        yield f"--{name}={text}"
    else:
        yield from (f"--{name}", text)


def _text(value: object) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
