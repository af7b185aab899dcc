"""The plan: what differs between the actual and the expected state, and what would be done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from provision.errors import PlanError
from provision.secret import MASK
from provision.state.resource import Command, Difference, Handler, Resource, State, diff
from provision.state.sizes import human_size

SPARE_BYTES = 1 << 30
"""What a change must leave free of a disk: a full one stops more than models."""
Verdict = Literal["ok", "change", "maybe"]
Action = Literal["none", "create", "update", "remove", "run"]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Row(_Data):
    """One resource of one role, judged."""

    id: str
    role: str
    verdict: Verdict
    action: Action = "none"
    before: dict[str, str | int | bool] = {}
    """The actual values of what differs, secrets masked."""
    after: dict[str, str | int | bool] = {}
    """The expected values of what differs, secrets masked."""
    note: str = ""
    """What the change means, where the values do not say it."""
    because: tuple[str, ...] = ()
    """For `maybe`: the ids whose change may change this one."""
    fears: tuple[str, ...] = ()


class Step(_Data):
    """One command and the rows it serves."""

    ids: tuple[str, ...]
    command: Command


class Notice(_Data):
    """A handler that will run, and whose change makes it run."""

    handler: Handler
    notified_by: tuple[str, ...]
    fears: tuple[str, ...] = ()


class RolePlan(_Data):
    """What one role would do on one host."""

    role: str
    rows: tuple[Row, ...]
    steps: tuple[Step, ...]
    notices: tuple[Notice, ...]

    @property
    def pending(self) -> tuple[Row, ...]:
        """Return the rows that change something, or may."""
        return tuple(row for row in self.rows if row.verdict != "ok")


class HostPlan(_Data):
    """What all roles would do on one host, in order."""

    host: str
    roles: tuple[RolePlan, ...]

    @property
    def rows(self) -> tuple[Row, ...]:
        """Return the rows of all roles."""
        return tuple(row for role in self.roles for row in role.rows)

    @property
    def pending(self) -> tuple[Row, ...]:
        """Return the rows that change something, or may."""
        return tuple(row for role in self.roles for row in role.pending)

    @property
    def fears(self) -> tuple[str, ...]:
        """Return all that an operator would want to know before."""
        rows = [fear for row in self.rows for fear in row.fears]
        notices = [fear for role in self.roles for item in role.notices for fear in item.fears]
        return (*rows, *notices)

    def handlers_after(self, role: str) -> frozenset[str]:
        """Return the ids of the handlers that the roles behind `role` will notify."""
        names = [plan.role for plan in self.roles]
        later = self.roles[names.index(role) + 1 :] if role in names else ()
        return frozenset(notice.handler.id for plan in later for notice in plan.notices)


class Ground(NamedTuple):
    """What a role's plan stands on: what earlier roles will have changed, and what runs."""

    changing: frozenset[str] = frozenset()
    """Ids that change before this role's turn."""
    starting: frozenset[str] = frozenset()
    """Ids of services that will have been started by then."""
    containers: int = 0
    """Containers that run now and could be disturbed."""


def plan_host(
    host: str,
    resources: Mapping[str, Sequence[Resource]],
    states: Mapping[str, Mapping[str, State | None]],
    containers: int,
) -> HostPlan:
    """Plan all roles from one look at the host.

    `resources` and `states` are by role; a resource that an earlier role yields identically is
    listed once, with the first of them.
    """
    plans: list[RolePlan] = []
    listed: list[Resource] = []
    for role, wanted in resources.items():
        fresh = [resource for resource in wanted if not _is_listed(resource, listed)]
        ground = _ground(plans, containers)
        plans.append(plan_role(role, fresh, states[role], ground))
        listed += fresh
    return HostPlan(host=host, roles=tuple(plans))


def plan_role(
    role: str,
    resources: Sequence[Resource],
    states: Mapping[str, State | None],
    ground: Ground,
) -> RolePlan:
    """Compare each resource with its state and collect commands and handlers."""
    rows: list[Row] = []
    differences: list[Difference] = []
    changing = set(ground.changing)
    for resource in resources:
        actual = states[resource.id]
        changed = diff(actual, resource.expected())
        rows.append(_row(role, resource, actual, changed, changing, ground.containers))
        if changed:
            changing.add(resource.id)
            differences.append(Difference(resource, actual, changed))
    _refuse_overfull(differences)
    notices = _notices(differences, states, ground)
    steps = tuple(_with_reminders(_steps(differences), notices))
    return RolePlan(role=role, rows=tuple(rows), steps=steps, notices=notices)


def _refuse_overfull(differences: Sequence[Difference]) -> None:
    """Raise `PlanError` when changes together take more of a disk than is free."""
    taken: dict[str, int] = {}
    for resource, actual, changed in differences:
        room = resource.room(actual, changed)
        if room is None or not room.needed_bytes:
            continue
        taken[room.device] = taken.get(room.device, 0) + room.needed_bytes
        if taken[room.device] + SPARE_BYTES > room.free_bytes:
            raise PlanError(
                f"{human_size(taken[room.device])} would go to {room.device}, "
                f"which has {human_size(room.free_bytes)} free",
                where=resource.id,
                remedy="Free space there, or choose another folder on a larger disk.",
            )


def _is_listed(resource: Resource, listed: Iterable[Resource]) -> bool:
    same = [other for other in listed if other.id == resource.id]
    return any(other.expected() == resource.expected() for other in same)


def _ground(plans: Sequence[RolePlan], containers: int) -> Ground:
    changes = [row for plan in plans for row in plan.rows if row.verdict == "change"]
    return Ground(
        changing=frozenset(row.id for row in changes),
        starting=frozenset(row.id for row in changes if row.after.get("active") is True),
        containers=containers,
    )


def _row(  # noqa: PLR0913, PLR0917  one judgement from all that bears on it
    role: str,
    resource: Resource,
    actual: State | None,
    changed: frozenset[str],
    changing: set[str],
    containers: int,
) -> Row:
    if not changed:
        because = tuple(name for name in resource.after if name in changing)
        verdict: Verdict = "maybe" if because else "ok"
        return Row(id=resource.id, role=role, verdict=verdict, because=because)
    fears = resource.fears(actual, changed)
    disturbs = resource.disturbs(changed)
    if containers and disturbs:
        fears += (f"{disturbs} while {_count(containers)}",)
    return Row(
        id=resource.id,
        role=role,
        verdict="change",
        action=_action(resource, actual),
        note=resource.note(actual, changed),
        before=_shown(actual, changed, resource),
        after=_shown(resource.expected(), changed, resource),
        fears=fears,
    )


def _action(resource: Resource, actual: State | None) -> Action:
    if resource.kind == "command":
        return "run"
    if resource.expected() is None:
        return "remove"
    return "update" if resource.is_there(actual) else "create"


def _shown(
    state: State | None, changed: frozenset[str], resource: Resource
) -> dict[str, str | int | bool]:
    return {
        key: MASK if key in resource.secret else value
        for key, value in (state or {}).items()
        if (key in changed or "present" in changed) and not key.startswith("(")
    }


def _steps(differences: Sequence[Difference]) -> tuple[Step, ...]:
    """Return the commands in order; neighbours of one kind go together where the kind says how."""
    steps = []
    for kind, group in groupby(differences, key=lambda item: type(item.resource)):
        members = list(group)
        together = "apply_together" in vars(kind)
        for part in [members] if together else [[member] for member in members]:
            ids = tuple(member.resource.id for member in part)
            steps += [Step(ids=ids, command=command) for command in kind.apply_together(part)]
    return tuple(steps)


def _with_reminders(steps: Iterable[Step], notices: Iterable[Notice]) -> Iterator[Step]:
    """Yield the steps, and before the first that notifies a handler a note of it on the host."""
    due = {notice.handler: {*notice.notified_by} for notice in notices}
    for step in steps:
        for handler in [handler for handler, ids in due.items() if ids & {*step.ids}]:
            del due[handler]
            yield Step(ids=step.ids, command=handler.reminder)
        yield step


def _notices(
    differences: Sequence[Difference], states: Mapping[str, State | None], ground: Ground
) -> tuple[Notice, ...]:
    """Return each notified handler once; one of a service that does not run has nothing to do."""
    notified: dict[str, tuple[Handler, list[str]]] = {}
    for resource, _, _ in differences:
        for handler in resource.notify:
            state = states.get(handler.resource, {"active": True})
            running = bool(state and state.get("active", True))
            if running or handler.resource in ground.starting:
                notified.setdefault(handler.id, (handler, []))[1].append(resource.id)
    return tuple(
        Notice(
            handler=handler,
            notified_by=tuple(ids),
            fears=(f"{handler.fear} while {_count(ground.containers)}",)
            if handler.fear and ground.containers
            else (),
        )
        for handler, ids in notified.values()
    )


def _count(containers: int) -> str:
    return "1 container runs" if containers == 1 else f"{containers} containers run"
