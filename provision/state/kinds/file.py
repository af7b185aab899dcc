"""The file: its text, mode and owner, or that it does not exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from provision.state.kinds.paths import (
    SHOWN_BYTES,
    AbsolutePath,
    OctalMode,
    Rights,
    content_or_digest,
    digest,
    parse_stat,
    write,
)
from provision.state.resource import Command, Resource, State
from provision.state.shell import quote


class File(Resource):
    """A regular file at the absolute path `name`."""

    kind: ClassVar[str] = "file"

    name: AbsolutePath
    content: str = Field(default="", repr=False)
    mode: OctalMode = "0644"
    owner: str = "root"
    group: str = "root"
    present: bool = True
    sensitive: bool = False
    """Holds a secret: only digests are read, compared and shown."""

    def gather(self) -> Mapping[str, str]:
        """Have its rights and its digest read together with those of all paths."""
        return {"gather_paths": self.name, "gather_digests": self.name}

    def probe(self) -> str:
        """Read type, mode, owner and the text, or the digest where the text is large or secret.

        Of a file with the wanted text that is said, and the text stays where it is.
        """
        return f"probe_path {quote(self.name)} {self._limit} {digest(self.content)}"

    def actual(self, output: str) -> State | None:
        """Parse them; anything but a regular file is an error."""
        stat, rest = parse_stat(output)
        return {
            "content": self._wanted if stat.wanted else content_or_digest(stat, rest, self._limit),
            "mode": stat.mode,
            "owner": stat.owner,
            "group": stat.group,
        }

    def expected(self) -> State | None:
        """Want text, mode and owner."""
        if not self.present:
            return None
        return {
            "content": self._wanted,
            "mode": self.mode,
            "owner": self.owner,
            "group": self.group,
        }

    def apply(self, actual: State | None, changed: frozenset[str]) -> list[Command]:
        """Replace the file as a whole, whatever differs; or remove it."""
        del changed
        if not self.present:
            return [Command(title=f"remove {self.name}", script=f"rm -f -- {quote(self.name)}")]
        probed = "absent" if actual is None else digest(str(actual["content"]))
        return [write(self.name, self.content, probed, Rights(self.mode, self.owner, self.group))]

    @property
    def secret(self) -> frozenset[str]:
        """Never show the text of a sensitive file."""
        return frozenset({"content"}) if self.sensitive else frozenset()

    @property
    def _wanted(self) -> str:
        large = len(self.content.encode("utf-8", "surrogateescape")) > self._limit
        return f"sha256:{digest(self.content)}" if large else self.content

    @property
    def _limit(self) -> int:
        return -1 if self.sensitive else SHOWN_BYTES
