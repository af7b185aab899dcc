"""The operator's ssh configuration as OpenSSH reads it, with its `Include`s, for Fabric."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import fabric
import paramiko

from provision.errors import ConnectError

_FILES: Final = (Path("~/.ssh/config"), Path("/etc/ssh/ssh_config"))
_INCLUDE: Final = re.compile(r"^\s*include[\s=]+(.*)$", re.IGNORECASE)
_BLOCK: Final = re.compile(r"^\s*(host|match)[\s=]", re.IGNORECASE)
_reading = threading.Lock()
_DEEPEST: Final = 16  # OpenSSH's own limit of nested files


def config() -> Any:
    """Return a new configuration of Fabric's with the operator's ssh configuration in it.

    Each connection needs one of its own: Fabric merges it anew while it is used, so that another
    thread would find next to nothing in it.
    """
    with _reading:
        return fabric.Config(ssh_config=_read())


@cache
def _read() -> paramiko.SSHConfig:
    """Read the operator's files, once: Fabric passes `Include` over, which paramiko does not know."""
    text = "\nHost *\n".join(
        "".join(_lines(path.expanduser(), path.expanduser().parent, 0)) for path in _FILES
    )
    try:
        return paramiko.SSHConfig.from_text(text)
    except paramiko.ConfigParseError as error:
        raise ConnectError(
            f"the ssh configuration cannot be read: {error}",
            where=str(_FILES[0]),
            remedy="Check it: ssh -G localhost",
        ) from error


def _lines(path: Path, folder: Path, depth: int) -> Iterator[str]:
    """Yield a file's lines, included files in place; what does not exist has none.

    A `Host` or `Match` of an included file ends with it: the one around it is opened again.
    """
    if depth > _DEEPEST or not path.is_file():
        return
    block = "Host *"
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        include = _INCLUDE.match(line)
        if not include:
            block = line if _BLOCK.match(line) else block
            yield f"{line}\n"
            continue
        for pattern in include[1].split():
            for file in _matching(pattern.strip("\"'"), folder):
                yield from _lines(file, folder, depth + 1)
        yield f"{block}\n"


def _matching(pattern: str, folder: Path) -> list[Path]:
    wanted = Path(pattern).expanduser()
    root = Path("/") if wanted.is_absolute() else folder
    return sorted(root.glob(str(wanted.relative_to("/") if wanted.is_absolute() else wanted)))
