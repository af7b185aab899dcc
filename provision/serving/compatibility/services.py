"""The services of a host before anything is pulled: whether each of them will run there."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from provision.errors import ProvisionError
from provision.facts import Facts
from provision.finding import Finding
from provision.inventory.schema import Host
from provision.serving.compatibility.fit import judge_shares
from provision.serving.compatibility.judge import judge
from provision.serving.compatibility.seen import Seen
from provision.serving.compatibility.subject import Image, Model, Subject
from provision.serving.models import models_of
from provision.serving.services.resolve import Resolved, resolve

PREFIX: Final = "fit."
"""Of the names of all checks of compatibility."""
_CHECK: Final = f"{PREFIX}service"


def fitting(host: Host, facts: Facts | None, only: Collection[str] = ()) -> list[Finding]:
    """Return what is to be said of a host's services, or of those of `only`; `ok` is a figure.

    Without `facts` only what the inventory itself tells is judged.
    """
    try:
        services = resolve(host, facts)
    except ProvisionError as error:
        what = error.what if not error.where else f"{error.where}: {error.what}"
        refused = Finding(check=_CHECK, verdict="fail", what=what, remedy=error.remedy)
        return [refused.model_copy(update={"host": host.name})]
    subjects = [_subject(each, host, facts) for each in services]
    chosen = [each for each in subjects if not only or each.service.name in only]
    # What a plan still has to bring is weighed where it is planned, file by file.
    found = [
        finding
        for each in chosen
        for finding in judge(each, host=host.name, seen=Seen(model_bytes=each.service.size_bytes))
    ]
    shares = [finding.model_copy(update={"host": host.name}) for finding in judge_shares(subjects)]
    return [*found, *shares]


def _subject(resolved: Resolved, host: Host, facts: Facts | None) -> Subject:
    return Subject(
        service=resolved.service,
        engine=resolved.engine,
        facts=facts,
        model=_model(resolved.service.model, host),
        image=_image(resolved.service.image, facts),
    )


def _model(identity: str, host: Host) -> Model | None:
    models = models_of(host)
    if models is None or identity not in models.wishes():
        return None
    files = models.listing(identity).files
    return Model(models.config(identity), {file.path: file.size_bytes for file in files})


def _image(name: str, facts: Facts | None) -> Image | None:
    there = (image for image in facts.images if name in image.tags) if facts else iter(())
    found = next(there, None)
    return Image(found.environment, found.architecture) if found else None
