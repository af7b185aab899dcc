"""Engines are found by the name of their module."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.errors import ServiceError
from provision.serving import engines
from provision.serving.engines import engine_of
from provision.serving.services.wish import is_moving


@pytest.mark.parametrize("name", ["vllm", "tei"])
def test_an_engine_has_the_name_of_its_module(name: str) -> None:
    """And images with a tag that says their version."""
    engine = engine_of(name)
    assert engine.name == name
    for image in (engine.image, engine.cpu_image):
        assert not is_moving(image)


@pytest.mark.parametrize("name", ["vlm", "families", "engine", "../vllm", ""])
def test_an_unknown_engine_is_refused(name: str) -> None:
    """Also a module that only helps engines is none."""
    with pytest.raises(ServiceError) as raised:
        engine_of(name)
    assert "vllm" in raised.value.remedy


def test_a_new_file_is_a_new_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else has to be changed for it."""
    text = "from provision.serving.engines.tei import Tei\nENGINE = Tei()\n"
    (tmp_path / "another.py").write_text(text)
    monkeypatch.setattr(engines, "__path__", [*engines.__path__, str(tmp_path)])
    assert engine_of("another").tasks == {"embed", "score"}
