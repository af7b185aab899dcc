"""The GPUs: whether they are there, and whether the image has code for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provision.facts import GPU
from provision.finding import Finding
from provision.serving.compatibility.cuda import covers
from provision.serving.compatibility.findings import fail, warn
from provision.serving.compatibility.hardware import hardware
from provision.serving.compatibility.images import Built, built
from provision.serving.compatibility.nearest_image import nearest_image
from provision.serving.compatibility.seen import NOTHING, Seen
from provision.serving.compatibility.subject import Subject
from provision.serving.compatibility.versions import short, version

CHECK: Final = "fit.gpu"
_NEWEST_MAJOR: Final = 12
"""Of GPUs with a newer major compute capability nothing is known."""


def gpu(subject: Subject, seen: Seen = NOTHING) -> Iterator[Finding]:
    """Judge the GPUs that a service is given."""
    facts = subject.facts
    if facts is None or not subject.service.gpus:
        return
    if "gpus" in facts.unknown:
        yield warn(CHECK, "unknown: which GPUs the host has", "Run nvidia-smi -L there.")
        return
    yield from _absent(subject, len(facts.gpus))
    yield from _mixed(subject.gpus)
    image = built(subject)
    for name in dict.fromkeys(found.name for found in subject.gpus):
        yield from _without_code(subject, image, _first(subject.gpus, name), seen)


def _absent(subject: Subject, there: int) -> Iterator[Finding]:
    known = {found.index for found in subject.gpus}
    missing = [index for index in subject.service.gpus if index not in known]
    if not missing or subject.facts is None:
        return
    what = f"it is given GPU {', '.join(map(str, missing))}, and the host has {there} working"
    remedy = "Give it other `gpus`."
    if (subject.facts.nvidia_devices or 0) > there:
        what = f"{what} of {subject.facts.nvidia_devices} on the bus"
        remedy = "A GPU has fallen off or failed: look at dmesg for Xid 79, and restart the host."
    yield fail(CHECK, what, remedy)


def _mixed(gpus: tuple[GPU, ...]) -> Iterator[Finding]:
    names = list(dict.fromkeys(found.name for found in gpus))
    if len(names) > 1:
        what = f"its GPUs differ, and the smallest sets the pace: {', '.join(names)}"
        yield warn(CHECK, what, "Give it GPUs of one kind.")


def _first(gpus: tuple[GPU, ...], name: str) -> GPU:
    return next(found for found in gpus if found.name == name)


def _without_code(subject: Subject, image: Built, found: GPU, seen: Seen) -> Iterator[Finding]:
    """Judge whether the image has code for a GPU's compute capability."""
    capability = version(found.compute_capability)
    if not image.archs:
        return  # nothing is known of the image, as the driver's rule says
    if capability is None:
        what = f"unknown: which compute capability {found.name} has"
        yield warn(CHECK, what, "Look it up: https://developer.nvidia.com/cuda-gpus")
        return
    if covers(image, capability):
        return
    tag = subject.service.image.rpartition("/")[2]
    if capability[0] > _NEWEST_MAJOR:
        what = f"unknown: whether {tag} has code for {found.name} (compute capability "
        yield warn(CHECK, f"{what}{short(capability)})", "Ask the release notes of the image.")
        return
    made = ", ".join(map(short, image.archs))
    host = hardware(subject, seen)
    other = nearest_image(subject, host) if host else ""
    yield fail(
        CHECK,
        f"{tag} has no code for {found.name} (compute capability {short(capability)}), only for "
        f"{made}",
        f"Take image: {other}." if other else "Take another GPU: no image known here fits it.",
    )
