"""Host keys of a fleet: which are unknown, and recording those that an operator accepts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from provision.fleet import Watch, greet
from provision.host.known_hosts import UnknownKeyError, fingerprint, trust
from provision.inventory.schema import Host


@dataclass(frozen=True)
class HostKey:
    """What a host (or the gateway before it) showed as its key."""

    host: Host
    unknown: UnknownKeyError | None = None
    error: str = ""

    @property
    def name(self) -> str:
        """Return the name under which the key is recorded."""
        return self.unknown.name if self.unknown else ""

    @property
    def fingerprint(self) -> str:
        """Return the key's type and fingerprint as OpenSSH prints them."""
        return fingerprint(self.unknown.key) if self.unknown else ""


def scan(hosts: Sequence[Host], forks: int, watch: Watch) -> list[HostKey]:
    """Connect to all hosts as every other task does, and keep the keys that it would refuse."""
    keys = []
    for visit in greet(hosts, forks, watch):
        visit.close()
        unknown = visit.failure if isinstance(visit.failure, UnknownKeyError) else None
        keys.append(HostKey(visit.host, unknown, "" if unknown else visit.error))
    return keys


def record(keys: Iterable[HostKey]) -> list[Path]:
    """Record unknown keys, each once, and return the files they went to."""
    paths = {}
    for key in keys:
        if key.unknown:
            entry = (key.unknown.file, key.name, key.fingerprint)
            if entry not in paths:
                paths[entry] = trust(key.unknown.file, key.name, key.unknown.key)
    return sorted(set(paths.values()))
