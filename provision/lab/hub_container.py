"""The model hub of one lab: a container on the lab's network, reached by hosts and controller."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from provision.lab.engine import Engine
from provision.lab.hub import PROGRAM, ModelHub
from provision.lab.mirror import IMAGE
from provision.lab.names import LABEL, Space, assets, recipe


@dataclass(frozen=True)
class Hub(ModelHub):
    """The hub of one lab, at one address."""

    engine: Engine
    space: Space
    address: str

    @classmethod
    def of(cls, engine: Engine, space: Space, address: str) -> Hub:
        """Return the hub of a lab, whether it runs or not."""
        return cls(space.folder / "hub", f"http://{address}", engine, space, address)

    @property
    def container(self) -> str:
        """The name of the hub's container."""
        return f"{self.space.id}-hub"

    def serve(self, models: Path) -> None:
        """Serve the cache's models and the lab's own, beginning anew only when something changed."""
        version = recipe(str(models), self.address, files=assets("hub"))
        about = f'{{{{.State.Running}}}} {{{{index .Config.Labels "{LABEL}.version"}}}}'
        seen = self.engine("container", "inspect", "-f", about, self.container, check=False)
        if seen.stdout.strip() != f"true {version}":
            self.engine("rm", "--force", self.container, check=False)
            self._settle(models)
            self._run(models, version)
        self.up()

    def _settle(self, models: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(models / "models", self.folder / "models", dirs_exist_ok=True)
        program = self.folder / "program"
        program.mkdir(exist_ok=True)
        for file in assets("hub"):
            shutil.copy(file, program)
        (self.folder / "access.log").touch()  # ours to empty, though the container writes it
        self.heal()

    def _run(self, models: Path, version: str) -> None:
        labels = ("--label", self.space.label, "--label", f"{LABEL}.version={version}")
        place = ("--network", self.space.id, "--ip", self.address, "--name", self.container)
        blobs = ("--volume", f"{models / 'blobs'}:/srv/blobs:ro")
        volumes = ("--volume", f"{self.folder}:/lab", *blobs)
        program = ("/usr/bin/python3", f"/lab/program/{PROGRAM}", "--folder", "/lab")
        where = ("--blobs", "/srv/blobs", "--host", "0.0.0.0", "--port", "80")  # noqa: S104
        self.engine("run", "--detach", *labels, *place, *volumes, IMAGE, *program, *where)
