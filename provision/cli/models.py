"""The task about models: their state on hosts, their lock file, their hashes, their leftovers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.cli.command import FAILED, OK, Options, command

if TYPE_CHECKING:
    from provision.cli.run import Run
    from provision.inventory.schema import Host


@command(
    "inventory",
    "host",
    "group",
    "forks",
    "format",
    helps={
        "lock": "Ask the hubs for the files of models that are not in the lock file yet.",
        "upgrade": "Ask the hubs for all models anew: branches may have moved.",
        "verify_hashes": "Read every file again and compare it with its digest.",
        "prune": "Remove the snapshots that nothing wants any more.",
    },
)
def models(  # noqa: PLR0913  one flag for each thing to be done
    options: Options,
    *,
    lock: bool = False,
    upgrade: bool = False,
    verify_hashes: bool = False,
    prune: bool = False,
    dry_run: bool = False,
    yes: bool = False,
) -> int:
    """Show which models each host has; or lock, upgrade, verify or prune them."""
    from provision.cli.run import Run

    work = {"--lock": lock, "--upgrade": upgrade, "--verify-hashes": verify_hashes}
    _refuse(work | {"--prune": prune}, {"--yes": yes, "--dry-run": dry_run or options.dry})
    if lock or upgrade:
        return _lock(options, upgrade=upgrade)
    with Run(options) as run:
        run.hosts = _with_models(run)
        if verify_hashes:
            return run.audit()
        if prune:
            return _prune(run, dry_run=dry_run or options.dry, yes=yes)
        return _show(run)


def _refuse(work: dict[str, bool], asking: dict[str, bool]) -> None:
    from provision.errors import UsageError

    chosen = [flag for flag, given in work.items() if given]
    if len(chosen) > 1:
        raise UsageError("one at a time", where=" ".join(chosen), remedy="Leave one out.")
    for flag, given in asking.items():
        if given and chosen != ["--prune"]:
            raise UsageError("only --prune removes anything", where=flag, remedy="Leave it out.")


def _with_models(run: Run) -> list[Host]:
    """Return the selected hosts as if the role `models` were their only one."""
    from provision.errors import UsageError
    from provision.serving.roles import MODELS

    hosts = [
        host.model_copy(update={"roles": (MODELS,), "gpus": 0 if host.gpus == 0 else None})
        for host in run.hosts
        if MODELS in host.roles
    ]
    if not hosts:
        raise UsageError(
            "no selected host has the role 'models'",
            where="models",
            remedy="Add it to a group's roles, and the models under models.wanted.",
        )
    return hosts


def _lock(options: Options, *, upgrade: bool) -> int:
    """List models for the whole inventory: the lock file lies beside it."""
    from provision.cli.selection import loaded
    from provision.report.console import consoles
    from provision.report.machine import write_json
    from provision.report.models import lock_document, print_lock
    from provision.serving.models import relock

    stdout, stderr = consoles()
    hosts = loaded(options).hosts.values()
    stderr.print("Asking the hubs …")
    done = relock(hosts, upgrade=upgrade)
    if options.format == "json":
        write_json(lock_document(done))
    else:
        print_lock(stdout, done)
    return FAILED if any(change.error for changes in done.values() for change in changes) else OK


def _show(run: Run) -> int:
    from provision.report.machine import write_json
    from provision.report.models import models_document, print_models

    run.plan()
    if run.options.format == "json":
        write_json(models_document(run.visits))
    else:
        print_models(run.stdout, run.visits)
    return run.plan_code()


def _prune(run: Run, *, dry_run: bool, yes: bool) -> int:
    """Plan with a role that removes what is not wanted, and apply it like any other."""
    from provision.serving.models import models_of

    run.hosts = [
        host.model_copy(update={"roles": ("prune",), "variables": {"prune": role.leftovers()}})
        for host in run.hosts
        if (role := models_of(host))
    ]
    return run.plan_and_apply(dry_run=dry_run, yes=yes, show_commands=False)
