"""The JSON file of which we own some keys and leave all others as they are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from pydantic import Field

from provision.state.kinds.paths import (
    AbsolutePath,
    OctalMode,
    Rights,
    content_or_digest,
    digest,
    parse_stat,
    write,
)
from provision.state.resource import Command, Resource, State
from provision.state.shell import quote

_LIMIT: Final = 1 << 20  # bytes; a configuration file larger than this is not one
_BOM: Final = "\ufeff"
"""What some editors write first: Docker reads past it, and a file that we rewrite has none."""
_TEXT: Final = "(text)"
"""State key of the whole file as probed: carried for the merge, never compared."""
_RIGHTS: Final = ("(mode)", "(owner)", "(group)")
"""State keys of what the file keeps; in brackets, since a file may hold a key `mode` of its own."""


class JsonFile(Resource):
    """A JSON object at the absolute path `name`, holding at least the keys of `merge`."""

    kind: ClassVar[str] = "json_file"

    name: AbsolutePath
    merge: Mapping[str, Any] = Field(default_factory=dict)
    """Nested keys to set; mappings are merged, everything else is replaced."""
    defaults: Mapping[str, Any] = Field(default_factory=dict)
    """Top-level keys to set in a file that holds none of them: they belong together, and what
    somebody chose among them stays."""
    check: str = ""
    """Read-only sh that judges the new file `$1` before it takes the old one's place."""
    mode: OctalMode = "0644"
    """Mode of a file that did not exist; an existing one keeps its own."""

    def gather(self) -> Mapping[str, str]:
        """Have its rights read together with those of all paths."""
        return {"gather_paths": self.name}

    def probe(self) -> str:
        """Read the file."""
        return f"probe_path {quote(self.name)} {_LIMIT}"

    def actual(self, output: str) -> State | None:
        """Return the values of our own keys, dotted; invalid JSON is an error, not an absence."""
        stat, rest = parse_stat(output)
        text = content_or_digest(stat, rest, _LIMIT)
        document = _parse(text)
        if not self.defaults.keys().isdisjoint(document):
            document |= self.defaults  # chosen by somebody: as it shall be
        held = dict(_held(document, self.wanted, ""))
        return (
            held
            | {_TEXT: text}
            | dict(zip(_RIGHTS, (stat.mode, stat.owner, stat.group), strict=True))
        )

    def expected(self) -> State | None:
        """Want our own keys."""
        return dict(_held(self.wanted, self.wanted, ""))

    def apply(self, actual: State | None, changed: frozenset[str]) -> list[Command]:
        """Merge our keys into the text that was probed and replace the file."""
        del changed
        if actual is None:
            text = _text(self.wanted)
            return [write(self.name, text, "absent", Rights(self.mode), self.check)]
        probed = str(actual[_TEXT])
        document = _parse(probed)
        free = self.defaults.keys().isdisjoint(document)
        text = _text(_merged(document, self.wanted if free else self.merge))
        rights = Rights(*(str(actual[key]) for key in _RIGHTS))
        return [write(self.name, text, digest(probed), rights, self.check)]

    def joins(self, other: Resource) -> bool:
        """Allow another role to own other keys of the same file."""
        return isinstance(other, JsonFile) and not _clash(self.wanted, other.wanted)

    @property
    def wanted(self) -> Mapping[str, Any]:
        """Return all keys that a new file gets."""
        return {**self.defaults, **self.merge}


def _text(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, indent=4, ensure_ascii=False) + "\n"
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair, which only JSON's own escapes can hold
        return json.dumps(value, indent=4) + "\n"
    return text


def _parse(text: str) -> dict[str, Any]:
    text = text.removeprefix(_BOM)
    if not text.strip():
        return {}
    try:
        value = json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"invalid JSON at line {error.lineno} column {error.colno}: {error.msg}"
        ) from error
    except RecursionError:
        raise ValueError("invalid JSON: nested without end") from None
    if not isinstance(value, dict):
        raise ValueError("the file holds no JSON object")  # noqa: TRY004  bad data, not a bug
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key '{twice}' stands there twice")
    return unique


def _held(
    found: Mapping[str, Any], ours: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, str | int | bool]]:
    """Yield what `found` holds under the keys of `ours`, dotted.

    An empty mapping of ours asks only that there is a mapping.
    """
    for key, wanted in ours.items():
        if key not in found:
            continue
        item = found[key]
        if not isinstance(wanted, Mapping) or not isinstance(item, Mapping):
            yield f"{prefix}{key}", _leaf(item)
        elif wanted:
            yield from _held(item, wanted, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _leaf({})


def _leaf(item: Any) -> str | int | bool:
    return item if isinstance(item, str | int) else json.dumps(item, sort_keys=True)


def _clash(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Say whether both set one key, be it as a value or above the other's."""
    for key in one.keys() & other.keys():
        if not (isinstance(one[key], Mapping) and isinstance(other[key], Mapping)):
            return True
        if _clash(one[key], other[key]):
            return True
    return False


def _merged(base: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in ours.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            merged[key] = _merged(below, value)
        else:
            merged[key] = value
    return merged
