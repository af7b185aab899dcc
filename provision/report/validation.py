"""Validation as an operator reads it: what each service answered, and what to do about it."""

from __future__ import annotations

from collections import Counter
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
    """Print one row for each check, then one line for each remedy and note, and the sum."""
    rows = [finding for finding in findings if finding.verdict != "note"]
    if rows:
        console.print(_table(rows), soft_wrap=True)
    for line, colour in _lines(findings).items():
        console.print(Text(redact(line), colour), soft_wrap=True)
    console.print(_sum(findings))


def validation_document(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return `{hosts: {name: {services: {name: [finding, …]}}}}`."""
    hosts: dict[str, Any] = {}
    for finding in findings:
        services = hosts.setdefault(finding.host, {"services": {}})["services"]
        found = finding.model_dump(mode="json", exclude={"host", "service"})
        services.setdefault(finding.service, []).append(found)
    return {"hosts": hosts}


def _lines(findings: Sequence[Finding]) -> dict[str, str]:
    """Return each remedy and each note once, with its colour."""
    lines: dict[str, str] = {}
    for finding in findings:
        place = f"{finding.host}: {finding.service}"
        if finding.verdict == "note":
            lines[f"{place}: {finding.what}"] = "dim"
        elif finding.remedy:
            lines[f"{place}: {finding.check}: {finding.remedy}"] = _COLOURS[finding.verdict]
    return lines


def _sum(findings: Sequence[Finding]) -> str:
    """Return `3 services: 12 ok, 0 warnings, 0 failed`, and how many were not seen from here."""
    counts = Counter(finding.verdict for finding in findings)
    services = len({(each.host, each.service) for each in findings})
    noun = "service" if services == 1 else "services"
    warnings = "warning" if counts["warn"] == 1 else "warnings"
    unseen = f"; {counts['note']} not seen from the controller" if counts["note"] else ""
    return (
        f"{services} {noun}: {counts['ok']} ok, {counts['warn']} {warnings}, "
        f"{counts['fail']} failed{unseen}"
    )


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
