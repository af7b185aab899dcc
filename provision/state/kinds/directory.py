"""The directory: that it exists, with which mode and owner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from provision.state.kinds.paths import AbsolutePath, OctalMode, parse_stat
from provision.state.resource import Command, Resource, State
from provision.state.shell import quote


class Directory(Resource):
    """A directory at the absolute path `name`; its content is nobody's business here."""

    kind: ClassVar[str] = "directory"

    name: AbsolutePath
    mode: OctalMode = "0755"
    owner: str = "root"
    group: str = "root"

    def gather(self) -> Mapping[str, str]:
        """Have its rights read together with those of all paths."""
        return {"gather_paths": self.name}

    def probe(self) -> str:
        """Read type, mode and owner."""
        return f"probe_path {quote(self.name)}"

    def actual(self, output: str) -> State | None:
        """Parse them; anything but a directory is an error, for we would have to delete it."""
        stat, _ = parse_stat(output)
        if stat.type != "directory":
            raise ValueError(f"a {stat.type} is in the way of the directory")
        return {"mode": stat.mode, "owner": stat.owner, "group": stat.group}

    def expected(self) -> State | None:
        """Want mode and owner."""
        return {"mode": self.mode, "owner": self.owner, "group": self.group}

    def apply(self, actual: State | None, changed: frozenset[str]) -> list[Command]:
        """Create it with its parents, or correct mode and owner; one command does both."""
        del actual, changed
        script = (
            # the fifth digit: without it GNU keeps setuid and setgid of a directory
            f"install -d -m 0{self.mode} -o {quote(self.owner)} -g {quote(self.group)}"
            f" {quote(self.name)}"
        )
        return [Command(title=f"make the directory {self.name}", script=script)]
