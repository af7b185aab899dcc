"""The Docker image: there under its own name, whatever registry or archive it came from."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import ClassVar, Final

from provision.state.kinds.paths import AbsolutePath
from provision.state.resource import Bulk, Command, Resource, State, Transfer
from provision.state.shell import functions, quote

_ID: Final = re.compile(r"sha256:[0-9a-f]{64}")
_DAY: Final = 24 * 3600  # seconds
_LOAD: Final = 7000  # seconds; a disk has to write 20 GB


class DockerImage(Resource):
    """The image `name`, as repository and tag; one that is there is never pulled again."""

    kind: ClassVar[str] = "docker_image"

    prefixes: tuple[str, ...] = ()
    """Registries to ask first, in order: `docker.m.daocloud.io`; the image's own comes last."""
    archive: str = ""
    """File on the controller as `docker save` writes it; it is pushed instead of a pull."""
    archive_bytes: int = 0
    """Its size."""
    staging: AbsolutePath = "/var/lib/provision/images"
    """Folder on the host for archives on their way."""

    def probe(self) -> str:
        """Ask Docker for the image's id."""
        return f"{functions('docker_image')}\nimage_probe {quote(self.name)}"

    def actual(self, output: str) -> State | None:
        """Parse the id, which is the same whatever registry the image came from."""
        if not _ID.fullmatch(output.strip()):
            raise ValueError(f"unexpected answer {output[:80]!r}")
        return {"id": output.strip()}

    def expected(self) -> State | None:
        """Want it to be there."""
        return {}

    def apply(self, actual: State | None, changed: frozenset[str]) -> list[Command]:
        """Pull it, or push the archive and load it."""
        del actual, changed
        if not self.archive:
            references = [*(f"{prefix}/{self.name}" for prefix in self.prefixes), self.name]
            words = " ".join(map(quote, [self.name, *references]))
            shown = " || ".join(f"docker pull {reference}" for reference in references)
            return [self._command("pull", f"image_fetch {words}", shown)]
        file = PurePath(self.archive)
        bulk = Bulk(key=self.name, folder=self.staging, files=((file.name, self.archive_bytes),))
        transfer = Transfer(way="push", bulk=bulk, origin=str(file.parent))
        push = Command(title=f"push {self.name}", script="", transfer=transfer, timeout=_DAY)
        place = f"{self.staging}/{file.name}"
        load = f"image_load {quote(self.name)} {quote(place)}"
        return [push, self._command("load", load, f"docker load --input {place}")]

    def note(self, actual: State | None, changed: frozenset[str]) -> str:
        """Say where it comes from."""
        del actual, changed
        if self.archive:
            return f"from {self.archive}"
        return f"from {' or '.join([*self.prefixes, 'its own registry'])}"

    def _command(self, verb: str, script: str, shown: str) -> Command:
        return Command(
            title=f"{verb} {self.name}",
            script=f"{functions('docker_image')}\n{script}",
            shown=shown,
            timeout=_DAY if verb == "pull" else _LOAD,
            detached=verb == "pull",
        )
