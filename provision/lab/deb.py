"""How a Debian package is put together from a control file, scripts and a tree of files."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from provision.lab.process import run


@dataclass(frozen=True)
class Control:
    """What a package says of itself."""

    name: str
    version: str
    architecture: str
    depends: str = ""
    conflicts: str = ""
    description: str = ""
    scripts: Mapping[str, str] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """The package's file name, without the epoch, as Debian archives write it."""
        return f"{self.name}_{self.version.rpartition(':')[2]}_{self.architecture}.deb"

    def text(self) -> str:
        """Return the control file."""
        fields = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": self.architecture,
            "Maintainer": "provision lab <lab@lab.invalid>",
            "Section": "admin",
            "Priority": "optional",
            "Depends": self.depends,
            "Conflicts": self.conflicts,
            "Replaces": self.conflicts,
            "Description": self.description,
        }
        return "".join(f"{key}: {value}\n" for key, value in fields.items() if value)


def write_deb(control: Control, data: Path, folder: Path) -> Path:
    """Write one package whose files are the tar.gz `data`, which many versions may share."""
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": _control_tar(control),
        "data.tar.gz": data.read_bytes(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / control.file
    with target.open("wb") as archive:
        archive.write(b"!<arch>\n")
        for name, content in members.items():
            header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n"
            archive.write(header.encode() + content + b"\n" * (len(content) % 2))
    return target


def pack(tree: Path, target: Path) -> Path:
    """Write a folder as a tar.gz whose files are root's; speed counts more than size here."""
    owner = ("--owner=0", "--group=0", "--numeric-owner", "--sort=name")
    run(["tar", "-C", str(tree), *owner, "-I", "gzip -1", "-cf", str(target), "."])
    return target


def unpack(package: Path, tree: Path) -> None:
    """Unpack a package's files into `tree`, following the links that are there."""
    tree.mkdir(parents=True, exist_ok=True)
    run(["sh", "-c", _UNPACK, "sh", str(package), str(tree)])


def scripts_of(package: Path, scratch: Path) -> dict[str, str]:
    """Return a package's own scripts and lists (not its control file nor its checksums)."""
    run(["dpkg-deb", "--control", str(package), str(scratch)])
    texts = {file.name: file.read_text() for file in sorted(scratch.iterdir())}
    return {name: text for name, text in texts.items() if name not in {"control", "md5sums"}}


_UNPACK = 'dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --keep-directory-symlink --no-same-owner'
_EXECUTABLE = {"preinst", "postinst", "prerm", "postrm", "config"}


def _control_tar(control: Control) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
        for name, text in {"control": control.text(), **control.scripts}.items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.mode = 0o755 if name in _EXECUTABLE else 0o644
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()
