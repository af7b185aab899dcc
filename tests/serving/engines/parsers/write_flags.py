"""A developer's tool: the product's `vllm_flags.json`, derived from the releases in this folder.

    python write_flags.py

Every name gets the releases in which it was seen without a gap: first, last, and for a flag how
it is written. A last of null is a name that the newest release still has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
PRODUCT: Final = HERE.parents[3] / "provision/serving/engines/vllm_flags.json"
Spans = dict[str, list[list[str | None]]]


def releases() -> dict[str, dict[str, Any]]:
    """Return what is known of every release, oldest first."""
    paths = sorted(HERE.glob("*.json"), key=lambda path: [int(n) for n in path.stem.split(".")])
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def derived() -> dict[str, Any]:
    """Return the content of `vllm_flags.json`."""
    known = releases()
    flags = {
        release: {name: flag["value"] for name, flag in content["flags"].items()}
        for release, content in known.items()
    }
    found: dict[str, Any] = {"releases": list(known), "flags": _spans(flags)}
    for kind in ("tool_parsers", "reasoning_parsers", "templates"):
        # A wheel has no examples: nothing is known, which is not the same as no template.
        told = {
            release: dict.fromkeys(content[kind], "")
            for release, content in known.items()
            if content[kind] is not None
        }
        found[kind] = {name: [span[:2] for span in spans] for name, spans in _spans(told).items()}
    return found


def _spans(known: Mapping[str, Mapping[str, str]]) -> Spans:
    spans: Spans = {}
    before: Mapping[str, str] = {}
    for release, names in known.items():
        for name, value in names.items():
            if before.get(name) == value:
                spans[name][-1][1] = release
            else:
                spans.setdefault(name, []).append([release, release, value])
        before = names
    newest = list(known)[-1]
    for name in spans:
        if spans[name][-1][1] == newest:
            spans[name][-1][1] = None
    return {name: spans[name] for name in sorted(spans)}


def text() -> str:
    """Return the file, one name a line."""
    content = derived()
    parts = [f'"releases": {json.dumps(content.pop("releases"))}']
    for kind, names in content.items():
        lines = [f"  {json.dumps(name)}: {json.dumps(spans)}" for name, spans in names.items()]
        parts.append(f'"{kind}": {{\n' + ",\n".join(lines) + "\n}")
    return "{" + ",\n".join(parts) + "}\n"


if __name__ == "__main__":
    PRODUCT.write_text(text(), encoding="utf-8")
