"""The nearest image that would start on a host, where the one that was asked for would not."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

from provision.serving.compatibility.architectures import loads
from provision.serving.compatibility.cuda import fits
from provision.serving.compatibility.hardware import Hardware
from provision.serving.compatibility.image_table import TEI_BEST, TEI_SINCE
from provision.serving.compatibility.images import Tag, by_tag, tag_of
from provision.serving.compatibility.subject import Subject
from provision.serving.compatibility.versions import known, short
from provision.serving.engines.vllm_flags import releases


def nearest_image(subject: Subject, hardware: Hardware) -> str:
    """Return it, of a release that loads the model; empty where none is known."""
    image = subject.service.image
    tag = tag_of(image)
    if tag is None:
        return ""
    candidates = _vllm(tag, subject) if tag.kind == "vllm" else _tei(tag, hardware)
    fit = (name for name in candidates if (found := by_tag(name)) and fits(found, hardware))
    return next((name for name in fit if name != image), "")


_ENDINGS: Final = ("", "cu129", "cu130")


def _vllm(tag: Tag, subject: Subject) -> Iterator[str]:
    """Yield the release's own tags, then older releases, the newest first, then newer ones."""
    numbers = ((known(release), f"v{release}") for release in releases())
    known_ones = [item for item in numbers if loads(subject, item[0])]
    older = [text for number, text in reversed(known_ones) if number < tag.version]
    newer = [text for number, text in known_ones if number > tag.version]
    for text in chain((tag.text,), older, newer):
        yield from (tag.image(text, ending) for ending in _ENDINGS)


def _tei(tag: Tag, hardware: Hardware) -> Iterator[str]:
    """Yield the tag made for the GPU, of this release and then of the newest."""
    capability = next((found for found in hardware.capabilities if found), None)
    beginning = TEI_BEST.get(short(capability)) if capability else None
    if beginning is None:
        return
    since = known(TEI_SINCE.get(beginning, "1.5.0"))
    for text in (tag.text, "1.9", "1.8"):
        if known(text) >= since:
            yield tag.image(text, beginning=beginning)
