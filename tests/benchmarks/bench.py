"""The benchmark: `provision` beside its peers and the floors, one table.

Each contestant has one run that does not count and then RUNS that do; the table has their medians.
A contestant that is slow has only the one, and that is said. All of them begin without a connection,
on the same hosts, one after the other in turn, so that a change of the machine's speed meets all.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

import environments
from contestants import Work, call
from machines import down, machines
from measure import Run, run
from places import BASE, DELAYED, DIRECT, HERE

RUNS: Final = 5
SLOW: Final = 30  # seconds after which a contestant has one run alone
CAP: Final = 300
ONE_WAY: Final = 25  # milliseconds
_FAR: Final = ", far"


class Cell(NamedTuple):
    """A piece of work on N hosts, and who does it."""

    work: Work
    count: int
    tools: tuple[str, ...]
    delayed: bool = False


FLOORS: Final = ("fabric", "ssh")
CELLS: Final = (
    Cell("noop", 1, ("provision", *FLOORS, "pyinfra", "ansible-tuned", "ansible-default")),
    Cell("noop", 8, ("provision", *FLOORS, "pyinfra", "ansible-tuned", "ansible-default")),
    Cell("noop", 64, ("provision", *FLOORS, "pyinfra", "ansible-tuned")),
    Cell("change", 32, ("provision", "fabric", "pyinfra")),
    Cell("sweep", 64, ("provision", *FLOORS, "pyinfra")),
    Cell("noop", 8, ("provision", "fabric", "pyinfra"), delayed=True),
    Cell("change", 8, ("provision", "fabric", "pyinfra"), delayed=True),
    Cell("sweep", 8, ("provision", "fabric"), delayed=True),
    Cell("noop", 500, ("provision", "fabric")),
)


def main() -> None:
    """Measure what is asked for, and print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", help="noop, change or sweep alone")
    parser.add_argument("--hosts", type=int, help="with so many hosts alone")
    parser.add_argument("--tools", help="these contestants alone: provision,fabric,…")
    parser.add_argument("--runs", type=int, default=RUNS)
    asked = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("The hosts here are sshd processes with mounts of their own: run as root.")
    down()
    environments.make()
    cells = [
        cell
        for cell in CELLS
        if asked.work in {None, cell.work} and asked.hosts in {None, cell.count}
    ]
    with machines(max(cell.count for cell in cells)):
        for cell in cells:
            wanted = asked.tools.split(",") if asked.tools else cell.tools
            with delay(cell.count if cell.delayed else 0):
                show(
                    cell,
                    measured(cell, [tool for tool in cell.tools if tool in wanted], asked.runs),
                )


def measured(cell: Cell, tools: Sequence[str], runs: int) -> dict[str, list[Run]]:
    """Let the contestants run in turn; where the hosts are far, near them too, to be compared."""
    ways = [(tool, DIRECT, tool) for tool in tools]
    if cell.delayed:
        ways = [
            (f"{tool}{_FAR if far else ''}", DELAYED if far else DIRECT, tool)
            for tool in tools
            for far in (False, True)
        ]
    found: dict[str, list[Run]] = {}
    for turn in range(runs + 1):
        for name, port, tool in ways:
            called = call(tool, cell.work, cell.count, port)
            over = name in found and (found[name][0].seconds > SLOW or found[name][0].wrong)
            if called is None or over:
                continue
            sys.stderr.write(f"\r{cell.work} {cell.count}: {name} {turn}/{runs}\033[K")
            one = run(called, cell.work, cell.count, CAP)
            found[name] = [*found.get(name, []), one] if turn != 1 else [one]
    sys.stderr.write("\r\033[K")
    return found


def show(cell: Cell, found: dict[str, list[Run]]) -> None:
    """Print one table, and keep it for programs."""
    far = f", {ONE_WAY} ms one way" if cell.delayed else ""
    lines = [
        f"\n{cell.work}, {cell.count} hosts{far} ({machine()})",
        f"{'':16} {'wall s':>8} {'(min-max)':>15} {'cpu s':>7} {'MiB':>6} {'conn':>5} {'exec':>5}  runs",
    ]
    for tool, runs in found.items():
        if runs[0].wrong:
            lines.append(f"{tool:16} {runs[0].wrong}")
            continue
        wall = [each.seconds for each in runs]
        middle = {name: statistics.median(getattr(each, name) for each in runs) for name in FIGURES}
        lines.append(
            f"{tool:16} {statistics.median(wall):8.2f} {f'({min(wall):.2f}-{max(wall):.2f})':>15} "
            f"{middle['cpu']:7.2f} {middle['memory_mib']:6.0f} {middle['connections']:5.1f} "
            f"{middle['sessions']:5.1f}  {len(runs)}{_growth(tool, found)}"
        )
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    with (BASE / "results.jsonl").open("a") as file:
        for tool, runs in found.items():
            row = {"tool": tool, **cell._asdict(), "at": time.time(), "runs": runs}
            file.write(json.dumps(row) + "\n")


def _growth(tool: str, found: Mapping[str, Sequence[Run]]) -> str:
    """Say by how many round trips a run takes longer far away than near."""
    near = tool.removesuffix(_FAR)
    if near == tool or not found.get(near):
        return ""
    far, direct = (statistics.median(each.seconds for each in found[name]) for name in (tool, near))
    return f"  {(far - direct) * 1000 / (2 * ONE_WAY):+.1f} round trips"


FIGURES: Final = ("cpu", "memory_mib", "connections", "sessions")


def machine() -> str:
    """Return what this machine is, as far as it matters here."""
    return (
        f"{os.cpu_count()} cores, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}"
    )


@contextmanager
def delay(count: int) -> Iterator[None]:
    """Run the far network before so many hosts."""
    if not count:
        yield
        return
    words = [sys.executable, str(HERE / "delay.py"), str(count), str(ONE_WAY)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as proxy:
        assert proxy.stdout is not None
        proxy.stdout.readline()
        try:
            yield
        finally:
            proxy.terminate()


if __name__ == "__main__":
    main()
