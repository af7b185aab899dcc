"""What an operator does in the tests: types `inv …` and reads what comes back."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from provision.lab import Lab

PROJECT = Path(__file__).resolve().parents[2]
INV = Path(sys.executable).with_name("inv")
_NAMES = (os.environ.get("PROVISION_TEST_LAB", "test"), os.environ.get("PYTEST_XDIST_WORKER"))
NAME = "-".join(filter(None, _NAMES))
"""What labs of this process are called; two sessions at once take two names."""
ROLES = ("base", "docker", "nvidia_container_toolkit")
"""What hosts get in tests that are not about models."""


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


def inv(*words: str | Path, timeout: float = 900, **environment: str) -> Answer:
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


def begin(*words: str | Path) -> subprocess.Popen[str]:
    """Start `inv` as above, to be killed or waited for by the caller."""
    argv = [str(INV), *map(str, words)]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(argv, cwd=PROJECT, text=True, **quiet)  # type: ignore[call-overload,no-any-return]


def await_that(ready: Callable[[], object], timeout: float = 60) -> None:
    """Look every tenth of a second until `ready` says yes; fail when it does not."""
    ends = time.monotonic() + timeout
    while not ready():
        assert time.monotonic() < ends, f"still not after {timeout} s"
        time.sleep(0.1)


def inventory(lab: Lab, folder: Path, **hosts: Mapping[str, Any]) -> Path:
    """Write the lab's inventory into `folder` with more settings for some hosts."""
    document = yaml.safe_load(lab.inventory.read_text())
    for name, settings in hosts.items():
        document["hosts"][name] = _merged(document["hosts"].get(name) or {}, settings)
    path = folder / "fleet.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def models_inventory(
    lab: Lab, folder: Path, hosts: Mapping[str, Mapping[str, Any]], **models: Any
) -> Path:
    """Write an inventory of hosts that have nothing but models, and ask the hub for their files.

    A host `gpu01-x` is gpu01 under another name, with settings of its own.
    """
    document = yaml.safe_load(lab.inventory.read_text())
    hubs = {name: {"endpoint": lab.hub.url} for name in ("modelscope", "huggingface")}
    place = {"cache": str(folder / "cache"), "lock": str(folder / "models.lock.json")}
    document["vars"]["models"] = _merged({**hubs, **place}, models)
    document["groups"] = {"lab": {"hosts": list(hosts), "roles": ["models"]}}
    document["hosts"] = {
        name: {"ssh": {"address": lab.host(name.partition("-")[0]).address}, "models": settings}
        for name, settings in hosts.items()
    }
    path = folder / "models.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    answer = inv("models", "--lock", "--inventory", path)
    assert answer.status == 0, answer.text
    return path


def _merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    merged = copy.deepcopy(dict(base))
    for key, value in more.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if nested else value
    return merged
