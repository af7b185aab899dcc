"""How commands run on a host: in order, watched, until one fails; as few execs as can be."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Literal, NamedTuple, Protocol

from provision.errors import ApplyError, ConnectError, LockError
from provision.host.bulk import Listener
from provision.host.connection import Connection
from provision.host.lock import Lease
from provision.inventory.schema import Host
from provision.state.plan import Step
from provision.state.resource import Bulk, Calls, Command, Transfer
from provision.state.shell import framed, literal, nonce, quote

_FENCE: Final = 60  # seconds to see whether the lock is still ours


class StepError(ApplyError):
    """A step that failed; those before it were done."""

    def __init__(self, what: str, *, where: str, remedy: str, steps: Sequence[Step]) -> None:
        """Keep the ids that the failed step, the last of `steps`, serves, and those done before."""
        super().__init__(what, where=where, remedy=remedy)
        *before, failed = steps
        self.steps = steps
        self.ids = failed.ids
        self.done = tuple(dict.fromkeys(name for step in before for name in step.ids))

    left = False
    """Whether nobody saw its end, so that nothing is brought back: the operator left, or SSH did."""

    def followed_by(self, said: str) -> StepError:
        """Return the same error, which also says what came of it."""
        remedy = f"{self.remedy.rstrip('.')}. {said}" if self.remedy else said
        told = StepError(self.what, where=self.where, remedy=remedy, steps=self.steps)
        told.left = self.left
        return told


class Amount(NamedTuple):
    """How far a step is."""

    done: int
    total: int
    unit: Literal["bytes", "files"] = "bytes"


Say = Callable[[str, str | Amount], None]
"""Takes the step that is being done right now and the last line of its output, or how far it is."""


class Carrier(Protocol):
    """Who brings bulk data to a host by other means than a script."""

    def carry(self, connection: Connection, transfer: Transfer, listener: Listener) -> bool:
        """Bring the data; False where nobody has it, so that the step's script must fetch it."""

    def offer(self, host: Host, bulk: Bulk) -> None:
        """Say that a host has it complete, so that others may copy it from there."""

    def gave_up(self, host: Host) -> None:
        """Say that a host will fetch nothing more, so that nobody waits for it."""


class Caller(Protocol):
    """Who calls services on a host and judges their answers."""

    def call(self, connection: Connection, calls: Calls, say: Say) -> None:
        """Call them; `ApplyError` names the answer that is wrong."""


class Runner(NamedTuple):
    """How commands run on one host."""

    connection: Connection
    say: Say
    stopped: Callable[[], bool] = lambda: False
    """Asked when a step fails: whether that is because the operator wants to stop."""
    carrier: Carrier | None = None
    caller: Caller | None = None
    lease: Lease | None = None
    """The host's lock, which each step that changes something needs and is written under."""

    def run(self, steps: Sequence[Step]) -> None:
        """Run commands in order until one fails; raise `StepError` for that one."""
        done: list[Step] = []
        risky = 0.0  # when the first step with a rescue began
        for part in _parts(steps):
            risky = risky or (time.monotonic() if part[0].command.rescue else 0.0)
            try:
                self._part(done, part)
            except StepError as error:
                if part[0].command.rescue and not error.left and not self.stopped():
                    raise self._rescued(error, part[0], risky) from error
                raise
            except LockError as error:
                error.done = tuple(name for step in done for name in step.ids)
                raise

    def _part(self, done: list[Step], part: list[Step]) -> None:
        """Run steps, and add to `done` each that has ended well."""
        command = part[-1].command
        if command.calls:
            with self._noted(part[0]):
                self._call(done, part[0])
            done += part
        elif command.transfer and self._carry(done, part[0]):
            done += part
        else:
            self._exec(done, part)
        if command.offers and self.carrier:
            self.carrier.offer(self.connection.host, command.offers)

    def _rescued(self, error: StepError, failed: Step, risky: float) -> StepError:
        """Bring back what was there before, and say what came of it beside why it was needed."""
        rescue = [Step(ids=failed.ids, command=command) for command in failed.command.rescue]
        try:
            self.run(rescue)
        except (StepError, LockError, ConnectError) as second:
            said = f"The way back failed too: {second.where}: {second.what}. {second.remedy}"
            told = error.followed_by(said)
            told.left = isinstance(second, ConnectError) or getattr(second, "left", False)
            return told
        seconds = time.monotonic() - risky
        title = rescue[-1].command.title
        return error.followed_by(f"Rolled back ({title}) {seconds:.0f} s after the change began.")

    def _call(self, before: Sequence[Step], step: Step) -> None:
        assert step.command.calls is not None  # noqa: S101  the caller asked
        assert self.caller is not None  # noqa: S101  whoever plans calls brings one
        self.say(step.command.title, "")
        try:
            self.caller.call(self.connection, step.command.calls, self.say)
        except ApplyError as error:
            raise StepError(
                error.what, where=error.where, remedy=error.remedy, steps=[*before, step]
            ) from error

    def _carry(self, before: Sequence[Step], step: Step) -> bool:
        transfer = step.command.transfer
        assert transfer is not None  # noqa: S101  the caller asked
        assert self.carrier is not None  # noqa: S101  whoever plans transfers brings one
        title = step.command.title
        doing = [title]

        def say(text: str, detail: str) -> None:
            doing[0] = text
            self.say(text, detail)

        def tell(done: int, total: int) -> None:
            self.say(doing[0], Amount(done, total))

        say(title, "")
        listener = Listener(say, tell, self.stopped, self.lease)
        try:
            with self._noted(step):
                return self.carrier.carry(self.connection, transfer, listener)
        except ApplyError as error:
            if self.stopped():
                raise _stopped([*before, step]) from error
            raise StepError(
                error.what, where=error.where, remedy=error.remedy, steps=[*before, step]
            ) from error

    @contextmanager
    def _noted(self, step: Step) -> Iterator[None]:
        """Write into the journal that a step begins which is no script of ours, and that it was done."""
        if self.lease:
            word = nonce()
            script = framed(self.lease.guard(word))
            said = self.connection.run(script, timeout=_FENCE).stdout
            self.lease.kept(self.connection.host.name, said, word)
            self.lease.note(_event(step, "step"))
        yield
        if self.lease:
            self.lease.note(_event(step, "done"))

    def _exec(self, done: list[Step], steps: Sequence[Step]) -> None:
        """Run commands by one script, and add to `done` each that has ended well."""
        word = nonce()
        current = [0]

        def on_line(line: str) -> bool:
            begun = re.fullmatch(rf"{word} begin (\d{{1,9}})", line)
            amount = _amount(line)
            if begun:
                current[0] = min(int(begun[1]), len(steps) - 1)
                self.say(steps[current[0]].command.title, "")
            elif line.strip() and word not in line:
                command = steps[current[0]].command
                self.say(command.title, amount or line.strip())
            return amount is not None

        timeout = sum(step.command.timeout for step in steps)
        script = _steps_script(steps, word, self.lease)
        environment = self.lease.environment if self.lease else {}
        result = self.connection.run(
            script, timeout=timeout, on_line=on_line, environment=environment
        )
        outputs = _outputs(result.stdout, word)
        for index, step in enumerate(steps):
            status, output = outputs.get(index, (None, ""))
            if status is None:
                Lease.kept(self.connection.host.name, result.stdout, word)
            if status != 0 and self.stopped():
                raise _stopped([*done, step])
            if status != 0:
                killed = result.status if result.waits else None
                raise _failed_step([*done, step], status, output, killed)
            done.append(step)


def _parts(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """Yield what goes into one exec: all between steps of another sort, and before an offer."""
    part: list[Step] = []
    for step in steps:
        if step.command.transfer or step.command.calls or step.command.rescue:
            yield from filter(None, [part])
            yield [step]
            part = []
        elif step.command.offers:
            yield [*part, step]
            part = []
        else:
            part.append(step)
    yield from filter(None, [part])


def _stopped(steps: Sequence[Step]) -> StepError:
    """Return the error of a step, the last of `steps`, that the operator did not wait for."""
    error = StepError(
        "stopped by the operator",
        where=steps[-1].command.title,
        remedy="Run again: what was begun is looked at anew and brought to its end.",
        steps=steps,
    )
    error.left = True
    return error


def _lost(where: str, steps: Sequence[Step], killed: int | None) -> StepError:
    """Return the error of a step of whose end nobody heard: the next run looks what became of it."""
    error = StepError(
        f"its shell on the host ended with status {killed}"
        if killed
        else "the connection was lost",
        where=where,
        remedy="Run again: what was begun is looked at anew and brought to its end.",
        steps=steps,
    )
    error.left = True
    return error


def _amount(line: str) -> Amount | None:
    """Read `progress bytes 3 9`, which a script prints to say how far it is."""
    found = re.fullmatch(r"progress (bytes|files) (\d{1,18}) (\d{1,18})", line)
    if found is None:
        return None
    return Amount(int(found[2]), int(found[3]), "bytes" if found[1] == "bytes" else "files")


def _outputs(stdout: str, word: str) -> dict[int, tuple[int, str]]:
    """Return exit status and output of each step that came to its end."""
    outputs: dict[int, tuple[int, str]] = {}
    said: list[str] = []
    for line in stdout.split("\n"):
        mark = re.fullmatch(rf"{word} (?:begin \d{{1,9}}|end (\d{{1,9}}) (\d{{1,9}}))", line)
        if mark is None:
            said.append(line)
            continue
        if mark[1]:
            outputs.setdefault(int(mark[1]), (int(mark[2]), "\n".join(said)))
        said = []
    return outputs


def _steps_script(steps: Sequence[Step], word: str, lease: Lease | None) -> str:
    """Return one script of all steps, of which none begins after we have lost the lock or left."""
    fence = lease.fence(word) if lease else ""
    parts = [
        f"{fence}printf '%s\\n' '{word} begin {index}'\n"
        f"{_written(lease, step, 'step')}"
        f"(\nset -e\n{_variables(step.command)}{step.command.script}\n) 2>&1\n"
        f"provision_status=$?\n"
        f"{_written(lease, step, 'done')}"
        f"printf '\\n%s %d\\n' '{word} end {index}' $provision_status\n"
        "[ $provision_status -eq 0 ] || return 0"
        for index, step in enumerate(steps)
    ]
    return framed("\n".join([lease.functions if lease else "", *parts]))


def _written(lease: Lease | None, step: Step, event: Literal["step", "done"]) -> str:
    """Return sh that writes into the journal that a step begins, or how it ended."""
    if lease is None:
        return ""
    line = quote(lease.entry(_event(step, event)))
    status = "" if event == "step" else ',\\"status\\":$provision_status'
    return f'journal {line}"{status}"\n'


def _event(step: Step, event: Literal["step", "done"]) -> Mapping[str, object]:
    return {"event": event, "title": step.command.title, "ids": step.ids}


def _variables(command: Command) -> str:
    """Set the command's secrets: only the host's shell ever holds them, no argv and no file."""
    return "".join(
        f"{name}=$({literal(secret.reveal().encode())})\n" for name, secret in command.secrets
    )


def _failed_step(
    steps: Sequence[Step], status: int | None, output: str, killed: int | None
) -> StepError:
    step = steps[-1]
    where = f"{step.command.title} ({', '.join(step.ids)})"
    if status is None:
        return _lost(where, steps, killed)
    from provision.host.causes import cause_of  # noqa: PLC0415  not before something fails

    cause = cause_of(output)
    if cause:
        return StepError(cause.what, where=where, remedy=cause.remedy, steps=steps)
    lines = [line for line in output.splitlines() if line.strip() and _amount(line) is None]
    return StepError(
        f"exit status {status}: {' / '.join(lines[-3:]) or 'no output'}",
        where=where,
        remedy="Mend the cause on the host and run again.",
        steps=steps,
    )
