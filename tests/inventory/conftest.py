"""Inventories of small roles, written and loaded from text."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest
from sample_roles import Base, Docker, Model

from provision.inventory.load import load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pydantic import BaseModel

    from provision.inventory.schema import Inventory


@pytest.fixture(scope="session")
def roles() -> dict[str, type[BaseModel]]:
    """Return the models of the roles that the inventories of these tests may name."""
    return {"base": Base, "docker": Docker, "model": Model}


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return a function that writes `lab.yaml` into the working folder."""
    monkeypatch.chdir(tmp_path)

    def to_file(text: str) -> Path:
        path = tmp_path / "lab.yaml"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return to_file


@pytest.fixture
def inventory(
    write: Callable[[str], Path], roles: dict[str, type[BaseModel]]
) -> Callable[[str], Inventory]:
    """Return a function that loads an inventory from its text."""
    return lambda text: load(write(text), roles)
