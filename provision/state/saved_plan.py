"""The saved plan: what was shown, and marks of everything that it was made from."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, Protocol

from pydantic import BaseModel, ConfigDict

from provision.inventory.schema import Host
from provision.secret import redact
from provision.state.plan import HostPlan, Row
from provision.state.resource import Resource, State
from provision.state.saved_plan_marks import Marks, digest_of_tree

_PACKAGE: Final = Path(__file__).resolve().parents[1]
_LAB: Final = "lab"
"""Where hosts are rehearsed on: no plan is made from it."""


class Sight(Protocol):
    """What a plan was made from: the resources and states of each role."""

    @property
    def resources(self) -> Mapping[str, Sequence[Resource]]:
        """The resources of each role."""

    @property
    def states(self) -> Mapping[str, Mapping[str, State | None]]:
        """The state of each resource, by role and id."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Asked(_Data):
    """What the plan was asked for."""

    hosts: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    force: bool = False


class Sources(_Data):
    """Digests of what stands on the controller and makes a plan."""

    version: str
    """The tool's."""
    tool: str
    """Of the tool's own files."""
    roles: dict[str, str]
    """Of each folder `roles/<name>` that had its part in it."""
    templates: dict[str, str]
    """Of each folder `templates/<name>`; empty where a role has none."""


class SavedRow(Row):
    """A row as it was shown, and marks of the two states that it compared."""

    actual: dict[str, str] | None
    expected: dict[str, str] | None


class SavedHandler(_Data):
    """A handler that would run."""

    id: str
    title: str
    fears: tuple[str, ...]


class SavedHost(_Data):
    """The plan of one host, or why it has none."""

    host: str
    error: str = ""
    settings: dict[str, str] = {}
    """Marks of all its settings, by their dotted names."""
    rows: tuple[SavedRow, ...] = ()
    handlers: tuple[SavedHandler, ...] = ()

    @property
    def pending(self) -> tuple[SavedRow, ...]:
        """Return the rows that change something, or may."""
        return tuple(row for row in self.rows if row.verdict != "ok")


class SavedPlan(_Data):
    """A plan as `inv plan --out` leaves it for `inv apply`."""

    by: str
    """Who made it."""
    at: datetime
    inventory: Path
    asked: Asked
    sources: Sources
    salt: str
    hosts: tuple[SavedHost, ...]


def new_salt() -> str:
    """Return a salt for the marks of one plan, in hexadecimal."""
    return secrets.token_hex(16)


def saved_host(host: Host, plan: HostPlan, sight: Sight, marks: Marks) -> SavedHost:
    """Return the plan of one host, with marks in place of what it was made from."""
    settings, hidden = marks.settings(host), marks.secrets(host)
    wanted = {(role, item.id): item for role, some in sight.resources.items() for item in some}

    def saved(row: Row) -> SavedRow:
        resource = wanted[row.role, row.id]
        return SavedRow(
            **_shown(row).model_dump(),
            actual=marks.state(resource, sight.states[row.role][row.id], hidden),
            expected=marks.state(resource, resource.expected(), hidden),
        )

    notices = {item.handler.id: item for role in plan.roles for item in role.notices}
    return SavedHost(
        host=host.name,
        settings=settings,
        rows=tuple(saved(row) for row in plan.rows),
        handlers=tuple(
            SavedHandler(id=name, title=item.handler.command.title, fears=item.fears)
            for name, item in notices.items()
        ),
    )


def unplanned(host: str, error: str) -> SavedHost:
    """Return a host that has no plan, and why."""
    return SavedHost(host=host, error=redact(error))


def sources_of(project: Path, roles: Iterable[str]) -> Sources:
    """Return the digests of the tool and of some roles of a project, as they are now."""
    names = sorted(set(roles))
    return Sources(
        version=version("provision"),
        tool=digest_of_tree(_PACKAGE, without=(_LAB,)),
        roles={name: digest_of_tree(project / "roles" / name) for name in names},
        templates={name: digest_of_tree(project / "templates" / name) for name in names},
    )


def _shown(row: Row) -> Row:
    """Return the row with every secret masked that stands in a text by chance."""
    return row.model_copy(
        update={
            "before": _masked(row.before),
            "after": _masked(row.after),
            "note": redact(row.note),
            "fears": tuple(map(redact, row.fears)),
        }
    )


def _masked(values: Mapping[str, str | int | bool]) -> dict[str, str | int | bool]:
    return {
        key: redact(value) if isinstance(value, str) else value for key, value in values.items()
    }
