"""The lab's docker-ce repository: Debian's Docker Engine, repacked as Docker's own packages."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from provision.lab.archive import RELEASES, finish, index, release
from provision.lab.deb import Control, pack, scripts_of, unpack, write_deb
from provision.lab.keys import Keys
from provision.lab.machine import architecture
from provision.lab.names import cache, recipe
from provision.lab.process import Say, step
from provision.lab.suite import Suite


@dataclass(frozen=True)
class Repack:
    """One of Docker's packages: which of Debian's it is made of, and its versions."""

    name: str
    sources: tuple[str, ...]
    depends: str
    versions: tuple[str, ...]
    suffix: str = "~{distribution}.{number}~{codename}"


ENGINE = ("5:26.1.5-1", "5:26.1.4-1")  # the second is the same content under an older name
REPACKS = (
    Repack("containerd.io", ("containerd", "runc"), "libc6, libseccomp2", ("1.7.24-1",), ""),
    Repack("docker-ce-cli", ("docker-cli",), "libc6 (>= 2.34)", ENGINE),
    Repack(
        "docker-ce",
        ("docker.io",),
        "containerd.io (>= 1.7.24), docker-ce-cli, iptables, libc6, libsystemd0, adduser, tini",
        ENGINE,
    ),
    Repack("docker-buildx-plugin", ("docker-buildx",), "libc6", ("0.13.1-1",)),
    Repack("docker-compose-plugin", ("docker-compose",), "libc6", ("2.26.1-1",)),
)
NOISE = ("usr/share/doc", "usr/share/man", "usr/share/lintian", "usr/share/bash-completion")


def ensure_docker(keys: Keys, say: Say) -> Path:
    """Return the folder served as …/docker-ce, built once."""
    parts = (REPACKS, NOISE, RELEASES, keys.fingerprint("docker-ce"))
    root = cache() / "mirror" / f"docker-ce-{recipe(*parts)}"
    if root.exists():
        return root
    suite = Suite("trixie")  # its Engine runs on bookworm too, whose own has no compose v2
    suite.refresh(say)
    with step(say, "fetching and repacking the Docker Engine's packages"):
        return finish(root, lambda tree: _build(suite, keys, tree))


def _build(suite: Suite, keys: Keys, root: Path) -> None:
    linux = root / "linux"
    debs = suite.download(source for repack in REPACKS for source in repack.sources)
    with TemporaryDirectory(dir=root.parent) as scratch, ThreadPoolExecutor(2) as pool:
        for done in pool.map(lambda repack: _repack(repack, debs, Path(scratch), linux), REPACKS):
            assert done is None  # noqa: S101  drains the pool, so that an error is raised here
    for codename, (distribution, _) in RELEASES.items():
        base = linux / distribution
        dists = base / "dists" / codename
        shutil.copy(keys.public("docker-ce"), base / "gpg")
        index(base, f"dists/{codename}/pool", dists / "stable" / f"binary-{architecture()}")
        about = {
            "Origin": "Docker",
            "Label": "Docker CE",
            "Suite": codename,
            "Codename": codename,
            "Components": "stable",
            "Architectures": architecture(),
        }
        release(dists, about, keys, "docker-ce")


def _repack(repack: Repack, debs: dict[str, Path], scratch: Path, linux: Path) -> None:
    tree = scratch / repack.name
    for source in repack.sources:
        unpack(debs[source], tree)
    for path in NOISE:
        shutil.rmtree(tree / path, ignore_errors=True)
    data = pack(tree, scratch / f"{repack.name}.tar.gz")
    scripts = scripts_of(debs[repack.sources[0]], scratch / f"{repack.name}.control")
    for codename, (distribution, number) in RELEASES.items():
        for version in repack.versions:
            suffix = repack.suffix.format(
                distribution=distribution, number=number, codename=codename
            )
            control = Control(
                name=repack.name,
                version=version + suffix,
                architecture=architecture(),
                depends=repack.depends,
                conflicts=", ".join(repack.sources),
                description=f"lab repack of Debian's {', '.join(repack.sources)}",
                scripts=scripts,
            )
            pool = linux / distribution / "dists" / codename / "pool" / "stable" / architecture()
            write_deb(control, data, pool)
