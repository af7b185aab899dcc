"""The GPUs and the driver of a service, in the words that CUDA's rules are made of."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from provision.facts import GPU
from provision.serving.compatibility.cuda_tables import BRANDS, DATA_CENTRE, TOOLKIT_DRIVERS
from provision.serving.compatibility.seen import NOTHING, Seen
from provision.serving.compatibility.subject import Subject
from provision.serving.compatibility.versions import Version, known, minor, short, version


class Hardware(NamedTuple):
    """The driver, and the GPUs that a service is given."""

    driver: Version
    driver_text: str
    cuda: Version | None
    """The newest CUDA version that the driver supports natively; None = unknown."""
    brands: tuple[str | None, ...]
    """NVML's brand of each GPU, as in NVIDIA_REQUIRE_CUDA; None = unknown."""
    capabilities: tuple[Version | None, ...]
    data_centre: bool
    """All GPUs are of the class to which newer CUDA versions are brought by cuda-compat."""


def hardware(subject: Subject, seen: Seen = NOTHING) -> Hardware | None:
    """Return what is known of driver and GPUs; None where there is no driver that works."""
    driver = subject.facts.driver if subject.facts else None
    text = (driver.kernel_module or driver.library or "") if driver else ""
    number = version(text)
    if driver is None or driver.status != "ok" or number is None:
        return None
    gpus = subject.gpus
    return Hardware(
        driver=number,
        driver_text=text,
        cuda=version(driver.cuda) or _native(number),
        brands=tuple(brand(gpu.name, seen.brands.get(gpu.index, "")) for gpu in gpus),
        capabilities=tuple(version(gpu.compute_capability) for gpu in gpus),
        data_centre=bool(gpus) and all(is_data_centre(gpu) for gpu in gpus),
    )


def brand(name: str, stated: str = "") -> str | None:
    """Return NVML's brand of a GPU by what nvidia-smi states, else by its name; None: unknown."""
    if spelled := re.sub(r"[^a-z]", "", stated.lower()):
        return spelled
    for pattern, found in BRANDS:
        if re.search(pattern, name, re.IGNORECASE):
            return found
    return "nvidia" if _names(name) & _DATA_CENTRE else None


def is_data_centre(gpu: GPU) -> bool:
    """Say whether a GPU is one for data centres, by its name."""
    return not re.search(r"GeForce|TITAN|Quadro|RTX", gpu.name) and bool(
        _names(gpu.name) & _DATA_CENTRE
    )


def driver_for(cuda: Version) -> Version | None:
    """Return the first driver that supports a CUDA version itself; None: it is not in the table."""
    found = TOOLKIT_DRIVERS.get(short(cuda))
    return known(found) if found else None


_DATA_CENTRE: Final = frozenset(DATA_CENTRE)


def _names(name: str) -> set[str]:
    """Return the words of a name: H200, also of NVIDIA-H200-NVL and of A100-SXM4-80GB."""
    return set(re.findall(r"[A-Z]+\d+[A-Z]*", name))


def _native(driver: Version) -> Version | None:
    """Return the newest CUDA version of the table that a driver supports, if it is in its range."""
    newest = max(map(known, TOOLKIT_DRIVERS.values()))
    fit = [cuda for cuda, first in TOOLKIT_DRIVERS.items() if known(first) <= driver]
    if driver[0] > newest[0] or not fit:
        return None
    return minor(max(map(known, fit)))
