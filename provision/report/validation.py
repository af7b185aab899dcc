"""Validation as an operator reads it: what each service answered, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from provision.secret import redact
from provision.serving.finding import BEFORE, Finding

_COLOURS: Final = {"ok": "green", "warn": "yellow", "fail": "red"}
_COLUMNS: Final = ("host", "service", "check", "verdict", "answer")


def print_validation(console: Console, findings: Sequence[Finding]) -> None:
    """Print one row for each check, then one line a remedy, and the sum."""
    if findings:
        console.print(_table(findings), soft_wrap=True)
    remedies = {
        f"{finding.host}: {finding.service}: {finding.check}: {finding.remedy}": finding.verdict
        for finding in findings
        if finding.remedy
    }
    for line, verdict in remedies.items():
        console.print(Text(redact(line), _COLOURS[verdict]), soft_wrap=True)
    counts = {verdict: sum(each.verdict == verdict for each in findings) for verdict in _COLOURS}
    services = len({(each.host, each.service) for each in findings})
    noun = "service" if services == 1 else "services"
    warnings = "warning" if counts["warn"] == 1 else "warnings"
    console.print(
        f"{services} {noun}: {counts['ok']} ok, {counts['warn']} {warnings}, {counts['fail']} failed"
    )


def validation_document(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return `{hosts: {name: {services: {name: [finding, …]}}}}`."""
    hosts: dict[str, Any] = {}
    for finding in findings:
        services = hosts.setdefault(finding.host, {"services": {}})["services"]
        found = finding.model_dump(mode="json", exclude={"host", "service"})
        services.setdefault(finding.service, []).append(found)
    return {"hosts": hosts}


def _table(findings: Sequence[Finding]) -> Table:
    """Say where the calls came from, and which release answered, only where there are two."""
    both = len({finding.view for finding in findings}) > 1
    back = any(finding.release == BEFORE for finding in findings)
    more = (*(("release",) if back else ()), *(("seen from",) if both else ()))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in (*_COLUMNS[:2], *more, *_COLUMNS[2:]):
        table.add_column(column)
    table.add_column("seconds", justify="right")
    for finding in findings:
        table.add_row(
            finding.host,
            finding.service,
            *((BEFORE if finding.release == BEFORE else "new",) if back else ()),
            *((finding.view,) if both else ()),
            finding.check,
            Text(finding.verdict, _COLOURS[finding.verdict]),
            Text(redact(finding.what)),
            f"{finding.seconds:.1f}",
        )
    return table
