"""The release of a service: the one that it was validated in, and the one before to go back to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import takewhile
from typing import ClassVar, Final, NamedTuple

from provision.state.kinds.paths import AbsolutePath
from provision.state.kinds.release_move import Move
from provision.state.resource import Command, Difference, Resource, State
from provision.state.shell import functions, quote

_DIGITS: Final = 12
_ID: Final = re.compile(r"[0-9a-f]+")


class ServiceRelease(Resource):
    """The container `name`, running as a release on the host has it, which it was validated in."""

    kind: ClassVar[str] = "service_release"

    base: AbsolutePath
    """Folder on the host with all releases."""
    release: str = ""
    """Name of the release; empty: whichever it is, so that nothing is to be changed."""
    hash: str = ""
    """What the container's configuration is known by in that release."""
    kept: int = 0
    """When it was validated there, in seconds since 1970."""
    patience: int = 3600
    """Seconds until it must be healthy."""

    def probe(self) -> str:
        """Ask for the container, the releases that have the service, and its history."""
        asked = f"service_releases {quote(self.base)} {quote(self.name)}"
        return f"{functions('service_release')}\n{asked}"

    def actual(self, output: str) -> State | None:
        """Parse it, and find the release before the one that the service is validated in."""
        lines = [line.split() for line in output.splitlines() if line.strip()]
        status, health, _, config, image, _ = _only(lines, "container", 6)
        (current,) = _only(lines, "current", 1)
        if config == "-" and status != "gone":
            raise ValueError(
                f"a container '{self.name}' is there that is not ours: "
                f"remove it (docker rm -f {self.name}) or rename the service"
            )
        folders = _folders(lines)
        before = _before(current, folders, _history(lines))
        return {
            "release": current,
            "configuration": config[:_DIGITS],
            "state": status,
            "health": "healthy" if health == "none" else health,
            "(image)": current in folders and folders[current].image == image,
            "(before)": before.release if before else "",
            "(before_hash)": before.hash if before else "",
            "(before_kept)": before.kept if before else 0,
            "(before_patience)": before.patience if before else 0,
        }

    def expected(self) -> State | None:
        """Want it healthy, as the release has it, and validated there."""
        if not self.release:
            return {}
        return {
            "release": self.release,
            "configuration": self.hash[:_DIGITS],
            "state": "running",
            "health": "healthy",
            "(image)": True,
        }

    def apply(self, actual: State | None, changed: frozenset[str]) -> list[Command]:
        """Move this one alone."""
        return self.apply_together([Difference(self, actual, changed)])

    def fears(self, actual: State | None, changed: frozenset[str]) -> tuple[str, ...]:
        """Say what stops answering meanwhile."""
        if actual is None or actual.get("state") != "running" or not changed:
            return ()
        return (f"{self.name} does not answer until it has started anew",)

    def note(self, actual: State | None, changed: frozenset[str]) -> str:
        """Say from which release to which, and when the service answered in that."""
        if actual is None or "release" not in changed:
            return ""
        when = datetime.fromtimestamp(self.kept, UTC).strftime("%Y-%m-%d %H:%M UTC")
        return f"release: {actual['release']} → {self.release} ({when})"

    @classmethod
    def apply_together(cls, differences: Sequence[Difference]) -> list[Command]:
        """Move services that go to one release together, and to several one after the other."""
        together: dict[str, list[ServiceRelease]] = {}
        for item in differences:
            if isinstance(item.resource, cls):
                together.setdefault(item.resource.release, []).append(item.resource)
        moves = [_move(release, services) for release, services in together.items()]
        return [command for move in moves for command in move.steps()]


def _move(release: str, services: Sequence[ServiceRelease]) -> Move:
    names = tuple(service.name for service in services)
    return Move(
        base=services[0].base,
        release=release,
        names=names,
        before=names,  # each of them is validated where it is
        patience=max(service.patience for service in services),
    )


class _Folder(NamedTuple):
    hash: str
    image: str
    patience: int
    environment: str


class _Kept(NamedTuple):
    kept: int
    release: str


class _Before(NamedTuple):
    release: str
    hash: str
    kept: int
    patience: int


def _only(lines: Sequence[Sequence[str]], word: str, count: int) -> Sequence[str]:
    """Return the words of the one line that begins with `word`."""
    found = [rest for first, *rest in lines if first == word]
    if len(found) != 1 or len(found[0]) != count:
        raise ValueError(f"unexpected answer {' '.join(next(iter(lines), ''))[:80]!r}")
    return found[0]


def _folders(lines: Sequence[Sequence[str]]) -> dict[str, _Folder]:
    """Return the releases that are on the host and have the service."""
    least = len(("release", "hash", "image", "patience"))
    return {
        rest[0]: _Folder(rest[1], rest[2], _number(rest[3]), "".join(rest[least:]))
        for first, *rest in lines
        if first == "has" and len(rest) >= least
    }


def _history(lines: Sequence[Sequence[str]]) -> list[_Kept]:
    """Return in which releases the service was validated, the first one first."""
    return [
        _Kept(_number(rest[0]), rest[1])
        for first, *rest in lines
        if first == "kept" and len(rest) == len(_Kept._fields) and _ID.fullmatch(rest[1])
    ]


def _before(
    current: str, folders: Mapping[str, _Folder], history: Sequence[_Kept]
) -> _Before | None:
    """Return the release that came before `current` and still differs from it.

    What the service came back from is not gone back to: then twice would lead forward again.
    """
    way: list[_Kept] = []
    for step in history:
        way = [*takewhile(partial(_is_not, step.release), way), step]
    for kept in reversed(way):
        folder = folders.get(kept.release)
        if folder and not _alike(folder, folders.get(current)):
            return _Before(kept.release, folder.hash, kept.kept, folder.patience)
    return None


def _is_not(release: str, kept: _Kept) -> bool:
    return kept.release != release


def _alike(one: _Folder, other: _Folder | None) -> bool:
    """Say whether a service is the same in two releases, its image and secret variables too."""
    return other is not None and one._replace(patience=other.patience) == other


def _number(text: str) -> int:
    if not re.fullmatch(r"\d{1,12}", text, re.ASCII):
        raise ValueError(f"unexpected number {text[:80]!r}")
    return int(text)
