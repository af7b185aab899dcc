"""The system: whether provision can do its work there."""

from __future__ import annotations

from typing import Final

from provision.checks.finding import Finding
from provision.facts import OS, Facts

_OLDEST: Final = {"debian": 12.0, "ubuntu": 22.04}
"""Oldest release of each family that the tests cover, or that is like one of them."""


def check_system(facts: Facts) -> list[Finding]:
    """Judge what every role stands on."""
    return [found for found in (_boot(facts), _release(facts.os), _docker(facts)) if found]


def _boot(facts: Facts) -> Finding | None:
    if facts.systemd:
        return None
    return Finding(
        check="system",
        level="warn",
        message="the host was not booted with systemd: services cannot be started here",
        remedy="A plan can be made, but not applied.",
        forbids_apply=True,
    )


def _release(system: OS) -> Finding | None:
    oldest = _OLDEST.get(system.family)
    if oldest is None:
        return Finding(
            check="system",
            level="fail",
            message=f"{system.name or system.id} is not supported yet",
            remedy="Debian 12 and 13 and Ubuntu 22.04 and newer are.",
        )
    if system.id != system.family or _number(system.version) >= oldest:
        return None
    return Finding(
        check="system",
        level="warn",
        message=f"{system.name} is older than what provision is tested on",
        remedy="Debian 12 and Ubuntu 22.04 are the oldest.",
    )


def _docker(facts: Facts) -> Finding | None:
    if "docker" not in facts.unknown:
        return None
    return Finding(  # it must not be taken for absent, and be replaced
        check="system",
        level="fail",
        message="docker info gave no answer that makes sense in time",
        remedy="Look at `systemctl status docker` and `journalctl -u docker` on the host.",
    )


def _number(version: str) -> float:
    """Return `24.04` as a number; a release without one (sid) is newer than all."""
    return float(version) if version.replace(".", "", 1).isdigit() else float("inf")
