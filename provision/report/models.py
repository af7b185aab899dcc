"""Models as an operator reads them: who has what, what the lock file says, what is damaged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from provision.fleet import Visit
from provision.host.apply import Outcome
from provision.report.plan import print_errors
from provision.serving.hub.update import Change
from provision.state.sizes import human_size

_KIND: Final = "model_snapshot:"
_COLOURS: Final = {"complete": "green", "missing": "red", "partial": "yellow"}
_CHANGE_COLOURS: Final = {"added": "green", "upgraded": "yellow", "removed": "red", "failed": "red"}


def print_models(console: Console, visits: Sequence[Visit]) -> None:
    """Print one row for each model of each host, then one line for each host that did not answer."""
    table = _table("host", "model", "state", "size", "folder or what is to be done")
    rows = [(visit.host.name, row) for visit in visits for row in _models(visit)]
    for host, row in rows:
        state = Text(row["state"], _COLOURS[row["state"]])
        size = human_size(row["size_bytes"]) if row["size_bytes"] else "-"
        table.add_row(host, row["model"], state, size, Text(row["folder"] or row["note"]))
    if rows:
        console.print(table, soft_wrap=True)
    print_errors(console, visits)
    whole = sum(row["state"] == "complete" for _, row in rows)
    console.print(f"{whole} of {len(rows)} complete")


def models_document(visits: Sequence[Visit]) -> dict[str, Any]:
    """Return `{hosts: {name: {models: […], error}}}`."""
    return {
        "hosts": {
            visit.host.name: {"models": list(_models(visit)), "error": visit.error}
            for visit in visits
        }
    }


def print_lock(console: Console, done: Mapping[Path, Sequence[Change]]) -> None:
    """Print what became of each model of each lock file, then one line a failure."""
    for path, changes in done.items():
        table = _table("model", "was", "revision", "new bytes")
        for change in changes:
            table.add_row(
                change.key,
                Text(change.action, _CHANGE_COLOURS.get(change.action, "")),
                f"{change.old[:12]} → {change.new[:12]}"
                if change.action == "upgraded"
                else (change.new or change.old)[:12],
                human_size(change.size_bytes) if change.size_bytes else "-",
            )
        if changes:
            console.print(table, soft_wrap=True)
        for change in changes:
            if change.error:
                console.print(Text(change.error, "red"), soft_wrap=True)
        same = all(change.action in {"unchanged", "failed"} for change in changes)
        console.print(f"{path}: {'unchanged' if same else 'written'}", soft_wrap=True)


def lock_document(done: Mapping[Path, Sequence[Change]]) -> dict[str, Any]:
    """Return `{files: {path: [change, …]}}`."""
    return {
        "files": {
            str(path): [change.model_dump(mode="json") for change in changes]
            for path, changes in done.items()
        }
    }


def print_audit(console: Console, visits: Sequence[Visit], outcomes: Sequence[Outcome]) -> None:
    """Print one line for each host whose files are right, and the errors of the others."""
    whole = {visit.host.name: len(visit.seen.shared) for visit in visits if visit.seen}
    for outcome in outcomes:
        if outcome.error:
            console.print(Text(outcome.error, "red"), soft_wrap=True)
        else:
            count = whole[outcome.host]
            noun = "model" if count == 1 else "models"
            console.print(f"{outcome.host}: {count} {noun} complete, every file as listed")
    print_errors(console, visits)


def _models(visit: Visit) -> Iterator[dict[str, Any]]:
    """Yield the models of a host: those that are complete, then the others."""
    for bulk in visit.seen.shared if visit.seen else ():
        yield {
            "model": bulk.key,
            "state": "complete",
            "size_bytes": bulk.size_bytes,
            "folder": bulk.folder,
            "note": "",
        }
    for row in visit.plan.pending if visit.plan else ():
        if row.id.startswith(_KIND):
            yield {
                "model": row.id.removeprefix(_KIND),
                "state": "missing" if row.action == "create" else "partial",
                "size_bytes": 0,
                "folder": "",
                "note": row.note,
            }


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in {"size", "new bytes"} else "left")
    return table
