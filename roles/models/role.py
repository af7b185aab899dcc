"""Models on disk: downloaded from a hub, copied from a peer or pushed, complete to the last byte."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, HttpUrl, ValidationError, field_validator

from provision.errors import RoleError
from provision.facts import Facts
from provision.inventory.schema import Host
from provision.inventory.settings import BesideInventory, LocalPath
from provision.serving.hub.listing import Listing, check_complete
from provision.serving.hub.lock import read
from provision.serving.hub.wanted import Hub, Source, Wanted
from provision.serving.models import (
    PUBLIC,
    Leftovers,
    ModelWish,
    SourceSettings,
    Way,
    without_password,
)
from provision.state.kinds.model_snapshot import HubClient, ModelFile, ModelSnapshot
from provision.state.kinds.package import Package
from provision.state.kinds.paths import AbsolutePath
from provision.state.kinds.python_venv import Interpreter, PythonVenv
from provision.state.resource import Resource
from provision.state.role import PackageRole


class Models(PackageRole):
    """Models on disk, from ModelScope, Hugging Face or the controller, checked file by file."""

    wanted: Mapping[str, ModelWish | None] = Field(default_factory=dict)
    """The models, by organisation and name: `Qwen/Qwen3-8B:`, with settings below it or none."""
    dir: AbsolutePath = "/data/models"
    """Folder of the models; each lies in `<organisation>/<name>/<revision>` below it."""
    source: Literal["modelscope", "huggingface"] = "modelscope"
    """Hub of the models that name no source of their own."""
    via: Way = "hub"
    """How files come to a host: each downloads from the `hub`; one downloads and its `peer`s copy
    from it; or the controller downloads and does the `push`."""
    modelscope: SourceSettings = SourceSettings()
    """How to reach ModelScope."""
    huggingface: SourceSettings = SourceSettings()
    """How to reach Hugging Face; `endpoint: https://hf-mirror.com` where it is blocked."""
    workers: int = Field(default=4, ge=1, le=32)
    """Files that a host downloads at once."""
    look_in: tuple[AbsolutePath, ...] = ("/root/.cache/modelscope", "/root/.cache/huggingface")
    """More folders below which models may lie that somebody downloaded by hand; the files that are
    right are taken from there, as hard links on the same disk, and stay where they are."""
    pip_index: HttpUrl = HttpUrl("https://pypi.tuna.tsinghua.edu.cn/simple")
    """PyPI mirror that the hubs' clients are installed from."""
    python: Interpreter | None = None
    """Interpreter for the hubs' clients, 3.10 or newer; left out, the first that is new enough."""
    cache: LocalPath = Field(default="~/.cache/provision/models", validate_default=True)
    """Folder on the controller for what it downloads to push it."""
    prune: bool = False
    """Remove the snapshots below `dir` that are not wanted any more."""
    lock: Annotated[LocalPath, BesideInventory(".models.lock.json")] = Field(
        default=None, validate_default=True
    )
    """File with the listings of the models. Default: `<inventory>.models.lock.json` beside it."""

    def wishes(self) -> Mapping[str, Wanted]:
        """Return the models by organisation and name, in the hubs' words."""
        return {
            identity: (wish or ModelWish()).wanted(identity, self.source)
            for identity, wish in self.wanted.items()
        }

    def hubs(self) -> Mapping[Source, Hub]:
        """Return how to reach each hub."""
        return {"modelscope": self.modelscope.hub(), "huggingface": self.huggingface.hub()}

    def resources(self, host: Host, facts: Facts) -> Iterator[Resource]:
        """Yield the clients first, then the snapshots, which make their folders themselves."""
        snapshots = [self._snapshot(name, wanted, host) for name, wanted in self.wishes().items()]
        clients = {item.client.hub for item in snapshots if item.client}
        if clients:
            yield from self._clients(sorted(clients), host, facts)
        yield from snapshots
        if self.prune:
            yield from self.leftovers().resources(host, facts)

    def leftovers(self) -> Leftovers:
        """Return the role that removes what is not wanted any more, and does nothing else."""
        return Leftovers(dir=self.dir, keep=tuple(map(self.folder_of, self.wanted)))

    def listing(self, identity: str) -> Listing:
        """Return the files of one model as the lock file has them; raise `RoleError` without."""
        wish = self.wanted[identity] or ModelWish()
        found = read(self.lock).get(self.wishes()[identity])
        if found is None:
            raise RoleError(
                f"{identity} is not in {self.lock.name} as it is asked for here",
                where="role models",
                remedy="Ask the hub for its files, with the same --inventory: inv models --lock",
            )
        narrowed = found.narrowed(wish.include, wish.exclude)
        if wish.check:
            check_complete(narrowed)
        return narrowed

    def config(self, identity: str) -> Mapping[str, Any] | None:
        """Return config.json of one model as the lock file has it; None = unknown."""
        return read(self.lock).config(self.wishes()[identity])

    def folder_of(self, identity: str) -> str:
        """Return the folder of one model on the host."""
        return f"{self.dir}/{identity}/{_folder_name(self.listing(identity))}"

    def local(self, identity: str) -> Path:
        """Return the folder on the controller from which a model is pushed."""
        wish = self.wanted[identity]
        if wish and wish.path:
            return wish.path
        return self.cache / identity / _folder_name(self.listing(identity))

    def is_pushed(self, identity: str) -> bool:
        """Say whether a model comes to the hosts from the controller."""
        wish = self.wanted[identity] or ModelWish()
        return wish.source == "controller" or (wish.via or self.via) == "push"

    def _snapshot(self, identity: str, wanted: Wanted, host: Host) -> ModelSnapshot:
        listing, pushed = self.listing(identity), self.is_pushed(identity)
        wish = self.wanted[identity] or ModelWish()
        return ModelSnapshot(
            name=f"{identity}@{listing.revision[:12]}",
            folder=self.folder_of(identity),
            model=identity,
            files=tuple(
                ModelFile(path=file.path, size=file.size_bytes, digest=file.digest)
                for file in listing.files
            ),
            look_in=(self.dir, *self.look_in),
            client=None if pushed else self._client(wanted.source, listing, host),
            peers=not pushed and (wish.via or self.via) == "peer",
            push=str(self.local(identity)) if pushed else "",
        )

    def _client(self, source: Source, listing: Listing, host: Host) -> HubClient:
        assert source != "controller"  # noqa: S101  the schema lets no such wish download
        hub = self.hubs()[source]
        return HubClient(
            hub=source,
            venv=f"{_VENVS}/{source}",
            endpoint=hub.endpoint or PUBLIC[source],
            revision=listing.fetch_revision,
            workers=self.workers,
            token=hub.token,
            environment=_proxy(host.proxies.hub, host),
        )

    def _clients(self, names: list[str], host: Host, facts: Facts) -> Iterator[Resource]:
        python = self._python(facts)
        if package := _package_of(python, facts):
            yield Package(name=package, manager=facts.os.packages, lock_timeout=self.lock_timeout)
        for name in names:
            pinned = Path(__file__).with_name(f"requirements-{name}.txt")
            yield PythonVenv(
                name=f"{_VENVS}/{name}",
                requirements=pinned.read_text(encoding="utf-8"),
                index_url=str(self.pip_index),
                python=python,
                environment=_proxy(host.proxies.pip, host),
            )

    def _python(self, facts: Facts) -> str:
        """Return the interpreter for the clients; raise `RoleError` where there can be none."""
        if self.python:
            return self.python
        recent = [name for name, version in facts.pythons.items() if _recent(version)]
        if recent:
            return recent[0]
        release = facts.os.enterprise_linux
        if "rhel" in {facts.os.id, *facts.os.like} and release in _APP_STREAM:
            return _APP_STREAM[release]
        version = facts.pythons.get("python3") or _OLD.get(facts.os.codename)
        if version:
            raise RoleError(
                f"Python {version} is too old for the hubs' clients, which need 3.10",
                where="role models",
                remedy="Install a newer one and set models.python, or let the controller send the "
                "models: models.via: push.",
            )
        return "python3"

    @field_validator("pip_index")
    @classmethod
    def _no_password(cls, url: HttpUrl) -> HttpUrl:
        return without_password(url)

    @field_validator("wanted")
    @classmethod
    def _one_folder_each(
        cls, wanted: Mapping[str, ModelWish | None]
    ) -> Mapping[str, ModelWish | None]:
        for identity, wish in wanted.items():
            try:
                (wish or ModelWish()).wanted(identity, "modelscope")
            except ValidationError as error:
                reason = error.errors(include_url=False)[0]["msg"]
                raise ValueError(
                    f"the model {identity}: {reason.removeprefix('Value error, ')}"
                ) from error
        return wanted


_VENVS: Final = "/opt/provision/venv"
_OLDEST: Final = (3, 10)
_OLD: Final = {"bionic": "3.6", "focal": "3.8", "buster": "3.7", "bullseye": "3.9"}
"""Python of the releases whose own is too old, where none is installed yet."""


_APP_STREAM: Final[Mapping[int | None, str]] = {8: "python3.11", 9: "python3.11"}
"""Interpreter beside the system's own, which is 3.6 on EL 8 and 3.9 on EL 9: AppStream's package
of the same name, since 8.8 and 9.2 (their release notes); python3 is 3.12 on EL 10."""


def _package_of(python: str, facts: Facts) -> str:
    """Return the package that makes `python` make virtual environments; empty = it does already."""
    if python.startswith("/"):
        return ""
    if facts.os.packages == "apt":
        return f"{python}-venv"
    return "" if python in facts.pythons else python


def _recent(version: str) -> bool:
    return tuple(int(part) for part in version.split(".")) >= _OLDEST


def _folder_name(listing: Listing) -> str:
    return listing.revision.replace("/", "-")


def _proxy(url: str | None, host: Host) -> Mapping[str, str]:
    if not url:
        return {}
    direct = ",".join(host.proxies.no_proxy)
    return {"http_proxy": url, "https_proxy": url, "no_proxy": direct}
