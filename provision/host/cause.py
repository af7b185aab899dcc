"""What a known reason for a failure is: a pattern of output, what happened, and its remedy."""

from __future__ import annotations

import re
from typing import NamedTuple


class Cause(NamedTuple):
    """What happened and what to do about it."""

    what: str
    remedy: str


class Known(NamedTuple):
    """How a cause is recognised; named groups of the pattern stand in its texts."""

    pattern: str
    what: str
    remedy: str
    of: re.Pattern[str] | None = None
    """Means this only in the output of one program, known by this."""
