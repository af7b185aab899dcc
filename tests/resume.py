"""What passed in this state of the tree, so that a run that was aborted goes on where it was.

With `--resume` a test that passed is left out until a file of the tree changes.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

LEFT_OUT: Final = pytest.StashKey[int]()


def state(tree: Path) -> str:
    """Return a hash of all files that git tracks or would track, and of the Python that runs."""
    listing = ["git", "-C", tree, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listing, capture_output=True, check=False)
    if done.returncode != 0:
        raise pytest.UsageError(
            f"--resume: {done.stderr.decode().strip()}. It needs a git checkout."
        )
    digest = hashlib.sha256(sys.version.encode())
    for name in sorted(set(done.stdout.decode().split("\0")) - {""}):
        path = tree / name
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "gone"
        digest.update(f"{name}\0{content}\0".encode())
    return digest.hexdigest()[:12]


class Passed:
    """The tests that passed, a line each, written as they end."""

    def __init__(self, file: Path) -> None:
        """Know a file, which need not be there yet."""
        self.file = file
        self._failed: set[str] = set()

    def read(self) -> frozenset[str]:
        """Return the node ids that passed."""
        return frozenset(self.file.read_text("utf-8").splitlines() if self.file.exists() else ())

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Leave out what passed."""
        passed = self.read()
        left_out = [item for item in items if item.nodeid in passed]
        items[:] = [item for item in items if item.nodeid not in passed]
        config.hook.pytest_deselected(items=left_out)
        config.stash[LEFT_OUT] = len(left_out)

    def pytest_report_collectionfinish(self, config: pytest.Config) -> str:
        """Say how many those are, and how to run them all the same."""
        left_out = config.stash.get(LEFT_OUT, 0)
        return f"resume: {left_out} passed before in this state of the tree; anew: rm {self.file}"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write a test down when setup, call and teardown were well; one that was skipped was not."""
        if not report.passed:
            self._failed.add(report.nodeid)
        if report.when == "teardown" and report.nodeid not in self._failed:
            with self.file.open("a", encoding="utf-8") as file:
                file.write(report.nodeid + "\n")

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Let a session in which nothing was left to do be a good one."""
        if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and self.read():
            session.exitstatus = pytest.ExitCode.OK


def pytest_addoption(parser: pytest.Parser) -> None:
    """Have `--resume`."""
    about = "leave out what passed before in the same state of the tree"
    parser.addoption("--resume", action="store_true", help=about)


def pytest_configure(config: pytest.Config) -> None:
    """Begin or go on, when asked to."""
    if config.getoption("--resume"):
        folder, now = config.cache.mkdir("passed"), state(config.rootpath)
        for file in folder.glob("*"):
            if file.name != now:
                file.unlink(missing_ok=True)  # another process of the same run may have done it
        config.pluginmanager.register(Passed(folder / now), "passed")
