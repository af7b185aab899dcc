"""The lab's deb.debian.org: the few packages that provisioning wants, with all they depend on."""

from __future__ import annotations

import shutil
from pathlib import Path

from provision.lab.archive import finish, index, release
from provision.lab.engine import Engine
from provision.lab.image import Image
from provision.lab.keys import Keys
from provision.lab.machine import architecture
from provision.lab.names import cache, recipe
from provision.lab.process import Say, step
from provision.lab.profiles import packages
from provision.lab.suite import Suite

# One group is fetched at a time, since packages of two groups may exclude each other.
GROUPS = (
    ("curl", "gnupg", "jq", "chrony", "rsync", "pciutils", "zstd", "ufw", "lsof", "python3-venv"),
    ("docker.io",),
)
EXTRA = {"trixie": (("sudo-rs",), ("docker-cli", "docker-compose")), "bookworm": ()}

# Hosts have it from the start, until a profile takes it away.
GOES = ("ca-certificates",)


def ensure_debian(engine: Engine, distro: str, image: Image, keys: Keys, say: Say) -> Path:
    """Return the folder served as deb.debian.org/debian for hosts of `image`, built once."""
    parts = (distro, image.plain, _groups(distro), GOES, keys.fingerprint("debian"))
    root = cache() / "mirror" / f"debian-{distro}-{recipe(*parts)}"
    if root.exists():
        return root
    suite = Suite(distro)
    suite.refresh(say)
    with step(say, f"fetching the Debian packages that {distro} hosts may want"):
        status = image.dpkg_status(engine)
        return finish(root, lambda tree: _build(suite, status, keys, tree))


def _build(suite: Suite, status: Path, keys: Keys, root: Path) -> None:
    codename = suite.codename
    pool = root / "pool" / "main"
    pool.mkdir(parents=True)
    for group in _groups(codename):
        for file in suite.closure(group, status):
            shutil.copy(file, pool)
    for file in suite.download(GOES).values():
        shutil.copy(file, pool)
    dists = root / "dists" / codename
    index(root, "pool/main", dists / "main" / f"binary-{architecture()}")
    about = {
        "Origin": "Debian",
        "Label": "Debian",
        "Suite": codename,
        "Codename": codename,
        "Components": "main",
        "Architectures": architecture(),
    }
    release(dists, about, keys, "debian")


def _groups(distro: str) -> tuple[tuple[str, ...], ...]:
    return (*GROUPS, *EXTRA[distro], packages())
