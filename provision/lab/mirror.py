"""The lab's mirror: one container on the lab's network that serves the real names."""

from __future__ import annotations

import json
import shutil
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from provision.errors import LabError
from provision.lab.deb import unpack
from provision.lab.engine import Engine
from provision.lab.image import ensure_packages_image
from provision.lab.keys import SIGNERS, Keys
from provision.lab.names import ASSETS, LABEL, Space, cache, recipe
from provision.lab.process import Say, run
from provision.lab.suite import Suite

PYTHON = ("python3-minimal", "libpython3-stdlib")
IMAGE = f"provision-lab/mirror:{recipe(PYTHON)}"
START_TIMEOUT = 10.0  # seconds
ROUTES = {
    "mirrors.tuna.tsinghua.edu.cn/docker-ce": "docker-ce",
    "download.docker.com/": "docker-ce",
    "mirrors.ustc.edu.cn/docker-ce": "docker-ce",
    "mirrors.ustc.edu.cn/libnvidia-container": "nvidia",
    "nvidia.github.io/libnvidia-container": "nvidia",
    "deb.debian.org/debian": "debian",
    "pypi.tuna.tsinghua.edu.cn/": "pypi",
    "mirrors.tuna.tsinghua.edu.cn/pypi/web": "pypi",
}
REPOSITORIES = tuple(sorted(SIGNERS))  # those with a signed index


@dataclass(frozen=True)
class Mirror:
    """The mirror of one lab, at one address."""

    engine: Engine
    space: Space
    address: str

    @property
    def container(self) -> str:
        """The name of the mirror's container."""
        return f"{self.space.id}-mirror"

    @property
    def folder(self) -> Path:
        """The folder of settings, certificate and access log."""
        return self.space.folder / "mirror"

    def up(self, roots: dict[str, Path], keys: Keys) -> None:
        """Serve these repository folders, restarting only when something about them changed."""
        version = self._settle(roots, keys)
        wanted = f"true {version}"
        about = f'{{{{.State.Running}}}} {{{{index .Config.Labels "{LABEL}.version"}}}}'
        seen = self.engine("container", "inspect", "-f", about, self.container, check=False)
        if seen.stdout.strip() != wanted:
            self.engine("rm", "--force", self.container, check=False)
            self._run(version)
        self.wait()

    def start(self) -> None:
        """Let a stopped mirror answer again."""
        self.engine("start", self.container)
        self.wait()

    def stop(self) -> None:
        """Let nothing answer at the mirror's address."""
        self.engine("kill", self.container, check=False)

    def tamper(self, repository: str, *, lie: bool) -> None:
        """Serve, or stop serving, a signed index that was changed after it was signed."""
        if repository not in REPOSITORIES:
            raise LabError(
                f"no repository '{repository}'", remedy=f"Use one of {', '.join(REPOSITORIES)}."
            )
        mark = self.folder / f"tampered-{repository}"
        if lie:
            mark.touch()
        else:
            mark.unlink(missing_ok=True)

    def log(self) -> str:
        """Return the access log: time, client, host name, method, path, status, size."""
        file = self.folder / "access.log"
        return file.read_text() if file.exists() else ""

    def wait(self) -> None:
        """Wait until the mirror answers on its HTTPS port."""
        ends = time.monotonic() + START_TIMEOUT
        while True:
            try:
                socket.create_connection((self.address, 443), timeout=1).close()
            except OSError:
                if time.monotonic() > ends:
                    said = self.engine("logs", "--tail", "3", self.container, check=False).stderr
                    raise LabError(f"does not answer: {said}", where=self.container) from None
                time.sleep(0.05)
            else:
                return

    def _settle(self, roots: dict[str, Path], keys: Keys) -> str:
        self.folder.mkdir(parents=True, exist_ok=True)
        served = {name: f"/srv/{root.name}" for name, root in roots.items()}
        settings = json.dumps({"roots": served, "routes": ROUTES}, indent=2)
        (self.folder / "mirror.json").write_text(settings)
        for file in (keys.folder / "tls.crt", keys.folder / "tls.key"):
            shutil.copy(file, self.folder)
        program = ASSETS / "mirror" / "mirrord.py"
        shutil.copy(program, self.folder)
        for repository in REPOSITORIES:
            self.tamper(repository, lie=False)
        return recipe(settings, files=[program, keys.folder / "tls.crt"])

    def _run(self, version: str) -> None:
        labels = ("--label", self.space.label, "--label", f"{LABEL}.version={version}")
        place = ("--network", self.space.id, "--ip", self.address, "--name", self.container)
        srv = cache() / "mirror"
        volumes = ("--volume", f"{srv}:/srv:ro", "--volume", f"{self.folder}:/lab")
        self.engine("run", "--detach", *labels, *place, *volumes, IMAGE)


def ensure_mirror_image(engine: Engine, say: Say) -> None:
    """Build the image that the mirror runs in: a Python interpreter and nothing else."""
    ensure_packages_image(engine, PYTHON, IMAGE, '["/usr/bin/python3", "/lab/mirrord.py"]', say)


def ensure_tiny_image(say: Say) -> Path:
    """Return a tar for `docker import` that holds a static busybox and its commands."""
    target = cache() / "images" / "tiny.tar"
    if target.exists():
        return target
    suite = Suite("trixie")
    suite.refresh(say)
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=cache()) as scratch:
        tree = Path(scratch) / "tree"
        unpack(suite.download(["busybox-static"])["busybox-static"], Path(scratch) / "deb")
        binary = next((Path(scratch) / "deb").rglob("bin/busybox"))
        for name in ("bin", "etc", "tmp", "usr/bin"):
            (tree / name).mkdir(parents=True)
        shutil.copy(binary, tree / "bin" / "busybox")
        for name in run([str(binary), "--list"]).stdout.split():
            if name != "busybox":
                (tree / "bin" / name).symlink_to("busybox")
        (tree / "etc" / "passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
        owner = ("--owner=0", "--group=0", "--numeric-owner", "--sort=name")
        run(["tar", "-C", str(tree), *owner, "-cf", str(target.with_suffix(".new")), "."])
    return target.with_suffix(".new").rename(target)
