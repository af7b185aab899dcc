"""What an operator does in the tests: types `inv …` and reads what comes back."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from provision.lab import Lab

PROJECT = Path(__file__).resolve().parents[2]
INV = Path(sys.executable).with_name("inv")


@dataclass(frozen=True)
class Answer:
    """What a command left: exit status and text."""

    status: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        """Return all of it."""
        return self.stdout + self.stderr

    def lines_about(self, word: str) -> list[str]:
        """Return the lines that name `word` and are no progress."""
        return [
            line
            for line in self.text.splitlines()
            if line.startswith((f"{word} (", f"{word}: ")) and ". " in line
        ]


def inv(*words: str | Path, timeout: float = 300, **environment: str) -> Answer:
    """Run `inv` with `words` from the project's folder, without a terminal."""
    done = subprocess.run(
        [INV, *map(str, words)],
        cwd=PROJECT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def inventory(lab: Lab, folder: Path, **hosts: Mapping[str, Any]) -> Path:
    """Write the lab's inventory into `folder` with more settings for some hosts."""
    document = yaml.safe_load(lab.inventory.read_text())
    for name, settings in hosts.items():
        document["hosts"][name] = _merged(document["hosts"][name], settings)
    path = folder / "fleet.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def _merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    merged = copy.deepcopy(dict(base))
    for key, value in more.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if nested else value
    return merged
