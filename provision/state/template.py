"""Templates: Jinja2 that refuses undefined names and says where it failed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from provision.errors import TemplateError, nearest

if TYPE_CHECKING:
    from jinja2 import Environment


def render(folder: Path, name: str, **variables: object) -> str:
    """Return the template `folder/name` rendered with `variables`; raise `TemplateError`."""
    from jinja2 import (  # noqa: PLC0415  a converged host of a role without templates needs none
        TemplateError as JinjaError,
    )

    try:
        return _environment(folder).get_template(name).render(**variables)
    except JinjaError as error:
        raise TemplateError(
            error.message or type(error).__name__,
            where=f"{folder.name}/{name}:{_line(error, name)}",
            remedy=_remedy(str(error.message), variables),
        ) from error


@cache
def _environment(folder: Path) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415  as above

    return Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  configuration files, not HTML
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _line(error: Exception, name: str) -> int:
    """Return the template's line: jinja2 puts frames with the template's own numbers on the way."""
    number = getattr(error, "lineno", None)
    trace = error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename.endswith(name):
            number = trace.tb_lineno
        trace = trace.tb_next
    return int(number or 1)


def _remedy(message: str, variables: dict[str, object]) -> str:
    undefined = message.partition("' is undefined")
    if undefined[1]:
        return nearest(undefined[0].lstrip("'"), set(variables))
    return "Mend the template."
