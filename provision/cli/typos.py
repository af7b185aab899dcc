"""A misspelt task or option: Invoke's "No idea what it is", with the nearest name."""

from __future__ import annotations

import re

from invoke.collection import Collection
from invoke.exceptions import Exit, ParseError
from invoke.parser.context import ParserContext
from invoke.parser.parser import Parser
from invoke.program import Program

from provision.errors import nearest


def refuse_typos(tasks: Collection, argv: list[str]) -> None:
    """Exit with the nearest name when `argv` holds a task or option that does not exist."""
    contexts: list[ParserContext] = tasks.to_contexts()
    program = Program()
    core = ParserContext(args=program.core_args() + program.task_args())
    try:
        Parser(contexts=contexts, initial=core).parse_argv(argv)
    except ParseError as error:
        unknown = re.search(r"No idea what '(.*)' is", str(error))
        wanting = re.search(r"Flag <Argument: (\w+).* needed value", str(error))
        if wanting:
            message = f"provision: --{wanting[1]}: a value is missing. Write --{wanting[1]} VALUE."
            raise Exit(message=message, code=1) from error
        if unknown:
            raise Exit(message=_remedy(unknown[1], error, contexts), code=1) from error
    except ValueError as error:  # Invoke shows a traceback for --forks=many
        raise Exit(message=f"provision: an option wants a number: {error}", code=1) from error


def _remedy(word: str, error: ParseError, contexts: list[ParserContext]) -> str:
    if word.startswith("-"):
        context = error.context
        task = f" of '{context.name}'" if context and context.name else ""
        known = {flag for flag in (context.flags if context else ()) if flag.startswith("--")}
        return f"provision: unknown option '{word}'{task}. {nearest(word, known)}"
    known = {str(context.name) for context in contexts}
    return f"provision: unknown task '{word}'. {nearest(word, known)} See: inv --list"
