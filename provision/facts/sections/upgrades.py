"""Upgrades: what apt would do to the driver by itself."""

from __future__ import annotations

import re
from typing import Final

from provision.facts.health import Upgrades

_POLICY: Final = re.compile(
    r"^([a-z0-9][a-z0-9.+-]*)(?::[a-z0-9]+)?:\n  Installed: (\S+)\n  Candidate: (\S+)", re.MULTILINE
)
_OFF: Final = frozenset({"", "0", "false", "never"})


def parse(text: str) -> Upgrades:
    """Return what `apt-config dump` and `apt-cache policy` say."""
    settings = re.findall(r'^APT::Periodic::Unattended-Upgrade "(\w*)"', text, re.MULTILINE)
    return Upgrades(
        unattended=bool(_OFF.isdisjoint(settings) and settings),
        driver=tuple(
            _row(name, installed, candidate)
            for name, installed, candidate in _POLICY.findall(text)
            if candidate not in {installed, "(none)"}
        ),
    )


def _row(name: str, installed: str, candidate: str) -> str:
    """Name the driver's versions alone, where they tell the two packages apart."""
    short = _driver(installed), _driver(candidate)
    before, after = short if short[0] != short[1] else (installed, candidate)
    return f"{name} {before} → {after}"


def _driver(version: str) -> str:
    return (
        version.partition(":")[2].partition("-")[0] if ":" in version else version.partition("-")[0]
    )
