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
from provision.serving.roles import DEPLOY, MODELS

_PLANNED: Final[tuple[Check, ...]] = (BOOT, SYSTEM, ACTIVE, LOADED, COUNT)
"""Those that need nothing but the facts that a plan stands on; what fails in them stops it."""

_SERVING: Final = frozenset({DEPLOY, MODELS})
"""Roles that bring much for services to a host: these must be able to run there."""


def before_plan(
    host: Host, roles: Sequence[str], facts: Facts, *, force: bool = False
) -> list[Finding]:
    """Judge a host's facts before these roles are planned on them.

    `force` lets services pass that will not run there as far as is known.
    """
    sight = Sight(host.model_copy(update={"roles": tuple(roles)}), facts, Health(), now=0.0)
    found = [finding for check in _PLANNED for finding in check.judge(sight)]
    if found or not _SERVING & set(roles):
        return found
    return [_forced(finding) if force else finding for finding in _misfits(host, facts)]


def _misfits(host: Host, facts: Facts) -> list[Finding]:
    """Return why services cannot run on a host, before anything is pulled for them."""
    from provision.serving.compatibility.services import fitting  # noqa: PLC0415  large tables

    only = getattr(host.variables.get(DEPLOY), "only", ())
    services: dict[Finding, list[str]] = {}  # what is the same of several is said once
    for finding in fitting(host, facts, only):
        if finding.verdict == "fail":
            nameless = finding.model_copy(update={"host": "", "service": ""})
            services.setdefault(nameless, []).append(finding.service)
    return [
        finding.model_copy(update={"service": ", ".join(filter(None, names))})
        for finding, names in services.items()
    ]


def _forced(finding: Finding) -> Finding:
    what = f"forced: {finding.what}"
    return finding.model_copy(update={"verdict": "warn", "what": what})


def refusals(findings: Sequence[Finding]) -> list[str]:
    """Return why no plan is made; none where one can be."""
    return [str(finding) for finding in findings if finding.verdict == "fail"]


def forbids_apply(findings: Sequence[Finding]) -> list[str]:
    """Return why a plan that was made must not be applied: services cannot be started there."""
    return [str(finding) for finding in findings if finding.check == BOOT.name]
