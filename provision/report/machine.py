"""Reports for programs: JSON on stdout, secrets masked."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from provision.fleet import Visit
from provision.host.apply import Outcome
from provision.report.visible import visible_json
from provision.secret import redact


def write_json(value: Mapping[str, Any]) -> None:
    """Write one JSON document to stdout."""
    plain = (sys.stdout.encoding or "utf-8").lower() not in {"utf-8", "utf8"}
    document = json.dumps(_masked(value), indent=2, ensure_ascii=plain)
    sys.stdout.write(visible_json(document) + "\n")


def facts_document(visits: Sequence[Visit]) -> dict[str, Any]:
    """Return `{hosts: {name: {facts, error}}}`."""
    return {
        "hosts": {
            visit.host.name: {
                "facts": visit.facts.model_dump(mode="json") if visit.facts else None,
                "error": visit.error,
            }
            for visit in visits
        }
    }


def plan_document(visits: Sequence[Visit]) -> dict[str, Any]:
    """Return `{hosts: {name: {changes, plan, findings, error}}}`."""
    return {"hosts": {visit.host.name: _planned(visit) for visit in visits}}


def outcome_document(visits: Sequence[Visit], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the plan's document with the `outcome` of each host that was changed."""
    by_host = {outcome.host: outcome.model_dump(mode="json") for outcome in outcomes}
    return {
        "hosts": {
            visit.host.name: {**_planned(visit), "outcome": by_host.get(visit.host.name)}
            for visit in visits
        }
    }


def _planned(visit: Visit) -> dict[str, Any]:
    plan = visit.plan
    return {
        "changes": sum(row.verdict == "change" for row in plan.pending) if plan else None,
        "may_change": sum(row.verdict == "maybe" for row in plan.pending) if plan else None,
        "roles": [_role(role) for role in plan.roles] if plan else None,
        "findings": [finding.model_dump(exclude={"host", "service"}) for finding in visit.findings],
        "error": visit.error,
    }


def _role(role: Any) -> dict[str, Any]:
    return {
        "role": role.role,
        "rows": [row.model_dump(mode="json", exclude={"role"}) for row in role.rows],
        "handlers": [
            {"id": notice.handler.id, "notified_by": notice.notified_by, "fears": notice.fears}
            for notice in role.notices
        ],
    }


def _masked(value: Any) -> Any:
    """Mask secrets in every text of a document; once it is JSON they would be escaped."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: _masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item) for item in value]
    return value
