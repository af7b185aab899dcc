"""The sections that are longer than a line: of each the sh that reads it, and its parser."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def text_of(section: str) -> str:
    """Return the sh of a section without its comments: it travels to every host."""
    text = files(__name__).joinpath(f"{section}.sh").read_text(encoding="utf-8")
    kept = (line.strip() for line in text.splitlines() if not line.lstrip().startswith("#"))
    return "\n".join(kept)
