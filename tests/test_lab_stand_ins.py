"""The laws of the lab's stand-ins: they say what they are, and what they replay hangs together."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from provision.lab.lab import GPU_FOLDER, RECORDINGS
from provision.lab.names import ASSETS

PROGRAMS = [
    *(ASSETS / "host" / "bin").iterdir(),
    RECORDINGS / "nvidia-smi",
    *(file for file in (ASSETS / "nvidia").iterdir() if not file.suffix),
]
SHELL = [file for file in PROGRAMS if file.read_text("utf-8").startswith("#!/bin/sh")]
UUID = re.compile(r"GPU-[0-9a-f]{8}-[0-9a-f-]{27}")
programs = pytest.mark.parametrize("program", PROGRAMS, ids=lambda file: file.name)
profiles = pytest.mark.parametrize("profile", ["h200-x1", "h200-x2"])


def uuids(text: str) -> list[str]:
    """Return the GPUs that a text names, in their order."""
    return list(dict.fromkeys(UUID.findall(text)))


@programs
def test_a_stand_in_says_that_it_is_one(program: Path) -> None:
    """Whoever meets it on a lab host reads in its first lines that it is not the real thing."""
    second = program.read_text("utf-8").splitlines()[1]
    assert second.startswith("# A STAND-IN for ")


@pytest.mark.parametrize("program", SHELL, ids=lambda file: file.name)
def test_shellcheck_finds_nothing_in_a_stand_in(program: Path) -> None:
    """Those that are scripts for sh are clean POSIX sh."""
    tool = Path(sys.executable).with_name("shellcheck")
    check = [tool, "--shell=sh", "--severity=warning", program]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@profiles
def test_the_recordings_of_a_profile_tell_of_the_same_gpus(profile: str) -> None:
    """In the same order, whatever nvidia-smi is asked for."""
    said = {file.name: uuids(file.read_text("utf-8")) for file in (RECORDINGS / profile).iterdir()}
    assert len(said["q.xml"]) == int(profile[-1])
    assert {name for name, found in said.items() if found and found != said["q.xml"]} == set()


@pytest.fixture
def smi(tmp_path: Path) -> Path:
    """Return the stand-in nvidia-smi with its recordings in a folder of its own."""
    text = (RECORDINGS / "nvidia-smi").read_text("utf-8")
    here = tmp_path / "lab-gpu"
    here.mkdir()
    for profile in ("h200-x1", "h200-x2"):
        (here / profile).symlink_to(RECORDINGS / profile)
    (tmp_path / "nvidia-smi").write_text(text.replace(GPU_FOLDER, str(here)), "utf-8")
    return tmp_path / "nvidia-smi"


def says(smi: Path, *words: str) -> tuple[int, str]:
    """Return what a nvidia-smi says, and how it ends."""
    done = subprocess.run(["sh", smi, *words], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_nvidia_smi_replays_its_profile_or_what_was_edited(smi: Path) -> None:
    """An edited text stands in for the recorded one of its name alone."""
    here = smi.parent / "lab-gpu"
    (here / "profile").write_text("h200-x2\n", "utf-8")
    recorded = (here / "h200-x2" / "q.xml").read_text("utf-8")
    assert says(smi, "-q", "-x") == (0, recorded)
    links = says(smi, "nvlink", "-s")[1]
    assert links.count("Link ") == 36
    (here / "edited").mkdir()
    (here / "edited" / "q.xml").write_text("edited\n", "utf-8")
    assert says(smi, "-q", "-x") == (0, "edited\n")
    assert says(smi, "nvlink", "-s")[1] == links


def test_of_one_gpu_there_are_no_links(smi: Path) -> None:
    """Nothing was recorded of them, so nothing is said."""
    assert says(smi, "nvlink", "-s") == (0, "")


@pytest.mark.parametrize(
    ("profile", "status", "words"),
    [
        ("not-loaded", 9, "couldn't communicate with the NVIDIA driver"),
        ("mismatch", 18, "Driver/library version mismatch"),
        ("lost", 255, "Failed to initialize NVML: Unknown Error"),
    ],
)
def test_a_fault_is_said_in_the_real_ones_words(
    smi: Path, profile: str, status: int, words: str
) -> None:
    """Whatever it is asked for."""
    (smi.parent / "lab-gpu" / "profile").write_text(f"{profile}\n", "utf-8")
    for asked in ("-L", "-q", "--version"):
        code, said = says(smi, asked)
        assert (code, words in said) == (status, True)
