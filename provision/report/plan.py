"""The plan as an operator reads it: what changes on which hosts, and what to fear."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from provision.fleet import Visit
from provision.secret import redact
from provision.state.plan import HostPlan, Notice, RolePlan, Row

_SIGNS = {"create": "+", "update": "~", "remove": "-", "run": ">", "none": "?"}
_COLOURS = {"create": "green", "update": "yellow", "remove": "red", "run": "cyan", "none": "dim"}
_DIFF_LINES = 30
_COMPARED = 2000  # lines of each side: the time goes with their product, and a host says the one
_WIDEST = 1000  # characters of one value or line


def print_plan(console: Console, visits: Sequence[Visit], *, commands: bool = False) -> None:
    """Print the plans, hosts with the same plan together, then errors, then one line in sum."""
    for hosts, plan in _alike(visits):
        if plan.pending:
            _host(console, hosts, plan, commands=commands)
    for visit in visits:
        for finding in visit.findings:
            if finding.verdict == "warn":
                _say(console, f"{visit.host.name}: {finding}", "yellow")
    print_errors(console, visits)
    _say(console, summary(visits))


def print_errors(console: Console, visits: Sequence[Visit]) -> None:
    """Print one line for each host that could not be read."""
    for visit in visits:
        if visit.error:
            _say(console, visit.error, "red")


def summary(visits: Sequence[Visit]) -> str:
    """Return the plan in one line: `2 hosts: 40 changes, 1 may change, 1 restart; 1 failed`."""
    plans = [visit.plan for visit in visits if visit.plan]
    rows = [row for plan in plans for row in plan.pending]
    changes = sum(row.verdict == "change" for row in rows)
    handlers = sum(len(_handlers(plan)) for plan in plans)
    failed = sum(bool(visit.error) for visit in visits)
    parts = [_plural(changes, "change")]
    if len(rows) > changes:
        parts.append(f"{len(rows) - changes} may change")
    if handlers:
        parts.append(_plural(handlers, "handler"))
    text = f"{_plural(len(visits), 'host')}: {', '.join(parts)}"
    return f"{text}; {failed} failed" if failed else text


def _alike(visits: Sequence[Visit]) -> list[tuple[list[str], HostPlan]]:
    groups: dict[str, tuple[list[str], HostPlan]] = {}
    for visit in visits:
        if visit.plan:
            key = repr(visit.plan.model_copy(update={"host": ""}))  # JSON holds no undecodable byte
            groups.setdefault(key, ([], visit.plan))[0].append(visit.host.name)
    return list(groups.values())


def _host(console: Console, hosts: list[str], plan: HostPlan, *, commands: bool) -> None:
    count = f"  ({len(hosts)} hosts)" if len(hosts) > 1 else ""
    _say(console, f"{', '.join(hosts)}{count}", "bold")
    for role in plan.roles:
        if role.pending:
            _say(console, f"  {role.role}", "bold")
            for row in role.pending:
                _row(console, row)
            if commands:
                _commands(console, role)
    for notice in _handlers(plan).values():
        _notice(console, notice)
    console.print()


def _row(console: Console, row: Row) -> None:
    line = Text("    ")
    line.append(f"{_SIGNS[row.action]} {row.id}", _COLOURS[row.action])
    if row.verdict == "maybe":
        line.append(f"   may change after {', '.join(row.because)}", "dim")
    elif short := redact(row.note) or _short(row):
        line.append(f"   {short}", "dim")
    console.print(line, soft_wrap=True)
    for fear in row.fears:
        _say(console, f"      ! {fear}", "bold red")
    for text, colour in _long(row):
        _say(console, f"        {text}", colour)


def _short(row: Row) -> str:
    """Return what differs and fits one line."""
    parts = []
    for key, value in row.after.items():
        old = row.before.get(key)
        if "\n" in f"{value}{old or ''}" or (old is None and value in ("", False)):
            continue
        parts.append(f"{key}: {_value(value)}" if old is None else f"{key}: {_value(old)} → {_value(value)}")  # fmt: skip
    return redact(", ".join(parts))


def _value(value: str | int | bool) -> str:  # noqa: FBT001  a value, not a flag
    text = str(value).lower() if isinstance(value, bool) else str(value) or "''"
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}…"


def _long(row: Row) -> Iterator[tuple[str, str]]:
    """Yield the unified diff of what spans lines."""
    for key, value in row.after.items():
        old = str(row.before.get(key, ""))
        if "\n" not in f"{value}{old}":
            continue
        one, other = (text.splitlines()[:_COMPARED] for text in (old, str(value)))
        lines = list(difflib.unified_diff(one, other, lineterm="", n=2))
        for line in lines[2 : _DIFF_LINES + 2]:
            yield (
                redact(line)[:_WIDEST],
                {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "dim"),
            )
        if len(lines) > _DIFF_LINES + 2:
            yield f"… {len(lines) - _DIFF_LINES - 2} more lines of {key}", "dim"


def _commands(console: Console, role: RolePlan) -> None:
    for step in role.steps:
        command = step.command
        _say(console, f"      # {command.title}", "dim")
        for line in (command.shown or command.script).splitlines():
            _say(console, f"        {line}", "dim")


def _handlers(plan: HostPlan) -> dict[str, Notice]:
    return {notice.handler.id: notice for role in plan.roles for notice in role.notices}


def _notice(console: Console, notice: Notice) -> None:
    first, *others = notice.notified_by
    causes = f"{first} and {len(others)} more" if others else first
    _say(console, f"  then once: {notice.handler.command.title}   after {causes}", "cyan")
    for fear in notice.fears:
        _say(console, f"      ! {fear}", "bold red")


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(redact(text), style), soft_wrap=True)
