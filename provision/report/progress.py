"""Progress while it happens: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from provision.host.steps import Amount
from provision.report.meter import Meter
from provision.secret import redact
from provision.state.sizes import human_size

_NEWS: Final = 30  # seconds between lines about one long step where there is no terminal
_MARGIN = 6  # terminal lines left to what stands above and below the table


class Progress:
    """Shows at which step each host is; safe to call from many threads."""

    def __init__(self, console: Console, title: str, total: int) -> None:
        """Report on `total` hosts to `console`."""
        self._console = console
        self._title = title
        self._total = total
        self._lock = threading.Lock()
        self._steps: dict[str, tuple[str, str | Meter]] = {}
        self._told: dict[str, float] = {}
        self._since: dict[str, float] = {}
        self._ended = 0
        self._failed = 0
        self._started = time.monotonic()

    def step(self, host: str, step: str, detail: str | Amount = "") -> None:
        """Note the step; without a terminal print it once, and now and then how far it is."""
        now = time.monotonic()
        with self._lock:
            old, last = self._steps.get(host, ("", ""))
            if isinstance(detail, Amount):
                meter = last if isinstance(last, Meter) and old == step else Meter()
                meter.add(detail, now)
                self._steps[host] = (step, meter)
            else:
                self._steps[host] = (step, detail)
            self._since.setdefault(host, now)
            shown = self._steps[host][1]
            dumb = not self._console.is_terminal
            news = old != step
            if news:
                self._told[host] = now
            late = isinstance(shown, Meter) and now - self._told.get(host, now) >= _NEWS
            if late:
                self._told[host] = now
        if dumb and news:
            self._print(f"{host}: {step}")
        elif dumb and late:
            self._print(f"{host}: {step}: {shown}")

    def done(self, host: str, *, failed: bool) -> None:
        """Note the end of a host."""
        with self._lock:
            self._steps.pop(host, None)
            self._ended += 1
            self._failed += failed
        if failed and not self._console.is_terminal:
            self._print(f"{host}: failed")

    def note(self, text: str) -> None:
        """Print what is about all hosts."""
        self._print(text)

    def __rich__(self) -> Table:
        """Draw the hosts that are under way, longest first, as many as fit."""
        with self._lock:
            steps = dict(self._steps)
            ended, failed = self._ended, self._failed
        now = time.monotonic()
        table = Table.grid(padding=(0, 2), expand=True)
        width = max(len(name) + 2 for name in (self._title, *steps))
        table.add_column(no_wrap=True, width=width)
        table.add_column(no_wrap=True, width=5, justify="right")
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        state = f"{ended}/{self._total} hosts" + (f", {failed} failed" if failed else "")
        rate = sum(d.bytes_per_second for _, d in steps.values() if isinstance(d, Meter))
        state += f", {human_size(rate)}/s" if rate > 0 else ""
        table.add_row(Text(self._title, "bold"), f"{now - self._started:.0f}s", state)
        room = max(3, self._console.height - _MARGIN)
        for host, (step, detail) in list(steps.items())[:room]:
            text = Text(redact(step))
            text.append(f"  {redact(str(detail))}", "dim")
            table.add_row(f"  {host}", f"{now - self._since[host]:.0f}s", text)
        if len(steps) > room:
            table.add_row("", "", f"… and {len(steps) - room} more")
        return table

    def _print(self, line: str) -> None:
        self._console.print(redact(line), markup=False, soft_wrap=True)


@contextmanager
def progress(console: Console, title: str, total: int) -> Iterator[Progress]:
    """Show progress on `console` while the block runs; the live table leaves no trace."""
    shown = Progress(console, title, total)
    if not console.is_terminal:
        yield shown
        return
    with Live(shown, console=console, refresh_per_second=8, transient=True):
        yield shown
