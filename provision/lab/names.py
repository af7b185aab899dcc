"""What belongs to one lab: its name space, its state folder and the cache that labs share."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from provision.errors import LabError

LABEL = "provision.lab"
ASSETS = Path(__file__).parent / "assets"


@dataclass(frozen=True)
class Space:
    """The name space of one lab of one checkout; two of them never share a name."""

    checkout: Path
    name: str

    @classmethod
    def of(cls, name: str, directory: Path | None = None) -> Space:
        """Return the name space of lab `name` in the checkout at `directory`."""
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,20}", name):
            raise LabError(
                f"'{name}' is not a lab's name", remedy="Use lower-case letters, digits and '-'."
            )
        return cls((directory or Path.cwd()).resolve(), name)

    @property
    def id(self) -> str:
        """The prefix of everything this lab calls its own."""
        path = hashlib.sha256(str(self.checkout).encode()).hexdigest()[:8]
        return f"lab-{path}-{self.name}"

    @property
    def label(self) -> str:
        """The label on this lab's containers and network."""
        return f"{LABEL}={self.id}"

    @property
    def folder(self) -> Path:
        """The folder of this lab's keys and state, inside the checkout and git-ignored."""
        return self.checkout / ".lab" / self.name

    @property
    def inventory(self) -> Path:
        """The inventory file that this lab writes."""
        if self.name == "lab":
            return self.checkout / "inventories" / "lab.yaml"
        return self.folder / "inventory.yaml"


def cache() -> Path:
    """Return the folder of what labs share: engine, images' recipes, mirrors, keys."""
    own = os.environ.get("PROVISION_LAB_CACHE")
    if own:
        return Path(own).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().resolve() / "provision-lab"


def recipe(*parts: object, files: Iterable[Path] = ()) -> str:
    """Return a short hash of everything that decides how an artefact comes out."""
    digest = hashlib.sha256(repr(parts).encode())
    for file in sorted(files):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def assets(folder: str) -> list[Path]:
    """Return every file below one folder of the lab's assets."""
    return sorted(path for path in (ASSETS / folder).rglob("*") if path.is_file())


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the one lock of `folder`, so that two runs never build the same thing."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
