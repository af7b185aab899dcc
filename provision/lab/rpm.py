"""How an RPM is put together, signed and indexed, with the tools that distributions use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from provision.lab.keys import Keys
from provision.lab.machine import install
from provision.lab.process import Say, run

TOOLS = {"rpmbuild": "rpm", "rpmsign": "rpm", "createrepo_c": "createrepo-c"}
# Files are packed as they are: no stripping, no compression of manuals, and quickly.
MACROS = (
    *("--define", "__os_install_post %{nil}", "--define", "debug_package %{nil}"),
    *("--define", "_build_id_links none", "--define", "_binary_payload w1.gzdio"),
)


@dataclass(frozen=True)
class Spec:
    """What a package says of itself."""

    name: str
    version: str
    release: str
    epoch: int = 0
    relations: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """`Requires`, `Conflicts`, `Obsoletes` …"""
    scripts: Mapping[str, str] = field(default_factory=dict)
    """Text by `post`, `preun` …"""
    summary: str = "lab stand-in"

    def text(self, tree: Path) -> str:
        """Return the spec file of a package that holds all files of `tree`."""
        head = [f"Name: {self.name}", f"Version: {self.version}", f"Release: {self.release}"]
        head += [f"Epoch: {self.epoch}"] * bool(self.epoch)
        head += [f"Summary: {self.summary}", "License: none", "AutoReqProv: no"]
        head += [f"{word}: {name}" for word, names in self.relations.items() for name in names]
        parts = [*head, "%description", self.summary, "%install", f"cp -a {tree}/. %{{buildroot}}/"]
        for name, text in self.scripts.items():
            parts += [f"%{name}", text]
        return "\n".join([*parts, "%files", *_listed(tree)]) + "\n"


def ensure_rpm_tools(say: Say) -> None:
    """Install what building RPMs takes, where it is missing."""
    missing = {package for tool, package in TOOLS.items() if shutil.which(tool) is None}
    if missing:
        install(sorted(missing), say)


def write_rpm(spec: Spec, tree: Path, folder: Path) -> None:
    """Build one package whose files are those of `tree` into `folder`."""
    with TemporaryDirectory(dir=tree.parent) as scratch:
        file = Path(scratch) / f"{spec.name}.spec"
        file.write_text(spec.text(tree))
        places = ("--define", f"_topdir {scratch}", "--define", f"_rpmdir {folder}")
        name = ("--define", "_build_name_fmt %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm")
        run(["rpmbuild", "-bb", "--quiet", *MACROS, *places, *name, str(file)])


def sign(folder: Path, keys: Keys, repository: str) -> None:
    """Sign every package of a folder with the key of a repository."""
    home = keys.folder / f"gnupg-{repository}"
    who = ("--define", f"_gpg_name {keys.fingerprint(repository)}", "--define", f"_gpg_path {home}")
    gpg = ("--define", f"__gpg {shutil.which('gpg')}")
    packages = sorted(map(str, folder.glob("*.rpm")))
    run(["rpmsign", "--addsign", *who, *gpg, *packages], env={"GNUPGHOME": str(home)})
    run(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"], check=False)


def index(folder: Path, keys: Keys, repository: str) -> None:
    """Write the index of a folder and its detached signature."""
    run(["createrepo_c", "--quiet", "--general-compress-type=gz", str(folder)])
    data = folder / "repodata"
    keys.sign(repository, data / "repomd.xml")
    (data / "Release.gpg").rename(data / "repomd.xml.asc")
    (data / "InRelease").unlink()


def _listed(tree: Path) -> list[str]:
    """Name all files, those below /etc as configuration that an upgrade leaves alone."""
    found = []
    for folder, _, files in os.walk(tree):
        for name in files:
            path = f"/{(Path(folder) / name).relative_to(tree).as_posix()}"
            found.append(f"%config(noreplace) {path}" if path.startswith("/etc/") else path)
        links = [entry for entry in Path(folder).iterdir() if entry.is_symlink() and entry.is_dir()]
        found += [f"/{entry.relative_to(tree).as_posix()}" for entry in links]
    return sorted(found)
