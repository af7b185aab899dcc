"""What the role `services` tells about the services of its host, and what contradicts in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol, cast

from provision.errors import ServiceError
from provision.inventory.schema import Host
from provision.serving.engines import engine_of
from provision.serving.engines.engine import Engine
from provision.serving.roles import SERVICES
from provision.serving.services.wish import Mistake, ServiceWish, is_moving

Find = Callable[[str], Engine]
"""Returns the engine of a name; `ServiceError` where there is none."""


class ServicesRole(Protocol):
    """What the role `services` tells about the services of its host."""

    @property
    def bind(self) -> str | None:
        """Return the address of the services that state none of their own."""

    @property
    def images(self) -> Mapping[str, str]:
        """Return the image by engine."""

    @property
    def registries(self) -> Sequence[str]:
        """Return the registries to ask before an image's own."""

    @property
    def archives(self) -> Mapping[str, Path]:
        """Return the files on the controller that hold images."""

    @property
    def allow_latest(self) -> bool:
        """Say whether an image's tag may move."""

    @property
    def time_zone(self) -> str | None:
        """Return the time zone in the containers."""

    @property
    def shm_size(self) -> str | None:
        """Return the size of their shared memory; None = the host's."""

    @property
    def cdi(self) -> bool | None:
        """Say whether GPUs are handed over by CDI; None = not stated."""

    @property
    def dir(self) -> str:
        """Return the folder on the host for releases and mounted files."""

    def present(self) -> Mapping[str, ServiceWish]:
        """Return the services that this host has, by name."""

    def render(self, name: str, **variables: object) -> str:
        """Render a template of the role."""


def services_of(host: Host) -> ServicesRole | None:
    """Return the role `services` of a host, if it has that."""
    return cast("ServicesRole | None", host.variables.get(SERVICES))


def mistakes(role: ServicesRole, find: Find = engine_of) -> Iterator[Mistake]:
    """Yield what is wrong with the services of one host before anything else is known."""
    for name in role.images:
        yield from _unknown(("images", name), name, find)
    ports: dict[int, list[str]] = {}
    for name, wish in role.present().items():
        yield from _of_engine(name, wish, find)
        yield from _of_gpus(name, wish)
        yield from _of_image(name, wish, role)
        if role.bind is None and wish.bind is None:
            yield Mistake(
                ("wanted", name),
                "no address is stated at which it is reached. Write services.bind: 127.0.0.1, an "
                "address of the host, or 0.0.0.0 for all: Docker opens the port past ufw.",
            )
        for other in ports.get(wish.port, ()):
            if _meet(wish.bind or role.bind, role.present()[other].bind or role.bind):
                yield Mistake(
                    ("wanted", name, "port"),
                    f"{other} has port {wish.port} already. Give each service its own.",
                    wish.port,
                )
        ports.setdefault(wish.port, []).append(name)


def _unknown(place: tuple[str, ...], name: str, find: Find) -> Iterator[Mistake]:
    try:
        find(name)
    except ServiceError as error:
        yield Mistake(place, f"{error.what}. {error.remedy}", name)


def _of_engine(name: str, wish: ServiceWish, find: Find) -> Iterator[Mistake]:
    unknown = list(_unknown(("wanted", name, "engine"), wish.engine, find))
    yield from unknown or _misused(name, wish, find(wish.engine))
    for parser in ("tool_parser", "reasoning_parser"):
        if getattr(wish, parser) and wish.task != "generate":
            what = f"a service that does {wish.task} calls no tools and does not reason"
            yield Mistake(("wanted", name, parser), what, getattr(wish, parser))


def _misused(name: str, wish: ServiceWish, engine: Engine) -> Iterator[Mistake]:
    if wish.task not in engine.tasks:
        able = " and ".join(sorted(engine.tasks))
        what = f"the engine {wish.engine} can only {able}, not {wish.task}"
        yield Mistake(("wanted", name), what, wish.task)
    for flag in wish.arguments:
        if wish.memory_share is not None and flag.replace("_", "-") == engine.memory_flag:
            what = "memory_share says this already. Leave one of them out."
            yield Mistake(("wanted", name, "arguments", flag), what, wish.memory_share)


def _of_gpus(name: str, wish: ServiceWish) -> Iterator[Mistake]:
    if wish.memory_share is not None and wish.gpus in {0, ()}:
        what = "there is no GPU to share: gpus is 0"
        yield Mistake(("wanted", name, "memory_share"), what, wish.memory_share)


def _of_image(name: str, wish: ServiceWish, role: ServicesRole) -> Iterator[Mistake]:
    image = wish.image or role.images.get(wish.engine)
    if image and is_moving(image) and not role.allow_latest:
        place = ("wanted", name, "image") if wish.image else ("images", wish.engine)
        what = (
            f"{image} stands for another image tomorrow. Name a release, such as :v0.32.0, "
            "or set services.allow_latest: true."
        )
        yield Mistake(place, what, image)


def _meet(one: str | None, other: str | None) -> bool:
    """Say whether two services at one port would be in each other's way."""
    if one is None or other is None or one == other:
        return True
    return ip_address(one).is_unspecified or ip_address(other).is_unspecified
