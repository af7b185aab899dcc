"""The system: whether provision can do its work there."""

from __future__ import annotations

from typing import Final

from provision.checks.finding import Finding
from provision.facts import Facts

_OLDEST: Final = {"debian": 12.0, "ubuntu": 22.04}
"""Oldest release of each family that the tests cover, or that is like one of them."""


def check_system(facts: Facts) -> list[Finding]:
    """Judge what every role stands on."""
    findings = []
    if not facts.systemd:
        findings.append(
            Finding(
                check="system",
                level="warn",
                message="the host was not booted with systemd: services cannot be started here",
                remedy="A plan can be made, but not applied.",
                forbids_apply=True,
            )
        )
    oldest = _OLDEST.get(facts.os.family)
    if oldest is None:
        findings.append(
            Finding(
                check="system",
                level="fail",
                message=f"{facts.os.name or facts.os.id} is not supported yet",
                remedy="Debian 12 and 13 and Ubuntu 22.04 and newer are.",
            )
        )
    elif facts.os.id == facts.os.family and _number(facts.os.version) < oldest:
        findings.append(
            Finding(
                check="system",
                level="warn",
                message=f"{facts.os.name} is older than what provision is tested on",
                remedy="Debian 12 and Ubuntu 22.04 are the oldest.",
            )
        )
    if "docker" in facts.unknown:  # it must not be taken for absent, and be replaced
        findings.append(
            Finding(
                check="system",
                level="fail",
                message="docker info gave no answer that makes sense in time",
                remedy="Look at `systemctl status docker` and `journalctl -u docker` on the host.",
            )
        )
    return findings


def _number(version: str) -> float:
    """Return `24.04` as a number; a release without one (sid) is newer than all."""
    return float(version) if version.replace(".", "", 1).isdigit() else float("inf")
