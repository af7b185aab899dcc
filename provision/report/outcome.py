"""What came of a run, as an operator reads it: what changed, what failed, what to do."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from provision.fleet import Visit
from provision.host.apply import Outcome


def print_outcomes(console: Console, visits: Sequence[Visit], outcomes: Sequence[Outcome]) -> None:
    """Print one row for each host that was worked on, one line a failure, and the sum.

    Hosts that could not even be planned were told with the plan.
    """
    if outcomes:
        console.print(_table(outcomes))
    for outcome in outcomes:
        if outcome.error:
            console.print(Text(outcome.error, "red"), soft_wrap=True)
    failed = sum(bool(outcome.error) for outcome in outcomes if outcome.begun)
    waiting = sum(not outcome.begun for outcome in outcomes)
    lost = sum(bool(visit.error) for visit in visits)
    unchanged = len(visits) - len(outcomes) - lost
    not_begun = f", {waiting} not begun" if waiting else ""
    changed = len(outcomes) - failed - waiting
    console.print(f"{changed} changed, {unchanged} unchanged, {failed + lost} failed{not_begun}")


def _table(outcomes: Sequence[Outcome]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("host", "result"):
        table.add_column(column)
    for column in ("changed", "not run", "handlers", "seconds"):
        table.add_column(column, justify="right")
    for outcome in outcomes:
        table.add_row(*_cells(outcome))
    return table


def _cells(outcome: Outcome) -> tuple[Text | str, ...]:
    counts = {
        word: sum(row.outcome == word for row in outcome.rows) for word in ("changed", "not run")
    }
    return (
        outcome.host,
        _result(outcome),
        str(counts["changed"]),
        str(counts["not run"]),
        str(len(outcome.handlers)),
        f"{outcome.seconds:.1f}",
    )


def _result(outcome: Outcome) -> Text:
    if not outcome.begun:
        return Text("not begun", "yellow")
    return Text("failed", "red") if outcome.error else Text("changed", "yellow")
