"""The task that brings services back to the release in which they were validated before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.cli.command import Options, command
from provision.cli.deploy import CANARY, rollout

if TYPE_CHECKING:
    from provision.cli.run import Run
    from provision.fleet import Visit
    from provision.inventory.schema import Host
    from provision.serving.history import History, WayBack


@command("inventory", "host", "group", "forks", "format", helps={"serial": CANARY})
def rollback(  # noqa: PLR0913  each is a flag
    options: Options,
    *,
    service: str = "",
    serial: str = "",
    max_fail: str = "",
    dry_run: bool = False,
    yes: bool = False,
    show_commands: bool = False,
) -> int:
    """Bring services back to the release before and call them; where that fails they stay."""
    from provision.cli.run import Run
    from provision.cli.services import named, with_services
    from provision.serving.calls import ServiceCaller
    from provision.serving.history import History

    with Run(options) as run:
        run.hosts = with_services(run.hosts, "rollback")
        history = History(only=named(service, run.hosts))
        run.caller = ServiceCaller()
        batches = rollout(serial, max_fail, len(run.hosts), run.caller)
        run.hosts = _on_the_way_back(run, history)
        return run.plan_and_apply(
            dry_run=dry_run or options.dry, yes=yes, show_commands=show_commands, rollout=batches
        )


def _on_the_way_back(run: Run, history: History) -> list[Host]:
    """Read the history of all hosts; return each with the way back as its only role."""
    from provision.cli.services import with_only
    from provision.serving.roles import ROLLBACK

    run.hosts = [with_only(ROLLBACK, history, host) for host in run.hosts]
    run.plan()
    hosts = [with_only(ROLLBACK, way_back(visit, history), visit.host) for visit in run.visits]
    for visit in run.visits:
        visit.close()
    return hosts


def way_back(visit: Visit, history: History) -> WayBack:
    """Return the way back of a host, which is refused where its history could not be read."""
    from provision.serving.history import WayBack
    from provision.serving.roles import ROLLBACK

    if visit.seen is None:
        return WayBack(refusal=visit.error)
    return history.way_back(visit.host, visit.seen.states[ROLLBACK])
