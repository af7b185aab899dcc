"""How sizes are written for people: decimal units, as disks and hubs count."""

from __future__ import annotations

from typing import Final

_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")
_STEP: Final = 1000
_WHOLE: Final = 100  # from here on a decimal says nothing


def human_size(size_bytes: float) -> str:
    """Return `15.2 GB`, `830 MB` or `512 B`."""
    value, unit = float(size_bytes), 0
    while value >= _STEP - 0.5 and unit < len(_UNITS) - 1:
        value, unit = value / _STEP, unit + 1
    digits = 0 if unit == 0 or value >= _WHOLE else 1
    return f"{value:.{digits}f} {_UNITS[unit]}"
