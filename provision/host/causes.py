"""Known reasons why a step failed, read off its output, each with its remedy."""

from __future__ import annotations

import re
from typing import Final, NamedTuple


class Cause(NamedTuple):
    """What happened and what to do about it."""

    what: str
    remedy: str


_CAUSES: Final[tuple[tuple[str, str, str], ...]] = (
    (
        r"No space left on device|not have enough free space|You don't have enough free space",
        "the disk is full",
        "Free space (df -h /var) and run again.",
    ),
    (
        r"Could not get lock (?P<file>\S+?)\.? It is held by process (?P<pid>\d+) \((?P<who>[^)]*)\)",
        "another program holds {file}: {who} (process {pid})",
        "Wait for it to end or stop it, or raise lock_timeout; then run again.",
    ),
    (
        (
            r"(?:Could not get|Unable to acquire the dpkg frontend|Unable to lock|dpkg frontend lock"
            r" was locked|waiting for cache lock)"
        ),
        "another apt or dpkg holds the lock",
        "Wait for it to end or stop it, or raise lock_timeout; then run again.",
    ),
    (
        r"provision: wrong key: (?P<detail>.*)",
        "the repository's signing key is not the pinned one: {detail}",
        (
            "Do not go on with this mirror unless its owner announced a new key; "
            "then set the role's fingerprint."
        ),
    ),
    (
        r"provision: (?P<file>\S+) is no longer what was probed",
        "{file} was changed by somebody else meanwhile",
        "Plan again.",
    ),
    (
        (
            r"BADSIG|Clearsigned file isn't valid|is not signed|NO_PUBKEY|bad signature|invalid signature"
            r"|not live until|Hash Sum mismatch|File has unexpected size|Signature verification failed"
            r"|OpenPGP signature verification failed"
        ),
        "the repository's signature or checksums do not fit",
        (
            "The mirror is being synchronised or was tampered with: try again later or set another "
            "mirror."
        ),
    ),
    (
        r"(?:Could not resolve|Temporary failure resolving|Name or service not known)\s*'?(?P<host>[\w.-]*)",
        "the mirror's name cannot be resolved: {host}",
        "Check the host's DNS or set another mirror.",
    ),
    (
        r"(?:Could not connect to|Unable to connect to|Failed to connect to) (?P<host>[\w.:-]+)",
        "the mirror {host} cannot be reached",
        "Check the host's network and proxies.apt, or set another mirror.",
    ),
    (
        r"(?:Connection refused|Connection timed out|Network is unreachable|No route to host)",
        "the mirror cannot be reached",
        "Check the host's network and proxies.apt, or set another mirror.",
    ),
    (
        r"Failed to fetch \S+\.deb\s+404",
        "the host's package lists are out of date",
        "Run `apt-get update` there, then run again.",
    ),
    (
        r"(?:404\s+Not Found|403\s+Forbidden|does not have a Release file)",
        "the mirror does not carry this repository",
        "Check the mirror's URL and that it carries this release.",
    ),
    (
        r"Certificate verification failed|certificate verify failed",
        "the mirror's certificate is not trusted",
        "Install ca-certificates, check the host's clock, or set another mirror.",
    ),
    (
        r"Version '(?P<version>[^']+)' for '(?P<name>[^']+)' was not found",
        "the package {name} has no version {version} there",
        "See what there is: apt-cache madison {name}",
    ),
    (
        r"Unable to locate package (?P<name>\S+)",
        "there is no package {name} in the host's repositories",
        "Check the name and the repositories: apt-cache policy {name}",
    ),
    (
        r"unmet dependencies|held broken packages|unable to correct problems",
        "apt cannot install these packages together",
        "See why: apt-get install --dry-run with the same packages on the host.",
    ),
    (
        (
            r"the following directives are specified both as a flag and in the configuration file: "
            r"(?P<detail>.*)"
        ),
        "dockerd has options both in its unit and in daemon.json: {detail}",
        "Remove them from the unit's ExecStart.",
    ),
    (
        r"unable to configure the Docker daemon with file (?P<file>\S+): (?P<detail>.*)",
        "dockerd refuses {file}: {detail}",
        "Check it: dockerd --validate --config-file={file}",
    ),
)


def cause_of(output: str) -> Cause | None:
    """Return the first known cause that `output` shows, or None."""
    for pattern, what, remedy in _CAUSES:
        match = re.search(pattern, output, re.IGNORECASE)
        if match:
            words = {key: value or "" for key, value in match.groupdict().items()}
            return Cause(what.format(**words), remedy.format(**words))
    return None
