"""Slow matrices: which part of them runs today, and how to run that part, or all of it, again.

A law marked `matrix` runs with a part of its parameters: another one each day, or the one that
PROVISION_SHARD names. Laws marked `matrix("name")` are together one matrix of that name. Who names
a test by its node id gets all of it.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from zlib import crc32

import pytest

PARTS: Final = 5
VARIABLE: Final = "PROVISION_SHARD"


class Shard(NamedTuple):
    """A part of every matrix; 1/1 is all of it."""

    number: int
    parts: int

    def __str__(self) -> str:
        """Return it as the variable has it."""
        return f"{self.number}/{self.parts}"

    def of(self, law: str, ids: Iterable[str]) -> frozenset[str]:
        """Return the parameter sets of one law that are in this part.

        Each is in exactly one part; only a law with fewer of them than there are parts repeats
        some, so that no part is without it.
        """
        ordered = sorted(ids)
        first = crc32(law.encode())  # laws with the same parameters run with different ones
        place = self.number - 1 + first
        mine = [id_ for n, id_ in enumerate(ordered) if n % self.parts == place % self.parts]
        return frozenset(mine or [ordered[place % len(ordered)]])


class Left(NamedTuple):
    """What a session knows of its matrices."""

    shard: Shard
    matrices: int
    left_out: int

    def __str__(self) -> str:
        """Say what is left out and how to run the same again."""
        if not self.left_out:
            return f"matrices: all of {self.matrices} tests ({VARIABLE}={self.shard})"
        return (
            f"matrices: part {self.shard}, {self.matrices - self.left_out} of {self.matrices} tests; "
            f"this part again: {VARIABLE}={self.shard} make test; all: make test-all"
        )


LEFT: Final = pytest.StashKey[Left]()


def named(value: str) -> Shard:
    """Read a part from the text of the variable."""
    found = re.fullmatch(r"(\d+)/(\d+)", value)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise pytest.UsageError(f"{VARIABLE}={value}: write k/n with 1 <= k <= n, such as 2/3.")
    return Shard(int(found[1]), int(found[2]))


def today() -> Shard:
    """Return the part of this day, by the clock of Greenwich."""
    return Shard(datetime.now(UTC).toordinal() % PARTS + 1, PARTS)


def selected(request: pytest.FixtureRequest, law: str, parameter: str) -> list[Any]:
    """Return the values of a parameter that a law of the same module runs with in this session."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    mine = [one for one in items if one.module is request.module and one.originalname == law]
    return [item.callspec.params[parameter] for item in mine]


@pytest.hookimpl(tryfirst=True)  # -k and -m select from a part, and do not move its borders
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is in other parts."""
    if any("::" in word for word in config.args):
        return
    shard = named(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else today()
    matrices: defaultdict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        marker = item.get_closest_marker("matrix")
        if marker:
            matrices[marker.args[0] if marker.args else item.nodeid.partition("[")[0]].append(item)
    left_out = [
        item
        for law, found in matrices.items()
        for mine in [shard.of(law, [one.nodeid for one in found])]
        for item in found
        if item.nodeid not in mine
    ]
    gone = set(left_out)
    items[:] = [item for item in items if item not in gone]
    config.hook.pytest_deselected(items=left_out)
    config.stash[LEFT] = Left(shard, sum(map(len, matrices.values())), len(left_out))


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> list[str]:
    """Print the part before the tests."""
    left = config.stash.get(LEFT, None)
    return [str(left)] if left and any(item.get_closest_marker("matrix") for item in items) else []


def pytest_configure(config: pytest.Config) -> None:
    """Let all processes of a session have the same part, even when the day ends meanwhile."""
    if config.getoption("numprocesses", None):
        os.environ.setdefault(VARIABLE, str(today()))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that prints what this one has left out."""
    left = session.config.stash.get(LEFT, None)
    matrices = any(item.get_closest_marker("matrix") for item in session.items)
    if left and matrices and hasattr(session.config, "workeroutput"):
        session.config.workeroutput["matrices"] = [str(left.shard), left.matrices, left.left_out]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear from a process of a session what it has left out: all leave out the same."""
    shard, *counts = getattr(node, "workeroutput", {}).get("matrices", [None])
    if shard:
        node.config.stash[LEFT] = Left(named(shard), *counts)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print it once more where failures are read."""
    session = terminalreporter._session  # noqa: SLF001  the one way to the tests that ran
    lines = pytest_report_collectionfinish(config, session.items if session else [])
    if config.getoption("numprocesses", None) and LEFT in config.stash:
        lines = [str(config.stash[LEFT])]
    for line in lines:
        terminalreporter.write_line(line)
