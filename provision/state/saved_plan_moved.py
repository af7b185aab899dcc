"""What moved since a plan was saved: sources, settings, and the state of hosts, by name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from provision.inventory.schema import Host
from provision.secret import MASK
from provision.state.plan import HostPlan, Row
from provision.state.resource import DUE, Resource, State
from provision.state.saved_plan import SavedHost, SavedRow, Sight, Sources
from provision.state.saved_plan_marks import Marked, Marks

_WHILE: Final = re.compile(r" while \d+ containers? runs?$")
_SHORT: Final = 60  # characters of a value that are shown
_NAMED: Final = 5  # settings of a host that are named
_SHALL: Final = {
    "create": "is to be created",
    "update": "is to be updated",
    "remove": "is to be removed",
    "run": "is to run",
    "none": "may change",
}
Value = str | int | bool


class Moved(NamedTuple):
    """One thing that is no longer as it was planned from."""

    host: str
    """Empty for what stands on the controller."""
    id: str
    """A row, a handler, a setting, or a file."""
    what: str

    def __str__(self) -> str:
        """Return the one line an operator reads."""
        return ": ".join(filter(None, self))


class Ground(NamedTuple):
    """What a host's plan is made from now, and the marks of its values."""

    host: Host
    plan: HostPlan
    sight: Sight
    marks: Marks


def moved_sources(saved: Sources, now: Sources) -> Iterator[Moved]:
    """Yield what differs of the tool, the roles and the templates."""
    if saved.version != now.version:
        what = f"version {saved.version} made the plan, and this is {now.version}"
        yield Moved("", "provision", what)
    elif saved.tool != now.tool:
        yield Moved("", "provision", "the tool's own source differs from what made the plan")
    for folder, before, after in (
        ("roles", saved.roles, now.roles),
        ("templates", saved.templates, now.templates),
    ):
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) != after.get(name):
                what = "differs from what the plan was made with"
                yield Moved("", f"{folder}/{name}", what)


def moved_settings(saved: SavedHost, host: Host, marks: Marks) -> Iterator[Moved]:
    """Yield the settings of a host that differ, by their dotted names."""
    before, after = saved.settings, marks.settings(host)
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    if "roles" in names:  # a role that came or went brings all its variables
        there = {_first(name) for name in before} & {_first(name) for name in after}
        names = [name for name in names if _first(name) in there]
    for name in names[:_NAMED]:
        yield Moved(host.name, name, "is set to something else now")
    if len(names) > _NAMED:
        yield Moved(host.name, "", f"{len(names) - _NAMED} more settings differ")


def moved_state(saved: SavedHost, ground: Ground) -> Iterator[Moved]:
    """Yield what of a host's fresh plan is not what was planned, or less of it.

    What is as expected by now counts as done: an earlier apply of the same plan got that far.
    """
    comparison = _Comparison(saved, ground)
    for row in ground.plan.pending:
        yield from comparison.row(row)
    yield from comparison.gone()
    yield from comparison.handlers()


def done(saved: SavedHost, plan: HostPlan) -> int:
    """Return how many changes of a saved plan are no longer to be made."""
    left = {(row.role, row.id) for row in plan.pending}
    changes = {(row.role, row.id) for row in saved.rows if row.verdict == "change"}
    return len(changes - left)


class _Comparison:
    """One host's saved plan beside a fresh one."""

    def __init__(self, saved: SavedHost, ground: Ground) -> None:
        self.host = saved.host
        self.saved = {(row.role, row.id): row for row in saved.rows}
        self.fears = {item.id: item.fears for item in saved.handlers}
        self.now = {(row.role, row.id): row for row in ground.plan.rows}
        self.plan, self.sight = ground.plan, ground.sight
        self.marks, self.secrets = ground.marks, ground.marks.secrets(ground.host)
        self.left = {row.id for row in ground.plan.pending if row.verdict == "change"}

    def row(self, now: Row) -> Iterator[Moved]:
        """Compare a row that is to be changed, or may, with its like in the saved plan."""
        planned = self.saved.get((now.role, now.id))
        if planned is None:
            yield self._moved(now.id, f"is not in the plan, and {_SHALL[now.action]} now")
        elif now.verdict == "maybe":
            if planned.verdict == "ok":
                yield self._moved(now.id, f"may change after {', '.join(now.because)} now")
        elif planned.verdict != "maybe" or self.left.issuperset(planned.because):
            # other values bring other fears
            parts = list(self._values(planned, now)) or list(self._feared(planned, now))
            if parts:
                yield self._moved(now.id, "; ".join(parts))

    def gone(self) -> Iterator[Moved]:
        """Yield the changes that no role asks for any more.

        A plan that is half done has changed the facts that roles go by: less is left, not other.
        """
        changes = {key: row for key, row in self.saved.items() if row.verdict == "change"}
        begun = any(key in self.now and row.id not in self.left for key, row in changes.items())
        for key, row in changes.items():
            if key not in self.now and not begun:
                what = f"{_SHALL[row.action]} by the plan, and no role asks for it any more"
                yield self._moved(row.id, what)

    def handlers(self) -> Iterator[Moved]:
        """Yield the handlers that would run and that the plan does not announce."""
        notices = (notice for role in self.plan.roles for notice in role.notices)
        for name, notice in {notice.handler.id: notice for notice in notices}.items():
            if name not in self.fears:
                yield self._moved(name, "would run, which is not in the plan")
            elif more := _stems(notice.fears) - _stems(self.fears[name]):
                yield self._moved(name, _alarm(more))

    def _values(self, planned: SavedRow, now: Row) -> Iterator[str]:
        """Yield what is not as planned of the values, on either side."""
        resource = self._resource(now)
        state = self.sight.states[now.role][now.id]
        expected = self.marks.state(resource, resource.expected(), self.secrets)
        actual = self.marks.state(resource, state, self.secrets)
        if expected != planned.expected:
            keys = ", ".join(sorted(_differing(planned.expected, expected)))
            yield f"{keys} shall be something else now" if keys else "shall be something else now"
            return
        wrong = {
            key
            for key in _differing(planned.actual, actual)
            if not self._announced(now, key)
            # half a row may be done already: what was begun is there, and lacks the rest
            and not (expected and actual and _same(key, expected, actual))
            and not (planned.actual is None and state and not state.get(key, True))
        }
        if actual is None and planned.actual is not None:
            yield "was there when it was planned, and is absent now"
        elif planned.actual is None and wrong & (expected or actual or {}).keys():
            yield "was absent when it was planned, and is there now"
        elif planned.actual is not None:
            for key in sorted(wrong):
                yield self._change(planned, resource, state, key)

    def _announced(self, now: Row, key: str) -> bool:
        """Say whether it is a restart that the plan announced and a run that died left due."""
        return key == DUE and any(name.startswith(f"{now.id}:") for name in self.fears)

    def _change(self, planned: SavedRow, resource: Resource, state: State | None, key: str) -> str:
        """Say from what to what a key moved, where that can be shown."""
        was = planned.before.get(key)
        wanted = resource.expected() or {}
        if was is None and planned.actual and planned.expected:
            was = wanted.get(key) if _same(key, planned.actual, planned.expected) else None
        now = (state or {}).get(key)
        if key in resource.secret or MASK in {was, now}:
            return f"{key} differs"
        texts = [_text(was), _text(now)]
        if None in texts:
            return f"{key} differs from what was planned from"
        return f"{key} was planned from {texts[0]}, is now {texts[1]}"

    @staticmethod
    def _feared(planned: SavedRow, now: Row) -> Iterator[str]:
        if planned.verdict == "change" and (more := _stems(now.fears) - _stems(planned.fears)):
            yield _alarm(more)

    def _resource(self, row: Row) -> Resource:
        return next(item for item in self.sight.resources[row.role] if item.id == row.id)

    def _moved(self, name: str, what: str) -> Moved:
        return Moved(self.host, name, what)


def _first(name: str) -> str:
    return name.partition(".")[0]


def _differing(one: Marked, other: Marked) -> set[str]:
    """Return the names of what two marked states do not share."""
    before, after = one or {}, other or {}
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def _same(key: str, one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return key in one and one[key] == other.get(key)


def _text(value: Value | None) -> str | None:
    """Return a value as it is shown on one line; None where it is none or too long for that."""
    if value is None:
        return None
    text = str(value).lower() if isinstance(value, bool) else str(value) or "''"
    return text if len(text) <= _SHORT and "\n" not in text else None


def _stems(fears: tuple[str, ...]) -> set[str]:
    """Return what is to be feared, however many containers run."""
    return {_WHILE.sub(" while containers run", fear) for fear in fears}


def _alarm(fears: set[str]) -> str:
    return f"{', '.join(sorted(fears))}, of which the plan does not warn"
