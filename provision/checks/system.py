"""The system: whether provision can do its work there."""

from __future__ import annotations

from provision.checks.finding import Finding
from provision.facts import Facts


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
            )
        )
    if not {"debian", "ubuntu"} & {facts.os.id, *facts.os.like}:
        findings.append(
            Finding(
                check="system",
                level="fail",
                message=f"{facts.os.name or facts.os.id} is not supported yet",
                remedy="Debian 12 and 13 and Ubuntu 22.04 and newer are.",
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
