"""The driver and the image: whether the image starts on this driver, and by what compatibility."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provision.facts import Driver
from provision.finding import Finding
from provision.serving.compatibility.cuda import covers, driver_name, overridden, way
from provision.serving.compatibility.findings import fail, warn
from provision.serving.compatibility.hardware import Hardware, hardware
from provision.serving.compatibility.images import Built, built, tag_of
from provision.serving.compatibility.nearest_image import nearest_image
from provision.serving.compatibility.requirements import judged
from provision.serving.compatibility.seen import NOTHING, Seen
from provision.serving.compatibility.subject import Subject
from provision.serving.compatibility.versions import Version, short

CHECK: Final = "fit.driver"
IMAGE: Final = "fit.image"
ENABLE: Final = "VLLM_ENABLE_CUDA_COMPATIBILITY"
"""Variable with which images of vLLM put cuda-compat before the driver's own libraries."""


def driver(subject: Subject, seen: Seen = NOTHING) -> Iterator[Finding]:
    """Judge the driver of a service with GPUs."""
    if not subject.service.gpus or subject.facts is None:
        return
    host = hardware(subject, seen)
    if host is None:
        yield _not_there(subject.facts.driver, subject.facts.unknown)
        return
    image = built(subject)
    if image.cuda:
        yield from _judged(subject, image, image.cuda, host)
    elif subject.image or not tag_of(subject.service.image):
        # Of a tag the rule about images speaks.
        what = f"unknown: on which CUDA version {subject.service.image} is built"
        remedy = "Look at its variables CUDA_VERSION and NVIDIA_REQUIRE_CUDA yourself."
        yield warn(CHECK, what, remedy)


def _judged(subject: Subject, image: Built, cuda: Version, host: Hardware) -> Iterator[Finding]:
    found = way(cuda, host)
    if found == "unknown":
        what = f"unknown: whether driver {host.driver_text} supports CUDA {short(cuda)}"
        yield warn(CHECK, what, "Look at what nvidia-smi calls its CUDA version.")
    elif found == "none" or (found == "forward" and not _by_compat(subject, image)):
        yield _too_old(subject, image, cuda, host)
    elif refused := list(_refused(subject, image, cuda, host)):
        yield from refused
    elif found != "native":
        yield _not_native(cuda, host, forward=found == "forward")
    if overridden(image, host) and "LD_LIBRARY_PATH" not in subject.service.environment:
        yield _overridden(subject, host)


def _by_compat(subject: Subject, image: Built) -> bool:
    """Say whether the libraries of cuda-compat will be used."""
    return image.compat != "ask" or subject.service.environment.get(ENABLE) == "1"


def _too_old(subject: Subject, image: Built, cuda: Version, host: Hardware) -> Finding:
    name = subject.service.image.rpartition("/")[2]
    what = (
        f"{name} is built on CUDA {short(cuda)} and needs {driver_name(cuda)}; "
        f"the driver is {host.driver_text}"
    )
    other = nearest_image(subject, host)
    ways = [f"take image: {other}"] if other else []
    if all(covers(image, found) for found in host.capabilities if found):
        if way(cuda, host) == "forward":
            ways.append(f"set environment: {{{ENABLE}: '1'}}, as data centre GPUs allow")
        ways.append(f"install {driver_name(cuda)}")
    text = ", or ".join(ways) or "take another GPU: no image known here fits it"
    return fail(CHECK, what, f"{text[0].upper()}{text[1:]}.")


def _not_native(cuda: Version, host: Hardware, *, forward: bool) -> Finding:
    if forward:
        what = f"CUDA {short(cuda)} runs on driver {host.driver_text} by cuda-compat in the image"
    else:
        what = (
            f"CUDA {short(cuda)} runs on driver {host.driver_text} by minor version compatibility "
            "only: code that is compiled at run time from PTX fails"
        )
    return warn(CHECK, what, f"Install {driver_name(cuda)} when the host is next restarted.")


def _refused(subject: Subject, image: Built, cuda: Version, host: Hardware) -> Iterator[Finding]:
    """Judge what the image demands by NVIDIA_REQUIRE_*, where CUDA itself would run."""
    found = judged({**image.environment, **subject.service.environment}, host)
    brands = ", ".join(sorted({brand or "unknown brand" for brand in host.brands}))
    about = f"driver {host.driver_text}, {brands}" if brands else f"driver {host.driver_text}"
    if found.unmet:
        other = nearest_image(subject, host)
        take = f"Take image: {other}. Or install" if other else "Install"
        yield fail(
            IMAGE,
            f"the image refuses to start: unsatisfied condition: {found.unmet[0]} ({about})",
            f"{take} {driver_name(cuda)}.",
        )
    elif found.unknown:
        what = f"unknown: whether the image accepts this GPU: {found.unknown[0]} ({about})"
        yield warn(CHECK, what, f"Install {driver_name(cuda)}, which it accepts in any case.")


def _overridden(subject: Subject, host: Hardware) -> Finding:
    other = nearest_image(subject, host)
    return fail(
        IMAGE,
        f"the image puts its own libcuda before that of driver {host.driver_text}, "
        "which is newer: CUDA error 803 (vllm#33447)",
        f"Take image: {other or 'vllm/vllm-openai:v0.17.0'}, or put the driver's folder first: "
        "environment: {LD_LIBRARY_PATH: '/usr/lib/x86_64-linux-gnu:/usr/local/cuda/lib64'}.",
    )


def _not_there(found: Driver | None, unknown: tuple[str, ...]) -> Finding:
    if "driver" in unknown:
        what = "unknown: whether the driver works: it did not answer in time"
        return warn(CHECK, what, "Run nvidia-smi on the host; a GPU that hangs needs a reboot.")
    if found is None or found.status == "absent":
        what, remedy = "there is no NVIDIA driver", "Install the driver and restart the host."
    elif found.status == "ok":
        return warn(CHECK, "unknown: which version the driver has", "Run nvidia-smi on the host.")
    elif found.status == "mismatch":
        what = f"driver module {found.kernel_module} and libraries {found.library} do not match"
        remedy = "Restart the host, so that the module of the new version is loaded."
    else:
        what = f"the driver does not work: {found.message or found.status}"
        remedy = "Run nvidia-smi and dmesg on the host; after a kernel update build the module."
    return fail(CHECK, what, remedy)
