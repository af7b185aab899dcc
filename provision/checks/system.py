"""The system: whether provision can do its work there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provision.checks.check import Check, Sight
from provision.checks.needs import roles_of
from provision.checks.words import fail, warn
from provision.finding import Finding

_SYSTEM: Final = "host.system"
_BOOT: Final = "host.boot"
_OLDEST: Final = {"debian": 12.0, "ubuntu": 22.04}
"""Oldest release of each family that the tests cover, or that is like one of them."""
_ENTERPRISE_LINUX: Final = frozenset({8, 9, 10})
"""Releases, own or equal, whose packages the roles know; their dnf is what the tests cover."""


def _system(sight: Sight) -> Iterator[Finding]:
    system = sight.facts.os
    oldest = _OLDEST.get(system.family)
    if system.enterprise_linux in _ENTERPRISE_LINUX:
        return
    if oldest is None:
        yield fail(
            _SYSTEM,
            f"{system.name or system.id} is not supported yet",
            "Debian 12 and 13, Ubuntu 22.04 and newer, Enterprise Linux 8 to 10 and what equals "
            "one of these (openEuler 20.03 to 24.03, Anolis 8 and 23) are.",
        )
    elif system.id == system.family and _number(system.version) < oldest:
        yield warn(
            _SYSTEM,
            f"{system.name} is older than what provision is tested on",
            "Debian 12 and Ubuntu 22.04 are the oldest.",
        )


def _boot(sight: Sight) -> Iterator[Finding]:
    if not sight.facts.systemd and any(role.needs_systemd for role in roles_of(sight.host)):
        yield warn(
            _BOOT,
            "the host was not booted with systemd: services cannot be started here",
            "A plan can be made, but not applied.",
        )


def _number(version: str) -> float:
    """Return `24.04` as a number; a release without one (sid) is newer than all."""
    return float(version) if version.replace(".", "", 1).isdigit() else float("inf")


SYSTEM: Final = Check(
    name=_SYSTEM,
    group="host",
    explain="provision installs packages by apt or dnf from repositories that name each release, "
    "so it works on Debian, Ubuntu and their derivatives, and on Enterprise Linux, its rebuilds "
    "and what is documented to equal one of its releases. On another system nothing is planned at all: "
    "guessing the package names of a distribution that no test covers would leave a host in a "
    "state that nobody has seen before. A release older than the tested ones may well work; it "
    "gets no security updates of the packages that are installed here, so upgrade it.",
    judge=_system,
)
BOOT: Final = Check(
    name=_BOOT,
    group="host",
    explain="Docker, the NVIDIA services and the downloads of models are units of systemd. A "
    "container, or a machine whose first process is something else, has no systemd: there a plan "
    "can be made, which shows what would change, but it cannot be applied. Deploying services "
    "works without it, since that only talks to Docker. Boot the machine with systemd, or manage "
    "what is under it instead.",
    judge=_boot,
)
