"""The services of the usual recipe, as each release is told to run them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from truth import refusals

from provision.errors import ServiceError
from provision.serving.engines import engine_of
from provision.serving.service import Service

GOLDENS: Final = sorted((Path(__file__).parent / "goldens").glob("*.json"))


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_a_service_runs_as_its_golden_says(path: Path) -> None:
    """A change of what is rendered is a change of a golden, and never goes unseen."""
    golden = _read(path)
    service = Service.model_validate(golden["service"])
    engine = engine_of(service.engine)
    if "error" in golden:
        with pytest.raises(ServiceError) as raised:
            engine.launch(service)
        assert str(raised.value) == golden["error"]
        return
    launch = engine.launch(service)
    assert list(launch.command) == golden["command"]
    assert dict(launch.environment) == golden["environment"]
    assert {name: item.reference for name, item in launch.secrets.items()} == golden["secrets"]
    assert list(launch.notes) == golden["notes"]


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_the_releases_own_parser_takes_every_golden(path: Path) -> None:
    """Each flag, choice, parser and template of a golden is in that release's source."""
    engine, version, _ = path.stem.split("-", 2)
    release = version if engine == "vllm" else f"tei/{version}.0"
    assert list(refusals(_read(path).get("command", []), release)) == []


def test_the_goldens_cover_every_task_of_every_release() -> None:
    """No release of the recipe is left out."""
    names = {path.stem for path in GOLDENS}
    for release in ("0.8.5", "0.11.0", "0.18.0", "0.32.0"):
        for kind in ("chat", "reasoning", "embed", "score", "qwen3-embedding", "qwen3-reranker"):
            assert f"vllm-{release}-{kind}" in names
    assert {"tei-1.5-embed", "tei-1.5-score", "tei-1.9-embed", "tei-1.9-score"} <= names


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
