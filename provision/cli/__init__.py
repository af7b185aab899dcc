"""The Invoke tasks: load, select, call, report, exit code."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Final

from invoke.collection import Collection

from provision.cli import (
    apply,
    check,
    deploy,
    fleet,
    inventory,
    lab,
    lock,
    models,
    render,
    rollback,
    verify,
)
from provision.cli.command import Project

_YOUNG: Final = 200_000
"""Objects made before the next look for cycles: modules and plans leave next to none, and looking
takes a fifth of the time until the first host is called."""


def namespace(project: Path) -> Collection:
    """Return the tasks of the project that stands in the folder `project`."""
    gc.set_threshold(_YOUNG)
    # inv forbids to keep what is compiled, unless asked to (--write-pyc): each start would compile anew
    sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)
    Project.folder = project
    tasks = Collection(
        fleet.plan,
        fleet.provision,
        apply.apply,
        fleet.facts,
        fleet.trust,
        lock.lock,
        lock.unlock,
        lock.history,
        models.models,
        check.check,
        render.render,
        deploy.deploy,
        rollback.rollback,
        verify.verify,
        inventory.inventory,
        inventory.explain,
        inventory.schema,
    )
    tasks.add_collection(lab.collection)
    return tasks
