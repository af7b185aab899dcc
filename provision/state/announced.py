"""What was shown is what is applied: whether a plan made later holds anything that was not shown."""

from __future__ import annotations

from collections.abc import Iterable

from provision.errors import PlanError
from provision.state.plan import HostPlan, RolePlan, Row


def refuse_unlisted(shown: HostPlan, now: RolePlan) -> None:
    """Raise `PlanError` when `now` holds a change or a handler that `shown` did not announce."""
    announced = {(row.role, row.id): row for row in shown.pending}
    # A resource that several roles yield alike is listed with the first of them.
    elsewhere = {row.id: row for row in shown.pending} | {
        row.id: None for row in _of(shown, now.role)
    }
    for row in now.pending:
        before = announced.get((row.role, row.id)) or elsewhere.get(row.id)
        if row.verdict == "maybe" or (before and before.verdict == "maybe"):
            continue
        if before is None or not _is_part(row, before):
            raise _unlisted(row.id)
    handlers = {notice.handler.id for role in shown.roles for notice in role.notices}
    for notice in now.notices:
        if notice.handler.id not in handlers:
            raise _unlisted(notice.handler.id)


def _is_part(row: Row, shown: Row) -> bool:
    """Say whether a change does what was shown, or less of it, to what was shown."""
    # What was not there when it was shown may have been created by an earlier role, our part not.
    alike = {row.action, shown.action} <= {"create", "update"} or row.action == shown.action
    return (
        alike
        and row.after.items() <= shown.after.items()
        and row.before.items() <= shown.before.items()
    )


def _unlisted(name: str) -> PlanError:
    return PlanError(
        "this change was not in the plan that was shown",
        where=name,
        remedy="The host moved meanwhile: plan again.",
    )


def _of(plan: HostPlan, role: str) -> Iterable[Row]:
    return (row for row in plan.rows if row.role == role)
