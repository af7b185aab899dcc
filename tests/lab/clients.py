"""Real clients of services: the OpenAI SDK and LangChain, in a Python of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from provision.errors import LabError
from provision.lab.archive import finish
from provision.lab.names import cache, locked, recipe
from provision.lab.process import run

PINNED: Final = Path(__file__).with_name("clients") / "requirements.txt"


def python() -> Path:
    """Return the Python that has the clients; its environment is built once for each pinning."""
    home = cache() / "clients"
    root = home / recipe(sys.version, files=[PINNED, Path(__file__)])
    with locked(home):
        if not root.exists():
            finish(root, _install)
    return root / "bin" / "python"


def speak(*words: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """Run that Python in a bare environment; return what it prints, or fail with all it said."""
    done = subprocess.run(
        [python(), *map(str, words)],
        env={"PATH": os.environ["PATH"], **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _install(tree: Path) -> None:
    quiet = ("--quiet", "--disable-pip-version-check", "--only-binary=:all:", "--require-hashes")
    run([sys.executable, "-m", "venv", str(tree)])
    pip = (str(tree / "bin" / "python"), "-m", "pip")
    try:
        run([*pip, "install", *quiet, "-r", str(PINNED)])
    except LabError as error:
        remedy = "Let pip of this machine reach a package index, see `pip config`."
        raise LabError(error.what, where=f"pip install {PINNED}", remedy=remedy) from error
