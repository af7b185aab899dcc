"""How findings are put: their verdict, and GPUs by the numbers that an operator knows them by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from provision.checks.check import Sight
from provision.facts.health import GPUHealth
from provision.finding import Finding


class Named(NamedTuple):
    """Some GPUs of a host."""

    label: str
    """`GPU 0`, `GPUs 0, 3`, or the bus address of one that nvidia-smi does not number."""
    ids: str
    """What `nvidia-smi -i` takes: `0,3`."""


def fail(check: str, what: str, remedy: str = "", *, service: str = "") -> Finding:
    """Return the finding of what does not work, or will not at its next start."""
    return Finding(check=check, verdict="fail", what=what, remedy=remedy, service=service)


def warn(check: str, what: str, remedy: str = "", *, service: str = "") -> Finding:
    """Return the finding of what works worse than it can, or not for much longer."""
    return Finding(check=check, verdict="warn", what=what, remedy=remedy, service=service)


def inform(check: str, what: str, *, service: str = "") -> Finding:
    """Return a line that is worth reading although all is well."""
    return Finding(check=check, verdict="ok", what=what, service=service)


def gpus_of(sight: Sight) -> tuple[GPUHealth, ...]:
    """Return the GPUs that could be read; none where the inventory says that nobody uses them."""
    return () if sight.host.gpus == 0 else sight.health.gpu_health or ()


def alike(sight: Sight, judge: Callable[[GPUHealth], str]) -> Iterator[tuple[str, Named]]:
    """Yield each text that `judge` has for a GPU, with all GPUs that it has it for."""
    texts: dict[str, list[str]] = {}
    for gpu in gpus_of(sight):
        if text := judge(gpu):
            texts.setdefault(text, []).append(gpu.bus_id)
    for text, addresses in texts.items():
        yield text, named(sight, addresses)


def named(sight: Sight, addresses: Iterable[str]) -> Named:
    """Return GPUs by their numbers, as far as nvidia-smi numbers them."""
    numbers = {place(gpu.bus_id): str(gpu.index) for gpu in sight.facts.gpus}
    ids = [numbers.get(place(address), address) for address in dict.fromkeys(addresses)]
    return Named(label=f"{'GPU' if len(ids) == 1 else 'GPUs'} {', '.join(ids)}", ids=",".join(ids))


def place(address: str) -> tuple[int, ...] | str:
    """Return where on the bus a GPU is, however much of its address is written: `PCI:0000:06:00`.

    The kernel's log leaves out what nvidia-smi writes: half of the domain, and the function.
    """
    parts = address.upper().removeprefix("PCI:").partition(".")[0].split(":")
    try:
        return tuple(int(part, 16) for part in (["0", *parts])[-3:])
    except ValueError:
        return address


def listed(names: Iterable[str]) -> str:
    """Return `a`, `a and b`, or `a, b and c`."""
    *first, last = list(names) or [""]
    return f"{', '.join(first)} and {last}" if first else last
