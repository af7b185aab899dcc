"""What every task shares: its options, errors as one line, and the exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial, wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, ClassVar, Final

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import Task, task

from provision.errors import ProvisionError, UsageError, nearest, unexpected

OK: Final = 0
FAILED: Final = 1
PENDING: Final = 2
"""Changes are pending, or there are warnings."""

_HELP: Final[dict[str, str]] = {
    "inventory": "Inventory file, or its name in inventories/.",
    "host": "Host, pattern or list: gpu01, 'gpu*', 'gpu[01:04]', '!gpu03'; repeatable.",
    "group": "Group or pattern; repeatable.",
    "role": "Only this role; repeatable.",
    "ask_sudo_password": "Ask for the password that sudo wants, once for all hosts.",
    "forks": "Hosts worked on at once (512).",
    "format": "text, or json on stdout.",
    "debug": "Show tracebacks.",
    "yes": "Do not ask.",
    "dry_run": "Show the plan and stop.",
    "force": "Go on although services will not run there as far as is known.",
    "show_commands": "Show the commands behind each change.",
    "value": "Dotted name of a setting: docker.mirror, ssh.user.",
    "hosts": "How many hosts there shall be at least (2).",
    "service": "Only this service, or these: chat,embed.",
    "serial": "Hosts at once: 1, 4 or 25%. Without it all of them.",
    "max_fail": "Hosts that may fail before no further host is begun: 2 or 10% (0). Where it is "
    "given, those that cannot be reached or planned count too.",
    "serving": "Also services, with their models and vLLM's image; takes minutes the first time.",
    "registry": "Also an image registry with vLLM's image, registry.lab:5000.",
    "distro": "trixie (Debian 13) or bookworm (Debian 12).",
    "name": "The lab's name; several may run side by side.",
}
_REPEATABLE: Final = frozenset({"host", "group", "role"})
_FORMATS: Final = ("text", "json")


class Project:
    """Where `roles/`, `templates/` and `inventories/` stand."""

    folder: ClassVar[Path] = Path()


@dataclass(frozen=True)
class Options:
    """What most tasks can be told."""

    inventory: str = ""
    host: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    role: tuple[str, ...] = ()
    forks: int = 0
    format: str = "text"
    debug: bool = False
    configured: str | None = None
    """The inventory that the project's invoke configuration names."""
    dry: bool = False
    """Invoke's own `--dry` (`-R`) was given: nothing must be changed."""
    task: str = field(default="", compare=False)
    """Name of the task, as it was called."""
    ask_sudo_password: bool = False
    """The operator is asked for sudo's password, once."""
    echo: bool = False
    """Invoke's own `--echo` (`-e`) was given: commands are to be shown."""


class _Task(Task[Any]):
    """A task that can be asked for its arguments more than once: Invoke's own forgets the help."""

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Any]:  # noqa: FBT001  Invoke's
        """Return what Invoke asks for and keep the help texts."""
        texts = dict(self.help)
        try:
            arguments = list(super().get_arguments(ignore_unknown_help))
        finally:
            self.help = texts
        for argument in arguments:
            # Its empty default would pass for a value: `--host $UNSET` would mean all hosts.
            argument.raw_value = None if argument.kind is list else argument.raw_value
        return arguments


def command(*options: str, changes: bool = False, **settings: Any) -> Callable[..., Any]:
    """Make an Invoke task of `function(options, *, own=…) -> exit code`.

    It takes the named `options`, its own keywords, and `--debug`. `changes` says that it changes
    something and knows no dry run, so that Invoke's `--dry` is refused instead of ignored. Those of
    its own keywords that `lists` names may be repeated; `formats` is what `--format` may be.
    """
    names = [*options, *(["ask_sudo_password"] if "forks" in options else []), "debug"]
    formats, lists = settings.pop("formats", _FORMATS), settings.pop("lists", ())

    def decorate(function: Callable[..., int | None]) -> Any:
        @wraps(function)
        def body(context: Context, **keywords: Any) -> None:
            given = {name: keywords.pop(name) for name in names}
            work = partial(_options, context, given, changes, formats)

            def called() -> int | None:
                return function(replace(work(), task=function.__name__), **keywords)

            code = _guarded(called, given)
            if code:
                raise Exit(code=code)

        own = [p for p in signature(function).parameters.values() if p.name != "options"]
        body.__signature__ = signature(function).replace(parameters=_parameters(names, own, lists))  # type: ignore[attr-defined]
        known = {*names, *(parameter.name for parameter in own)}
        helps = settings.pop("helps", {})
        return task(
            klass=_Task,
            auto_shortflags=False,
            help={name: text for name, text in (_HELP | helps).items() if name in known},
            iterable=sorted(_REPEATABLE & set(names) | set(lists)),
            **settings,
        )(body)

    return decorate


def _parameters(names: list[str], own: list[Parameter], lists: Sequence[str]) -> list[Parameter]:
    """Return the parameters from which Invoke makes the task's flags."""
    # Invoke takes an option's kind from its default, and repeats only what is a list.
    defaults: dict[str, Any] = {
        item.name: [] if item.name in _REPEATABLE else item.default for item in fields(Options)
    }
    kind = Parameter.POSITIONAL_OR_KEYWORD
    shared = [Parameter(name, kind, default=defaults[name]) for name in names]
    # Without a default it is positional: any other would pass for a value.
    own = [
        item.replace(kind=kind, default=[] if item.name in lists else item.default) for item in own
    ]
    return [Parameter("context", kind), *own, *shared]


def _options(
    context: Context,
    given: Mapping[str, Any],
    changes: bool,  # noqa: FBT001
    formats: Sequence[str],
) -> Options:
    config = context.config
    if changes and config.run.dry:
        raise UsageError("this task knows no dry run", where="--dry", remedy="Leave it out.")
    foreign = {
        "--warn-only": config.run.warn,
        "--hide": config.run.hide,
        "--pty": config.run.pty,
        "--command-timeout": config.timeouts.command,
        "--prompt-for-sudo-password": config.sudo.password,
    }
    for flag, value in foreign.items():
        if value:
            raise UsageError(
                "this option of Invoke has no effect here", where=flag, remedy="Leave it out."
            )
    form = given.get("format", "text")
    if form not in formats:
        raise UsageError(
            f"unknown format '{form}'", where="--format", remedy=nearest(form, set(formats))
        )
    if given.get("forks", 0) < 0:
        raise UsageError(
            f"{given['forks']} hosts at once", where="--forks", remedy="Give 1 or more."
        )
    lists = {name: tuple(given[name]) for name in _REPEATABLE & given.keys()}
    return Options(
        **{**given, **lists},
        configured=config.get("inventory"),
        dry=bool(config.run.dry),
        echo=bool(config.run.echo),
    )


def _guarded(work: Callable[[], int | None], given: Mapping[str, Any]) -> int:
    """Run a task; turn every failure into one line on stderr and the exit code."""
    try:
        return work() or OK
    except ProvisionError as error:
        return _failed(str(error), given)
    except KeyboardInterrupt:
        code = _failed("interrupted. What was done is done; run again to go on.", given)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # threads may still wait for hosts, and nobody else does
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone, and so has the need to tell it
        return FAILED
    except Exception as error:  # noqa: BLE001  no traceback reaches an operator
        return _failed(unexpected(error), given)


def _failed(text: str, given: Mapping[str, Any]) -> int:
    """Say why a task failed, with --debug where; called while the error is being handled."""
    from provision.report.visible import say_on_stderr

    if given["debug"] or {"-d", "--debug"} & set(sys.argv):
        say_on_stderr(traceback.format_exc())
    say_on_stderr(f"provision: {text}\n")
    return FAILED
