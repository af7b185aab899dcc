"""One call of a task on hosts: which hosts, with what progress, reported where."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

from provision import fleet
from provision.cli.command import FAILED, OK, PENDING, Options
from provision.cli.selection import selected
from provision.errors import UsageError
from provision.fleet import Visit
from provision.host.steps import Amount
from provision.inventory.schema import Host, Inventory
from provision.report.console import consoles
from provision.report.machine import outcome_document, plan_document, write_json
from provision.report.outcome import print_outcomes
from provision.report.plan import print_plan
from provision.report.progress import Progress, progress
from provision.report.visible import say_on_stderr
from provision.rollout import AT_ONCE, Rollout
from provision.serving.roles import MODELS

if TYPE_CHECKING:
    from provision.host.apply import Outcome
    from provision.serving.calls import ServiceCaller


class Run:
    """The selected hosts and their connections, closed at the end of the block."""

    def __init__(self, options: Options, inventory: Inventory | None = None) -> None:
        """Load the inventory and select; raise `ProvisionError` for whatever does not exist."""
        self.options = options
        self.stdout, self.stderr = consoles()
        self.hosts = selected(options, inventory)
        self.roles = frozenset(options.role)
        self.forks = options.forks or fleet.FORKS
        self.force = False
        """Whether services are planned too that will not run there as far as is known."""
        self.visits: list[Visit] = []
        self.caller: ServiceCaller | None = None
        """Who calls services, where the task has any called."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for visit in self.visits:
            if self.options.debug:
                say_on_stderr(visit.trace)
            visit.close()

    @property
    def due(self) -> list[Visit]:
        """Return the visits whose plan holds changes."""
        return [visit for visit in self.visits if visit.plan and visit.plan.pending]

    def gather(self) -> list[Visit]:
        """Read the facts of all hosts."""
        with self.progress("facts", len(self.hosts)) as watch:
            self.visits = fleet.gather(self.hosts, self.forks, watch)
        return self.visits

    def plan(self) -> None:
        """Plan all hosts."""
        _refuse_twins(self.hosts)
        if self._with_models:
            from provision.serving.models import refuse_unlocked

            refuse_unlocked(self.hosts, self.roles)
        with self.progress("plan", len(self.hosts)) as watch:
            self.visits = fleet.plan(self.hosts, self.roles, self.forks, watch, force=self.force)

    def plan_and_apply(
        self, *, dry_run: bool, yes: bool, show_commands: bool, rollout: Rollout = AT_ONCE
    ) -> int:
        """Plan, show, ask, apply and report; return the exit code."""
        self.plan()
        json = self.options.format == "json"
        if dry_run or not json:
            self.print_plan(show_commands=show_commands)
        if dry_run:
            return self.plan_code()
        if self.due and not (yes or self.confirm_plan()):
            self.stderr.print("Nothing was changed.")
            if json:
                self.print_plan(show_commands=show_commands)
            return self.plan_code()
        return self.apply(rollout)

    def audit(self) -> int:
        """Check deeper than a plan does, report it, and return the exit code."""
        self.plan()
        with self.progress("verify", len(self.hosts)) as watch:
            outcomes = fleet.audit(self.visits, self.forks, watch)
        if self.options.format == "json":
            write_json(outcome_document(self.visits, outcomes))
        else:
            from provision.report.models import print_audit

            print_audit(self.stdout, self.visits, outcomes)
        return FAILED if any(item.error for item in outcomes) else self.plan_code()

    def _download_what_is_pushed(self) -> None:
        """Bring models that the controller will push to the controller itself."""
        if not self._with_models:
            return
        from provision.serving.models import SNAPSHOT, downloads

        rows = [row.id for visit in self.due if visit.plan for row in visit.plan.pending]
        pending = {
            row.removeprefix(f"{SNAPSHOT}:").rpartition("@")[0]
            for row in rows
            if row.startswith(f"{SNAPSHOT}:")
        }
        missing = downloads([visit.host for visit in self.due], pending)
        if not missing:
            return
        with self.progress("to be pushed", len(missing)) as watch:
            for key, fetch in missing.items():
                fetch(partial(_tell, watch, key))
                watch.done(key, failed=False)

    def apply(self, rollout: Rollout = AT_ONCE) -> int:
        """Apply what was planned, report it, and return the exit code."""
        self._download_what_is_pushed()
        rollout = rollout.having_lost(visit.host.name for visit in self.visits if visit.error)
        with self.progress("provision", len(self.due)) as watch:
            what = f"inv {self.options.task}"
            outcomes = fleet.apply(self.visits, self.roles, self.forks, watch, rollout, what=what)
        if self.options.debug:
            say_on_stderr("".join(outcome.trace for outcome in outcomes))
        self._report(outcomes)
        answers = self.caller.answers if self.caller else []
        if any(visit.error for visit in self.visits) or any(item.error for item in outcomes):
            return FAILED
        weak = any(answer.verdict == "warn" for answer in answers)
        return PENDING if weak or self._warned else OK

    def _report(self, outcomes: Sequence[Outcome]) -> None:
        """Print what services answered, and what became of the plan."""
        json = self.options.format == "json"
        document = outcome_document(self.visits, outcomes) if json else {}
        if self.caller:
            from provision.report import validation

            if json:
                document["validation"] = validation.validation_document(self.caller.answers)
            elif self.caller.answers:
                validation.print_validation(self.stdout, self.caller.answers)
        if json:
            write_json(document)
        else:
            print_outcomes(self.stdout, self.visits, outcomes)

    def print_plan(self, *, show_commands: bool) -> None:
        """Report the plan."""
        if self.options.format == "json":
            write_json(plan_document(self.visits))
        else:
            print_plan(self.stdout, self.visits, commands=show_commands or self.options.echo)

    def plan_code(self) -> int:
        """Return the exit code of a plan that is not applied."""
        if any(visit.error for visit in self.visits):
            return FAILED
        return PENDING if self.due or self._warned else OK

    @property
    def _with_models(self) -> bool:
        return any(MODELS in host.variables for host in self.hosts)

    @property
    def _warned(self) -> bool:
        return any(item.verdict == "warn" for visit in self.visits for item in visit.findings)

    def confirm_plan(self) -> bool:
        """Ask whether to apply the plan, and say how much of it is to be feared."""
        if self.options.format == "json" and sys.stdin.isatty():
            print_plan(self.stderr, self.visits)
        hosts = "1 host" if len(self.due) == 1 else f"{len(self.due)} hosts"
        fears = sum(len(visit.plan.fears) for visit in self.due if visit.plan)
        marked = f" {fears} marked with !." if fears else ""
        return self.confirm(f"{marked} Apply to {hosts}?".lstrip())

    def confirm(self, question: str) -> bool:
        """Ask on the terminal; without one the answer is no."""
        if not sys.stdin.isatty():
            self.stderr.print("There is no terminal to ask on: pass --yes.")
            return False
        self.stderr.print(f"{question} [y/N] ", end="", markup=False)
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def progress(self, title: str, total: int) -> AbstractContextManager[Progress]:
        """Show progress on stderr."""
        return progress(self.stderr, title, total)


def _refuse_twins(hosts: Sequence[Host]) -> None:
    """Raise `UsageError` when two names are one machine: they would be changed at the same time."""
    seen: dict[tuple[object, ...], str] = {}
    for host in hosts:
        ssh = host.ssh
        other = seen.setdefault((ssh.address, ssh.port, ssh.gateway), host.name)
        if other != host.name:
            raise UsageError(
                f"{other} and {host.name} are one machine: {ssh.address}",
                remedy="Give each its own ssh.address.",
            )


def _tell(watch: Progress, key: str, done: int, total: int) -> None:
    watch.step(key, "download", Amount(done, total))
