"""Validation as an operator reads it: what each service answered, and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from provision.secret import redact
from provision.serving.answer import BEFORE, Answer

_COLOURS: Final = {"ok": "green", "warn": "yellow", "fail": "red"}
_COLUMNS: Final = ("host", "service", "check", "verdict", "answer")


def print_validation(console: Console, answers: Sequence[Answer]) -> None:
    """Print one row for each check, then one line for each remedy and note, and the sum."""
    rows = [answer for answer in answers if answer.verdict != "note"]
    if rows:
        console.print(_table(rows), soft_wrap=True)
    for line, colour in _lines(answers).items():
        console.print(Text(redact(line), colour), soft_wrap=True)
    console.print(_sum(answers))


def validation_document(answers: Sequence[Answer]) -> dict[str, Any]:
    """Return `{hosts: {name: {services: {name: [answer, …]}}}}`."""
    hosts: dict[str, Any] = {}
    for answer in answers:
        services = hosts.setdefault(answer.host, {"services": {}})["services"]
        found = answer.model_dump(mode="json", exclude={"host", "service"})
        services.setdefault(answer.service, []).append(found)
    return {"hosts": hosts}


def _lines(answers: Sequence[Answer]) -> dict[str, str]:
    """Return each remedy and each note once, with its colour."""
    lines: dict[str, str] = {}
    for answer in answers:
        place = f"{answer.host}: {answer.service}"
        if answer.verdict == "note":
            lines[f"{place}: {answer.what}"] = "dim"
        elif answer.remedy:
            lines[f"{place}: {answer.check}: {answer.remedy}"] = _COLOURS[answer.verdict]
    return lines


def _sum(answers: Sequence[Answer]) -> str:
    """Return `3 services: 12 ok, 0 warnings, 0 failed`, and how many were not seen from here."""
    counts = Counter(answer.verdict for answer in answers)
    services = len({(each.host, each.service) for each in answers})
    noun = "service" if services == 1 else "services"
    warnings = "warning" if counts["warn"] == 1 else "warnings"
    unseen = f"; {counts['note']} not seen from the controller" if counts["note"] else ""
    return (
        f"{services} {noun}: {counts['ok']} ok, {counts['warn']} {warnings}, "
        f"{counts['fail']} failed{unseen}"
    )


def _table(answers: Sequence[Answer]) -> Table:
    """Say where the calls came from, and which release answered, only where there are two."""
    both = len({answer.view for answer in answers}) > 1
    back = any(answer.release == BEFORE for answer in answers)
    more = (*(("release",) if back else ()), *(("seen from",) if both else ()))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in (*_COLUMNS[:2], *more, *_COLUMNS[2:]):
        table.add_column(column)
    table.add_column("seconds", justify="right")
    for answer in answers:
        table.add_row(
            answer.host,
            answer.service,
            *((BEFORE if answer.release == BEFORE else "new",) if back else ()),
            *((answer.view,) if both else ()),
            answer.check,
            Text(answer.verdict, _COLOURS[answer.verdict]),
            Text(redact(answer.what)),
            f"{answer.seconds:.1f}",
        )
    return table
