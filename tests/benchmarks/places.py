"""Where a benchmark keeps things, and how its hosts are called."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
PROJECT: Final = HERE.parents[1]
BASE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "provision-bench"
KEY: Final = BASE / "key"
KNOWN_HOSTS: Final = BASE / "known_hosts"
DIRECT, DELAYED = 2200, 2201  # ports
_PER_NET: Final = 250


def address(number: int) -> str:
    """Return the loopback address of a host; they are numbered from 1."""
    net, last = divmod(number - 1, _PER_NET)
    return f"127.0.{net + 1}.{last + 1}"


def name(number: int) -> str:
    """Return a host's name."""
    return f"h{number}"


def folder(number: int) -> Path:
    """Return where a host's sshd has its files."""
    return BASE / "hosts" / name(number)


def root(number: int) -> Path:
    """Return the folder that stands for the file system of a host."""
    return folder(number) / "root"
