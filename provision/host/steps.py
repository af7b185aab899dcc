"""How commands run on a host: all in one exec, in order, watched, until one fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from provision.errors import ApplyError
from provision.host.causes import cause_of
from provision.host.connection import Connection
from provision.state.plan import Step
from provision.state.shell import framed, nonce


class StepError(ApplyError):
    """A step that failed; those before it were done."""

    def __init__(self, what: str, *, where: str, remedy: str, steps: Sequence[Step]) -> None:
        """Keep the ids that the failed step, the last of `steps`, serves, and those done before."""
        super().__init__(what, where=where, remedy=remedy)
        *before, failed = steps
        self.ids = failed.ids
        self.done = tuple(dict.fromkeys(name for step in before for name in step.ids))


Say = Callable[[str, str], None]
"""Takes the step that is being done right now and the last line of its output, or nothing."""


def run_steps(connection: Connection, steps: Sequence[Step], say: Say) -> None:
    """Run commands in one exec, in order, until one fails; raise `ApplyError` for that one."""
    word = nonce()
    current = [0]

    def on_line(line: str) -> None:
        begun = re.fullmatch(rf"{word} begin (\d+)", line)
        if begun:
            current[0] = int(begun[1])
            say(steps[current[0]].command.title, "")
        elif line.strip() and word not in line:
            say(steps[current[0]].command.title, line.strip())

    timeout = sum(step.command.timeout for step in steps)
    result = connection.run(_steps_script(steps, word), timeout=timeout, on_line=on_line)
    outputs = {
        int(end[2]): (int(end[3]), end[1])
        for end in re.finditer(
            rf"{word} begin \d+\n(.*?)\n{word} end (\d+) (\d+)\n", result.stdout, re.DOTALL
        )
    }
    for index in range(len(steps)):
        status, output = outputs.get(index, (None, result.stdout[-2000:]))
        if status != 0:
            raise _failed_step(steps[: index + 1], status, output)


def _steps_script(steps: Sequence[Step], word: str) -> str:
    parts = [
        f"printf '%s\\n' '{word} begin {index}'\n"
        f"(\nset -e\n{step.command.script}\n) 2>&1\n"
        f"provision_status=$?\nprintf '\\n%s %d\\n' '{word} end {index}' $provision_status\n"
        "[ $provision_status -eq 0 ] || return 0"
        for index, step in enumerate(steps)
    ]
    return framed("\n".join(parts))


def _failed_step(steps: Sequence[Step], status: int | None, output: str) -> StepError:
    step = steps[-1]
    where = f"{step.command.title} ({', '.join(step.ids)})"
    cause = cause_of(output)
    if cause:
        return StepError(cause.what, where=where, remedy=cause.remedy, steps=steps)
    lines = [line for line in output.strip().splitlines() if line.strip()]
    ended = "the connection was lost" if status is None else f"exit status {status}"
    return StepError(
        f"{ended}: {' / '.join(lines[-3:]) or 'no output'}",
        where=where,
        remedy="Mend the cause on the host and run again.",
        steps=steps,
    )
