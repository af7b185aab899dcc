"""The image's name: whether there is such a tag, and whether it is for this kind of machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provision.finding import Finding
from provision.serving.compatibility.findings import fail, warn
from provision.serving.compatibility.image_table import TEI_TAGS
from provision.serving.compatibility.images import Tag, built, by_tag, tag_of
from provision.serving.compatibility.seen import NOTHING, Seen
from provision.serving.compatibility.subject import Subject
from provision.serving.compatibility.versions import known, short
from provision.serving.engines.vllm_flags import releases

CHECK: Final = "fit.image"
MACHINES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


def image(subject: Subject, _seen: Seen = NOTHING) -> Iterator[Finding]:
    """Judge the name of a service's image, and the machine that it is for."""
    tag = tag_of(subject.service.image)
    if tag and subject.image is None:
        yield from _no_such_tag(tag, subject.service.image)
    host = subject.facts.os.architecture if subject.facts else ""
    if host:
        yield from _other_machine(subject, tag, host)


def _no_such_tag(tag: Tag, name: str) -> Iterator[Finding]:
    """Judge whether the project publishes a tag; only its own repositories are known."""
    if tag.build is None:
        what = f"unknown: on which CUDA version {name} is built, and for which GPUs"
        yield warn(CHECK, what, "Read its release notes, and try it on one host first.")
        return
    if not tag.repository.endswith(("vllm/vllm-openai", "huggingface/text-embeddings-inference")):
        if tag.ending and (found := by_tag(name)) and found.cuda is None:
            what = f"unknown: on which CUDA version {name} is built"
            yield warn(CHECK, what, "Try it on one host first.")
        return
    if tag.kind == "tei" and tag.beginning not in TEI_TAGS:
        remedy = f"Take one of: {', '.join(f'{found}-1.9' for found in TEI_TAGS if found)}."
        yield fail(CHECK, f"there is no image {name}", remedy)
    missing = [part for part in tag.ending.split("-") if part and part not in tag.build.tags]
    if not missing:
        return
    if missing[0].startswith("cu"):
        yield fail(CHECK, f"there is no tag {missing[0]} of {tag.text}", _instead(tag, missing[0]))
    else:
        remedy = f"Take image: {tag.repository}:{tag.text}."
        yield warn(CHECK, f"unknown: on which CUDA version {name} is built", remedy)


def _instead(tag: Tag, ending: str) -> str:
    """Return the tag with the CUDA version that an ending stands for, in another release too."""
    wanted = f"{ending[2:4]}.{ending[4:]}"
    for number in (tag.version, *sorted(map(known, releases()), reverse=True)):
        text = tag.text if number == tag.version else f"v{number[0]}.{number[1]}.{number[2]}"
        if number > tag.version:
            continue
        for name in (tag.image(text), tag.image(text, ending)):
            found = by_tag(name)
            if found and found.cuda and short(found.cuda) == wanted:
                return f"Take image: {name}, which is built on CUDA {wanted}."
    return f"Take image: {tag.repository}:{tag.text}."


def _other_machine(subject: Subject, tag: Tag | None, host: str) -> Iterator[Finding]:
    name = subject.service.image
    if subject.image is not None:
        machine = subject.image.architecture
    elif tag is not None:
        machine = MACHINES.get(tag.machine, "")
        if host == "arm64" and tag.build and not built(subject).arm64:
            machine = "amd64"
    else:
        machine = ""
    if not machine or machine == host:
        return
    yield fail(CHECK, f"{name} is for {machine}, and the host is {host}", _for(host, tag))


def _for(host: str, tag: Tag | None) -> str:
    if tag is None:
        return f"Take an image for {host}."
    if tag.kind == "tei":
        return f"Take image: {tag.repository}:cpu-arm64-1.9, and gpus: 0; or engine: vllm."
    text = tag.text if tag.build and tag.build.arm64 else f"v{releases()[-1]}"
    other = tag._replace(machine="").image(text, tag.ending)
    return (
        f"Take image: {other}, whose tag is for both." if tag.machine else f"Take image: {other}."
    )
