"""The finding: one line about one subject, with its remedy."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Finding(BaseModel):
    """What a check has to say; `fail` stops a plan."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: str
    level: Literal["ok", "warn", "fail"]
    message: str
    remedy: str = ""
    forbids_apply: bool = False
    """A plan can be made, but must not be applied."""

    def __str__(self) -> str:
        """Return one line: message and remedy."""
        return f"{self.message}. {self.remedy}".rstrip()
