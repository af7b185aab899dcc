"""What a plan says: verdicts, handlers, duplicates, fears, secrets, and what it refuses later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from provision.errors import PlanError
from provision.secret import MASK
from provision.state.announced import refuse_unlisted
from provision.state.kinds.directory import Directory
from provision.state.kinds.file import File
from provision.state.kinds.guarded_command import GuardedCommand
from provision.state.kinds.json_file import JsonFile
from provision.state.kinds.package import Package
from provision.state.kinds.systemd_service import SystemdService
from provision.state.plan import (
    Ground,
    HostPlan,
    RolePlan,
    Row,
    plan_host,
    plan_role,
)
from provision.state.resource import Command, Resource, State, diff

DOCKER = SystemdService(name="docker", restart_fear="restarts Docker")
RUNNING: State = {"active": True, "enabled": True}
STOPPED: State = {"active": False, "enabled": False}
CONFIG = "/etc/docker/daemon.json"
values = st.one_of(st.booleans(), st.integers(-(2**53), 2**53), st.text(max_size=20))
states = st.dictionaries(st.text(min_size=1, max_size=8), values, max_size=5)


OLD: State = {"value": "old"}
NEW: State = {"value": "new"}


class Thing(Resource):
    """A resource that wants what it is told to."""

    kind: ClassVar[str] = "thing"
    want: Mapping[str, str | int | bool] | None = Field(default_factory=lambda: dict(NEW))
    hidden: bool = False

    def expected(self) -> State | None:
        """Want it."""
        return self.want

    def apply(self, actual: State | None, changed: frozenset[str]) -> list[Command]:
        """Set it."""
        del actual, changed
        return [Command(title=f"set {self.name}", script=f"set {self.name}")]

    def disturbs(self, changed: frozenset[str]) -> str:
        """Disturb."""
        del changed
        return "disturbs"

    @property
    def secret(self) -> frozenset[str]:
        """Hide the value."""
        return frozenset({"value"}) if self.hidden else frozenset()


def _thing(name: str, **more: Any) -> Thing:
    return Thing(name=name, **more)


def _plan(*parts: tuple[Resource, State | None], ground: Ground | None = None) -> RolePlan:
    found = {resource.id: state for resource, state in parts}
    return plan_role("role", [resource for resource, _ in parts], found, ground or Ground())


def _host(
    roles: Mapping[str, list[tuple[Resource, State | None]]], containers: int = 0
) -> HostPlan:
    return plan_host(
        "gpu01",
        {role: [resource for resource, _ in parts] for role, parts in roles.items()},
        {role: {resource.id: state for resource, state in parts} for role, parts in roles.items()},
        containers,
    )


# ---------------------------------------------------------------- diff


@given(actual=states, expected=states)
def test_diff_names_exactly_the_expected_keys_that_are_not_so(
    actual: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Keys that nobody expects do not matter; `true` is not 1."""
    wrong = diff(actual, expected)
    assert wrong <= expected.keys()
    for key, value in expected.items():
        same = key in actual and (type(actual[key]), actual[key]) == (type(value), value)
        assert (key in wrong) is not same
    assert diff(expected | {"more": 1}, expected | {"more": 1}) == frozenset()


def test_absent_and_absent_is_no_difference() -> None:
    """One of the two absent is the difference `present`, both absent is none."""
    assert diff(None, None) == frozenset()
    assert diff(None, {}) == diff({}, None) == {"present"}
    assert diff({}, {}) == frozenset()
    assert diff({"live-restore": 1}, {"live-restore": True}) == {"live-restore"}


# ---------------------------------------------------------------- verdicts


def test_every_resource_has_a_row_and_its_verdict() -> None:
    """What is as expected is ok, what is not is a change, with the action in one word."""
    plan = _plan(
        (_thing("same"), NEW),
        (_thing("new"), None),
        (_thing("other"), OLD),
        (_thing("gone", want=None), OLD),
        (_thing("never", want=None), None),
        (GuardedCommand(name="do it", done_when="false", script="x"), None),
    )
    assert [(row.id, row.verdict, row.action) for row in plan.rows] == [
        ("thing:same", "ok", "none"),
        ("thing:new", "change", "create"),
        ("thing:other", "change", "update"),
        ("thing:gone", "change", "remove"),
        ("thing:never", "ok", "none"),
        ("command:do it", "change", "run"),
    ]
    assert [step.ids[0] for step in plan.steps] == [row.id for row in plan.pending]
    assert (plan.rows[2].before, plan.rows[2].after) == (OLD, NEW)


def test_a_row_may_change_after_what_changes_before_it() -> None:
    """`after` makes a converged row `maybe`, for ids of this role and of earlier ones only."""
    late = _thing("late", after=("thing:cause", "thing:other"))
    assert _plan((_thing("cause"), OLD), (late, NEW)).rows[1].because == ("thing:cause",)
    assert _plan((_thing("cause"), OLD), (late, NEW)).rows[1].verdict == "maybe"
    assert _plan((_thing("cause"), NEW), (late, NEW)).rows[1].verdict == "ok"
    assert _plan((late, NEW), (_thing("cause"), OLD)).rows[0].verdict == "ok"
    earlier = _host({"one": [(_thing("cause"), OLD)], "two": [(late, NEW)]})
    assert [row.verdict for row in earlier.rows] == ["change", "maybe"]
    assert earlier.roles[1].steps == ()


def test_only_what_differs_is_shown_and_never_what_is_carried_along() -> None:
    """A row holds the differing keys; bracketed keys stay inside."""
    resource = JsonFile(name=CONFIG, merge={"a": 1, "b": 2})
    state = resource.actual('regular file|644|root|root|17\n{"a": 1, "b": 9}\n')
    (row,) = _plan((resource, state)).rows
    assert (row.before, row.after) == ({"b": 9}, {"b": 2})


def test_secrets_are_masked_in_rows() -> None:
    """A sensitive value is a mask in `before` and `after`, its other keys are plain."""
    (row,) = _plan((_thing("key", want={"value": "s3cret", "n": 1}, hidden=True), OLD)).rows
    assert (row.before["value"], row.after) == (MASK, {"value": MASK, "n": 1})
    file = File(name="/etc/key", content="hunter2", sensitive=True)
    plan = _plan((file, file.actual(f"regular file|600|root|root|1\n{'0' * 64}  -\n")))
    assert "hunter2" not in plan.rows[0].model_dump_json()
    assert "hunter2" not in repr(file)
    assert "hunter2" not in "".join(step.command.shown for step in plan.steps)


# ---------------------------------------------------------------- handlers


def test_restart_runs_once_for_two_changes() -> None:
    """Both causes are named, the handler is listed once; what is converged notifies nobody."""
    notify = (DOCKER.restart,)
    plan = _plan(
        (_thing("a", notify=notify), OLD),
        (_thing("same", notify=notify), NEW),
        (_thing("b", notify=notify), OLD),
        (DOCKER, RUNNING),
    )
    assert [(notice.handler.id, notice.notified_by) for notice in plan.notices] == [
        ("systemd_service:docker:restart", ("thing:a", "thing:b"))
    ]


@pytest.mark.parametrize("state", [STOPPED, None], ids=["stopped", "absent"])
def test_a_service_that_does_not_run_is_not_restarted(state: State | None) -> None:
    """It will be started, and its first start reads the new configuration."""
    plan = _plan((_thing("a", notify=(DOCKER.restart,)), OLD), (DOCKER, state))
    assert plan.notices == ()


@pytest.mark.parametrize(("state", "listed"), [(STOPPED, 1), (None, 1), (RUNNING, 1)])
def test_a_service_that_an_earlier_role_starts_is_restarted(state: State, listed: int) -> None:
    """By then it runs: the later role's change needs the restart."""
    plan = _host(
        {
            "docker": [(DOCKER, state)],
            "toolkit": [(_thing("a", notify=(DOCKER.restart,)), OLD), (DOCKER, state)],
        }
    )
    assert len(plan.roles[1].notices) == listed
    assert plan.handlers_after("docker") == {"systemd_service:docker:restart"}
    assert plan.handlers_after("toolkit") == plan.handlers_after("unknown") == frozenset()


def test_a_handler_of_a_service_that_the_role_does_not_own_is_listed() -> None:
    """What nobody looked at is taken to run: a restart too much is safer than one too few."""
    assert len(_plan((_thing("a", notify=(DOCKER.restart,)), OLD)).notices) == 1


# ---------------------------------------------------------------- several roles


def test_what_two_roles_want_alike_is_listed_once() -> None:
    """The first of them has the row and the step."""
    package = Package(name="ca-certificates")
    plan = _host({"base": [(package, None)], "docker": [(package, None), (DOCKER, STOPPED)]})
    assert [(row.role, row.id) for row in plan.rows] == [
        ("base", "package:ca-certificates"),
        ("docker", "systemd_service:docker"),
    ]
    assert [step.ids for role in plan.roles for step in role.steps].count((package.id,)) == 1


def test_one_file_of_two_roles_has_a_row_for_each() -> None:
    """Disjoint keys of one json_file are two rows, each with its own keys."""
    plan = _host(
        {
            "docker": [(JsonFile(name=CONFIG, merge={"live-restore": True}), None)],
            "toolkit": [(JsonFile(name=CONFIG, merge={"features": {"cdi": True}}), None)],
        }
    )
    assert [row.after for row in plan.rows] == [{"live-restore": True}, {"features.cdi": True}]


def test_neighbouring_packages_are_one_step() -> None:
    """Apt solves them together; a resource of another kind in between makes two steps."""
    a, b, c = (Package(name=name) for name in ("aa", "bb", "cc"))
    folder = Directory(name="/etc/docker")
    together = _plan((a, None), (b, {"installed": True}), (c, None), (folder, None)).steps
    assert [step.ids for step in together] == [("package:aa", "package:cc"), (folder.id,)]
    apart = _plan((a, None), (folder, None), (c, None)).steps
    assert [step.ids for step in apart] == [("package:aa",), (folder.id,), ("package:cc",)]
    one_by_one = _plan((_thing("a"), OLD), (_thing("b"), OLD)).steps
    assert [step.ids for step in one_by_one] == [("thing:a",), ("thing:b",)]


# ---------------------------------------------------------------- fears


def test_fears_are_said_while_containers_run() -> None:
    """A restart and a disturbing change are feared when containers run, and only then."""
    parts = [(_thing("a", notify=(DOCKER.restart,)), OLD), (_thing("same"), NEW), (DOCKER, RUNNING)]
    one = _plan(*parts, ground=Ground(containers=1))
    assert one.rows[0].fears == ("disturbs while 1 container runs",)
    assert one.rows[1].fears == ()
    assert one.notices[0].fears == ("restarts Docker while 1 container runs",)
    assert _plan(*parts, ground=Ground(containers=3)).rows[0].fears == (
        "disturbs while 3 containers run",
    )
    none = _plan(*parts)
    assert (none.rows[0].fears, none.notices[0].fears) == ((), ())


def test_a_removal_is_feared_even_when_nothing_runs() -> None:
    """Some fears are the kind's own."""
    package = Package(name="docker.io", present=False)
    plan = _plan((package, {"installed": True}), ground=Ground(containers=2))
    assert plan.rows[0].fears == (
        "removes a package",
        "runs package scripts while 2 containers run",
    )


# ---------------------------------------------------------------- what was shown


def _row(role: str, name: str, verdict: str = "change", **after: str) -> Row:
    return Row(id=name, role=role, verdict=verdict, action="update", after=after)


def _shown(*rows: Row) -> HostPlan:
    roles = dict.fromkeys(row.role for row in rows)
    return HostPlan(
        host="gpu01",
        roles=tuple(
            RolePlan(role=role, rows=tuple(r for r in rows if r.role == role), steps=(), notices=())
            for role in roles
        ),
    )


SHOWN = _shown(
    _row("base", "file:/a", mode="0644", text="x"),
    _row("base", "file:/ok", "ok"),
    _row("base", "command:cdi", "maybe"),
    _row("docker", "package:shared", version="1"),
    _row("docker", "file:/own", "ok"),
)


@pytest.mark.parametrize(
    "row",
    [
        _row("base", "file:/a", mode="0644", text="x"),
        _row("base", "file:/a", mode="0644"),
        _row("base", "command:cdi", done="yes"),
        _row("base", "file:/new", "maybe"),
        _row("base", "package:shared", version="1"),
        _row("base", "file:/ok", "ok"),
    ],
    ids=["as shown", "less than shown", "announced as maybe", "still maybe", "joined", "ok"],
)
def test_what_was_announced_goes_on(row: Row) -> None:
    """The same change, a smaller one, one announced as `maybe`, or one that another role listed."""
    refuse_unlisted(SHOWN, _shown(row).roles[0])


@pytest.mark.parametrize(
    "row",
    [
        _row("base", "file:/a", mode="0600"),
        _row("base", "file:/a", owner="root", mode="0644"),
        _row("base", "file:/ok", text="y"),
        _row("base", "file:/new", text="y"),
        _row("base", "package:shared", version="2"),
    ],
    ids=["another value", "one more key", "was ok", "was not there", "joined, another value"],
)
def test_what_was_not_announced_stops_the_host(row: Row) -> None:
    """The error names the resource and says to plan again."""
    with pytest.raises(PlanError, match=rf"{row.id}: .*was shown. .*plan again"):
        refuse_unlisted(SHOWN, _shown(row).roles[0])


def test_change_of_what_somebody_else_made_meanwhile_stops_the_host() -> None:
    """A file that was to be created is not overwritten when it turns out to be there."""
    shown = Row(
        id="file:/x", role="base", verdict="change", action="create", after={"content": "a"}
    )
    now = shown.model_copy(update={"action": "update", "before": {"content": "Bob's"}})
    joined = shown.model_copy(update={"action": "update"})
    with pytest.raises(PlanError):
        refuse_unlisted(_shown(shown), _shown(now).roles[0])
    refuse_unlisted(_shown(shown), _shown(joined).roles[0])  # an earlier role made the file


# ---------------------------------------------------------------- plans as data


@given(before=states, after=states, containers=st.integers(0, 3))
def test_a_plan_survives_json(
    before: dict[str, Any], after: dict[str, Any], containers: int
) -> None:
    """Booleans stay booleans, numbers numbers and text text: a saved plan is the plan."""
    resource = _thing("a", want=after, notify=(DOCKER.restart,))
    plan = _host({"one": [(resource, before), (DOCKER, RUNNING)]}, containers)
    again = HostPlan.model_validate_json(plan.model_dump_json())
    assert again == plan
    assert repr(again) == repr(plan)


def test_a_plan_of_nothing_is_empty() -> None:
    """No roles and no resources are no changes."""
    assert _host({}).pending == ()
    assert _host({"empty": []}).roles[0].pending == ()
