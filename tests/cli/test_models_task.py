"""The task `models`: one thing at a time, and nothing is asked before that is clear."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
INV: Final = str(Path(sys.executable).with_name("inv"))
INVENTORY: Final = """\
hosts:
  gpu01:
    roles: [models]
    models: {wanted: {Qwen/A: }}
  gpu02: {}
"""


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--lock", "--prune"], "--lock --prune: one at a time"),
        (["--yes"], "--yes: only --prune removes anything"),
        (["--host", "gpu02"], "no selected host has the role 'models'"),
        ([], "not listed yet"),
    ],
)
def test_what_cannot_be_done_is_one_line(tmp_path: Path, flags: list[str], said: str) -> None:
    """With exit code 1, and without a word to any host."""
    (tmp_path / "lab.yaml").write_text(INVENTORY, encoding="utf-8")
    argv = [INV, "models", "--inventory", str(tmp_path / "lab.yaml"), *flags]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
