"""Model services of a host: which engine serves which model, on which GPUs and at which port."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from provision.inventory.settings import LocalPath
from provision.serving.services.role import mistakes
from provision.serving.services.wish import (
    BindAddress,
    Image,
    Registry,
    ServiceName,
    ServiceWish,
    Size,
    TimeZone,
)
from provision.state.kinds.paths import AbsolutePath
from provision.state.role import Role


class Services(Role):
    """Model services of a host, as one Compose project that `inv render` shows."""

    deploys: ClassVar[bool] = True

    wanted: Mapping[ServiceName, ServiceWish | None] = Field(default_factory=dict)
    """The services by name, in the order in which they get their GPUs; one that is left empty is
    not on this host."""
    bind: BindAddress | None = None
    """Address of the host at which services are reached, for those that state none of their own;
    it has no default. `0.0.0.0` is all, which Docker opens past ufw."""
    images: Mapping[str, Image] = Field(default_factory=dict)
    """Image with its tag by engine: `vllm: vllm/vllm-openai:v0.32.0`."""
    registries: tuple[Registry, ...] = ()
    """Registries to ask for images first, in order: `docker.m.daocloud.io`; an image's own comes
    last, and the image has its own name wherever it came from."""
    archives: Mapping[Image, LocalPath] = Field(default_factory=dict)
    """Files on the controller, as `docker save` writes them, by image: sent instead of a pull."""
    allow_latest: bool = False
    """Allow images without a tag, or with one such as `latest`."""
    time_zone: TimeZone | None = None
    """Time zone in the containers: `Asia/Shanghai`."""
    shm_size: Size | None = None
    """Size of the shared memory of each container: `10.24gb`. Default: that of the host."""
    cdi: bool | None = None
    """Hand GPUs over by CDI. Default: only where Docker has no NVIDIA runtime."""
    dir: AbsolutePath = "/opt/provision"
    """Folder on the host for releases and mounted files."""

    def present(self) -> Mapping[str, ServiceWish]:
        """Return the services that this host has, by name."""
        return {name: wish for name, wish in self.wanted.items() if wish}

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        found = [
            InitErrorDetails(
                type=PydanticCustomError("service", "{what}", {"what": mistake.what}),
                loc=mistake.place,
                input=mistake.value,
            )
            for mistake in mistakes(self)
        ]
        if found:
            raise ValidationError.from_exception_data("services", found)
        return self
