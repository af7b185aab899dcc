"""How a folder of packages becomes a signed apt archive."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from provision.lab.keys import Keys
from provision.lab.process import run

RELEASES = {
    "trixie": ("debian", "13"),
    "bookworm": ("debian", "12"),
    "noble": ("ubuntu", "24.04"),  # for hosts in disguise: the packages are Debian's all the same
}


def index(base: Path, pool: str, folder: Path) -> None:
    """Write the Packages of `pool` into `folder`; file names count from `base`, as apt does."""
    folder.mkdir(parents=True, exist_ok=True)
    fast = [f"-o=APT::FTPArchive::{name}=false" for name in ("MD5", "SHA1", "SHA512")]
    listed = run(["apt-ftparchive", *fast, "packages", pool], cwd=base).stdout
    (folder / "Packages").write_text(listed)
    (folder / "Packages.gz").write_bytes(gzip.compress(listed.encode(), mtime=0))


def release(folder: Path, about: Mapping[str, str], keys: Keys, repository: str) -> None:
    """Write and sign the Release file of `folder`."""
    fields = [f"-o=APT::FTPArchive::Release::{key}={value}" for key, value in about.items()]
    text = run(["apt-ftparchive", *fields, "release", "."], cwd=folder).stdout
    (folder / "Release").write_text(text)
    keys.sign(repository, folder / "Release")


def finish(root: Path, build: Callable[[Path], None]) -> Path:
    """Build a tree beside `root` and move it there when it is whole."""
    scratch = root.with_name(root.name + ".new")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    build(scratch)
    scratch.rename(root)
    return root
