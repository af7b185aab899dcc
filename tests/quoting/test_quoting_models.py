"""Models, images and releases are named to a host as an operator wrote them, or refused."""

from __future__ import annotations

from typing import Final

from hostile import (
    cases,
    heard,
    paths_of,
    raw,
    sendable,
    words,
)
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from provision.serving.services.wish import Image, Registry
from provision.state.kinds.docker_image import DockerImage
from provision.state.kinds.model_folders import staging_of
from provision.state.kinds.model_leftovers import ModelLeftovers
from provision.state.kinds.model_snapshot import HubClient, ModelFile, ModelSnapshot
from provision.state.kinds.service_release import ServiceRelease
from provision.state.shell import functions, literal, quote

NOTHING: Final = frozenset[str]()


@cases(sendable)
def test_the_models_of_a_host_are_named_byte_for_byte(batch: list[str]) -> None:
    """Folders, files, addresses and proxies, in the probe, the settings of the worker and the end."""
    folder, *look_in = (path[:200].rstrip("/ ") for path in paths_of(batch, "/models"))
    names = [path.rpartition("/")[2] for path in look_in] or ["x"]
    snapshot = ModelSnapshot(
        name="m",
        folder=folder,
        model="Org/Na.me",
        files=tuple(ModelFile(path=name, size=1, digest="sha256:x") for name in names),
        look_in=look_in,
        client=HubClient(
            hub="modelscope",
            venv="/v",
            endpoint=batch[0],
            revision=batch[1],
            environment={f"V{number}": text for number, text in enumerate(batch)},
        ),
    )
    settings = heard(_set(snapshot._settings("fetch")), ["hear"])  # noqa: SLF001  a file on the host
    staging = staging_of(folder)
    assert settings == [
        [b"hear", *map(raw, (folder, staging, "\n".join(look_in), batch[0], batch[1], *batch))]
    ]
    probe = snapshot.probe().partition("\nprintf '%s\\n' ")[1:]
    (asked,) = heard("".join(probe).lstrip(), listening=["model_probe"])
    wanted = "".join(f"1 {name}\n" for name in names)
    assert asked[3:] == [*map(raw, (folder, staging, "Org", "Na.me", "\n".join(look_in), wanted))]


def _set(settings: str) -> str:
    """Return sh that reads a file of settings, and says what they are then."""
    variables = ["dir", "staging", "bases", "endpoint", "revision", *(f"V{n}" for n in range(50))]
    spoken = " ".join(f'"${name}"' for name in variables if f"{name}=" in settings)
    return f"{literal(raw(settings))} >settings\n. ./settings\nrm settings\nhear {spoken}"


@cases(sendable)
def test_what_nothing_wants_is_removed_and_nothing_else(batch: list[str]) -> None:
    """Folders that a host lists, by names that a hub or somebody's hand has given them."""
    paths = paths_of(batch, "/m")
    item = ModelLeftovers(name="/m", keep=paths)
    (asked,) = heard(
        item.probe().rpartition("\nprintf")[1].lstrip() + item.probe().rpartition("\nprintf")[2],
        listening=["model_leftovers"],
    )
    assert asked[1:] == [
        b"/m",
        raw("".join(f"{path}\n" for path in [*paths, *map(staging_of, paths)])),
    ]
    state = item.actual("".join(f"7 {path}\n" for path in paths))
    script = "\n".join(each.script for each in item.apply(state, NOTHING))
    assert heard(script, ["rm"]) == [[b"rm", b"-rf", b"--", raw(path)] for path in sorted(paths)]


_images = st.from_regex(
    r"[a-z0-9.-]{0,9}(:[0-9]{1,4})?/?[a-z0-9._/-]{1,9}(:[A-Za-z0-9._-]{1,9})?", fullmatch=True
)


@cases(_images | words)
def test_an_image_is_refused_or_one_word_without_a_dash_in_front(batch: list[str]) -> None:
    """Its name reaches a shell of its own on the way to docker pull: it needs no quotes at all."""
    for text in batch:
        for form in (Image, Registry):
            try:
                name = TypeAdapter(form).validate_python(text)
            except ValidationError:
                continue
            assert name == text == quote(text)
            assert not text.startswith("-")
            item = DockerImage(name="x/y:1" if form is Registry else text, prefixes=(text,))
            assert f" {text}/{item.name}" in item.apply(None, NOTHING)[0].script


@cases(sendable)
def test_a_release_is_moved_by_its_names(batch: list[str]) -> None:
    """The folder of the releases may have any name that a path can have."""
    bases = paths_of(batch, "/r")
    moves = [ServiceRelease(name="chat", base=base, release="0a1b", patience=7) for base in bases]
    scripts = [each.script for move in moves for each in move.apply(None, NOTHING)]
    text = "\n".join(each.replace(functions("service_release"), "") for each in scripts)
    found = heard(text, ["service_check", "service_bring", "service_wait", "service_keep"])
    assert [each[1:] for each in found if each[0] == b"service_keep"] == [
        [raw(base), raw(f"{base}/releases/0a1b"), b"chat"] for base in bases
    ]
    assert {each[-2] for each in found} == {raw(f"{base}/releases/0a1b") for base in bases}
