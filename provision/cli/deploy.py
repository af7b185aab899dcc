"""Tasks on services: deploy them host by host with a health gate, and roll them back."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from provision.cli.command import Options, command
from provision.errors import UsageError

if TYPE_CHECKING:
    from provision.host.steps import Caller
    from provision.rollout import Rollout


@command("inventory", "host", "group", "forks", "format")
def deploy(  # noqa: PLR0913  each is a flag
    options: Options,
    *,
    service: str = "",
    serial: str = "",
    max_fail: int = 0,
    dry_run: bool = False,
    yes: bool = False,
    show_commands: bool = False,
    force: bool = False,
) -> int:
    """Bring services up, call them, and go back to the release before where they fail."""
    from provision.cli.run import Run
    from provision.cli.services import named, with_only, with_services
    from provision.serving.calls import ServiceCaller
    from provision.serving.deployment import ROLE, Deployment

    with Run(options) as run:
        run.hosts = with_services(run.hosts, "deploy")
        role = Deployment(only=named(service, run.hosts))
        run.hosts = [with_only(ROLE, role, host) for host in run.hosts]
        run.caller, run.force = ServiceCaller(), force
        batches = rollout(serial, max_fail, len(run.hosts), run.caller)
        return run.plan_and_apply(
            dry_run=dry_run or options.dry, yes=yes, show_commands=show_commands, rollout=batches
        )


def rollout(serial: str, max_fail: int, hosts: int, caller: Caller) -> Rollout:
    """Read `--serial`: a number of hosts, or their share; without it a canary goes first."""
    from provision.rollout import Rollout

    if max_fail < 0:
        raise UsageError(
            "expected a number of hosts", where="--max-fail", remedy="Write 0 or more."
        )
    if not serial:
        return Rollout((1, hosts), max_fail, caller)
    if not re.fullmatch(r"[1-9]\d{0,5}|[1-9]\d?%|100%", serial):
        raise UsageError(
            f"expected hosts at once, got '{serial}'", where="--serial", remedy="Write 1, 4 or 25%."
        )
    number = int(serial.rstrip("%"))
    size = math.ceil(hosts * number / 100) if serial.endswith("%") else number
    return Rollout((size,), max_fail, caller)
