"""How tests run the real download clients of this machine against a hub."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.lab.hub import ModelHub

BIN = Path(sys.executable).parent
# One retry each, so that a fault for ever ends soon.
HASTE = {"MODELSCOPE_DOWNLOAD_MAX_RETRIES": "1", "MODELSCOPE_REPO_TREE_PAGE_MAX_ATTEMPTS": "2"}


@dataclass(frozen=True)
class Done:
    """What a client left: exit status, text, and the files in its folder."""

    status: int
    text: str
    folder: Path

    def files(self) -> dict[str, bytes]:
        """Return the content of each file, without what the client keeps for itself."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        names = {str(path.relative_to(self.folder)): path for path in found}
        return {
            name: path.read_bytes()
            for name, path in sorted(names.items())
            if not name.startswith(".cache")
        }


def environment(hub: ModelHub, home: Path, token: str | None) -> dict[str, str]:
    """Return what a client is told by the environment."""
    tokens = {"MODELSCOPE_API_TOKEN": token, "HF_TOKEN": token} if token else {}
    endpoints = {"MODELSCOPE_ENDPOINT": hub.url, "HF_ENDPOINT": hub.url}
    quiet = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_XET": "1"}
    return {"PATH": os.environ["PATH"], "HOME": str(home), **endpoints, **quiet, **tokens}


def download(
    client: str,
    hub: ModelHub,
    model: str,
    folder: Path,
    *files: str,
    revision: str | None = None,
    token: str | None = None,
    extra: Mapping[str, str] | None = None,
) -> Done:
    """Run `modelscope download` or `hf download` into a folder."""
    branch = {"modelscope": "master", "hf": "main"}[client]
    where = ("--revision", revision or branch, "--local-dir", str(folder))
    argv = [str(BIN / client), "download", model, *files, *where]
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    told = environment(hub, home, token) | dict(extra or {})
    done = subprocess.run(
        argv, env=told, cwd=home, capture_output=True, text=True, check=False, timeout=120
    )
    return Done(done.returncode, done.stdout + done.stderr, folder)


def ask(hub: ModelHub, model: str, method: str = "GET", **headers: str) -> Any:
    """Ask for `model.bin` of a model, as the plainest of clients does."""
    url = f"{hub.url}/{model}/resolve/main/model.bin"
    asked = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310  the lab's own
    return urllib.request.urlopen(asked, timeout=30)  # noqa: S310  likewise
