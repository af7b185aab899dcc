"""Tasks on hosts: plan, provision, facts, trust."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from provision.cli.command import FAILED, OK, PENDING, Options, command
from provision.cli.deploy import rollout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.facts import Facts


@command(
    "inventory",
    "host",
    "group",
    "role",
    "forks",
    "format",
    helps={"out": "File to save the plan to, for inv apply."},
)
def plan(
    options: Options, *, show_commands: bool = False, force: bool = False, out: str = ""
) -> int:
    """Show what provision would change; changes nothing."""
    from provision.cli.apply import save, sources
    from provision.cli.run import Run

    with Run(options) as run:
        run.force = force
        made_from = sources(run, Path(out)) if out else None
        run.plan()
        run.print_plan(show_commands=show_commands)
        if made_from:
            save(Path(out), run, made_from)
        return run.plan_code()


@command("inventory", "host", "group", "role", "forks", "format")
def provision(  # noqa: PLR0913  each is a flag
    options: Options,
    *,
    serial: str = "",
    max_fail: str = "",
    dry_run: bool = False,
    yes: bool = False,
    show_commands: bool = False,
    force: bool = False,
) -> int:
    """Bring hosts to the state of their roles: plan, ask, apply, probe again."""
    from provision.cli.run import Run

    with Run(options) as run:
        run.force = force
        batches = rollout(serial, max_fail, len(run.hosts), canary=False)
        return run.plan_and_apply(
            dry_run=dry_run or options.dry, yes=yes, show_commands=show_commands, rollout=batches
        )


@command(
    "inventory",
    "host",
    "group",
    "forks",
    "format",
    helps={"record": "Keep them beside the inventory, where inv check reads them."},
)
def facts(options: Options, *, record: bool = False) -> int:
    """Show what hosts are: system, GPUs, driver, Docker; changes nothing."""
    from provision.cli.run import Run
    from provision.report.facts import print_facts
    from provision.report.machine import facts_document, write_json

    with Run(options) as run:
        visits = run.gather()
        if record:
            path = _record(options, {v.host.name: v.facts for v in visits if v.facts})
            run.stderr.print(f"Recorded in {path}.", soft_wrap=True)
        if options.format == "json":
            write_json(facts_document(visits))
        else:
            print_facts(run.stdout, visits)
        return FAILED if any(visit.error for visit in visits) else OK


def _record(options: Options, seen: Mapping[str, Facts]) -> Path:
    from provision.cli.selection import path_of
    from provision.facts.record import path_beside, read, write

    path = path_beside(path_of(options))
    write(path, {**read(path), **seen})
    return path


@command("inventory", "host", "group", "forks", changes=True)
def trust(options: Options, *, yes: bool = False) -> int:
    """Show the unknown host keys of all hosts at once and record them."""
    from provision.cli.run import Run
    from provision.report.keys import print_keys
    from provision.trust import record, scan

    with Run(options) as run:
        while True:  # a gateway hides the hosts behind it until its own key is known
            with run.progress("host keys", len(run.hosts)) as watch:
                found = scan(run.hosts, run.forks, watch)
            print_keys(run.stdout, found)
            unknown = [key for key in found if key.unknown]
            if not unknown:
                return FAILED if any(key.error for key in found) else OK
            if not (yes or run.confirm(f"Trust {len(unknown)} of them?")):
                run.stderr.print("Nothing was recorded.")
                return PENDING
            for path in record(unknown):
                run.stderr.print(f"Recorded in {path}.", soft_wrap=True)
