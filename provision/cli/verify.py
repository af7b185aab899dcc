"""The task that sweeps hosts: what is wrong with them and with what they serve."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provision.cli.command import FAILED, OK, PENDING, Options, command
from provision.errors import UsageError

if TYPE_CHECKING:
    from provision.checks.sweep import Sweep
    from provision.cli.run import Run

_FORMATS: Final = ("text", "json", "junit", "prometheus", "html")
_CODES: Final = {"ok": OK, "warn": PENDING, "fail": FAILED}
_CLEAR: Final = "\x1b[H\x1b[2J"


@command(
    "inventory",
    "host",
    "group",
    "forks",
    "format",
    formats=_FORMATS,
    helps={
        "format": "text; json, junit, prometheus or html, on stdout or to --out.",
        "out": "File to write the report to, in one step.",
        "only": "Only this group or check: gpu, docker.config; repeatable.",
        "skip": "Not this group or check; repeatable.",
        "deep": "Also what takes long: digests of models, GPUs in a throw-away container.",
        "explain": "Tell the background of each finding.",
        "watch": "Look again every so many seconds, until Ctrl-C.",
    },
    lists=("only", "skip"),
)
def verify(  # noqa: PLR0913  each is a flag
    options: Options,
    *,
    only: list[str],
    skip: list[str],
    out: str = "",
    deep: bool = False,
    explain: bool = False,
    watch: int = 0,
) -> int:
    """Sweep hosts for what is wrong with them and with what they serve; changes nothing."""
    from provision.cli.run import Run
    from provision.sweep import sweep, wish

    if watch < 0:
        raise UsageError(f"{watch} seconds", where="--watch", remedy="Give 1 or more.")
    if out and options.format == "text":
        remedy = f"Give one of {', '.join(_FORMATS[1:])}."
        raise UsageError("text is for the terminal", where="--out", remedy=remedy)
    asked = wish(_words(only), _words(skip), deep=deep)
    with Run(options) as run:

        def look() -> Sweep:
            with run.progress("verify", len(run.hosts)) as told:
                found = sweep(run.hosts, asked, run.forks, told, options.inventory)
            return found.model_copy(update={"explain": explain})

        while True:
            found = look()
            _report(run, found, out, again=watch > 0)
            if not watch:
                return _CODES[found.verdict]
            try:
                time.sleep(watch)
            except KeyboardInterrupt:
                return _CODES[found.verdict]


def _words(values: list[str]) -> list[str]:
    return [word.strip() for value in values for word in value.split(",") if word.strip()]


def _report(run: Run, found: Sweep, out: str, *, again: bool) -> None:
    """Print the sweep, or write it to a file; one that is read meanwhile is never half a report."""
    from provision.checks.registry import BACKGROUND
    from provision.report.sweep import print_sweep

    text = _rendered(run.options.format, found, BACKGROUND)
    if text is None:
        if again and sys.stdout.isatty():
            sys.stdout.write(_CLEAR)
        print_sweep(run.stdout, found, BACKGROUND)
    elif out:
        _write(Path(out), text)
        run.stderr.print(f"Written to {out}.", soft_wrap=True)
    else:
        sys.stdout.write(text)


def _rendered(form: str, found: Sweep, explain: dict[str, str]) -> str | None:
    """Return the report as a program reads it; None where it is for the terminal."""
    from provision.report.sweep_documents import sweep_json, sweep_junit, sweep_prometheus
    from provision.report.sweep_html import sweep_html

    written: dict[str, Callable[[], str]] = {
        "json": partial(sweep_json, found),
        "junit": partial(sweep_junit, found),
        "prometheus": partial(sweep_prometheus, found),
        "html": partial(sweep_html, found, explain),
    }
    return written[form]() if form in written else None


def _write(path: Path, text: str) -> None:
    handle, temporary = -1, ""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        reason = error.strerror or "it cannot be written"
        raise UsageError(reason, where=str(path), remedy="Name another file.") from error
