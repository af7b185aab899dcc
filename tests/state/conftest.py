"""The four shells that hosts have, and a way to run text under them as a host would."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ALL: Final = {"sh": ["sh"], "dash": ["dash"], "busybox": ["busybox", "sh"], "bash": ["bash"]}
SHELLS: Final = {  # each program once: Debian's sh is dash
    Path(shutil.which(argv[0]) or name).resolve(): (name, argv) for name, argv in _ALL.items()
}.values()
_NOBODY: Final = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


@pytest.fixture(scope="session", params=SHELLS, ids=lambda param: param[0])
def shell(request: pytest.FixtureRequest) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Return a function that feeds a script to one of the shells, as root or as nobody."""

    def run(
        script: str | bytes, *, unprivileged: bool = False
    ) -> subprocess.CompletedProcess[bytes]:
        prefix = _NOBODY if unprivileged and os.geteuid() == 0 else []
        data = script if isinstance(script, bytes) else script.encode("utf-8", "surrogateescape")
        return subprocess.run(
            [*prefix, *request.param[1], "-s"],
            input=data,
            capture_output=True,
            timeout=30,
            check=False,
            cwd="/",
        )

    return run


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that other users can look into (pytest's own are private)."""
    with tempfile.TemporaryDirectory(prefix="provision-test-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path
