"""The images of a host, and what they demand of its driver."""

from __future__ import annotations

from typing import Any

from provision.facts.model import Image


def parse(text: str) -> dict[str, Any]:
    """Parse an image's architecture, then its tags and variables, one a line."""
    found: list[tuple[str, list[str], dict[str, str]]] = []
    for line in text.splitlines():
        kind, _, value = line.partition("|")
        if kind == "image":
            found.append((value, [], {}))
        elif kind == "tag":
            found[-1][1].append(value)
        elif kind == "env":
            name, _, content = value.partition("=")
            found[-1][2][name] = content
    return {
        "images": tuple(
            Image(tags=tuple(tags), architecture=architecture, environment=environment)
            for architecture, tags, environment in found
            if tags
        )
    }
