"""Services to ask engines about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from provision.serving.service import Service


@pytest.fixture
def service() -> Callable[..., Service]:
    """Return what makes a service of vLLM, generating on a GPU, with what a test says of it."""

    def made(release: str = "0.32.0", **more: Any) -> Service:
        model = more.setdefault("model", "some/model")
        usual = {
            "name": "chat",
            "engine": "vllm",
            "task": "generate",
            "folder": f"/data/models/{model}",
            "mounted": f"/models/{model}",
            "size_bytes": 1,
            "served_name": "gpt-4",
            "bind": "127.0.0.1",
            "port": 1281,
            "gpus": (0,),
            "image": f"vllm/vllm-openai:v{release}",
        }
        return Service.model_validate(usual | more)

    return made
