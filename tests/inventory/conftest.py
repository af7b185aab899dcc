"""Two small roles, and inventories written and loaded from text."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, HttpUrl

from provision.inventory.load import load
from provision.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from provision.inventory.schema import Inventory


class Limits(BaseModel):
    """A block inside a role's variables."""

    soft: int = 1
    hard: int = 2


class Docker(BaseModel):
    """A role with a variable of every usual type."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    mirror: HttpUrl = Field(default="https://mirrors.example/docker-ce", validate_default=True)
    """Base URL of the mirror."""
    version: str = "27.0"
    """Version of the engine."""
    mode: Literal["plain", "rootless"] = "plain"
    fast: bool = True
    ratio: float = 0.5
    tag: str = Field(default="a", pattern="^[a-z]+$")
    pools: list[str] = []
    labels: dict[str, str] = {}
    limits: Limits = Limits()
    size: int | Literal["auto"] = "auto"
    token: Secret | None = None


class Model(BaseModel):
    """A role that needs a variable."""

    name: str
    port: int = Field(default=8000, ge=1)


class Base(BaseModel):
    """A role without variables."""


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
