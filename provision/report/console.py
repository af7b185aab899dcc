"""Where output goes: results to stdout, everything else to stderr."""

from __future__ import annotations

from rich.console import Console


def consoles() -> tuple[Console, Console]:
    """Return the consoles of stdout and stderr; wide where lines are read by a program."""
    return _console(stderr=False), _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal:
        return Console(stderr=stderr, highlight=False, width=200)
    return console
