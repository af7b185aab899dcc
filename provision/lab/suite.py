"""How packages of any Debian suite are fetched on this machine: apt with a state of its own."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from provision.errors import LabError
from provision.lab.machine import KEYRING, architecture, debian_mirror
from provision.lab.names import cache, locked
from provision.lab.process import Say, run, step

FRESH = 600.0  # seconds that a list of packages is good for


@dataclass(frozen=True)
class Suite:
    """One Debian suite as the machine's mirror has it now."""

    codename: str

    @property
    def folder(self) -> Path:
        """The private apt state of this suite."""
        return cache() / "apt" / self.codename

    def refresh(self, say: Say) -> None:
        """Fetch the suite's list of packages, unless that was done a moment ago."""
        with locked(self.folder):
            sources = self.folder / "sources.list"
            if not sources.exists() or time.time() - sources.stat().st_mtime > FRESH:
                self._refresh(say)

    def _refresh(self, say: Say) -> None:
        for part in ("state/lists/partial", "cache/archives/partial", "debs"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        sources = self.folder / "sources.list"
        sources.write_text(
            f"deb [arch={architecture()} signed-by={KEYRING}] "
            f"{debian_mirror()} {self.codename} main\n"
        )
        with step(say, f"reading Debian's list of packages for {self.codename}"):
            done = run(
                [*self._apt_get("status"), "update", "-q", "-oAPT::Update::Error-Mode=any"],
                check=False,
            )
        if done.returncode != 0 or not list((self.folder / "state/lists").glob("*Packages*")):
            sources.unlink()
            raise LabError(
                f"no packages of {self.codename} from {debian_mirror()}",
                where="apt-get update",
                remedy="Set PROVISION_LAB_DEBIAN_MIRROR to a mirror that this machine reaches.",
            )

    def download(self, packages: Iterable[str]) -> dict[str, Path]:
        """Return the files of single packages, without what they depend on."""
        folder = self.folder / "debs"
        names = list(packages)
        with locked(self.folder):
            run([*self._apt_get("status"), "download", *names], cwd=folder)
        return {name: _newest(folder, name) for name in names}

    def closure(self, packages: Iterable[str], status: Path | None = None) -> list[Path]:
        """Return packages with all they depend on that is not installed according to `status`."""
        archives = self.folder / "cache" / "archives"
        with locked(self.folder):
            known = "status"
            if status is not None:
                known = "status-of-image"
                shutil.copy(status, self.folder / known)
            install = [*self._apt_get(known), "install", "-y", "-q"]
            run([*install, "--download-only", *packages])
            listed = run([*install, "--simulate", *packages])
        wanted = [line.split() for line in listed.stdout.splitlines() if line.startswith("Inst ")]
        return [_newest(archives, words[1]) for words in wanted]

    def _apt_get(self, status: str) -> list[str]:
        options = {
            "Dir::State": self.folder / "state",
            "Dir::State::status": self.folder / status,
            "Dir::Cache": self.folder / "cache",
            "Dir::Etc::sourcelist": self.folder / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "APT::Architecture": architecture(),
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "",
            "APT::Default-Release": "",
            "APT::Update::Post-Invoke": "true",
            "Acquire::Languages": "none",
            "Debug::NoLocking": "true",
        }
        return ["apt-get", *(f"-o{key}={value}" for key, value in options.items())]


def _newest(folder: Path, package: str) -> Path:
    found = sorted(folder.glob(f"{package}_*.deb"), key=lambda file: file.stat().st_mtime)
    if not found:
        raise LabError(f"apt fetched no {package}", where=str(folder))
    return found[-1]
