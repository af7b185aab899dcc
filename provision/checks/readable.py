"""What could not be read: said once, so that nothing unknown counts as well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from provision.checks.check import Check, Sight
from provision.checks.docker import ACTIVE
from provision.checks.driver import LOADED
from provision.checks.needs import driver_works
from provision.checks.words import listed, warn
from provision.facts.health import SECTIONS
from provision.finding import Finding

_NAME: Final = "host.readable"
_TOLD: Final = frozenset({"driver", "gpus", "docker"})
"""Facts of which another check says that they could not be read: they stop a plan, too."""
_CALLED: Final[Mapping[str, str]] = {
    "gpu_health": "the state of the GPUs",
    "kernel": "the kernel's log",
    "upgrades": "pending upgrades",
    "fabric": "the NVLink fabric",
    "engine": "the containers",
    "file_systems": "the disks",
    "clock": "the clock",
    "network": "the network",
}
_NO_REASON: Final = "no answer that makes sense"


def _readable(sight: Sight) -> Iterator[Finding]:
    unknown = {_CALLED.get(name, name): why for name, why in _unknown(sight)}
    if unknown:
        reasons = "; ".join(dict.fromkeys(filter(None, unknown.values()))) or _NO_REASON
        yield warn(
            _NAME,
            f"unknown: {listed(unknown)} could not be read: {reasons}",
            f"What depends on it was not judged. Look again: inv verify --host {sight.host.name}",
        )


def _unknown(sight: Sight) -> Iterator[tuple[str, str]]:
    """Yield the sections that are unknown without another finding that tells why."""
    told = _TOLD | {"images"} if "docker" in sight.facts.unknown else _TOLD
    for name in sight.facts.unknown:
        if name not in told:
            yield name, ""
    health = sight.health
    for section in (each for each in SECTIONS if each in sight.asked):
        why = health.unknown.get(section, "")
        missing = section in health.unknown or getattr(health, section) is None
        if missing and not _explained(section, sight):
            yield section, why
    if health.kernel and not health.kernel.readable:
        yield "kernel", "it may not be read"


def _explained(section: str, sight: Sight) -> bool:
    if section == "gpu_health":
        return sight.host.gpus == 0 or not driver_works(sight)
    if section == "fabric":
        return sight.host.gpus == 0 or any(LOADED.judge(sight))
    return section == "engine" and any(ACTIVE.judge(sight))


READABLE: Final = Check(
    name=_NAME,
    group="host",
    explain="A sweep reads a host by one script in sections with time limits, so that what hangs costs little else. A "
    "section that ran into its limit, failed, or said something that makes no sense is unknown: "
    "the checks that need it say nothing, and this line says that they could not. That is not the "
    "same as well. Most often the host is overloaded, a command hangs, or the connection broke; "
    "run the sweep again, and look at the host where it stays.",
    judge=_readable,
)
