"""Room on disks: what a plan refuses because it would not fit, with the figures."""

from __future__ import annotations

from typing import ClassVar

import pytest

from provision.errors import PlanError
from provision.state.plan import SPARE_BYTES, Ground, RolePlan, plan_role
from provision.state.resource import Command, Resource, Room, State

OLD: State = {"value": "old"}
NEW: State = {"value": "new"}


class Large(Resource):
    """A resource that takes room."""

    kind: ClassVar[str] = "large"
    device: str = "/data"
    free: int = 10 * 10**9 + SPARE_BYTES
    needs: int = 0

    def expected(self) -> State | None:
        """Want it new."""
        return NEW

    def apply(self, actual: State | None, changed: frozenset[str]) -> list[Command]:
        """Do nothing."""
        del actual, changed
        return []

    def room(self, actual: State | None, changed: frozenset[str]) -> Room | None:
        """Take it."""
        del actual, changed
        return Room(self.device, self.free, self.needs)

    def note(self, actual: State | None, changed: frozenset[str]) -> str:
        """Say how much."""
        del actual, changed
        return f"{self.needs} bytes"


def _plan(*parts: tuple[Resource, State | None]) -> RolePlan:
    found = {resource.id: state for resource, state in parts}
    return plan_role("role", [resource for resource, _ in parts], found, Ground())


def test_changes_that_fit_a_disk_but_not_together_are_refused() -> None:
    """The error has both figures and the disk; on two disks, or with one of them done, they fit."""
    a, b = (Large(name=name, needs=6 * 10**9) for name in "ab")
    with pytest.raises(PlanError) as raised:
        _plan((a, OLD), (b, OLD))
    assert str(raised.value) == (
        "large:b: 12.0 GB would go to /data, which has 11.1 GB free. "
        "Free space there, or choose another folder on a larger disk."
    )
    _plan((a, OLD), (b, NEW))
    _plan((a, OLD), (b.model_copy(update={"device": "/srv"}), OLD))
    _plan((Large(name="all", needs=10 * 10**9), OLD))
    with pytest.raises(PlanError):
        _plan((Large(name="one byte more", needs=10 * 10**9 + 1), OLD))


def test_change_that_takes_no_room_needs_none() -> None:
    """On a full disk, what is there already can still be checked and put in order."""
    full = Large(name="here", free=0)
    assert _plan((full, OLD)).rows[0].note == "0 bytes"
    assert _plan((full, NEW)).rows[0].note == ""
