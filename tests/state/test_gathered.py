"""What one process finds out for many probes: each has the state that it would have found alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest

from provision.errors import ProbeError
from provision.state.kinds.directory import Directory
from provision.state.kinds.file import File
from provision.state.probe import parse_states, probe_script
from provision.state.shell import framed, nonce, quote

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from provision.state.resource import Resource, State

    Shell = Callable[..., subprocess.CompletedProcess[bytes]]

WANTED: Final = "as it shall be\n"
NAMES: Final = (
    *("plain", "a blank", "a  /b", "g", "g|h", "back\\slash", "it's", '"', "$HOME", "*", "-n"),
    *("汉字", "link", "dangling", "gone", "empty", "other", "large", "folder", "pipe", "plain|x"),
)
WRONG: Final = {"dangling", "gone", "g", "empty", "other", "large", "folder", "pipe"}
"""Those that are not a file with the wanted text."""
SAYS: Final = "error: cannot open Packages database in /var/lib/rpm"


def _make(folder: Path) -> None:
    for name in NAMES:
        place = folder / name
        place.parent.mkdir(exist_ok=True)
        match name:
            case "link":
                place.symlink_to(folder / "plain")
            case "dangling":
                place.symlink_to(folder / "nowhere")
            case "folder":
                place.mkdir()
            case "pipe":
                os.mkfifo(place)
            case "gone" | "g":
                pass
            case "empty":
                place.write_text("")
            case "large":
                place.write_text("x" * 70_000)
            case _:
                place.write_text("something else" if name == "other" else WANTED)


def _resources(folder: Path) -> list[Resource]:
    paths = [str(folder / name) for name in NAMES]
    files = [File(name=path, content=WANTED) for path in paths]
    secrets = [File(name=path, content=WANTED, sensitive=True) for path in paths[:3]]
    return [*files, *secrets, *(Directory(name=path) for path in paths)]


def _states(shell: Shell, resources: Sequence[Resource]) -> list[State | str | None]:
    """Return the state of each, or that there is none, of one script for all."""
    word = nonce()
    found: list[State | str | None] = []
    probes = list(dict.fromkeys(resource.probe() for resource in resources))
    done = shell(probe_script(resources, word))
    said, errors = (text.decode("utf-8", "surrogateescape") for text in (done.stdout, done.stderr))
    for resource in resources:  # one by one, since only the first error of all is told
        index = probes.index(resource.probe())
        own = said.replace(f"{word} end {index} ", f"{word} end 0 ")
        own = own[own.index(f"\n{word} begin {index}\n") :].replace(f"begin {index}", "begin 0", 1)
        try:
            found += parse_states([resource], own, errors, word)
        except ProbeError:
            found.append("none can be told")
    return found


def test_a_probe_finds_together_with_others_what_it_finds_alone(shell: Shell, folder: Path) -> None:
    """Whatever the paths are called, and whatever stands there."""
    _make(folder)
    resources = _resources(folder)
    alone = [_states(shell, [resource])[0] for resource in resources]
    assert _states(shell, resources) == alone
    assert _states(shell, resources[::-1]) == alone[::-1]
    right = [state for state in alone if isinstance(state, dict) and state.get("content") == WANTED]
    assert len(right) == len(NAMES) - len(WRONG)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (f"{SAYS}\npackage docker-ce is not installed\n", 2),
        ("package docker-ce is not installed\n", 1),
        ("docker-ce|3:28.2.0-1.el9\n", 0),
        ("", 2),
    ],
)
def test_a_broken_database_is_no_missing_package(
    shell: Shell, folder: Path, said: str, status: int
) -> None:
    """It says both of every package when it cannot read its database."""
    (folder / "said").write_text(said)
    rpm = f"rpm() {{ cat {quote(str(folder / 'said'))}; }}\ndnf_excluded() {{ return 1; }}\n"
    done = shell(framed(f"{rpm}gather_rpm docker-ce\nprobe_rpm docker-ce"))
    assert done.returncode == status, done
