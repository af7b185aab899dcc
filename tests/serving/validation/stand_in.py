"""Stand-in engines for tests of the validation: their answers, and the services that they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from stand_in_server import StandIn, running

from provision.serving.engines.engine import Dialect
from provision.serving.service import Service

__all__ = ["ANSWERS", "KEY", "TEI", "VLLM", "StandIn", "base", "running", "service"]

KEY: Final = "the-right-key"
ANSWERS: Final = Path(__file__).parent / "answers"
VLLM: Final = Dialect("/health", "/v1/models", "/v1/chat/completions", "/v1/embeddings", "/v1/rerank", "jina")  # fmt: skip
TEI: Final = Dialect("/health", "", "", "/v1/embeddings", "/rerank", "tei")
_BASE: Final = {
    "name": "it",
    "engine": "vllm",
    "task": "generate",
    "model": "some/model",
    "folder": "/data/models/some/model/main",
    "mounted": "/models/some/model",
    "size_bytes": 1,
    "served_name": "gpt-4",
    "bind": "127.0.0.1",
    "gpus": (),
    "image": "vllm/vllm-openai:v0.32.0",
}


def service(port: int, **settings: Any) -> Service:
    """Return a service that answers at `port`."""
    return Service.model_validate({**_BASE, "port": port, **settings})


def base(name: str) -> dict[str, Any]:
    """Return what a sound engine is and answers: `{engine, service, answers}`."""
    value: dict[str, Any] = json.loads((ANSWERS / f"{name}.json").read_text(encoding="utf-8"))
    return value
