"""The finding: one line about one thing that is well or wrong, and what to do about it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Verdict = Literal["ok", "warn", "fail"]


class Finding(BaseModel):
    """What one check has to say; what cannot be told is a `warn` that says so, never an `ok`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: str
    """Name of the check, as `gpu.ecc`; `--explain` knows its background."""
    verdict: Verdict
    what: str
    """One line without a full stop at its end."""
    remedy: str = ""
    """What to do about it, as whole sentences; empty where there is nothing to do."""
    host: str = ""
    service: str = ""

    def __str__(self) -> str:
        """Return `gpu01: chat: what. remedy`."""
        line = ": ".join(filter(None, (self.host, self.service, self.what)))
        return f"{line.rstrip('.')}. {self.remedy}" if self.remedy else line
