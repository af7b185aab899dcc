"""All checks there are, in the order of their groups, and how a host is judged by them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from provision.checks.check import Check, Sight
from provision.checks.clock import CLOCK
from provision.checks.disk import DISK
from provision.checks.docker import ACTIVE, CONFIG, CONTAINER_GPUS
from provision.checks.driver import LOADED, VERSION
from provision.checks.driver_upgrade import UPGRADE
from provision.checks.gpu_count import COUNT
from provision.checks.gpu_links import FABRIC, NVLINK, PCIE
from provision.checks.gpu_memory import ECC, REPAIR
from provision.checks.gpu_modes import MIG, PERSISTENCE, RECOVERY
from provision.checks.gpu_speed import CLOCKS, POWER, THERMAL
from provision.checks.gpu_strangers import STRANGERS
from provision.checks.gpu_xid import XID
from provision.checks.memory import MEMORY
from provision.checks.models import COMPLETE
from provision.checks.network import NAMES, PORTS
from provision.checks.readable import READABLE
from provision.checks.services import CALLS, ERRORS, OOM, RESTARTS, RUNNING, TOKENS
from provision.checks.sweep import REACHABLE
from provision.checks.system import BOOT, SYSTEM
from provision.checks.toolkit import INSTALLED, RUNTIME
from provision.checks.toolkit_container import CONTAINER
from provision.finding import Finding

# fmt: off
CHECKS: Final[tuple[Check, ...]] = (
    READABLE, SYSTEM, BOOT, DISK, MEMORY, CLOCK,
    LOADED, VERSION, UPGRADE,
    COUNT, XID, RECOVERY, ECC, REPAIR, THERMAL, POWER, CLOCKS, PCIE, NVLINK, FABRIC,
    MIG, PERSISTENCE, STRANGERS,
    ACTIVE, CONFIG, CONTAINER_GPUS,
    INSTALLED, RUNTIME, CONTAINER,
    COMPLETE,
    RUNNING, OOM, RESTARTS, ERRORS, TOKENS, CALLS,
    NAMES, PORTS,
)
# fmt: on
"""A new check is a row here; what a sweep makes beyond facts has its names here, too."""
BACKGROUND: Final = {
    REACHABLE: "A sweep reaches each host as every other task does: by SSH, through the gateway where "
    "there is one, with a host key that is known, and as root by sudo. Where any of it fails "
    "nothing is known of the host, and services on it may well be running. The finding says which "
    "it was: a name that does not resolve, no answer (down, another address, a firewall), a login "
    "that is refused, a changed key, or sudo. Try what its remedy proposes from the machine that "
    "you sweep from.",
    **{check.name: check.explain for check in CHECKS},
}
"""What `--explain` tells of each check that a finding can name."""


def judged(sight: Sight, checks: Iterable[Check] = CHECKS) -> list[Finding]:
    """Return what the checks find on a host, with the host's name."""
    return [
        finding.model_copy(update={"host": sight.host.name})
        for check in checks
        for finding in check.judge(sight)
    ]
