"""The kernel's log: the troubles of GPUs, memory and disks that it speaks of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from provision.facts.health import Kernel, Xid
from provision.facts.sections.gpu_health import address

_XID: Final = re.compile(r"NVRM: Xid \(([^)]{0,64})\): *(\d{1,6})")
_BUS: Final = re.compile(r"(?:PCI:)?([0-9a-fA-F]{4,8}):([0-9a-fA-F]{2}):([0-9a-fA-F]{2})")


def parse(text: str) -> Kernel:
    """Return what the log and the module files tell."""
    lines = text.splitlines()
    said = " ".join(_of(lines, "boot")).lower()
    killed = (re.search(r"Killed process \d+ \(([^)]{0,64})\)", line) for line in _of(lines, "oom"))
    return Kernel(
        readable="readable" in lines,
        xids=tuple(_xids(lines)),
        oom_kills=tuple(dict.fromkeys(found[1] for found in killed if found)),
        disk_errors=tuple(_of(lines, "disk")),
        nvidia_on_disk=next((found for found in _of(lines, "module") if found[:1].isdigit()), None),
        secure_boot="enabled" in said if re.search("(en|dis)abled", said) else None,
    )


def _xids(lines: list[str]) -> Iterator[Xid]:
    for line in _of(lines, "xid"):
        if found := _XID.search(line):
            yield Xid(code=int(found[2]), bus_id=_bus_id(found[1]), text=line)


def _bus_id(text: str) -> str:
    """Write `PCI:0000:01:00` as nvidia-smi does: `00000000:01:00.0`."""
    found = _BUS.match(text)
    if not found:
        return address(text)
    return f"{int(found[1], 16):08X}:{found[2]}:{found[3]}.0".upper()


def _of(lines: list[str], kind: str) -> Iterator[str]:
    return (line.partition(" ")[2].strip() for line in lines if line.startswith(f"{kind} "))
