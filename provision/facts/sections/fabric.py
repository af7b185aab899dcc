"""The NVLink fabric of machines with NVSwitches."""

from __future__ import annotations

import re

from provision.facts.health import Fabric


def parse(text: str) -> Fabric:
    """Return the switches, and the state and version of what manages them."""
    lines = text.splitlines()
    unit = dict(line.partition("=")[::2] for line in lines if "State=" in line)
    version = re.search(r"version\D{0,20}(\d+\.\d[\d.]*)", text, re.IGNORECASE)
    return Fabric(
        switches=lines.count("switch"),
        unit=unit.get("ActiveState", "") if unit.get("LoadState") == "loaded" else "",
        version=version[1] if version else "",
    )
