"""Facts as an operator reads them: one row a host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from provision.facts import Facts
from provision.fleet import Visit
from provision.report.plan import print_errors

_COLUMNS: Final = (
    *("host", "system", "cpu", "memory", "free on /"),
    *("GPUs", "driver", "Docker", "toolkit", "unknown"),
)


def print_facts(console: Console, visits: Sequence[Visit]) -> None:
    """Print one row for each host that answered, then one line for each that did not."""
    rows = [(visit.host.name, *_cells(visit.facts)) for visit in visits if visit.facts]
    columns = _COLUMNS if any(row[-1] != "-" for row in rows) else _COLUMNS[:-1]
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*map(Text, row[: len(columns)]))
    if rows:
        console.print(table)
    print_errors(console, visits)


def _cells(facts: Facts) -> list[str]:
    gpus = Counter(gpu.name for gpu in facts.gpus)
    root = next((disk.free_bytes for disk in facts.disks if disk.path == "/"), None)
    return [
        f"{facts.os.id} {facts.os.version} {facts.os.architecture}",
        str(facts.cpus or "?"),
        _gib(facts.memory_bytes),
        _gib(root),
        ", ".join(f"{count} × {name}" for name, count in gpus.items()) or "-",  # noqa: RUF001
        _driver(facts),
        facts.docker.version if facts.docker else "-",
        facts.toolkit or "-",
        ", ".join(facts.unknown) or "-",
    ]


def _driver(facts: Facts) -> str:
    driver = facts.driver
    if driver is None:
        return "?"
    if driver.status != "ok":
        return driver.status
    return f"{driver.library or driver.kernel_module} (CUDA {driver.cuda or '?'})"


def _gib(size: int | None) -> str:
    return "?" if size is None else f"{size / 2**30:.0f} GiB"
