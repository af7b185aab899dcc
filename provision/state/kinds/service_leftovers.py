"""The leftovers of services: containers that were deployed and that nothing wants any more."""

from __future__ import annotations

import re
from typing import ClassVar, Final

from provision.state.kinds.paths import AbsolutePath
from provision.state.resource import Command, Resource, State
from provision.state.shell import quote

_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


class ServiceLeftovers(Resource):
    """The releases below the absolute path `name`, without services that are not kept."""

    kind: ClassVar[str] = "service_leftovers"

    name: AbsolutePath
    keep: tuple[str, ...] = ()
    """Names of the services that are wanted."""

    def probe(self) -> str:
        """List the containers that carry our label, stopped ones too."""
        listed = "docker container ls --all --filter label=provision.service --format '{{.Names}}'"
        return f"names=$({listed}) || return 2\nprintf '%s\\n' \"$names\""

    def actual(self, output: str) -> State | None:
        """Parse the names and keep those that are not wanted."""
        names = sorted({*output.split()} - {*self.keep})
        if not all(map(_NAME.fullmatch, names)):
            raise ValueError(f"unexpected answer {output[:80]!r}")
        return {"unwanted": " ".join(names)}

    def expected(self) -> State | None:
        """Want none."""
        return {"unwanted": ""}

    def apply(self, actual: State | None, changed: frozenset[str]) -> list[Command]:
        """Remove them; their releases and cache volumes stay."""
        del changed
        names = str(actual["unwanted"]).split() if actual else []
        links = " ".join(quote(f"{self.name}/current/{name}") for name in names)
        script = f"docker rm --force -- {' '.join(map(quote, names))}\nrm -f -- {links}"
        return [Command(title=f"remove {', '.join(names)}", script=script, timeout=300)]

    def fears(self, actual: State | None, changed: frozenset[str]) -> tuple[str, ...]:
        """Name what stops answering."""
        if not changed or actual is None:
            return ()
        return (f"stops and removes {actual['unwanted']}",)
