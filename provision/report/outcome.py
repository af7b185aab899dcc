"""What came of a run, as an operator reads it: what changed, what failed, what to do."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from provision.fleet import Visit
from provision.host.apply import Outcome
from provision.report.plan import print_errors


def print_outcomes(console: Console, visits: Sequence[Visit], outcomes: Sequence[Outcome]) -> None:
    """Print one row a host, then one line for each failure."""
    by_host = {outcome.host: outcome for outcome in outcomes}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("host", "result"):
        table.add_column(column)
    for column in ("changed", "not run", "seconds"):
        table.add_column(column, justify="right")
    for visit in visits:
        table.add_row(*_cells(visit, by_host.get(visit.host.name)))
    console.print(table)
    print_errors(console, visits)
    for outcome in outcomes:
        if outcome.error:
            text = f"{outcome.host}: {outcome.error}" if not outcome.error.startswith(outcome.host) else outcome.error  # fmt: skip
            console.print(Text(text, "red"), soft_wrap=True)


def _cells(visit: Visit, outcome: Outcome | None) -> tuple[Text | str, ...]:
    if outcome is None:
        if visit.error:
            return visit.host.name, Text("failed", "red"), "-", "-", "-"
        return visit.host.name, Text("unchanged", "green"), "0", "0", "-"
    counts = {
        word: sum(row.outcome == word for row in outcome.rows) for word in ("changed", "not run")
    }
    result = Text("failed", "red") if outcome.error else Text("changed", "yellow")
    return (
        visit.host.name,
        result,
        str(counts["changed"]),
        str(counts["not run"]),
        f"{outcome.seconds:.1f}",
    )
