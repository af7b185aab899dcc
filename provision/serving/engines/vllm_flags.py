"""Which flags, parsers and templates each release of vLLM has, read off its own sources."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, cast

from provision.errors import ServiceError
from provision.serving.engines.arguments import Way

Kind = Literal["flags", "tool_parsers", "reasoning_parsers", "templates"]
Number = tuple[int, int, int]
_FILE: Final = Path(__file__).with_name("vllm_flags.json")
_NUMBER: Final = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")


class Release(NamedTuple):
    """A release whose flags are known."""

    number: Number

    @property
    def name(self) -> str:
        """Return it as its tag says it, without the v."""
        return ".".join(map(str, self.number))

    def since(self, name: str) -> bool:
        """Say whether it is that release or a later one."""
        return self.number >= number(name)

    def flag(self, name: str) -> Way | None:
        """Return how a flag is written; None where the release has no such flag."""
        span = self._span("flags", f"--{name}")
        return cast("Way", span[2]) if span else None

    def has(self, kind: Kind, name: str) -> bool:
        """Say whether the release has a parser or template."""
        return self._span(kind, name) is not None

    def names(self, kind: Kind) -> set[str]:
        """Return all names of a kind that the release has."""
        return {name for name in _known()[kind] if self.has(kind, name)}

    def _span(self, kind: Kind, name: str) -> list[str | None] | None:
        for span in _known()[kind].get(name, ()):
            first, last = span[:2]
            if number(first) <= self.number and (last is None or self.number <= number(last)):
                return cast("list[str | None]", span)
        return None


def release_of(version: str, where: str) -> Release:
    """Return the newest known release that is not newer than a version of the same minor."""
    asked = number(version)
    fit = [item for item in map(number, releases()) if item[:2] == asked[:2] and item <= asked]
    if fit:
        return Release(max(fit))
    oldest, newest = releases()[0], releases()[-1]
    raise ServiceError(
        f"the flags of vLLM {version} are not known, only those of {oldest} to {newest}",
        where=where,
        remedy=f"State the release whose flags it has, such as version: {newest}",
    )


def releases() -> list[str]:
    """Return the releases that are known, oldest first."""
    return cast("list[str]", _known()["releases"])


def first(kind: Kind, name: str) -> str | None:
    """Return the first release that has a flag, parser or template; None: no release has."""
    spans = _known()[kind].get(name)
    return str(spans[0][0]) if spans else None


def last(name: str) -> str:
    """Return the last release that has a flag which the newest has not."""
    return str(_known()["flags"][f"--{name}"][-1][1])


@cache
def all_flags() -> frozenset[str]:
    """Return the flags of all releases, without their dashes."""
    return frozenset(name.removeprefix("--") for name in _known()["flags"])


@cache
def number(version: str) -> Number:
    """Return a version's numbers, 0, 8 and 5 of `0.8.5.post1`; zeros for what is no version."""
    found = _NUMBER.match(version)
    major, minor, patch = found.groups() if found else (0, 0, 0)
    return int(major), int(minor), int(patch or 0)


@cache
def _known() -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(_FILE.read_text(encoding="utf-8")))
