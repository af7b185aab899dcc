"""The laws of a run that goes on: what passed is not run again until the tree changes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
LAWS = """
import pytest, time

@pytest.fixture
def end():
    yield
    assert open("bad").read() != "at its end"

def test_a_good(): pass
def test_b_bad(end): assert open("bad").read() != "yes"
def test_c_slow(): time.sleep(float(open("slow").read()))
def test_d_after(): pass
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a git checkout with tests of which one fails, and files that git ignores."""
    for name, text in {
        "test_some.py": LAWS,
        "pytest.ini": "[pytest]\n",
        ".gitignore": "bad\nslow\n.pytest_cache\n__pycache__\n",
        "bad": "yes",
        "slow": "0",
    }.items():
        (tmp_path / name).write_text(text)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    return tmp_path


def test_what_passed_is_left_out_and_what_failed_is_not(tree: Path) -> None:
    """The second run has the test that failed alone, and the third, when it passed, none."""
    assert counts(run(tree)) == {"passed": 3, "failed": 1}
    assert counts(run(tree)) == {"deselected": 3, "failed": 1}
    (tree / "bad").write_text("")
    assert counts(run(tree)) == {"deselected": 3, "passed": 1}
    done = run(tree)
    assert (done.returncode, counts(done)) == (0, {"deselected": 4})


def test_a_test_that_fails_at_its_end_has_not_passed(tree: Path) -> None:
    """What a fixture finds after the test counts too."""
    (tree / "bad").write_text("at its end")
    assert counts(run(tree)) == {"passed": 4, "error": 1}
    assert counts(run(tree)) == {"deselected": 3, "passed": 1, "error": 1}


def test_an_aborted_run_is_gone_on_with(tree: Path) -> None:
    """A session killed in the midst of a test begins with that test the next time."""
    (tree / "slow").write_text("60")
    session = subprocess.Popen(ARGV, cwd=tree, env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    ends = time.monotonic() + 20
    while "test_a_good" not in noted(tree):
        assert time.monotonic() < ends
        time.sleep(0.05)
    session.send_signal(signal.SIGKILL)
    session.wait()
    (tree / "slow").write_text("0")
    assert counts(run(tree)) == {"deselected": 1, "failed": 1, "passed": 2}


@pytest.mark.parametrize("name", ["test_some.py", "new.py"])
def test_another_tree_begins_anew(tree: Path, name: str) -> None:
    """A changed file, or a new one, may change what any test finds."""
    run(tree)
    with (tree / name).open("a") as file:
        file.write("\n")
    assert counts(run(tree)) == {"passed": 3, "failed": 1}


def test_a_file_that_is_removed_makes_all_run_again(tree: Path) -> None:
    """The run names the file in which it looks, so that nobody is stuck with what passed once."""
    run(tree)
    (named,) = re.findall(r"anew: rm (\S+)", run(tree).stdout)
    Path(named).unlink()
    assert counts(run(tree)) == {"passed": 3, "failed": 1}


def test_without_a_checkout_nothing_is_left_out_in_silence(tmp_path: Path) -> None:
    """Where git cannot tell what the tree is, resuming is refused in one line."""
    done = run(tmp_path)
    assert done.returncode != 0
    assert "It needs a git checkout." in done.stderr


@pytest.mark.parametrize(("target", "count"), [("test", 0), ("test-all", 3)])
def test_make_test_all_runs_all_and_goes_on(target: str, count: int) -> None:
    """Pure tests and those of the lab resume, and matrices are whole, in `make test-all` alone."""
    words = ["make", "--dry-run", "--no-print-directory", target]
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=True)
    tests = [line for line in done.stdout.splitlines() if "-m pytest" in line]
    whole = [re.search(r"^PROVISION_SHARD=1/1 .* --resume\b", line) for line in tests]
    assert (len(tests), sum(map(bool, whole))) == (3, count)


ARGV = [sys.executable, "-m", "pytest", "-p", "resume", "--resume"]
ENVIRONMENT = {
    **os.environ,
    "PYTEST_ADDOPTS": "",
    "PYTHONPATH": str(Path(__file__).parent),
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # in order, and begun sooner
}


def run(tree: Path) -> subprocess.CompletedProcess[str]:
    """Run the tests of a tree, or what is left of them."""
    return subprocess.run(
        ARGV, cwd=tree, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )


def counts(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """Return what pytest's last line counts."""
    *_, last = done.stdout.strip().splitlines()
    return {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|error|deselected)", last)}


def noted(tree: Path) -> str:
    """Return what is written down of passed tests."""
    return "".join(file.read_text() for file in tree.glob(".pytest_cache/d/passed/*"))
