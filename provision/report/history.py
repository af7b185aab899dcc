"""Who has hosts, and what was done on them: tables and documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from provision.fleet import Visit
from provision.host.hold import Hold


class PastRun(NamedTuple):
    """One run on one host, read from the lines of its journal."""

    run: str
    began: str
    """By the host's clock, UTC."""
    who: str
    what: str
    outcome: str
    """done, failed, died, or locked and unlocked by hand; `at work` where no line says its end."""
    changed: tuple[str, ...] = ()
    """Ids of what was changed and proven by a probe."""
    detail: str = ""
    """The error, the reason, or the step after which nothing is known."""


def runs(events: Iterable[Mapping[str, Any]]) -> list[PastRun]:
    """Gather the lines of a journal by run, the oldest first."""
    by_run: dict[str, list[Mapping[str, Any]]] = {}
    found: list[PastRun] = []
    for event in events:
        if event.get("event") in {"lock", "unlock"}:
            done = f"{event['event']}ed"
            found.append(_past(event, done, detail=_text(event, "why")))
        else:
            by_run.setdefault(_text(event, "run"), []).append(event)
    found += [_gathered(lines) for lines in by_run.values()]
    return sorted(found, key=lambda one: one.began)


def _gathered(lines: Sequence[Mapping[str, Any]]) -> PastRun:
    first, last = lines[0], lines[-1]
    kind = last.get("event")
    if kind == "end":
        error = _text(last, "error")
        past = _past(first, "failed" if error else "done", detail=error)
        changed = last.get("changed")
        return past._replace(changed=tuple(map(str, changed if isinstance(changed, list) else ())))
    steps = [_text(line, "title") for line in lines if line.get("event") == "step"]
    outcome = "died" if kind == "died" else "at work"
    return _past(first, outcome, detail=f"last step: {steps[-1]}" if steps else "")


def _past(event: Mapping[str, Any], outcome: str, *, detail: str) -> PastRun:
    run, began, who, what = (_text(event, key) for key in ("run", "at", "who", "what"))
    return PastRun(run, began, who, what, outcome, detail=detail)


def _text(event: Mapping[str, Any], key: str) -> str:
    return str(event.get(key, ""))


def print_history(
    console: Console, visits: Sequence[Visit], found: Mapping[str, Sequence[PastRun]]
) -> None:
    """Print the runs of each host, then what could not be read."""
    table = _table("host", "when (host, UTC)", "who", "what", "outcome", "changed", "")
    for host, some in found.items():
        for one in some:
            changed = str(len(one.changed)) if one.outcome in {"done", "failed"} else ""
            words = (one.began, one.who, one.what)
            table.add_row(host, *words, _coloured(one.outcome), changed, one.detail)
    if table.row_count:
        console.print(table)
    elif not any(visit.error for visit in visits):
        console.print("Nothing was done there yet.")
    _print_errors(console, visits)


def print_holds(console: Console, visits: Sequence[Visit], holds: Mapping[str, Hold]) -> None:
    """Print who has, or had, each host."""
    table = _table("host", "lock", "who", "since (host, UTC)", "what")
    for host, hold in holds.items():
        table.add_row(host, _coloured(hold.state), hold.who, hold.since, hold.what)
    if table.row_count:
        console.print(table)
    _print_errors(console, visits)


def holds_document(visits: Sequence[Visit], holds: Mapping[str, Hold]) -> dict[str, Any]:
    """Return `{hosts: {name: {lock: {state, who, since, what}, error}}}`."""
    return {
        "hosts": {
            visit.host.name: {
                "lock": holds[visit.host.name]._asdict() if visit.host.name in holds else None,
                "error": visit.error,
            }
            for visit in visits
        }
    }


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _coloured(word: str) -> Text:
    quiet = word in {"done", "free", "freed", "unlocked"}
    return Text(word, "" if quiet else "red" if word in {"failed", "died"} else "yellow")


def _print_errors(console: Console, visits: Sequence[Visit]) -> None:
    for visit in visits:
        if visit.error:
            console.print(Text(visit.error, "red"), soft_wrap=True)
