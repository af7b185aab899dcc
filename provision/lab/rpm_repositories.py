"""The lab's repositories of RPMs: docker-ce for EL 9 and NVIDIA's toolkit, below those of .debs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from provision.lab.archive import finish
from provision.lab.deb import unpack
from provision.lab.docker_ce import NOISE, ensure_docker
from provision.lab.keys import Keys, ensure_keys
from provision.lab.machine import architecture
from provision.lab.names import ASSETS, assets, cache, locked, recipe
from provision.lab.nvidia import PACKAGES, VERSIONS, StandIn, ensure_nvidia
from provision.lab.process import Say, say_on_stderr, step
from provision.lab.rpm import Spec, ensure_rpm_tools, index, sign, write_rpm
from provision.lab.suite import Suite

RELEASE: Final = "9"
BASEARCH: Final = {"amd64": "x86_64", "arm64": "aarch64"}
FORGED: Final = "forged"
"""Folder in each repository: the same again, but not as it was signed."""
_START: Final = "systemctl daemon-reload\n"
_GROUP: Final = "getent group docker >/dev/null || groupadd --system docker\n"


@dataclass(frozen=True)
class Repack:
    """One of Docker's packages: which of Debian's it is made of, and what Docker's spec says."""

    name: str
    sources: tuple[str, ...]
    versions: tuple[str, ...]
    epoch: int
    relations: dict[str, tuple[str, ...]]
    post: str = ""


# Epochs and relations as in docker/docker-ce-packaging and docker/containerd-packaging.
REPACKS: Final = (
    Repack(
        "containerd.io",
        ("containerd", "runc"),
        ("1.7.24",),
        0,
        {
            "Provides": ("containerd", "runc"),
            "Obsoletes": ("containerd", "runc"),
            "Conflicts": ("containerd", "runc"),
        },
        _START,
    ),
    Repack("docker-ce-cli", ("docker-cli",), ("26.1.5", "26.1.4"), 1, {"Conflicts": ("docker",)}),
    Repack(
        "docker-ce",
        ("docker.io",),
        ("26.1.5", "26.1.4"),
        3,
        {
            "Requires": ("container-selinux", "docker-ce-cli", "containerd.io", "iptables"),
            "Conflicts": ("docker", "docker-io", "docker-ee"),
            "Obsoletes": ("docker-engine", "docker-ce-selinux"),
        },
        _GROUP + _START,
    ),
    Repack("docker-buildx-plugin", ("docker-buildx",), ("0.13.1",), 0, {}),
    Repack("docker-compose-plugin", ("docker-compose",), ("2.26.1",), 0, {}),
)


def ensure_rpms(say: Say = say_on_stderr) -> None:
    """Build the RPMs where the mirror serves them from, unless they are there."""
    ensure_rpm_tools(say)
    with locked(cache() / "build"):
        keys = ensure_keys()
        docker, nvidia = ensure_docker(keys, say), ensure_nvidia(keys, say)
        files = (*assets("nvidia"), Path(__file__), Path(__file__).with_name("rpm.py"))
        version = recipe(docker.name, nvidia.name, files=files)
        stamp = cache() / "mirror" / "rpm.recipe"
        if stamp.exists() and stamp.read_text() == version:
            return
        stamp.unlink(missing_ok=True)
        with step(say, "repacking the Docker Engine and the toolkit's stand-ins as RPMs"):
            _replace(docker / "linux" / "centos", lambda tree: _docker(keys, tree))
            _replace(nvidia / "stable" / "rpm", lambda tree: _nvidia(keys, tree))
            _forge(docker, nvidia, keys)
        stamp.write_text(version)


def _docker(keys: Keys, root: Path) -> None:
    suite = Suite("trixie")
    debs = suite.download(source for repack in REPACKS for source in repack.sources)
    folder = root / RELEASE / BASEARCH[architecture()] / "stable"
    folder.mkdir(parents=True)
    with TemporaryDirectory(dir=root.parent) as scratch:
        for repack in REPACKS:
            tree = Path(scratch) / repack.name
            for source in repack.sources:
                unpack(debs[source], tree)
            for path in (*NOISE, "etc/init.d"):
                shutil.rmtree(tree / path, ignore_errors=True)
            scripts = {"post": repack.post} if repack.post else {}
            for version in repack.versions:
                about = f"lab repack of Debian's {', '.join(repack.sources)}"
                spec = Spec(
                    *(repack.name, version, f"1.el{RELEASE}", repack.epoch),
                    *(repack.relations, scripts, about),
                )
                write_rpm(spec, tree, folder)
    sign(folder, keys, "docker-ce")
    index(folder, keys, "docker-ce")
    shutil.copy(keys.public("docker-ce"), root / "gpg")


def _nvidia(keys: Keys, root: Path) -> None:
    folder = root / BASEARCH[architecture()]
    folder.mkdir(parents=True)
    with TemporaryDirectory(dir=root.parent) as scratch:
        for version in VERSIONS:
            for package in PACKAGES:
                tree = Path(scratch) / version / package.name
                write_rpm(_stand_in(package, version, tree), tree, folder)
    index(folder, keys, "nvidia")  # and not the packages, as at NVIDIA


def _stand_in(package: StandIn, version: str, tree: Path) -> Spec:
    upstream, _, release = version.partition("-")
    for name, place in {**package.files, "": f"usr/share/lab/{package.name}"}.items():
        target = tree / place / (name or "version")
        target.parent.mkdir(parents=True, exist_ok=True)
        text = (ASSETS / "nvidia" / name).read_text() if name else f"lab stand-in {version}\n"
        target.write_text(text.replace("@VERSION@", upstream))
        target.chmod(0o755 if place == "usr/bin" else 0o644)
    scripts = {}
    if "postinst" in package.scripts:
        text = (ASSETS / "nvidia" / f"{package.name}.postinst").read_text()
        scripts["post"] = "set -- configure\n" + re.sub(r"\A#!.*\n", "", text)
    needs = re.sub(r"\((= [^)]*)\)", r"\1", package.depends.format(v=version)).split(", ")
    requires = [name for name in needs if name != "libc6"]
    return Spec(package.name, upstream, release, 0, {"Requires": requires}, scripts)


def _forge(docker: Path, nvidia: Path, keys: Keys) -> None:
    """Make copies that lie: packages signed by somebody else, an index changed after its signing."""

    def packages(tree: Path) -> None:
        shutil.copytree(docker / "linux" / "centos", tree / "linux" / "centos")
        folder = tree / "linux" / "centos" / RELEASE / BASEARCH[architecture()] / "stable"
        sign(folder, keys, "nvidia")
        shutil.rmtree(folder / "repodata")
        index(folder, keys, "nvidia")

    def an_index(tree: Path) -> None:
        shutil.copytree(nvidia / "stable" / "rpm", tree / "stable" / "rpm")
        shutil.copy(nvidia / "gpgkey", tree)
        file = tree / "stable" / "rpm" / BASEARCH[architecture()] / "repodata" / "repomd.xml"
        file.write_text(file.read_text().replace("<revision>", "<revision>1", 1))

    _replace(docker / FORGED, packages)
    _replace(nvidia / FORGED, an_index)


def _replace(root: Path, build: Callable[[Path], None]) -> None:
    shutil.rmtree(root, ignore_errors=True)
    finish(root, build)
