"""Xids: the errors of GPUs in the kernel's log since the last boot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from provision.checks.check import Check, Sight
from provision.checks.words import Named, fail, named, warn
from provision.checks.xids import SOURCE, XIDS, Action, Meaning
from provision.facts.health import Xid
from provision.finding import Finding

_NAME: Final = "gpu.xid"
_UNKNOWN: Final = Meaning("an error that is not in our table", "watch")
_FATAL: Final = re.compile(r"\bfatal\b", re.IGNORECASE)  # and not Nonfatal


def _xid(sight: Sight) -> Iterator[Finding]:
    kernel = sight.health.kernel
    if kernel is None or sight.host.gpus == 0:
        return
    by_kind: dict[tuple[int, Action], list[str]] = {}
    for xid in kernel.xids:
        by_kind.setdefault((xid.code, _action(xid)), []).append(xid.bus_id)
    for (code, action), addresses in sorted(by_kind.items()):
        if action != "nothing":
            meaning, gpus = XIDS.get(code, _UNKNOWN), named(sight, addresses)
            say = fail if action in {"reset", "reboot", "power"} else warn
            what = f"{gpus.label}: Xid {code} since the boot: {meaning.what}"
            yield say(_NAME, what, _remedy(action, code, gpus))


def _action(xid: Xid) -> Action:
    """Return what is to be done; of a link's error its own line says whether it is fatal."""
    action = XIDS.get(xid.code, _UNKNOWN).action
    if action == "link":
        return "reset" if _FATAL.search(xid.text) else "watch"
    return action


def _remedy(action: Action, code: int, gpus: Named) -> str:
    look = f"dmesg -T | grep 'Xid.* {code},'"
    reset = f"nvidia-smi --gpu-reset -i {gpus.ids}"
    if action == "restart":
        return f"Restart the service if it has ended; the line names its process: {look}"
    if action == "reset later":
        return f"Restart the service that it names ({look}); reset when it suits: {reset}"
    if action == "reset":
        return f"Stop what runs on it and reset it: {reset}; reboot if that fails ({look})."
    if action == "reboot":
        return "Power the host off and on; if it comes again, have the GPU reseated or replaced."
    if action == "power":
        return "Switch the host off, look at the GPU's power cable and seat, and start it cold."
    return f"If it comes again, tell the vendor: {look}; its meaning: {SOURCE}"


XID: Final = Check(
    name=_NAME,
    group="gpu",
    reads=("kernel",),
    explain="An Xid is an error that the driver writes to the kernel's log, with a number for its "
    "kind. Many come from programs that computed with wrong addresses (13, 31, 43) and harm nobody "
    "else; others are faults of memory (48, 63, 64, 94, 95), of links (74, 136, 144 to 150), of "
    "the GPU's firmware (119, 120) or of the bus (79), and need a reset, a reboot, or a new GPU. "
    "The log is read since the last boot, so an error that a reset has mended stays in it until "
    f"the next one. NVIDIA's catalogue: {SOURCE}",
    judge=_xid,
)
