"""An image: which CUDA version, code and requirements it has, by inspection or by its tag."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final, NamedTuple

from provision.serving.compatibility.image_table import (
    TEI,
    TEI_NEWEST,
    TEI_TAGS,
    VLLM,
    VLLM_NEWEST,
    Build,
    Compat,
)
from provision.serving.compatibility.requirements import promised
from provision.serving.compatibility.subject import Subject
from provision.serving.compatibility.versions import Version, known, version


class Built(NamedTuple):
    """What is known of an image; None and empty = unknown."""

    name: str
    cuda: Version | None
    archs: tuple[Version, ...]
    environment: Mapping[str, str]
    """Its variables; nobody may change them."""
    compat: Compat
    arm64: bool = True


def built(subject: Subject) -> Built:
    """Return what the service's image is: as seen on the host, else as its tag promises."""
    name = subject.service.image
    promise = by_tag(name) or Built(name, None, (), {}, "toolkit")
    if subject.image is None:
        return promise
    environment = subject.image.environment
    archs = _archs(environment.get("TORCH_CUDA_ARCH_LIST", "")) or promise.archs
    cuda = version(environment.get("CUDA_VERSION"))
    return promise._replace(cuda=cuda, archs=archs, environment=environment)


@cache
def by_tag(image: str) -> Built | None:
    """Return what a published image's tag promises; None for an image that is not known."""
    found = tag_of(image)
    if found is None or found.build is None:
        return None
    build = found.build
    cuda = version(_cuda(found.ending, build))
    archs = _archs(build.archs)
    if found.kind == "tei":
        archs = _archs(" ".join(TEI_TAGS.get(found.beginning, ())))
    elif cuda and cuda < known("13.0"):
        archs = tuple(arch for arch in archs if arch != known("11.0"))
    return Built(image, cuda, archs, promised(cuda) if cuda else {}, build.compat, build.arm64)


class Tag(NamedTuple):
    """The tag of a published image, in its parts."""

    kind: str
    """Engine: vllm, tei."""
    repository: str
    version: Version
    text: str
    """The version as it is written, with its v."""
    beginning: str = ""
    """`hopper` of hopper-1.9."""
    machine: str = ""
    """`aarch64` of v0.32.0-aarch64."""
    ending: str = ""
    """`cu129` of v0.32.0-cu129."""
    build: Build | None = None
    """None: a release about which nothing is known."""

    def image(self, text: str, ending: str = "", beginning: str = "") -> str:
        """Return an image beside this one."""
        parts = (beginning, text, self.machine, ending)
        return f"{self.repository}:{'-'.join(filter(None, parts))}"


def tag_of(image: str) -> Tag | None:
    """Return the parts of the tag of a published image of vLLM or TEI for GPUs; None: another."""
    repository, _, tag = image.partition("@")[0].rpartition(":")
    name = repository.rpartition("/")[2]
    if name == "vllm-openai" and (found := _VLLM.fullmatch(tag)):
        return _tag("vllm", repository, found, _build(VLLM, VLLM_NEWEST, found["number"]))
    if name == "text-embeddings-inference" and (found := _TEI.fullmatch(tag)):
        if (found["beginning"] or "").startswith("cpu"):
            return None
        return _tag("tei", repository, found, _build(TEI, TEI_NEWEST, found["number"]))
    return None


_VLLM: Final = re.compile(
    r"(?P<beginning>)(?P<text>v?(?P<number>\d+\.\d+\.\d+)[.\w]*)"
    r"(?:-(?P<machine>x86_64|aarch64))?(?:-(?P<ending>[\w.-]+))?"
)
_TEI: Final = re.compile(
    r"(?:(?P<beginning>[a-z]+(?:-[a-z0-9]+)?|\d{2,3})-)?(?P<text>(?P<number>\d+\.\d+(?:\.\d+)?))"
    r"(?P<machine>)(?:-(?P<ending>grpc))?"
)


def _tag(kind: str, repository: str, found: re.Match[str], build: Build | None) -> Tag:
    return Tag(
        kind=kind,
        repository=repository,
        version=known(found["number"]),
        text=found["text"],
        beginning=found["beginning"] or "",
        machine=found["machine"] or "",
        ending="" if found["ending"] == "grpc" else found["ending"] or "",
        build=build,
    )


def _build(builds: Sequence[Build], newest: str, number: str) -> Build | None:
    """Return what a release is built of; None where it is older or newer than all that is known."""
    asked = known(number)
    if asked[:2] > known(newest)[:2]:
        return None
    fit = [build for build in builds if known(build.since) <= asked]
    return fit[-1] if fit else None


def _cuda(ending: str, build: Build) -> str:
    """Return the CUDA version of the tag with an ending; empty: there is no such tag."""
    parts = ending.split("-") if ending else []
    if not all(part in build.tags for part in parts):
        return ""
    return next((build.tags[part] for part in parts if part.startswith("cu")), build.cuda)


def _archs(text: str) -> tuple[Version, ...]:
    found = (version(word) for word in re.split(r"[ ;,]+", text))
    return tuple(arch for arch in found if arch)
