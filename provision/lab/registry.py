"""The lab's image registry: Debian's docker-registry with the image of vLLM, on the lab's network."""

from __future__ import annotations

import shutil
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from provision.errors import LabError
from provision.lab import registry_store
from provision.lab.archive import finish
from provision.lab.engine import Engine
from provision.lab.image import ensure_packages_image
from provision.lab.keys import REGISTRY_NAME, Keys
from provision.lab.names import LABEL, Space, cache, locked, recipe
from provision.lab.process import Say, run, say_on_stderr, step
from provision.lab.registry_store import Store
from provision.lab.vllm_image import NAME, VllmImage

PORT = 5000
PACKAGES = ("docker-registry",)
IMAGE = f"provision-lab/registry:{recipe(PACKAGES)}"
COMMAND = '["/usr/bin/docker-registry", "serve", "/lab/config.yml"]'
START_TIMEOUT = 15.0  # seconds
# All labs share what it serves, so that none may change it.
SETTINGS = f"""\
version: 0.1
log: {{level: info}}
storage:
  filesystem: {{rootdirectory: /srv}}
  maintenance:
    uploadpurging: {{enabled: false}}
    readonly: {{enabled: true}}
http:
  addr: ":{PORT}"
  tls: {{certificate: /lab/tls.crt, key: /lab/tls.key}}
"""


@dataclass(frozen=True)
class Registry:
    """The registry of one lab, which runs only once it is asked to."""

    engine: Engine
    space: Space
    address: str

    @property
    def name(self) -> str:
        """What stands before an image's name: `registry.lab:5000`; hosts trust its certificate."""
        return f"{REGISTRY_NAME}:{PORT}"

    @property
    def url(self) -> str:
        """The URL, as `registry-mirrors` takes it."""
        return f"https://{self.name}"

    @property
    def image(self) -> str:
        """The full name of vLLM's image in this registry."""
        return f"{self.name}/{NAME}"

    @property
    def container(self) -> str:
        """The name of the registry's container."""
        return f"{self.space.id}-registry"

    def up(self, say: Say = say_on_stderr) -> None:
        """Serve, after making what is served the first time; one that serves already is kept."""
        storage = ensure_storage(VllmImage(self.engine), say)
        ensure_packages_image(self.engine, PACKAGES, IMAGE, COMMAND, say)
        version = self._settle(storage)
        about = f'{{{{.State.Running}}}} {{{{index .Config.Labels "{LABEL}.version"}}}}'
        seen = self.engine("container", "inspect", "-f", about, self.container, check=False)
        if seen.stdout.strip() != f"true {version}":
            self.engine("rm", "--force", self.container, check=False)
            self._run(storage, version)
        self._wait()

    def down(self) -> None:
        """Let nothing answer at the registry's address; `up` brings it back."""
        self.engine("rm", "--force", self.container, check=False)

    def log(self) -> str:
        """Return what the registry said, one line a request among it."""
        said = self.engine("logs", self.container, check=False)
        return said.stdout + said.stderr

    @property
    def _folder(self) -> Path:
        return self.space.folder / "registry"

    def _settle(self, storage: Path) -> str:
        keys = Keys(cache() / "keys").folder
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "config.yml").write_text(SETTINGS)
        for file in (keys / "tls.crt", keys / "tls.key"):
            shutil.copy(file, self._folder)
        return recipe(SETTINGS, IMAGE, str(storage), files=[keys / "tls.crt"])

    def _run(self, storage: Path, version: str) -> None:
        labels = ("--label", self.space.label, "--label", f"{LABEL}.version={version}")
        place = ("--network", self.space.id, "--ip", self.address, "--name", self.container)
        volumes = ("--volume", f"{storage}:/srv:ro", "--volume", f"{self._folder}:/lab:ro")
        self.engine("run", "--detach", *labels, *place, *volumes, IMAGE)

    def _wait(self) -> None:
        """Wait until the registry takes connections."""
        ends = time.monotonic() + START_TIMEOUT
        while True:
            try:
                socket.create_connection((self.address, PORT), timeout=1).close()
            except OSError:
                if time.monotonic() > ends:
                    what = f"does not answer: {self.log()[-400:]}"
                    raise LabError(what, where=self.container) from None
                time.sleep(0.05)
            else:
                return


def ensure_storage(image: VllmImage, say: Say) -> Path:
    """Return the folder that registries serve, made once of the image's archive."""
    written = recipe(NAME, files=[Path(registry_store.__file__)])
    root = image.folder / f"registry-{written}"
    if root.exists():
        return root
    archive = image.archive(say)
    with locked(cache() / "vllm"):
        if not root.exists():
            with step(say, "putting the image of vLLM into a registry"):
                finish(root, lambda folder: _fill(folder, archive))
    return root


def _fill(folder: Path, archive: Path) -> None:
    with TemporaryDirectory(dir=cache() / "vllm") as scratch:
        image = Path(scratch) / "image.tar"
        run(["zstd", "-q", "-d", "-o", str(image), str(archive)])
        Store(folder).add(image, NAME)
