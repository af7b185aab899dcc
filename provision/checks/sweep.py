"""The sweep: what all checks found on all hosts, as every report shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict

from provision.checks.check import GROUPS, Group
from provision.finding import Finding, Verdict

REACHABLE: Final = "host.reachable"
"""Check of the finding for a host that could not be asked at all."""
_WORST: Final[tuple[Verdict, ...]] = ("fail", "warn", "ok")


class HostSweep(BaseModel):
    """What was found on one host."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str
    summary: str = ""
    """What it is, in a few words: `8 NVIDIA H200, driver 580.159.04`."""
    checks: tuple[str, ...] = ()
    """Names of the checks that were made; one without a finding is ok."""
    findings: tuple[Finding, ...] = ()
    """What is not well, and what is worth a line although it is."""
    seconds: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """Return the worst verdict of all."""
        return worst(self.findings)

    def group(self, group: Group) -> Verdict | None:
        """Return the worst verdict of a group; `None` = nothing of it was checked."""
        found = [each for each in self.findings if group_of(each.check) == group]
        if not found and not any(group_of(check) == group for check in self.checks):
            return None
        return worst(found)


class Sweep(BaseModel):
    """What was found on all hosts, in the order of the inventory."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inventory: str
    begun: float
    """Seconds since 1970."""
    seconds: float
    hosts: tuple[HostSweep, ...]
    explain: bool = False
    """Whether the background of each finding is to be told."""

    @property
    def verdict(self) -> Verdict:
        """Return the worst verdict of all hosts."""
        return worst([finding for host in self.hosts for finding in host.findings])

    @property
    def groups(self) -> tuple[Group, ...]:
        """Return the groups of which anything was checked anywhere."""
        return tuple(
            group for group in GROUPS if any(host.group(group) is not None for host in self.hosts)
        )


def group_of(check: str) -> str:
    """Return the group in a check's name: `gpu` of `gpu.ecc`."""
    return check.partition(".")[0]


def worst(findings: Sequence[Finding]) -> Verdict:
    """Return the worst verdict; `ok` where there is none."""
    verdicts = {finding.verdict for finding in findings}
    return next((verdict for verdict in _WORST if verdict in verdicts), "ok")
