"""Services with everything decided: model, GPUs, image, address and mounted files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from provision.errors import ServiceError, nearest
from provision.facts import Facts
from provision.inventory.schema import Host
from provision.serving.engines import engine_of
from provision.serving.engines.engine import Engine
from provision.serving.models import models_of
from provision.serving.placement import Ask, place
from provision.serving.service import Argument, Service
from provision.serving.services.role import Find, ServicesRole, services_of
from provision.serving.services.wish import ServiceWish
from provision.serving.validation.validate import refuse_unknown

MODELS: Final = "/models"
"""Folder of the models in a container."""


class Resolved(NamedTuple):
    """A service, its engine, and the files that it brings along."""

    service: Service
    engine: Engine
    files: Mapping[str, bytes]
    """By name below `FILES` in the container."""


def resolve(
    host: Host, facts: Facts | None = None, *, find: Find = engine_of
) -> tuple[Resolved, ...]:
    """Return the services of a host in their order; `ServiceError` for what cannot be.

    Without `facts` the inventory's `gpus` is believed.
    """
    role = services_of(host)
    if role is None:
        return ()
    total = host.gpus if host.gpus is not None else (len(facts.gpus) if facts else None)
    asks = [
        Ask(name, _gpus(wish, host), wish.memory_share) for name, wish in role.present().items()
    ]
    gpus = place(host.name, asks, total)
    return tuple(
        _Resolver(host, role, name, wish).resolved(gpus[name], find(wish.engine))
        for name, wish in role.present().items()
    )


def _gpus(wish: ServiceWish, host: Host) -> int | tuple[int, ...]:
    if wish.gpus is None:
        return 0 if host.gpus == 0 else 1
    return wish.gpus


class _Model(NamedTuple):
    identity: str
    folder: str
    size_bytes: int


class _Resolver(NamedTuple):
    """One service of one host."""

    host: Host
    role: ServicesRole
    name: str
    wish: ServiceWish

    def resolved(self, gpus: tuple[int, ...], engine: Engine) -> Resolved:
        wish, model = self.wish, self.model()
        files = self.files()
        bind = wish.bind or self.role.bind
        assert bind is not None  # noqa: S101  the role lets no service pass without
        service = Service(
            name=self.name,
            engine=wish.engine,
            task=wish.task,
            model=model.identity,
            folder=model.folder,
            mounted=f"{MODELS}/{model.identity}",
            size_bytes=model.size_bytes,
            served_name=wish.served_name or model.identity.rpartition("/")[2],
            bind=bind,
            port=wish.port,
            gpus=gpus,
            image=wish.image
            or self.role.images.get(wish.engine)
            or (engine.image if gpus else engine.cpu_image),
            version=wish.version,
            arguments=self.arguments(engine),
            environment=wish.environment,
            api_key=wish.api_key,
            tool_parser=wish.tool_parser,
            reasoning_parser=wish.reasoning_parser,
            chat_template=next(iter(files), None) or _in_image(wish),
            required=tuple(sorted(wish.required)),
        )
        refuse_unknown(frozenset(wish.required), service, self.where("required"))
        return Resolved(service, engine, files)

    def model(self) -> _Model:
        """Return the model by its name among those of the host, or by its folder."""
        asked = self.wish.model
        if asked.startswith("/"):
            # ModelScope's older client writes ___ for the dots of a name.
            identity = "/".join(asked.split("/")[-2:]).strip("/").replace("___", ".")
            return _Model(identity, asked, 0)
        models = models_of(self.host)
        if models is None:
            raise ServiceError(
                f"{asked} is not on the host: it has no role 'models'",
                where=self.where("model"),
                remedy="Give it that role and the model under models.wanted, or name a folder of "
                "the host: model: /data/models/….",
            )
        if asked not in models.wishes():
            raise ServiceError(
                f"{asked} is not among models.wanted",
                where=self.where("model"),
                remedy=nearest(asked, set(models.wishes())),
            )
        return _Model(asked, models.folder_of(asked), models.listing(asked).size_bytes)

    def arguments(self, engine: Engine) -> Mapping[str, Argument]:
        share = self.wish.memory_share
        # Without such a flag the share still counts where GPUs are given out.
        told = {engine.memory_flag: share} if share is not None and engine.memory_flag else {}
        return {**told, **self.wish.arguments}

    def files(self) -> Mapping[str, bytes]:
        path = self.wish.chat_template_file
        if path is None:
            return {}
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", path.name):
            what = f"{path.name} is no name for a mounted file"
            remedy = "Use letters, digits, dots and dashes."
            raise ServiceError(what, where=self.where("chat_template"), remedy=remedy)
        content = self.read(path)
        try:
            content.decode()
        except UnicodeDecodeError as error:
            what = f"{path} is not UTF-8"
            remedy = "Save it as UTF-8."
            raise ServiceError(what, where=self.where("chat_template"), remedy=remedy) from error
        return {path.name: content}

    def read(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise ServiceError(
                f"{path}: {error.strerror}",
                where=self.where("chat_template"),
                remedy="A relative path starts at the inventory's folder; one that begins with / "
                "is a path in the image.",
            ) from error

    def where(self, setting: str) -> str:
        return f"{self.host.name}: services.wanted.{self.name}.{setting}"


def _in_image(wish: ServiceWish) -> str | None:
    return wish.chat_template if isinstance(wish.chat_template, str) else None
