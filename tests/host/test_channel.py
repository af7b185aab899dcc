"""The sh around a script that is a process of its own, under the shells that hosts have."""

from __future__ import annotations

import subprocess
from pathlib import Path
from shutil import which
from typing import Final

import pytest

from provision.host.channel import process

SHELLS: Final = [[path] for name in ("sh", "dash", "bash") if (path := which(name))] + [
    [path, "sh"] for path in [which("busybox")] if path
]
shells = pytest.mark.parametrize("shell", SHELLS, ids=lambda words: Path(words[0]).name)


def run(shell: list[str], script: str) -> subprocess.CompletedProcess[str]:
    """Run a script as a connection does."""
    text = process(script, {"MARK": "it's 1"})
    return subprocess.run(
        [*shell, "-s"], input=text, capture_output=True, text=True, check=False, timeout=30
    )


@shells
def test_all_that_it_says_and_its_status_come_back(shell: list[str]) -> None:
    """Both streams, quotes and what it starts as they are."""
    done = run(shell, 'echo "it\'s $MARK"; echo aside >&2; sh -c \'printf %s "$MARK"\'; exit 7')
    assert (done.returncode, done.stdout, done.stderr) == (7, "it's it's 1\nit's 1", "aside\n")


@shells
def test_a_script_that_is_killed_is_told_to_nobody(shell: list[str]) -> None:
    """Bash says which command was killed, and that is the whole script with its secrets."""
    done = run(shell, "echo begun; secret=hunter2\nkill -9 $$\necho never")
    assert (done.returncode, done.stdout) == (137, "begun\n")
    assert "hunter2" not in done.stderr
    assert "Killed" not in done.stderr
