"""What the kinds about models share: names that follow from the folder of a snapshot."""

from __future__ import annotations

import hashlib
from typing import Final

UNIT: Final = "provision-model-"
"""Beginning of the systemd units of the workers."""
_DIGITS: Final = 12


def staging_of(folder: str) -> str:
    """Return the hidden folder beside the final one: a rename on the same disk ends the work."""
    parent, _, last = folder.rpartition("/")
    return f"{parent}/.{last}.partial"


def unit_of(folder: str) -> str:
    """Return the systemd unit of the worker of a snapshot."""
    return f"{UNIT}{hashlib.sha256(folder.encode()).hexdigest()[:_DIGITS]}"
