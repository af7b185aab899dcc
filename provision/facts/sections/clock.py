"""The clock."""

from __future__ import annotations

import re

from provision.facts.health import Clock


def parse(text: str) -> Clock:
    """Return the time, which some dates know in whole seconds only."""
    now = re.match(r"(\d{1,12}(?:\.\d{1,9})?)(?:\.%?N)?$", text, re.MULTILINE)
    if not now:
        raise ValueError("date tells no time")
    synchronised = re.search(r"^NTPSynchronized=(yes|no)$", text, re.MULTILINE)
    return Clock(now=float(now[1]), synchronised=synchronised[1] == "yes" if synchronised else None)
