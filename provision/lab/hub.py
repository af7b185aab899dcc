"""A model hub that serves a folder: its models, its faults, and what it was asked."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from provision.errors import LabError, nearest
from provision.lab.names import ASSETS
from provision.lab.repository import Repository

PROGRAM = "hubd.py"
TIMEOUT = 10.0  # seconds
# The kinds of faults and what each may be told beside `path` and `times`.
FAULTS: dict[str, set[str]] = {
    "slow": {"rate"},  # bytes a second, of one connection
    "cut": {"after"},  # bytes of an answer; somewhere in it when left out
    "corrupt": set(),  # one byte in the middle of a file
    "401": set(),
    "403": set(),
    "404": set(),
    "429": {"retry_after"},  # seconds
    "503": {"retry_after"},  # seconds
}


@dataclass(frozen=True)
class Request:
    """One request that the hub answered, or began to."""

    time: float  # seconds since 1970, when it came
    seconds: float  # that the answer took
    client: str
    method: str
    path: str
    file: str  # `<owner>/<model>/<path>` of a file's content, else empty
    status: int
    start: int  # where in the file the answer began
    sent: int  # bytes of the body that the client's machine took
    agent: str


@dataclass(frozen=True)
class ModelHub:
    """A hub at a URL, and the folder through which it is told what to do."""

    folder: Path
    url: str

    def fault(
        self, kind: str | int, *, path: str = "*", times: int | None = None, **parameters: int
    ) -> None:
        """Let requests fail whose path, or whose file's, matches; for ever, or so many times."""
        name = str(kind)
        if name not in FAULTS:
            raise LabError(f"no fault '{name}'", remedy=nearest(name, set(FAULTS)))
        unknown = set(parameters) - FAULTS[name]
        if unknown:
            known = ", ".join(sorted(FAULTS[name])) or "nothing"
            raise LabError(f"'{name}' takes {known}, not {unknown.pop()}", where="hub.fault")
        fault = {"id": uuid.uuid4().hex, "kind": name, "path": path, "times": times, **parameters}
        self._tell([*self._faults(), fault])

    def heal(self) -> None:
        """Let nothing fail any more."""
        self._tell([])

    def requests(self) -> list[Request]:
        """Return what was asked since the log was cleared, in the order of the answers' ends."""
        log = self.folder / "access.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [Request(**json.loads(line)) for line in lines]

    def clear_log(self) -> None:
        """Forget what was asked."""
        (self.folder / "access.log").write_text("")

    def publish(
        self,
        model: str,
        folder: Path,
        *,
        branch: str = "master",
        tags: Iterable[str] = (),
        token: str | None = None,
    ) -> str:
        """Make a folder's files the newest commit of a model, new or known; return its sha."""
        return self._store.commit(model, folder, branch=branch, tags=tags, token=token)

    def move(self, model: str, branch: str, *, to: str) -> str:
        """Let a branch stand for another revision, and return its sha."""
        return self._store.move(model, branch, to)

    def revision(self, model: str, name: str = "master") -> str:
        """Return the sha that a branch or a tag stands for."""
        return self._store.revision(model, name)

    def down(self) -> None:
        """Refuse every connection, and hang up on those there are."""
        (self.folder / "down").touch()
        self._await(answering=False)

    def up(self) -> None:
        """Answer again."""
        (self.folder / "down").unlink(missing_ok=True)
        self._await(answering=True)

    def _await(self, *, answering: bool) -> None:
        """Wait until the hub takes connections, or until it does not."""
        url = urlsplit(self.url)
        ends = time.monotonic() + TIMEOUT
        while _takes(url.hostname or "", url.port or 80) is not answering:
            if time.monotonic() > ends:
                what = "does not answer" if answering else "still answers"
                raise LabError(what, where=self.url)
            time.sleep(0.05)

    @property
    def _store(self) -> Repository:
        return Repository(self.folder)

    def _faults(self) -> list[Any]:
        file = self.folder / "faults.json"
        return list(json.loads(file.read_text())) if file.exists() else []

    def _tell(self, faults: list[Any]) -> None:
        scratch = self.folder / "faults.json.new"
        scratch.write_text(json.dumps(faults, indent=1))
        scratch.rename(self.folder / "faults.json")


def _takes(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def on_loopback(folder: Path) -> Iterator[ModelHub]:
    """Serve a folder on this machine alone, by a process that ends with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, str(ASSETS / "hub" / PROGRAM), "--folder", str(folder), "--port", "0"]
    server = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        port = server.stdout.readline().strip() if server.stdout else ""
        if not port:
            raise LabError("does not start", where=PROGRAM)
        yield ModelHub(folder, f"http://127.0.0.1:{port}")
    finally:
        server.kill()
        server.wait()
