"""What an engine means when it refuses a question, and what to do about it."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

NO_PARSER: Final = (
    "The engine was started without a tool-call parser: set tool_parser, for example hermes for "
    "Qwen; or tool_parser: '' where no tools are wanted."
)


_READ: Final = 8 << 10  # characters of a refusal


class _Known(NamedTuple):
    pattern: str
    remedy: str


_KNOWN: Final = (
    _Known(
        r"tool choice requires|enable-auto-tool-choice",
        NO_PARSER,
    ),
    _Known(
        r"default chat template is no longer allowed|chat template",
        "The model brings no chat template: set chat_template, or serve its -Instruct variant.",
    ),
    _Known(
        r"model `?.*`? does not exist|model.{0,80}not found",
        "Requests must name the served name: set served_name to the name that clients use.",
    ),
    _Known(
        r"does not support (the )?(Embeddings?|Score|Rerank|Chat Completions?|Classif\w+|Pooling)"
        r"|is not an? (re-?ranker|embedding|classifier)",
        "The model was loaded for another task: set task, and for a Qwen3-Reranker its overrides.",
    ),
    _Known(
        r"EngineDeadError|EngineCore|engine.{0,20}dead",
        "The engine has died behind its server: restart the service, the cause is in its log.",
    ),
    _Known(
        r"maximum context length|max_model_len|longer than the maximum",
        "Raise max-model-len in the service's arguments.",
    ),
)
_BY_STATUS: Final = {
    401: "The engine has another key: deploy the service again, or set api_key to the one it has.",
    403: "The engine has another key: deploy the service again, or set api_key to the one it has.",
    404: "The engine does not offer this path: it was started for another task, or is too old.",
    405: "The engine does not offer this path: it was started for another task, or is too old.",
    429: "The engine is overloaded: try again, or raise its limits.",
}


def advice(said: str, status: int) -> str:
    """Return the remedy for a refusal; empty where it is not a known one."""
    for known in _KNOWN:
        if re.search(known.pattern, said[:_READ], re.IGNORECASE):
            return known.remedy
    return _BY_STATUS.get(status, "")
