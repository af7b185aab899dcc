"""How an inventory asks for models: the settings of one model and of the hub that it comes from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, Protocol, cast

from pydantic import BaseModel, ConfigDict, HttpUrl, field_validator

from provision.errors import HubError
from provision.facts import Facts
from provision.inventory.schema import Host
from provision.inventory.settings import LocalPath
from provision.secret import Secret
from provision.serving.hub.download import download
from provision.serving.hub.listing import Listing
from provision.serving.hub.lock import read, write
from provision.serving.hub.update import Change, update
from provision.serving.hub.wanted import Hub, Source, Wanted
from provision.serving.roles import MODELS
from provision.state.kinds.model_leftovers import ModelLeftovers
from provision.state.kinds.model_snapshot import ModelSnapshot
from provision.state.kinds.paths import AbsolutePath
from provision.state.resource import Resource
from provision.state.role import Role

SNAPSHOT: Final = ModelSnapshot.kind
"""Kind of the resources whose names are `<organisation>/<name>@<revision>`."""

Way = Literal["hub", "peer", "push"]
"""How the files come to a host."""
PUBLIC: Final = {"modelscope": "https://modelscope.cn", "huggingface": "https://huggingface.co"}
"""The hubs' own addresses."""


def without_password(url: HttpUrl) -> HttpUrl:
    """Return a URL that may be shown; `ValueError` where it holds a password."""
    if url.username or url.password:
        raise ValueError("expected a URL without user and password: it is shown in plans")
    return url


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelWish(_Settings):
    """What may be said of one model; nothing need be."""

    source: Source | None = None
    """Where it comes from: `modelscope`, `huggingface`, or `controller` with a `path`."""
    revision: str | None = None
    """Branch, tag or commit; the lock file keeps what it stood for. Default: the main branch."""
    path: LocalPath | None = None
    """Folder on the controller; a relative path starts at the inventory's folder."""
    include: tuple[str, ...] = ()
    """Patterns of the files to take, `*.safetensors`; none = all."""
    exclude: tuple[str, ...] = ()
    """Patterns of the files to leave out, `onnx/*`."""
    via: Way | None = None
    """How it comes to a host, where that is not the role's `via`."""
    check: bool = True
    """Refuse a model without config.json, tokenizer or a part of its weights."""

    def wanted(self, identity: str, default: Source) -> Wanted:
        """Return the wish in the hubs' words; `ValueError` where it contradicts itself."""
        return Wanted.model_validate(
            {
                "source": self.source or default,
                "id": identity,
                "revision": self.revision,
                "path": self.path,
            }
        )


class SourceSettings(_Settings):
    """How to reach a hub."""

    endpoint: HttpUrl | None = None
    """Base URL of a mirror. Default: the hub itself."""
    token: Secret | None = None
    """Access token of private and gated models, as env:NAME, file:PATH or cmd:COMMAND."""

    @field_validator("endpoint")
    @classmethod
    def _no_password(cls, url: HttpUrl | None) -> HttpUrl | None:
        return without_password(url) if url else None

    def hub(self) -> Hub:
        """Return them in the hubs' words."""
        endpoint = str(self.endpoint).rstrip("/") if self.endpoint else None
        return Hub(endpoint=endpoint, token=self.token)


Fetch = Callable[[Callable[[int, int], None]], None]
"""Downloads one model to the controller and tells done and total bytes."""


class ModelsRole(Protocol):
    """What the role `models` tells about the models of its host."""

    lock: Path

    def wishes(self) -> Mapping[str, Wanted]:
        """Return the models by organisation and name."""

    def hubs(self) -> Mapping[Source, Hub]:
        """Return how to reach each hub."""

    def listing(self, identity: str) -> Listing:
        """Return the files of one model as the lock file has them."""

    def config(self, identity: str) -> Mapping[str, Any] | None:
        """Return config.json of one model as the lock file has it; None = unknown."""

    def folder_of(self, identity: str) -> str:
        """Return the folder of one model on the host."""

    def local(self, identity: str) -> Path:
        """Return the folder on the controller from which a model is pushed."""

    def is_pushed(self, identity: str) -> bool:
        """Say whether a model comes to the hosts from the controller."""

    def leftovers(self) -> Leftovers:
        """Return the role that removes what is not wanted any more, and does nothing else."""


class Leftovers(Role):
    """The models that nothing wants any more, to be removed."""

    dir: AbsolutePath
    """Folder of the models."""
    keep: tuple[AbsolutePath, ...]
    """Folders of the snapshots that are wanted."""

    def resources(self, host: Host, facts: Facts) -> Iterator[Resource]:
        """Yield the one resource."""
        del host, facts
        yield ModelLeftovers(name=self.dir, keep=self.keep)


def models_of(host: Host) -> ModelsRole | None:
    """Return the role `models` of a host, if it has that."""
    return cast("ModelsRole | None", host.variables.get(MODELS))


def relock(hosts: Iterable[Host], *, upgrade: bool) -> dict[Path, list[Change]]:
    """Ask the hubs for what the lock files lack, or for all; return what changed in each file."""
    changes = {}
    for path, roles in _by_lock(hosts).items():
        wanted = [wish for role in roles for wish in role.wishes().values()]
        before = read(path)
        after, changes[path] = update(before, wanted, _hubs(roles), upgrade=upgrade)
        if after != before:
            write(path, after)
    return changes


def refuse_unlocked(hosts: Iterable[Host], selected: Collection[str]) -> None:
    """Raise `HubError` once for all the models that no lock file has, before any host is asked."""
    if selected and MODELS not in selected:
        return
    for path, roles in _by_lock(hosts).items():
        lock = read(path)
        wishes = {wish.key: wish for role in roles for wish in role.wishes().values()}
        missing = [key for key, wish in wishes.items() if lock.get(wish) is None]
        if missing:
            more = f" and {len(missing) - 1} more are" if missing[1:] else " is"
            raise HubError(
                f"{missing[0]}{more} not listed yet",
                where=str(path),
                remedy="Ask for the files, with the same --inventory: inv models --lock",
            )


def downloads(hosts: Iterable[Host], pending: Collection[str]) -> dict[str, Fetch]:
    """Return, by model, what downloads to the controller those that it is to push.

    `pending` is organisation and name of the models that any of the hosts lacks.
    """
    found: dict[str, Fetch] = {}
    for role in _roles(hosts):
        for identity, wanted in role.wishes().items():
            if identity in pending and role.is_pushed(identity) and wanted.source != "controller":
                found[wanted.key] = _fetch(role, identity, wanted.source)
    return found


def _fetch(role: ModelsRole, identity: str, source: Source) -> Fetch:
    def fetch(tell: Callable[[int, int], None]) -> None:
        download(role.listing(identity), role.hubs()[source], role.local(identity), tell)

    return fetch


def _roles(hosts: Iterable[Host]) -> list[ModelsRole]:
    """Return the distinct roles: hosts with the same settings share one."""
    found = [role for role in map(models_of, hosts) if role]
    return list({id(role): role for role in found}.values())


def _by_lock(hosts: Iterable[Host]) -> dict[Path, list[ModelsRole]]:
    files: dict[Path, list[ModelsRole]] = {}
    for role in _roles(hosts):
        files.setdefault(role.lock, []).append(role)
    return files


def _hubs(roles: Iterable[ModelsRole]) -> dict[Source, Hub]:
    """Return how the controller reaches each hub: as the first role that says more than nothing."""
    hubs: dict[Source, Hub] = {}
    for role in roles:
        for source, hub in role.hubs().items():
            if hubs.get(source, Hub()) == Hub():
                hubs[source] = hub
    return hubs
