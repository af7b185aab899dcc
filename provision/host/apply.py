"""One host: apply a plan role by role, look again, and say what came of it."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from provision.errors import (
    ApplyError,
    ConnectError,
    LockError,
    ProvisionError,
    of_host,
    unexpected,
)
from provision.facts import Facts
from provision.host.connection import Connection
from provision.host.lock import Lease, Locks
from provision.host.look import Look, clock, look, probe, without_note
from provision.host.steps import Caller, Carrier, Runner, Say, StepError
from provision.secret import redact
from provision.state.announced import refuse_unlisted
from provision.state.plan import HostPlan, Notice, RolePlan, Step
from provision.state.resource import Resource, State, diff
from provision.state.role import Role

_YOUNG: Final = 10  # seconds for which a look counts, unless a run of somebody changed the host


class RowOutcome(BaseModel):
    """What came of one row."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    role: str
    outcome: Literal["changed", "failed", "not run"]


class Outcome(BaseModel):
    """What came of one host."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str
    rows: tuple[RowOutcome, ...] = ()
    handlers: tuple[str, ...] = ()
    """Ids of the handlers that ran."""
    error: str = ""
    """Why the host stopped; empty when it did not."""
    begun: bool = True
    """False: nothing was touched, for others had failed before the host's turn, or somebody else
    has the host."""
    seconds: float = 0
    trace: str = Field(default="", exclude=True, repr=False)
    """The traceback behind `error`."""


class Orders(NamedTuple):
    """What is to be applied: the roles, the plan that was shown, and what it was made from."""

    roles: Mapping[str, Role]
    seen: Look
    shown: HostPlan
    locks: Locks
    """Who takes the host's lock."""
    seen_at: float
    """When the host was looked at, by `clock`."""
    stopped: Callable[[], bool] = lambda: False
    """Asked before each role, and when a step fails: whether the operator wants to leave."""
    carrier: Carrier | None = None
    """Who brings bulk data and shares it between the hosts of the run."""
    caller: Caller | None = None
    """Who calls services and judges their answers."""


def apply_plan(connection: Connection, orders: Orders, say: Say) -> Outcome:
    """Apply what was shown, role by role; a failure ends the host and is told in the outcome."""
    run = _Run(connection, orders, say)
    started = time.monotonic()
    error = trace = ""
    seen = True
    try:
        run.locked(orders)
    except ProvisionError as failure:
        error, trace = str(failure), traceback.format_exc()
        seen = not isinstance(failure, ConnectError) and not getattr(failure, "left", False)
    except Exception as failure:  # noqa: BLE001  one host's surprise must not stop the others
        error, trace, seen = unexpected(failure), traceback.format_exc(), False
    if error:
        error = redact(of_host(orders.shown.host, f"{error}{run.still_to_do}"))
    outcome = run.outcome(error, time.monotonic() - started)
    if run.lease:
        orders.locks.end(run.lease, _summary(outcome), seen=seen)
    if orders.carrier:
        orders.carrier.gave_up(connection.host)
    return outcome.model_copy(update={"trace": redact(trace)})


def _summary(outcome: Outcome) -> Mapping[str, object]:
    """Return what the journal keeps of an outcome."""
    changed = [row.id for row in outcome.rows if row.outcome == "changed"]
    return {"changed": changed, "handlers": outcome.handlers, "error": outcome.error}


class _Run:
    """One host's way through its roles."""

    def __init__(self, connection: Connection, orders: Orders, say: Say) -> None:
        self.connection = connection
        self.runner = Runner(connection, say, orders.stopped, orders.carrier, orders.caller)
        self.lease: Lease | None = None
        self.roles = orders.roles
        self.shown = orders.shown
        self.stopped = orders.stopped
        self.say = say
        self.seen: Look | None = None
        """What the plan was made from, where that still counts."""
        self.changed: list[tuple[str, str]] = []
        self.failed: tuple[str, ...] = ()
        self.pending: dict[str, Notice] = {}
        self.resources: dict[str, Resource] = {}
        self.ran: list[str] = []

    def locked(self, orders: Orders) -> None:
        """Take the lock and walk through the roles; facts that somebody else made old are read anew."""
        self.lease = orders.locks.take(self.connection, self.say)
        self.runner = self.runner._replace(lease=self.lease)
        fresh = self.lease.before == orders.seen.facts.last_run != ""
        young = 0 <= clock() - orders.seen_at < _YOUNG
        self.seen = orders.seen if fresh and young else None
        self.all(orders.seen.facts if fresh else None)

    def all(self, facts: Facts | None) -> None:
        """Walk through the roles; the ground may have moved since the plan, or by an earlier role."""
        for planned in self.shown.roles:
            if self.stopped():
                raise ApplyError("stopped by the operator", remedy="Run again to go on.")
            if planned.pending or self.changed:
                facts = self._role(planned.role, facts)
            self._handlers(self.shown.handlers_after(planned.role))

    def _role(self, role: str, facts: Facts | None) -> Facts | None:
        """Look again, unless the plan is of just now, and apply what differs.

        Returns the facts, or None if they may have changed.
        """
        due = {notice.handler.resource for notice in self.pending.values()}
        seen = self.seen or look(self.connection, {role: self.roles[role]}, facts)
        seen = seen.without_notes(due)
        now = seen.plan_role(role)
        refuse_unlisted(self.shown, now)
        if not now.steps:
            return seen.facts
        self.seen = None
        self._apply(now, seen)
        return None

    def outcome(self, error: str, seconds: float) -> Outcome:
        """Say for every listed change what became of it."""
        listed = [(row.role, row.id) for row in self.shown.pending if row.verdict == "change"]
        rows = [
            RowOutcome(id=name, role=role, outcome=self._became(role, name))
            for role, name in dict.fromkeys([*self.changed, *listed])
        ]
        return Outcome(
            host=self.shown.host,
            rows=tuple(row for row in rows if error or row.outcome == "changed"),
            handlers=tuple(self.ran),
            error=error,
            begun=self.lease is not None,
            seconds=round(seconds, 2),
        )

    @property
    def still_to_do(self) -> str:
        """Name the handlers that were notified but did not run, for the operator to run."""
        titles = [notice.handler.command.title for notice in self.pending.values()]
        return f" Still to do, and noted on the host: {', '.join(titles)}." if titles else ""

    def _became(self, role: str, name: str) -> Literal["changed", "failed", "not run"]:
        if (role, name) in self.changed:
            return "changed"
        return "failed" if name in self.failed else "not run"

    def _apply(self, now: RolePlan, seen: Look) -> None:
        resources = {resource.id: resource for resource in seen.resources[now.role]}
        self.resources |= resources
        ids = [row.id for row in now.rows if row.verdict == "change"]
        try:
            self.runner.run(now.steps)
        except StepError as error:
            self.failed = error.ids
            self._notified(now, {*error.done, *error.ids})
            with suppress(ProvisionError):  # the step's own error is the one to tell
                self._salvage(now, seen, error)
            raise
        except LockError as error:
            self._notified(now, {*error.done})
            raise
        except ConnectError:  # nobody knows how far it came
            self._notified(now, set(ids))
            raise
        self._notified(now, set(ids))
        self.say(f"probe what {now.role} changed", "")
        judged = self._wrong(resources[name] for name in ids)
        self.changed += [(now.role, item.id) for item, wrong in judged if not wrong]
        self._refuse(judged)

    def _salvage(self, now: RolePlan, seen: Look, error: StepError) -> None:
        """Find out what was changed before a step failed, and take back what is not due for it."""
        wanted = [self.resources[name] for name in dict.fromkeys([*error.done, *error.ids])]
        pairs = list(zip(wanted, probe(self.connection, wanted), strict=True))
        self.changed += [
            (now.role, item.id)
            for item, state in pairs
            if item.id not in error.ids and not diff(state, item.expected())
        ]
        moved = {item.id for item, state in pairs if state != seen.states[now.role][item.id]}
        for notice in now.notices:
            handler = notice.handler
            if self.pending.get(handler.id) is notice and not moved & {*notice.notified_by}:
                forget = Step(ids=(handler.id,), command=handler.forget)
                self.runner.run([forget])
                del self.pending[handler.id]

    def _notified(self, now: RolePlan, changed: set[str]) -> None:
        for notice in now.notices:
            if changed & {*notice.notified_by}:
                self.pending.setdefault(notice.handler.id, notice)

    def _refuse(self, judged: Iterable[tuple[Resource, str]]) -> None:
        """Raise `ApplyError` for what is not as expected: the state decides, not exit statuses."""
        failed = [(resource, wrong) for resource, wrong in judged if wrong]
        if failed:
            self.failed = tuple(resource.id for resource, _ in failed)
            resource, wrong = failed[0]
            raise ApplyError(
                f"was applied, but {wrong}",
                where=resource.id,
                remedy="Something on the host undoes the change; look there, then run again.",
            )

    def _wrong(self, resources: Iterable[Resource]) -> list[tuple[Resource, str]]:
        """Say of each resource what is not as expected now; an empty text is all well."""
        wanted = list(resources)
        states = zip(wanted, probe(self.connection, wanted), strict=True)
        due = {notice.handler.resource for notice in self.pending.values()}
        return [
            (item, _difference(item, without_note(now) if item.id in due else now))
            for item, now in states
        ]

    def _handlers(self, later: frozenset[str]) -> None:
        """Run what is pending and no later role will notify again."""
        due = [notice for name, notice in self.pending.items() if name not in later]
        for notice in due:
            handler = notice.handler
            self.runner.run([Step(ids=(handler.id,), command=handler.command)])
            del self.pending[handler.id]
            self.ran.append(handler.id)
            if handler.resource in self.resources:
                self._refuse(self._wrong([self.resources[handler.resource]]))


def _difference(resource: Resource, actual: State | None) -> str:
    expected = resource.expected()
    if actual is None or expected is None:
        return "" if actual is expected else f"it is {'still' if actual else 'not'} there"
    return ", ".join(
        f"{key} differs"
        if key in resource.secret
        else f"{key} is {actual.get(key, 'absent')!r} instead of {expected[key]!r}"
        for key in sorted(diff(actual, expected))
    )
