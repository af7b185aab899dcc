"""Host keys as an operator compares them: all unknown fingerprints at once."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from provision.trust import HostKey


def print_keys(console: Console, keys: Sequence[HostKey]) -> None:
    """Print one row for each unknown key, one line for each error, and a count of the known."""
    unknown = [key for key in keys if key.unknown]
    if unknown:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("host", "known as", "key"):
            table.add_column(column, no_wrap=True)
        for key in unknown:
            table.add_row(*map(Text, (key.host.name, key.name, key.fingerprint)))
        console.print(table)
    for key in keys:
        if key.error:
            console.print(Text(key.error, "red"), soft_wrap=True)
    known = sum(not key.unknown and not key.error for key in keys)
    console.print(
        f"{known} known, {len(unknown)} unknown, {len(keys) - known - len(unknown)} failed"
    )
