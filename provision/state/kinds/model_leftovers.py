"""The leftovers: model snapshots, ours by their manifest, that nothing wants any more."""

from __future__ import annotations

import re
from typing import ClassVar, Final

from provision.state.kinds.model_folders import staging_of
from provision.state.kinds.paths import AbsolutePath
from provision.state.resource import Command, Resource, State
from provision.state.shell import functions, quote
from provision.state.sizes import human_size

_LINE: Final = re.compile(r"(\d+) (/.+)")


class ModelLeftovers(Resource):
    """The folder of models at the absolute path `name`, without snapshots that are not kept."""

    kind: ClassVar[str] = "model_leftovers"

    name: AbsolutePath
    keep: tuple[AbsolutePath, ...] = ()
    """Folders of the snapshots that are wanted."""

    def probe(self) -> str:
        """List snapshots and broken-off downloads that are not kept and that no container mounts."""
        kept = "\n".join([*self.keep, *map(staging_of, self.keep)])
        return f"{functions('model_leftovers')}\nprintf '%s\\n' {quote(kept)} | model_leftovers {quote(self.name)}"

    def actual(self, output: str) -> State | None:
        """Parse the list, a folder with its size on disk a line."""
        found = [_LINE.fullmatch(line) for line in output.split("\n") if line]
        if not all(found):
            raise ValueError(f"unexpected answer {output[:80]!r}")
        pairs = sorted((match[2], int(match[1])) for match in found if match)
        return {
            "leftovers": "".join(f"{path}   {human_size(size)}\n" for path, size in pairs),
            "(paths)": "\n".join(path for path, _ in pairs),
            "(bytes)": sum(size for _, size in pairs),
        }

    def expected(self) -> State | None:
        """Want none."""
        return {"leftovers": ""}

    def apply(self, actual: State | None, changed: frozenset[str]) -> list[Command]:
        """Remove what was listed; a download that was broken off has nobody at work on it."""
        del changed
        paths = str(actual["(paths)"]).split("\n") if actual and actual["(paths)"] else []
        return [
            Command(title=f"remove {path}", script=f"rm -rf -- {quote(path)}", timeout=1800)
            for path in paths
        ]

    def fears(self, actual: State | None, changed: frozenset[str]) -> tuple[str, ...]:
        """Say how much is lost."""
        if not changed or actual is None:
            return ()
        return (f"removes {human_size(int(actual['(bytes)']))} of models that nothing wants",)
