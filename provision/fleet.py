"""Many hosts at once: a bounded pool in which a failed host is a row, never an exception."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from provision.checks.gate import before_plan, forbids_apply, refusals
from provision.errors import ProvisionError, of_host, unexpected
from provision.facts import Facts
from provision.finding import Finding
from provision.host.apply import Orders, Outcome, RowOutcome, apply_plan
from provision.host.connection import Connection
from provision.host.lock import Locks
from provision.host.look import Look, clock, look, read_facts
from provision.host.steps import Amount, Runner
from provision.inventory.schema import Host
from provision.rollout import AT_ONCE, Rollout
from provision.secret import redact
from provision.state.plan import HostPlan
from provision.state.role import Role

if TYPE_CHECKING:
    from provision.host.carrier import Carrier

FORKS = 512
"""Hosts worked on at once, unless the operator says otherwise: so many that no host of most fleets
waits for a slow one. A host that is waited for costs next to nothing."""
_MOMENT = 2.0  # seconds for what was told to stop
T = TypeVar("T")


class Watch(Protocol):
    """Who is told what happens while it happens; called from many threads."""

    def step(self, host: str, step: str, detail: str | Amount = "") -> None:
        """Host `host` is at `step`; `detail` is its last line of output, or how far it is."""

    def done(self, host: str, *, failed: bool) -> None:
        """Host `host` has ended."""

    def note(self, text: str) -> None:
        """Something happened that is about all hosts."""


@dataclass
class Visit:
    """One host and what became known of it; keeps its connection until `close`."""

    host: Host
    connection: Connection
    facts: Facts | None = None
    facts_at: float = 0.0
    """When they began to be read, by `clock`."""
    plan: HostPlan | None = None
    seen: Look | None = None
    """What the plan was made from."""
    findings: list[Finding] = field(default_factory=list)
    error: str = ""
    """Why nothing more is known; empty when all is."""
    failure: ProvisionError | None = None
    """The error itself, where it was an expected one."""
    trace: str = ""
    """The traceback behind `error`."""

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


def greet(hosts: Sequence[Host], forks: int, watch: Watch) -> list[Visit]:
    """Log in to all hosts and do nothing there."""

    def work(visit: Visit) -> None:
        watch.step(visit.host.name, "log in")
        visit.connection.open()

    return visit(hosts, work, forks, watch)


def gather(hosts: Sequence[Host], forks: int, watch: Watch) -> list[Visit]:
    """Read the facts of all hosts."""

    def work(visit: Visit) -> None:
        watch.step(visit.host.name, "read facts")
        visit.connection.open()
        visit.facts = read_facts(visit.connection)

    return visit(hosts, work, forks, watch)


def plan(
    hosts: Sequence[Host],
    selected: Iterable[str],
    forks: int,
    watch: Watch,
    *,
    force: bool = False,
) -> list[Visit]:
    """Look at all hosts and plan their roles, or those of them that were `selected`.

    `force` plans services too that will not run there as far as is known.
    """
    wanted = frozenset(selected)

    def work(visit: Visit) -> None:
        roles = roles_of(visit.host, wanted)
        watch.step(visit.host.name, "read facts")
        visit.connection.open()
        visit.facts_at = clock()
        visit.facts = read_facts(visit.connection)
        visit.findings = before_plan(visit.host, tuple(roles), visit.facts, force=force)
        refused = refusals(visit.findings)
        if refused:
            raise ProvisionError(" ".join(refused), where=visit.host.name)
        watch.step(visit.host.name, "probe")
        visit.seen = look(visit.connection, roles, visit.facts)
        visit.plan = visit.seen.plan(visit.host.name)

    return visit(hosts, work, forks, watch)


def apply(  # noqa: PLR0913  what is applied where, how, and in whose name
    visits: Sequence[Visit],
    selected: Iterable[str],
    forks: int,
    watch: Watch,
    rollout: Rollout = AT_ONCE,
    *,
    what: str = "inv provision",
) -> list[Outcome]:
    """Apply the plans of all visited hosts that have changes; each keeps its connection.

    `what` is what others read who find a host locked. Ctrl-C ends the step that each host is at; a
    second one drops the connections.
    """
    due = [visit for visit in visits if visit.plan and visit.plan.pending]
    if not due:
        return []
    wanted, stop, carrier = frozenset(selected), threading.Event(), _carrier(visits)
    locks = Locks(what)

    def work(visit: Visit) -> Outcome:
        assert visit.seen is not None  # noqa: S101  only planned visits come here
        assert visit.plan is not None  # noqa: S101
        if stop.is_set():
            return _not_begun(visit, [])
        roles = roles_of(visit.host, wanted)
        stand = (visit.seen, visit.plan, locks, visit.facts_at)
        orders = Orders(roles, *stand, stop.is_set, carrier, rollout.caller)
        return _applied(visit, orders, watch)

    def interrupted() -> None:
        stop.set()
        watch.note("Stopping what runs on the hosts. Ctrl-C again leaves at once.")
        locks.stop()

    def run(batch: Sequence[Visit]) -> list[Outcome]:
        return _pool(batch, work, forks, interrupted)

    try:
        return _in_batches(rollout, due, run, stop)
    finally:
        locks.close()
        for left_over in carrier.close():
            watch.note(redact(left_over))


def _carrier(visits: Sequence[Visit]) -> Carrier:
    """Return the carrier, which knows what bulk data the hosts share."""
    from provision.host.carrier import Carrier  # noqa: PLC0415  not before something is carried

    carrier = Carrier()
    for visit in visits:
        for bulk in visit.seen.shared if visit.seen and not visit.error else ():
            carrier.offer(visit.host, bulk)
    return carrier


def _applied(visit: Visit, orders: Orders, watch: Watch) -> Outcome:
    """Apply the plan of one host, unless a finding forbids it."""
    name = visit.host.name

    def say(step: str, detail: str | Amount) -> None:
        watch.step(name, step, detail)

    forbidden = forbids_apply(visit.findings)
    if forbidden:
        outcome = Outcome(host=name, error=of_host(name, " ".join(forbidden)))
    else:
        outcome = apply_plan(visit.connection, orders, say)
    watch.done(name, failed=bool(outcome.error))
    return outcome


def _in_batches(
    rollout: Rollout,
    due: Sequence[Visit],
    run: Callable[[Sequence[Visit]], list[Outcome]],
    stop: threading.Event,
) -> list[Outcome]:
    """Run one batch after the other, until too many hosts have failed or the operator stops."""
    outcomes: list[Outcome] = []
    for batch in rollout.split(due):
        failed = [*rollout.lost, *(outcome.host for outcome in outcomes if outcome.error)]
        if len(failed) > rollout.max_fail or stop.is_set():
            outcomes += [_not_begun(visit, failed) for visit in batch]
        else:
            outcomes += run(batch)
    return outcomes


def _not_begun(visit: Visit, failed: Sequence[str]) -> Outcome:
    """Return the outcome of a host that nobody touched, for others failed before its turn."""
    assert visit.plan is not None  # noqa: S101  only planned visits come here
    rows = tuple(
        RowOutcome(id=row.id, role=row.role, outcome="not run") for row in visit.plan.pending
    )
    why = f"after {', '.join(failed)} failed" if failed else "when the operator stopped"
    error = f"not begun {why}; nothing was touched. Run again when that is mended."
    error = of_host(visit.host.name, error)
    return Outcome(host=visit.host.name, rows=rows, error=error, begun=False)


def audit(visits: Sequence[Visit], forks: int, watch: Watch) -> list[Outcome]:
    """Check what looks right on all hosts more deeply than a probe does."""

    def work(visit: Visit) -> Outcome:
        assert visit.seen is not None  # noqa: S101  only planned visits come here
        name, errors = visit.host.name, []

        def say(step: str, detail: str | Amount) -> None:
            watch.step(name, step, detail)

        for step in visit.seen.audits:
            try:
                Runner(visit.connection, say).run([step])
            except ProvisionError as error:
                errors.append(redact(of_host(name, str(error))))
        watch.done(name, failed=bool(errors))
        return Outcome(host=name, error="\n".join(errors))

    return _pool([visit for visit in visits if visit.seen], work, forks)


def roles_of(host: Host, selected: frozenset[str]) -> dict[str, Role]:
    """Return the host's roles in order, or those of them that were selected; none that deploys."""
    roles = {name: cast("Role", host.variables[name]) for name in host.roles}
    return {
        name: role
        for name, role in roles.items()
        if not role.deploys and (not selected or name in selected)
    }


def visit(
    hosts: Sequence[Host], work: Callable[[Visit], None], forks: int, watch: Watch
) -> list[Visit]:
    """Do `work` on all hosts; whatever it raises is the row of one host, whose connection closes."""

    def one(visit: Visit) -> Visit:
        try:
            work(visit)
        except ProvisionError as error:
            visit.failure = error
            visit.error = redact(of_host(visit.host.name, str(error)))
            visit.trace = redact(traceback.format_exc())
        except Exception as error:  # noqa: BLE001  one host's surprise must not stop the others
            visit.error = redact(of_host(visit.host.name, unexpected(error)))
            visit.trace = redact(traceback.format_exc())
        if visit.error:
            visit.close()
        watch.done(visit.host.name, failed=bool(visit.error))
        return visit

    return _pool([Visit(host, Connection(host)) for host in hosts], one, forks)


def _pool(
    items: Sequence[Visit],
    work: Callable[[Visit], T],
    forks: int,
    interrupted: Callable[[], None] | None = None,
) -> list[T]:
    """Work on all items, `forks` at once; Ctrl-C drops their connections.

    With `interrupted`, which it calls then, they have a moment before to end by themselves.
    """
    pool = ThreadPoolExecutor(max_workers=max(1, min(forks, len(items))))
    futures = [pool.submit(work, item) for item in items]
    try:
        try:
            wait(futures)
        except KeyboardInterrupt:
            if interrupted is None:
                raise
            interrupted()
            _part(dict(zip(futures, items, strict=True)))
        return [future.result() for future in futures]
    except KeyboardInterrupt:
        for item in items:
            item.connection.drop()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _part(works: Mapping[Future[T], Visit]) -> None:
    """Give work that was told to stop a moment for it; then take its connections away."""
    for future in wait(works, timeout=_MOMENT).not_done:
        works[future].connection.drop()
    if wait(works, timeout=_MOMENT).not_done:
        raise KeyboardInterrupt
