"""What a release's own parser takes: a command line is checked against what its source says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
TEMPLATES: Final = "/vllm-workspace/examples/"
_REGISTRIES: Final = {
    "--tool-call-parser": "tool_parsers",
    "--reasoning-parser": "reasoning_parsers",
}


@cache
def releases() -> tuple[str, ...]:
    """Return the releases of vLLM whose parsers were read, oldest first."""
    names = [path.stem for path in (HERE / "parsers").glob("*.json")]
    return tuple(sorted(names, key=lambda name: [int(part) for part in name.split(".")]))


@cache
def parser(release: str) -> dict[str, Any]:
    """Return what was read of a release, `0.8.5` of vLLM or `tei/1.5.0`."""
    content: dict[str, Any] = json.loads((HERE / "parsers" / f"{release}.json").read_text())
    return content


def refusals(command: Sequence[str], release: str) -> Iterator[str]:
    """Yield why the release's own parser would not take a command line."""
    known = parser(release)
    for name, values in _split(command):
        flag = known["flags"].get(name)
        twin = known["flags"].get(name.replace("--no-", "--", 1), {}).get("value")
        if flag is None and (not name.startswith("--no-") or twin != "boolean"):
            yield f"{name}: no such flag"
        elif flag is None or flag["value"] in {"none", "boolean"}:
            yield from (f"{name}: takes no value: {value}" for value in values)
        elif flag["value"] in {"one", "append"} and len(values) != 1:
            yield f"{name}: takes one value: {values}"
        elif flag["value"] == "many" and not values:
            yield f"{name}: takes values"
        else:
            choices = flag.get("choices", values)
            yield from (f"{name}: not {value}" for value in values if value not in choices)
            yield from _unknown(name, values, known)


def _unknown(name: str, values: Sequence[str], known: dict[str, Any]) -> Iterator[str]:
    if name in _REGISTRIES and values[0] not in known[_REGISTRIES[name]]:
        yield f"{name}: no parser {values[0]}"
    # A wheel does not tell which templates the image has.
    templates = known.get("templates")
    if name == "--chat-template" and values[0].startswith(TEMPLATES) and templates is not None:
        path = values[0].removeprefix(TEMPLATES)
        yield from () if path in templates else (f"{name}: no template {path}",)


def _split(command: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for word in command:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            found.append((name, [value] if equals else []))
        else:
            found[-1][1].append(word)
    yield from found
