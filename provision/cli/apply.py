"""The saved plan between its two tasks: `inv plan --out` writes it, `inv apply` holds it to the hosts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from provision.cli.command import FAILED, Options, Project, command
from provision.cli.deploy import rollout
from provision.errors import PlanError

if TYPE_CHECKING:
    from provision.cli.run import Run
    from provision.fleet import Visit
    from provision.inventory.schema import Host, Inventory
    from provision.state.saved_plan import SavedHost, SavedPlan, Sources
    from provision.state.saved_plan_marks import Marks
    from provision.state.saved_plan_moved import Moved


class _MovedError(PlanError):
    """Something is no longer as it was when the plan was made."""

    def __init__(self, moved: list[Moved]) -> None:
        super().__init__("the plan no longer holds")
        self.moved = moved


@command(
    "inventory",
    "host",
    "group",
    "forks",
    "format",
    positional=["file"],
    helps={
        "file": "File that inv plan --out wrote.",
        "inventory": "Inventory file, where it is not the one that the plan names.",
        "host": "Only these of the plan's hosts: gpu01, 'gpu*', '!gpu03'; repeatable.",
        "dry_run": "Check, show what is left to do, and stop.",
    },
)
def apply(  # noqa: PLR0913  each is a flag
    options: Options,
    file: str,
    *,
    serial: str = "",
    max_fail: str = "",
    dry_run: bool = False,
    show_commands: bool = False,
) -> int:
    """Apply a saved plan as it was shown; where anything moved since, say what and change nothing."""
    from provision.cli.run import Run
    from provision.cli.selection import loaded
    from provision.state.saved_plan_file import read

    plan, dry = read(Path(file)), dry_run or options.dry
    try:
        _refuse_other_sources(plan)
        options = replace(options, inventory=options.inventory or str(plan.inventory))
        inventory = loaded(options)
        with Run(options, _hosts_of(plan, inventory)) as run:
            batches = rollout(serial, max_fail, len(run.hosts), canary=False)
            _plan_again(run, plan, inventory)
            if dry or options.format != "json":
                run.print_plan(show_commands=show_commands)
            return run.plan_code() if dry else run.apply(batches)
    except _MovedError as error:
        return _report(options, plan, error.moved)


def sources(run: Run, path: Path) -> Sources:
    """Return the sources of the plan that is to be saved; called before it is made."""
    from provision.fleet import roles_of
    from provision.state.saved_plan import sources_of
    from provision.state.saved_plan_file import check_place

    check_place(path)
    roles = {role for host in run.hosts for role in roles_of(host, run.roles)}
    return sources_of(Project.folder, roles)


def save(path: Path, run: Run, made_from: Sources) -> None:
    """Save the plan of a run, with its hosts that have none: of those the operator read why.

    They do not keep the others from being applied, which then ends with exit code 1.
    """
    from provision.cli.selection import path_of
    from provision.host.lock import me
    from provision.state.saved_plan import Asked, SavedPlan, new_salt
    from provision.state.saved_plan_file import write
    from provision.state.saved_plan_marks import Marks

    options, salt = run.options, new_salt()
    marks = Marks(salt)
    for visit in run.visits:
        marks.secrets(visit.host)  # what was read is masked in the texts of all hosts
    plan = SavedPlan(
        by=me(),
        at=datetime.now(UTC).replace(microsecond=0),
        inventory=path_of(options).absolute(),
        asked=Asked(hosts=options.host, groups=options.group, roles=options.role, force=run.force),
        sources=made_from,
        salt=salt,
        hosts=tuple(_kept(visit, marks) for visit in run.visits),
    )
    write(path, plan)
    run.stderr.print(f"Saved in {path}.", soft_wrap=True)


def _kept(visit: Visit, marks: Marks) -> SavedHost:
    from provision.state.saved_plan import saved_host, unplanned

    if visit.plan is None or visit.seen is None:
        return unplanned(visit.host.name, visit.error)
    return saved_host(visit.host, visit.plan, visit.seen, marks)


def _refuse_other_sources(plan: SavedPlan) -> None:
    from provision.state.saved_plan import sources_of
    from provision.state.saved_plan_moved import moved_sources

    now = sources_of(Project.folder, plan.sources.roles)
    _refuse(moved_sources(plan.sources, now))


def _hosts_of(plan: SavedPlan, inventory: Inventory) -> Inventory:
    """Return the inventory with the plan's hosts alone, also with those that it lost."""
    from provision.inventory.schema import Host

    names = [item.host for item in plan.hosts]
    hosts = {name: inventory.hosts.get(name) or Host(name=name) for name in names}
    return replace(inventory, hosts=hosts)


def _plan_again(run: Run, plan: SavedPlan, inventory: Inventory) -> None:
    """Plan the hosts afresh and hold them against the saved plan; raise for whatever moved."""
    from provision.state.saved_plan_marks import Marks
    from provision.state.saved_plan_moved import Moved, done, moved_settings

    saved, marks = {item.host: item for item in plan.hosts}, Marks(plan.salt)
    run.roles, run.force = frozenset(plan.asked.roles), plan.asked.force
    without = [host for host in run.hosts if saved[host.name].error]
    run.hosts = [host for host in run.hosts if not saved[host.name].error]
    gone = [host.name for host in run.hosts if host.name not in inventory.hosts]
    _refuse(Moved(name, "", "is no longer in the inventory") for name in gone)
    _refuse(item for host in run.hosts for item in moved_settings(saved[host.name], host, marks))
    run.plan()
    _refuse(item for visit in run.visits for item in _moved(visit, saved[visit.host.name], marks))
    finished = sum(done(saved[visit.host.name], visit.plan) for visit in run.visits if visit.plan)
    if finished:
        run.stderr.print(f"Of the plan's changes {finished} are done already.")
    run.visits += [_unplanned(host, saved[host.name].error) for host in without]


def _moved(visit: Visit, saved: SavedHost, marks: Marks) -> Iterable[Moved]:
    from provision.state.saved_plan_moved import Ground, Moved, moved_state

    if visit.plan is None or visit.seen is None:
        return [Moved(visit.host.name, "", f"cannot be planned now: {visit.error}")]
    return moved_state(saved, Ground(visit.host, visit.plan, visit.seen, marks))


def _unplanned(host: Host, error: str) -> Visit:
    """Return the visit of a host that the plan holds no changes for, since it could not be planned."""
    from provision.fleet import Visit
    from provision.host.connection import Connection

    return Visit(host, Connection(host), error=f"{host.name}: has no plan: {error}")


def _refuse(moved: Iterable[Moved]) -> None:
    if found := list(moved):
        raise _MovedError(found)


def _report(options: Options, plan: SavedPlan, moved: list[Moved]) -> int:
    from provision.report.console import consoles
    from provision.report.machine import write_json
    from provision.report.saved_plan import moved_document, print_moved

    if options.format == "json":
        write_json(moved_document(moved))
    else:
        print_moved(consoles()[0], plan, moved)
    return FAILED
