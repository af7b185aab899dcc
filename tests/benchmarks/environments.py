"""The contestants' own environments, each from a lock file of its own."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from typing import Final

from places import BASE, HERE

PEERS: Final = ("fabric", "pyinfra", "ansible")


def make() -> None:
    """Make those that are not there as their lock files want them."""
    for name in PEERS:
        lock = HERE / f"requirements-{name}.txt"
        place, mark = BASE / f"venv-{name}", hashlib.sha256(lock.read_bytes()).hexdigest()
        ready = place / "ready"
        if ready.exists() and ready.read_text() == mark:
            continue
        sys.stdout.write(f"== Making an environment with {name}\n")
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        words = ("-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes")
        subprocess.run([place / "bin" / "python", *words, "-r", lock], check=True)
        ready.write_text(mark)
