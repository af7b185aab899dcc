"""How an image of one CUDA version gets along with a driver: by which of CUDA's compatibilities."""

from __future__ import annotations

from typing import Literal

from provision.serving.compatibility.cuda_tables import MINOR_FLOORS, TOOLKIT_DRIVERS
from provision.serving.compatibility.hardware import Hardware, driver_for
from provision.serving.compatibility.image_table import ADMITS
from provision.serving.compatibility.images import Built
from provision.serving.compatibility.requirements import judged
from provision.serving.compatibility.versions import Version, known, minor, short

Way = Literal["native", "minor", "forward", "none", "unknown"]
"""The driver supports it itself; it is of the same major release; newer libraries in the image
stand in for the driver's, which GPUs for data centres allow; not at all; nobody can tell."""


def way(cuda: Version, hardware: Hardware) -> Way:
    """Return how programs of a CUDA version run on a driver."""
    first = driver_for(cuda)
    if (hardware.cuda and hardware.cuda >= minor(cuda)) or (first and hardware.driver >= first):
        return "native"
    if hardware.cuda is None and first is None:
        return "unknown"
    floor = MINOR_FLOORS.get(cuda[0])
    if floor and hardware.driver >= known(floor):
        return "minor"
    admits = ADMITS.get(short(cuda))
    if hardware.data_centre and admits and hardware.driver[0] in admits.branches:
        return "forward"
    return "none"


def driver_name(cuda: Version) -> str:
    """Return the same as operators read it."""
    found = TOOLKIT_DRIVERS.get(short(cuda))
    return f"driver {found} or later" if found else f"a driver for CUDA {short(cuda)}"


def covers(image: Built, capability: Version) -> bool:
    """Say whether an image has code for a GPU: that of an older GPU of the same major will do."""
    if image.compat == "own":  # TEI looks at both and is exact
        return capability in image.archs
    return any(arch[0] == capability[0] and arch <= capability for arch in image.archs)


def fits(image: Built, hardware: Hardware) -> bool:
    """Say whether an image is known to start on a host without further ado."""
    if image.cuda is None or way(image.cuda, hardware) not in {"native", "minor"}:
        return False
    if overridden(image, hardware) or any(judged(image.environment, hardware)):
        return False
    return all(covers(image, found) for found in hardware.capabilities if found)


def overridden(image: Built, hardware: Hardware) -> bool:
    """Say whether the image puts its own libcuda before that of a newer driver: error 803."""
    first = driver_for(image.cuda) if image.cuda else None
    return image.compat == "forced" and first is not None and hardware.driver[0] > first[0]
