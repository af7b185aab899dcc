"""Where output goes: results to stdout, everything else to stderr; no host's text steers either."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from functools import partial
from typing import Final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from provision.report.visible import visible_block
from provision.secret import redact

_WIDE: Final = 200  # columns where a program reads the lines


class SafeConsole(Console):
    """A console that takes text as it stands: nothing in it is obeyed, and no secret is shown."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """Yield what rich draws; its own control codes stay, those in a text are shown as letters."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control else Segment(visible_block(redact(text)), style)


def consoles() -> tuple[Console, Console]:
    """Return the consoles of stdout and stderr; wide where lines are read by a program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that a locale cannot spell
    return _console(stderr=False), _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    make = partial(SafeConsole, stderr=stderr, highlight=False, markup=False, emoji=False)
    console = make()
    return console if console.is_terminal else make(width=_WIDE)
