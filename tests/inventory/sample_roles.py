"""Small roles for inventories, in a module whose source can be found."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, HttpUrl

from provision.secret import Secret


class Limits(BaseModel):
    """A block inside a role's variables."""

    soft: int = 1
    hard: int = 2


class Docker(BaseModel):
    """A role with a variable of every usual type."""

    model_config = ConfigDict(frozen=True)

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
