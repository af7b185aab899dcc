"""Tasks on services: deploy them host by host with a health gate, and roll them back."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from provision.cli.command import Options, command
from provision.errors import UsageError

if TYPE_CHECKING:
    from provision.host.steps import Caller
    from provision.rollout import Rollout

CANARY: Final = "Hosts at once: 1, 4 or 25%. Without it one host goes first, then all others."


@command("inventory", "host", "group", "forks", "format", helps={"serial": CANARY})
def deploy(  # noqa: PLR0913  each is a flag
    options: Options,
    *,
    service: str = "",
    serial: str = "",
    max_fail: str = "",
    dry_run: bool = False,
    yes: bool = False,
    show_commands: bool = False,
    force: bool = False,
) -> int:
    """Bring services up, call them, and go back to the release before where they fail."""
    from provision.cli.run import Run
    from provision.cli.services import named, with_only, with_services
    from provision.serving.calls import ServiceCaller
    from provision.serving.deployment import Deployment
    from provision.serving.roles import DEPLOY

    with Run(options) as run:
        run.hosts = with_services(run.hosts, "deploy")
        role = Deployment(only=named(service, run.hosts))
        run.hosts = [with_only(DEPLOY, role, host) for host in run.hosts]
        run.caller, run.force = ServiceCaller(), force
        batches = rollout(serial, max_fail, len(run.hosts), run.caller)
        return run.plan_and_apply(
            dry_run=dry_run or options.dry, yes=yes, show_commands=show_commands, rollout=batches
        )


def rollout(
    serial: str, max_fail: str, hosts: int, caller: Caller | None = None, *, canary: bool = True
) -> Rollout:
    """Read `--serial` and `--max-fail`: numbers of hosts, or shares of them.

    Without `--serial` a `canary` goes first, or all go at once. Hosts that could not be planned
    count as failed where `--max-fail` says how many may be.
    """
    from provision.rollout import Rollout

    batches: tuple[int, ...] = (1, hosts) if canary else ()
    if serial:
        batches = (_at_once(serial, hosts),)
    may_fail = _may_fail(max_fail or "0", hosts)
    return Rollout(batches, may_fail, caller, counts_lost=bool(max_fail))


def _at_once(text: str, hosts: int) -> int:
    """Return the size of a batch; a share of it is rounded up."""
    if not re.fullmatch(r"[1-9]\d{0,5}|[1-9]\d?%|100%", text):
        raise UsageError(
            f"expected hosts at once, got '{text}'", where="--serial", remedy="Write 1, 4 or 25%."
        )
    return math.ceil(_hosts(text, hosts))


def _may_fail(text: str, hosts: int) -> int:
    """Return how many hosts may fail; a share is rounded down."""
    if not re.fullmatch(r"\d{1,6}|\d{1,2}%|100%", text):
        raise UsageError(
            f"expected a number of hosts or their share, got '{text}'",
            where="--max-fail",
            remedy="Write 0, 2 or 10%.",
        )
    return math.floor(_hosts(text, hosts))


def _hosts(text: str, hosts: int) -> float:
    number = int(text.rstrip("%"))
    return hosts * number / 100 if text.endswith("%") else number
