"""How tool calls look that no parser took out of the text, and which parser would have."""

from __future__ import annotations

import re
from typing import Final

_READ: Final = 32 << 10  # characters: a model that was asked for a call says no more
_MARKS: Final = (
    (
        r"<tool_call>\s*<function=|<function=\w+>\s*<parameter=",
        "qwen3_xml (qwen3_coder in older images)",
    ),
    (r"<tool_call>\s*[\w.-]+\s*<arg_key>", "glm45"),
    (r"<minimax:tool_call>", "minimax_m2"),
    (r"<seed:tool_call>", "seed_oss"),
    (r"<\|tool_calls_section_begin\|>|<\|tool_call_begin\|>", "kimi_k2"),
    (r"<｜tool▁calls▁begin｜>|<｜tool▁call▁begin｜>", "deepseek_v3 (deepseek_v31 for V3.1)"),  # noqa: RUF001
    (r"<\|channel\|>\s*commentary", "openai"),
    (r"<\|action_start\|>", "internlm"),
    (r"functools\[", "phi4_mini_json"),
    (r"<\|tool_call\|>", "granite"),
    (r"<tool_call>", "hermes"),
    (r"\[TOOL_CALLS\]", "mistral"),
    (r"<\|python_tag\|>", "llama3_json"),
    (r"^\s*\[\w+\(\w+=", "pythonic (llama4_pythonic for Llama 4)"),
    (r"\{\s*\"name\"\s*:.*\"parameters\"\s*:", "llama3_json"),
    (r"\{\s*\"name\"\s*:", "hermes for Qwen, llama3_json for Llama"),
)
"""The special marks first: what stands inside them looks like a plain call."""


def leaked(text: str) -> str:
    """Return the parser to try for a call that stands in `text`; empty: there is none."""
    for pattern, parser in _MARKS:
        if re.search(pattern, text[:_READ], re.DOTALL):
            return parser
    return ""
