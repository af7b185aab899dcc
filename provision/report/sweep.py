"""A sweep as an operator reads it: hosts by groups at a glance, then what is wrong, worst first."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from provision.checks.check import Group
from provision.checks.sweep import HostSweep, Sweep
from provision.finding import Verdict
from provision.report.sweep_rows import WORST_FIRST, Row, folded, plural, rows, shown
from provision.report.visible import visible

_COLOURS: Final = {"ok": "green", "warn": "yellow", "fail": "bold red"}
_WORDS: Final[Mapping[Verdict, str]] = {"ok": "well", "warn": "with warnings", "fail": "failed"}
_NOUNS: Final[Mapping[Verdict, str]] = {"warn": "warning", "fail": "failure"}
_SHORT: Final[Mapping[Group, str]] = {
    "driver": "drv",
    "docker": "dock",
    "toolkit": "tool",
    "models": "mod",
    "services": "svc",
    "network": "net",
}
_MANY: Final = 20  # hosts from which those that are alike share a row
_NAMES: Final = 24  # characters of their names that fit before the marks
_PROSE: Final = 92  # columns; longer lines are hard to follow


class _Marks(NamedTuple):
    """How verdicts are marked where no colour is seen."""

    ok: str
    warn: str
    fail: str
    unchecked: str
    told: str
    """Of a finding that is well, and worth a line."""

    def of(self, verdict: Verdict | None) -> Text:
        """Return the mark of a cell."""
        if verdict is None:
            return Text(self.unchecked, "dim")
        return Text(getattr(self, verdict), _COLOURS[verdict])


_MARKS: Final = _Marks("✓", "!", "✗", "·", "i")
_PLAIN: Final = _Marks("ok", "!", "X", "-", "i")


def print_sweep(console: Console, sweep: Sweep, explain: Mapping[str, str]) -> None:
    """Print the table, each finding once with its remedy, and one line in sum.

    With `sweep.explain` also what `explain` knows of each check that found something.
    """
    sweep = shown(sweep, console.encoding)
    marks = _MARKS if visible("".join(_MARKS), console.encoding) == "".join(_MARKS) else _PLAIN
    if sweep.hosts:
        console.print(_table(sweep, marks, console.width))
    found = rows(sweep)
    for row in found:
        _print_row(console, row, marks, len(sweep.hosts))
    if sweep.explain:
        _print_background(console, found, explain)
    if found:
        console.print()
    _say(console, Text(summary(sweep), _COLOURS[sweep.verdict]))


def summary(sweep: Sweep) -> str:
    """Return `64 hosts in 8.3 s: 58 well, 4 with warnings, 2 failed; 7 warnings, 3 failures`."""
    hosts = Counter(host.verdict for host in sweep.hosts)
    found = Counter(finding.verdict for host in sweep.hosts for finding in host.findings)
    parts = [f"{hosts[verdict]} {word}" for verdict, word in _WORDS.items() if hosts[verdict]]
    counts = [plural(found[verdict], noun) for verdict, noun in _NOUNS.items() if found[verdict]]
    sums = "; ".join(filter(None, (", ".join(parts) or "nothing looked at", ", ".join(counts))))
    return f"{plural(len(sweep.hosts), 'host')} in {sweep.seconds:.1f} s: {sums}"


def _table(sweep: Sweep, marks: _Marks, width: int) -> Table:
    """Return one row a host, or one for all that are alike where there are many."""
    lines = _alike(sweep) if len(sweep.hosts) > _MANY else [[host] for host in sweep.hosts]
    room = width - sum(len(_SHORT.get(group, group)) + 2 for group in sweep.groups)
    labels = [_label(hosts, min(room, _NAMES)) for hosts in lines]
    summaries = [_summary(hosts) for hosts in lines]
    names = max(len("host"), *map(len, labels))
    full = names + sum(len(group) + 2 for group in sweep.groups)
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("", overflow="fold")
    for group in sweep.groups:
        heading = group if full <= width else _SHORT.get(group, group)
        table.add_column(heading, justify="center", no_wrap=True)
    if full + 2 + max(map(len, summaries)) <= width:
        table.add_column("")
    for hosts, label, note in zip(lines, labels, summaries, strict=True):
        cells = [marks.of(hosts[0].group(group)) for group in sweep.groups]
        more = (Text(note, "dim"),) if len(table.columns) > len(cells) + 1 else ()
        table.add_row(Text(label, "bold" if hosts[0].verdict == "fail" else ""), *cells, *more)
    return table


def _alike(sweep: Sweep) -> list[list[HostSweep]]:
    """Return the hosts with the same marks together, worst first and the well ones last."""
    found: dict[tuple[Verdict | None, ...], list[HostSweep]] = {}
    for host in sweep.hosts:
        found.setdefault(tuple(map(host.group, sweep.groups)), []).append(host)
    return sorted(found.values(), key=lambda hosts: WORST_FIRST.index(hosts[0].verdict))


def _label(hosts: Sequence[HostSweep], room: int) -> str:
    count = plural(len(hosts), "host")
    if len(hosts) > 1 and hosts[0].verdict == "ok":
        return f"{count} well"
    names = folded([host.host for host in hosts])
    return names if len(hosts) == 1 or len(names) <= room else count


def _summary(hosts: Sequence[HostSweep]) -> str:
    """Return what a row's hosts are, where they are the same."""
    summaries = {host.summary for host in hosts}
    return summaries.pop() if len(summaries) == 1 else ""


def _print_row(console: Console, row: Row, marks: _Marks, hosts: int) -> None:
    """Print where, what and the check's name on one line, and below it what to do."""
    console.print()
    told = row.verdict == "ok"
    place = f"all {hosts} hosts" if len(row.hosts) == hosts > _MANY else folded(row.hosts)
    count = f" ({len(row.hosts)} hosts)" if 1 < len(row.hosts) < hosts else ""
    line = Text(f"{marks.told} ", "dim") if told else marks.of(row.verdict).append(" ")
    line.append(f"{place}{count}: ", "" if told else "bold")
    line.append(f"{row.service}: " if row.service else "")
    line.append(row.what).append(f"  {row.check}", "dim")
    _say(console, line)
    if row.remedy:
        _say(console, Text(f"  {row.remedy}"))


def _print_background(console: Console, found: Sequence[Row], explain: Mapping[str, str]) -> None:
    """Print once for each check that found something what somebody new to it should know."""
    for check in dict.fromkeys(row.check for row in found):
        if check in explain:
            console.print()
            _say(console, Text(check, "bold"))
            wide = min(_PROSE, console.width) - 2
            prose = visible(explain[check], console.encoding)
            for line in textwrap.wrap(prose, wide, break_on_hyphens=False, break_long_words=False):
                _say(console, Text(f"  {line}"))


def _say(console: Console, text: Text) -> None:
    """Print one line that is never cut: a command in it can be copied as it stands."""
    console.print(text, soft_wrap=True)
