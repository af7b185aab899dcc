"""Recorded facts: what was written is what is read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.errors import FactsError
from provision.facts import GPU, OS, Driver, Facts, Image
from provision.facts.record import path_beside, read, write

FACTS = Facts(
    os=OS(id="debian", version="13"),
    gpus=(GPU(index=0, uuid="GPU-1", name="NVIDIA H200", memory_mib=1),),
    driver=Driver(status="ok", cuda="13.0"),
    images=(Image(tags=("a:1",), environment={"CUDA_VERSION": "13.0.2"}),),
    pythons={"python3": "3.12"},
)


def test_what_was_recorded_is_read_again(tmp_path: Path) -> None:
    """Every field, and nothing is left beside the file."""
    path = path_beside(tmp_path / "prod.yaml")
    write(path, {"b": FACTS, "a": FACTS.model_copy(update={"hostname": "a"})})
    assert path.name == "prod.facts.json"
    assert read(path) == {"a": FACTS.model_copy(update={"hostname": "a"}), "b": FACTS}
    assert list(tmp_path.iterdir()) == [path]


def test_no_file_is_no_facts(tmp_path: Path) -> None:
    """Nothing was recorded yet."""
    assert read(tmp_path / "none") == {}


def test_a_folder_that_is_not_there_is_an_error_with_its_path(tmp_path: Path) -> None:
    """One line, and what to do."""
    with pytest.raises(FactsError, match="No such file"):
        write(tmp_path / "no" / "facts.json", {"a": FACTS})
