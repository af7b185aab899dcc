"""Tasks on who has a host: lock it by hand, take a lock away, read what was done there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.cli.command import FAILED, OK, Options, command

if TYPE_CHECKING:
    from collections.abc import Callable

    from provision.fleet import Visit
    from provision.host.hold import Hold


@command(
    *("inventory", "host", "group", "forks", "format"),
    helps={"why": "Lock the hosts by hand, for this reason; without it they are only looked at."},
)
def lock(options: Options, *, why: str = "") -> int:
    """Show who has the hosts; with --why lock them by hand, until inv unlock."""
    from provision.host.hold import hold_of, take_by_hand

    def work(visit: Visit) -> Hold:
        if why:
            take_by_hand(visit.connection, why)
        return hold_of(visit.connection)

    return _holds(options, "lock" if why else "look", work)


@command(
    *("inventory", "host", "group", "forks", "format"),
    helps={"why": "The reason, which the journal of the host keeps."},
)
def unlock(options: Options, *, why: str = "") -> int:
    """Take the lock of hosts away, whoever has it; what still runs there goes on."""
    from provision.errors import UsageError
    from provision.host.hold import take_away

    if not why:
        raise UsageError(
            "a lock is not taken away without a reason",
            where="--why",
            remedy="Look with inv lock who has it; then: inv unlock --host gpu01 --why 'reason'.",
        )
    if not (options.host or options.group):
        raise UsageError(
            "which hosts?", where="--host", remedy="Name them: inv unlock --host gpu01 --why …"
        )
    return _holds(options, "unlock", lambda visit: take_away(visit.connection, why))


@command(
    *("inventory", "host", "group", "forks", "format"),
    helps={"last": "Runs of each host that are shown (20)."},
)
def history(options: Options, *, last: int = 20) -> int:
    """Show what was done on hosts, when and by whom, as their journals have it."""
    from provision.cli.run import Run
    from provision.fleet import visit as visit_all
    from provision.host.hold import history as read
    from provision.report.history import print_history, runs
    from provision.report.machine import write_json

    found = {}

    def work(visit: Visit) -> None:
        visit.connection.open()
        found[visit.host.name] = runs(read(visit.connection))[-last:]

    with Run(options) as run:
        with run.progress("history", len(run.hosts)) as watch:
            run.visits = visit_all(run.hosts, work, run.forks, watch)
        if options.format == "json":
            write_json(
                {"hosts": {name: [one._asdict() for one in some] for name, some in found.items()}}
            )
        print_history(run.stdout if options.format == "text" else run.stderr, run.visits, found)
        return FAILED if any(visit.error for visit in run.visits) else OK


def _holds(options: Options, title: str, work: Callable[[Visit], Hold]) -> int:
    """Do something about the locks of all hosts, and show who has or had them."""
    from provision.cli.run import Run
    from provision.fleet import visit as visit_all
    from provision.report.history import holds_document, print_holds
    from provision.report.machine import write_json

    holds: dict[str, Hold] = {}

    def one(visit: Visit) -> None:
        visit.connection.open()
        holds[visit.host.name] = work(visit)

    with Run(options) as run:
        with run.progress(title, len(run.hosts)) as watch:
            run.visits = visit_all(run.hosts, one, run.forks, watch)
        if options.format == "json":
            write_json(holds_document(run.visits, holds))
        else:
            print_holds(run.stdout, run.visits, holds)
        return FAILED if any(visit.error for visit in run.visits) else OK
