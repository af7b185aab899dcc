"""Known reasons why a step failed, read off its output, each with its remedy."""

from __future__ import annotations

import re
from typing import Final

from provision.host.cause import Cause, Known
from provision.host.causes_container import CONTAINER_CAUSES
from provision.host.causes_engine import ENGINE_CAUSES
from provision.host.causes_hub import HUB_CAUSES

_WAIT: Final = "Wait for it to end or stop it, or raise lock_timeout; then run again."
_NETWORK: Final = "Check the host's network and proxies.apt, or set another mirror."
# apt's complaints begin with E:, W: or Err
_APT: Final = re.compile(r"^(?:E:|W:|Err:?\d*) ?", re.MULTILINE)

_READ: Final = 256 << 10  # characters: what went wrong stands near the end
_WIDEST: Final = 2000  # characters of a line that are read

_CAUSES: Final = (
    Known(
        r"No space left on device|not have enough free space|You don't have enough free space",
        "the disk is full",
        "Free space (df -h /var) and run again.",
    ),
    Known(
        r"Could not get lock (?P<file>\S+?)\.? It is held by process (?P<pid>\d+) \((?P<who>[^)\n]{0,200})\)",
        "another program holds {file}: {who} (process {pid})",
        _WAIT,
    ),
    Known(
        r"Could not get lock|Unable to acquire the dpkg frontend|Unable to lock"
        r"|dpkg frontend lock was locked|waiting for cache lock",
        "another apt or dpkg holds the lock",
        _WAIT,
    ),
    Known(
        r"provision: wrong key: (?P<detail>.*)",
        "the repository's signing key is not the pinned one: {detail}",
        "Do not go on with this mirror unless its owner announced a new key; "
        "then set the role's fingerprint.",
    ),
    Known(
        r"provision: (?P<file>\S+) is no longer what was probed",
        "{file} was changed by somebody else meanwhile",
        "Plan again.",
    ),
    Known(
        r"provision: (?P<detail>apt would also remove .*)",
        "{detail}",
        "Nothing was installed. Remove them yourself, if they may go, and run again.",
    ),
    Known(
        r"provision: (?P<detail>dnf would also remove .*)",
        "{detail}",
        "Nothing was installed. Remove them yourself, if they may go, and run again.",
    ),
    Known(
        r"GPG check FAILED|Package \S{1,200} is not signed|Public key for \S{1,200} is not installed",
        "a package is not signed by the pinned key",
        "Do not go on with this mirror unless its owner announced a new key; "
        "then set the role's fingerprint.",
    ),
    Known(
        r"repomd\.xml GPG signature verification error",
        "the repository's index is not signed by the pinned key",
        "Somebody may have changed it on its way: try another mirror.",
    ),
    Known(
        r"(?:No match for argument|Unable to find a match): (?P<name>\S+)",
        "there is no package {name} in the host's repositories",
        "Check the name and the repositories: dnf repolist",
    ),
    Known(
        r"Release file for (?P<url>\S+) is not valid yet|not live until|is expired|Release file .* expired",
        "the repository's dates do not fit the host's clock",
        "Check the clock (timedatectl); if it is right, the mirror is out of date: set another.",
        of=_APT,
    ),
    Known(
        r"Conflicting values set for option Signed-By regarding source (?P<url>\S+)",
        "two sources of {url} name different keyrings",
        "Remove the older one from /etc/apt/sources.list.d.",
    ),
    Known(
        r"BADSIG|Clearsigned file isn't valid|is not signed|NO_PUBKEY|bad signature"
        r"|invalid signature|Hash Sum mismatch|File has unexpected size"
        r"|Signature verification failed",
        "the repository's signature or checksums do not fit",
        "The mirror is being synchronised or was tampered with: "
        "try again later or set another mirror.",
    ),
    Known(
        r"(?:Could not resolve|Temporary failure resolving|Name or service not known)"
        r"\s*'?(?P<host>[\w.-]*)",
        "the mirror's name cannot be resolved: {host}",
        "Check the host's DNS or set another mirror.",
        of=_APT,
    ),
    Known(
        r"(?:Could not connect to|Unable to connect to|Failed to connect to) (?P<host>[\w.:-]+)",
        "the mirror {host} cannot be reached",
        _NETWORK,
        of=_APT,
    ),
    Known(
        r"Connection refused|Connection timed out|Network is unreachable|No route to host",
        "the mirror cannot be reached",
        _NETWORK,
        of=_APT,
    ),
    Known(
        r"Failed to fetch \S+\.deb\s+404",
        "the host's package lists are out of date",
        "Run `apt-get update` there, then run again.",
    ),
    Known(
        r"404\s+Not Found|403\s+Forbidden|does not have a Release file",
        "the mirror does not carry this repository",
        "Check the mirror's URL and that it carries this release.",
        of=_APT,
    ),
    Known(
        r"Certificate verification failed|certificate verify failed",
        "the mirror's certificate is not trusted",
        "Install ca-certificates, check the host's clock, or set another mirror.",
        of=_APT,
    ),
    Known(
        r"Version '(?P<version>[^']+)' for '(?P<name>[^']+)' was not found",
        "the package {name} has no version {version} there",
        "See what there is: apt-cache madison {name}",
    ),
    Known(
        r"Unable to locate package (?P<name>\S+)"
        r"|Package '(?P<other>[^']+)' has no installation candidate",
        "there is no package {name}{other} in the host's repositories",
        "Check the name and the repositories: apt-cache policy {name}{other}",
    ),
    Known(
        r"unmet dependencies|held broken packages|unable to correct problems",
        "apt cannot install these packages together",
        "See why: apt-get install --dry-run with the same packages on the host.",
    ),
    Known(
        r"the following directives are specified both as a flag and in the configuration file: "
        r"(?P<detail>.*)",
        "dockerd has options both in its unit and in daemon.json: {detail}",
        "Remove them from the unit's ExecStart.",
    ),
    Known(
        r"unable to configure the Docker daemon with file (?P<file>\S+): (?P<detail>.*)",
        "dockerd refuses {file}: {detail}",
        "Check it: dockerd --validate --config-file={file}",
    ),
)

# Docker's words are in nobody else's output, and a service's log holds the words of all others.
_ALL: Final = (*CONTAINER_CAUSES, *ENGINE_CAUSES, *_CAUSES, *HUB_CAUSES)


def cause_of(output: str) -> Cause | None:
    """Return the first known cause that the end of `output` shows, or None."""
    read = "\n".join(line[:_WIDEST] for line in output[-_READ:].split("\n"))
    for known in _ALL:
        words = known.words(read)
        if words is not None:
            return Cause(known.what.format(**words), known.remedy.format(**words))
    return None
