"""A machine to read facts from: the real script, with parts of the file system put elsewhere."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from provision.facts import (
    Ask,
    Facts,
    Health,
    facts_script,
    health_script,
    parse_facts,
    parse_health,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SHELLS: Final = {"sh": ["sh"], "dash": ["dash"], "busybox": ["busybox", "sh"]}
FIXTURES: Final = Path(__file__).with_name("fixtures")
_HEALTH: Final = (
    "/proc/$pid/cgroup",
    "/proc/mounts",
    "/proc/net/tcp",
    "/sys/module",
    "/etc/fstab",
    "/etc/docker/daemon.json",
    "/run/systemd/system",
    "/sys/firmware/efi",
    "/sys/bus/pci",
)
_TOOLS: Final = (
    *("cat", "cut", "date", "df", "head", "od", "printf", "sleep", "sort", "tail"),
    *("timeout", "tr", "sed", "grep", "sh"),
)
"""Coreutils, and what stands beside a shell everywhere: all that the script may count on."""
_SYSTEM: Final = (
    "/etc/os-release",
    "/proc/driver/nvidia",
    "/sys/module",
    "/sys/bus/pci",
    "/proc/sys/kernel/random/boot_id",
    "/proc/sys/kernel/osrelease",
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/arch",
    "/var/lib/provision",
)
_ASK: Final = Ask()


class Machine:
    """Programs and files of a machine under test; what is not put there is this machine's own."""

    def __init__(self, root: Path) -> None:
        """Start with a Debian 12 without a GPU and without Docker."""
        self.root = root
        self.file("/etc/os-release", (FIXTURES / "os-release" / "debian-12").read_text("utf-8"))
        self.file("/proc/sys/kernel/random/boot_id", "b2b8ad07-bdfe-4b51-a1b8-6c1a5a0e0a11\n")
        self.file("/proc/sys/kernel/osrelease", "6.1.0-40-amd64\n")
        self.file("/proc/sys/kernel/hostname", "gpu01\n")
        self.file("/proc/sys/kernel/arch", "x86_64\n")
        for name in ("nvidia-smi", "nvidia-ctk", "docker"):
            self.program(name, "exit 127").unlink()

    def program(self, name: str, text: str) -> Path:
        """Put a program on the PATH."""
        path = self.root / "bin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    def file(self, name: str, text: str) -> None:
        """Write a system file."""
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def facts(self, shell: str = "sh", timeout: int = 10) -> Facts:
        """Run the real script and parse what it prints."""
        script = facts_script("@word", timeout)
        for name in _SYSTEM:
            assert name in script
            script = script.replace(name, f"{self.root}{name}")
        # Docker and GPUs that this machine happens to have are not the machine under test.
        script = script.replace("PATH=/usr/local/sbin:/usr/local/bin:", f"PATH={self.root}/bin:")
        return parse_facts(_run(script, shell).replace(f"{self.root}/sys/", "/sys/"), "@word")

    def health(self, shell: str = "sh", ask: Ask = _ASK, timeout: int = 8) -> Health:
        """Run the real script, with nothing but a shell and coreutils, and parse what it prints."""
        return parse_health(self.answer(shell, ask, timeout), "@word", timeout)

    def answer(self, shell: str = "sh", ask: Ask = _ASK, timeout: int = 8) -> str:
        """Return what the script of the health prints."""
        script = health_script("@word", ask, timeout)
        for name in _HEALTH:
            assert name in script
            script = script.replace(name, f"{self.root}{name}")
        path = f"PATH={self.root}/bin:{self._tools(shell)} #"
        return _run(script.replace("PATH=", path, 1), shell)

    def _tools(self, shell: str) -> Path:
        """Return a folder with the basic tools: busybox has them all in itself."""
        folder = self.root / f"tools-{shell}"
        folder.mkdir(exist_ok=True)
        for name in _TOOLS:
            own = "busybox" if shell == "busybox" else name
            target = shutil.which(own, path="/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            assert target, own
            if not (folder / name).exists():
                (folder / name).symlink_to(target)
        return folder


def _run(script: str, shell: str) -> str:
    done = subprocess.run(
        [*SHELLS[shell], "-s"], input=script.encode(), capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done
    return done.stdout.decode("utf-8", "surrogateescape")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a machine."""
    return Machine(tmp_path)


@pytest.fixture
def sections() -> Callable[..., str]:
    """Return a function that writes an answer of the script: `sections(os="…", cpu="0-3")`."""

    def answer(**texts: str) -> str:
        base = {"os": "ID=debian\n\n6.1.0 x86_64"} | texts
        return "".join(f"{text}\n\n@word {name} 0\n" for name, text in base.items())

    return answer
