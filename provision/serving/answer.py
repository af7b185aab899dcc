"""The answer of a service to a validation: one line about one thing that it must do."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

Verdict = Literal["ok", "note", "warn", "fail"]
"""`note`: nothing was learned about the service, and nothing is wrong with that."""
Concern = Literal["protocol", "quality"]
"""Whether a service answers as it must at all, or only how good its answers are."""
View = Literal["host", "controller"]
"""Where the calls came from: the host itself, or the machine that runs us."""

BEFORE: Final = "before"
"""How the release is called to which a failed one was rolled back."""


class Answer(BaseModel):
    """What one check of a service came to; any `fail` is a reason to roll back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: str
    service: str
    host: str
    release: str = ""
    """Id of the release that it ran from, or `BEFORE`."""
    verdict: Verdict
    what: str
    remedy: str = ""
    seconds: float
    concern: Concern = "protocol"
    """`quality` fails only where the service requires the check."""
    view: View = "host"

    def __str__(self) -> str:
        """Return `gpu01: chat: tools: what. remedy`."""
        line = f"{self.host}: {self.service}: {self.check}: {self.what}"
        return f"{line.rstrip('.')}. {self.remedy}" if self.remedy else line
