"""The gate of a plan: which checks of a sweep stop it, for they stand on the same facts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from provision.checks.check import Check, Sight
from provision.checks.docker import ACTIVE
from provision.checks.driver import LOADED
from provision.checks.gpu_count import COUNT
from provision.checks.system import BOOT, SYSTEM
from provision.facts import Facts
from provision.facts.health import Health
from provision.finding import Finding
from provision.inventory.schema import Host

_PLANNED: Final[tuple[Check, ...]] = (BOOT, SYSTEM, ACTIVE, LOADED, COUNT)
"""Those that need nothing but the facts that a plan stands on; what fails in them stops it."""


def before_plan(host: Host, roles: Sequence[str], facts: Facts) -> list[Finding]:
    """Judge a host's facts before these roles are planned on them."""
    sight = Sight(host.model_copy(update={"roles": tuple(roles)}), facts, Health(), now=0.0)
    return [finding for check in _PLANNED for finding in check.judge(sight)]


def refusals(findings: Sequence[Finding]) -> list[str]:
    """Return why no plan is made; none where one can be."""
    return [str(finding) for finding in findings if finding.verdict == "fail"]


def forbids_apply(findings: Sequence[Finding]) -> list[str]:
    """Return why a plan that was made must not be applied: services cannot be started there."""
    return [str(finding) for finding in findings if finding.check == BOOT.name]
