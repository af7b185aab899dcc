"""Host keys: which are known, which are not, and how one becomes known."""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

import paramiko

from provision.errors import ConnectError
from provision.inventory.schema import Host

_HASHED: Final = "|1|"
_reading = threading.Lock()
DEFAULT_FILES: Final = (Path("~/.ssh/known_hosts"), Path("/etc/ssh/ssh_known_hosts"))


class _Lines(NamedTuple):
    """The lines of a file by the name that each is about, and those that hide it: (hash, line)."""

    named: dict[str, list[str]]
    hashed: list[tuple[str, str]]


class UnknownKeyError(ConnectError):
    """A host key that nobody has trusted yet."""

    def __init__(self, name: str, key: paramiko.PKey) -> None:
        """Keep the key and the name under which it would be known."""
        super().__init__(f"unknown host key {fingerprint(key)}")
        self.name = name
        self.key = key
        self.host: Host | None = None
        self.file: Path = DEFAULT_FILES[0]
        """Where it would be recorded."""

    def __str__(self) -> str:
        """Return the error with the command that trusts the key."""
        host = self.host.name if self.host else self.name
        return (
            f"{host} ({self.name}): {self.what}. Compare it with the host's own "
            f"(`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`), then, with the same --inventory: inv trust --host {host}"
        )


class StrictPolicy(paramiko.MissingHostKeyPolicy):
    """Refuse every key that is not known."""

    def missing_host_key(
        self,
        client: paramiko.SSHClient,  # noqa: ARG002  the signature is paramiko's
        hostname: str,
        key: paramiko.PKey,
    ) -> NoReturn:
        """Raise `UnknownKeyError`."""
        raise UnknownKeyError(hostname, key)


def fingerprint(key: paramiko.PKey) -> str:
    """Return `ssh-ed25519 SHA256:…` as OpenSSH prints it."""
    sha256 = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
    return f"{key.get_name()} SHA256:{sha256}"


def known_keys(files: Iterable[Path], name: str) -> list[tuple[str, paramiko.PKey]]:
    """Return the known keys (type, key) of `name`, as `address` or `[address]:port`.

    Nothing else is decoded: each of many hosts looks into a file with the keys of all.
    """
    found: list[tuple[str, paramiko.PKey]] = []
    for path in files:
        named, hashed = _lines(path.expanduser())
        keys: dict[str, paramiko.PKey] = {}  # by type: of two lines the later one counts
        own = (line for word, line in hashed if paramiko.HostKeys.hash_host(name, word) == word)
        for line in (*named.get(name, ()), *own):
            with suppress(paramiko.SSHException, ValueError, IndexError):
                entry = paramiko.hostkeys.HostKeyEntry.from_line(line)
                if entry and entry.key:
                    keys[entry.key.get_name()] = entry.key
        found += keys.items()
    return found


def trust(file: Path, name: str, key: paramiko.PKey) -> Path:
    """Append the key to a known_hosts file and return the file's path."""
    path = file.expanduser()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    line = f"{name} {key.get_name()} {key.get_base64()}\n"
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as known:
        known.write(line if before.endswith("\n") or not before else f"\n{line}")
    _read.cache_clear()
    return path


def _lines(path: Path) -> _Lines:
    """Return the lines of a file: one that paramiko does not know must not hide the others.

    Lines of certificate authorities and revoked keys are such; the keys they name stay unknown.
    """
    with _reading:  # all hosts come at once, and one of them is to read it
        return _read(path)


@cache
def _read(path: Path) -> _Lines:
    found = _Lines({}, [])
    try:
        lines = path.read_bytes().decode(errors="replace").splitlines() if path.exists() else []
    except OSError as error:
        raise ConnectError(
            f"cannot be read: {error.strerror}", where=str(path), remedy="Check its permissions."
        ) from error
    for line in lines:
        if line.startswith(("#", "@")) or not line.strip():
            continue
        for name in line.split(maxsplit=1)[0].split(","):
            if name.startswith(_HASHED):
                found.hashed.append((name, line))
            else:
                found.named.setdefault(name, []).append(line)
    return found
