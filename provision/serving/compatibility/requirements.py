"""NVIDIA_REQUIRE_*: what an image demands of the driver and the GPU before it may start.

One variable is one requirement and all must hold; inside, a blank means or and a comma means and.
A factor is `cuda>=12.9`, `driver<571`, `arch>=8.0` or `brand=tesla`. The container toolkit judges
them when the container starts; a device that is handed over by CDI alone is not judged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final, NamedTuple

from provision.serving.compatibility.hardware import Hardware, driver_for
from provision.serving.compatibility.image_table import ADMITS
from provision.serving.compatibility.versions import Version, short, version


class Judged(NamedTuple):
    """What came of an image's requirements."""

    unmet: tuple[str, ...]
    """The first alternative of each that does not hold: the one that names its CUDA version."""
    unknown: tuple[str, ...]
    """Likewise of those about which too little is known of the host."""


def judged(environment: Mapping[str, str], hardware: Hardware) -> Judged:
    """Return which NVIDIA_REQUIRE_* of an image do not hold, for any of the service's GPUs."""
    if environment.get("NVIDIA_DISABLE_REQUIRE", "").lower() in {"1", "true"}:
        return Judged((), ())
    unmet: list[str] = []
    unknown: list[str] = []
    for name, requirement in sorted(environment.items()):
        if not name.startswith("NVIDIA_REQUIRE_") or not requirement.strip():
            continue
        found = _all(_holds(requirement, hardware, gpu) for gpu in range(len(hardware.brands) or 1))
        if found is not True:
            (unknown if found is None else unmet).append(requirement.split()[0])
    return Judged(tuple(unmet), tuple(unknown))


def promised(cuda: Version) -> dict[str, str]:
    """Return what an image on this CUDA version will demand, as far as that is known."""
    admits = ADMITS.get(short(cuda))
    if admits is None:
        return {}
    older = (
        f"brand={brand},driver>={branch},driver<{branch + 1}"
        for branch in admits.branches
        for brand in admits.brands
    )
    return {"NVIDIA_REQUIRE_CUDA": " ".join((f"cuda>={short(cuda)}", *older))}


_FACTOR: Final = re.compile(r"(?P<name>[A-Za-z_]+)(?P<sign>!=|<=|>=|=|<|>)(?P<value>[^<>=!]+)")
_SIGNS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": eq,
    "!=": ne,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
}


def _holds(requirement: str, hardware: Hardware, gpu: int) -> bool | None:
    """Say whether one of the alternatives holds; None: that cannot be told."""
    return _any(
        _all(_factor(factor, hardware, gpu) for factor in alternative.split(","))
        for alternative in requirement.split()
    )


def _factor(text: str, hardware: Hardware, gpu: int) -> bool | None:
    found = _FACTOR.fullmatch(text)
    if found is None:
        return None
    name, compare = found["name"], _SIGNS[found["sign"]]
    if name == "brand":
        brand = hardware.brands[gpu] if hardware.brands else None
        return None if brand is None else compare(brand, found["value"].lower())
    if name not in {"cuda", "driver", "arch"}:
        return True  # the toolkit passes over what it does not know
    actual, wanted = _actual(name, hardware, gpu), version(found["value"])
    if wanted is None:
        return None
    if actual is None and name == "cuda" and found["sign"] == ">=":
        first = driver_for(wanted)  # a driver newer than all we know supports what older ones do
        return True if first and hardware.driver >= first else None
    return None if actual is None else compare(actual, wanted)


def _actual(name: str, hardware: Hardware, gpu: int) -> Version | None:
    if name == "arch":
        return hardware.capabilities[gpu] if hardware.capabilities else None
    return hardware.cuda if name == "cuda" else hardware.driver


def _any(values: Any) -> bool | None:
    """Return or of yes, no and unknown."""
    found = set(values)
    if True in found:
        return True
    return None if None in found else False


def _all(values: Any) -> bool | None:
    """Return and of yes, no and unknown."""
    found = set(values)
    if False in found:
        return False
    return None if None in found else True
