"""The deployment: what a host must have for its services, as resources that a plan can judge."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import ClassVar

from provision.errors import ServiceError
from provision.facts import Facts
from provision.inventory.schema import Host
from provision.serving.calls import KEY
from provision.serving.compose import Rendered, compose
from provision.serving.service import Service as About
from provision.serving.services.resolve import Resolved, resolve
from provision.serving.services.role import ServicesRole, services_of
from provision.state.kinds.docker_image import DockerImage
from provision.state.kinds.file import File
from provision.state.kinds.service import Release, Service
from provision.state.kinds.service_leftovers import ServiceLeftovers
from provision.state.resource import Resource
from provision.state.role import Role


class Deployment(Role):
    """The images, mounted files and containers of a host's services."""

    needs_systemd: ClassVar[bool] = False

    only: tuple[str, ...] = ()
    """Names of the services to bring up; none = all, and those that are not wanted any more go."""

    def resources(self, host: Host, facts: Facts) -> Iterator[Resource]:
        """Yield images first, then mounted files, then what goes, then what is to run."""
        role = services_of(host)
        if role is None or facts.docker is None:
            raise ServiceError(
                "Docker is not installed, so nothing can be deployed",
                where=host.name,
                remedy=f"Provision the host first: inv provision --host {host.name}",
            )
        wanted = resolve(host, facts)
        rendered = compose(host.name, wanted, role, facts=facts)
        chosen = [item for item in wanted if not self.only or item.service.name in self.only]
        for name in dict.fromkeys(item.service.image for item in chosen):
            yield _image(name, role)
        for path, content in rendered.files.items():
            yield File(name=path, content=content.decode(), mode="0644")
        if not self.only:
            yield ServiceLeftovers(name=role.dir, keep=tuple(item.service.name for item in wanted))
        release = _release(role.dir, wanted, rendered)
        for item in chosen:
            yield Service(
                name=item.service.name,
                release=release,
                summary=_summary(item.service),
                patience=rendered.patience[item.service.name],
            )


def _image(name: str, role: ServicesRole) -> DockerImage:
    """Return the image, from its archive where it has one."""
    archive = role.archives.get(name)
    if archive is None:
        return DockerImage(name=name, prefixes=tuple(role.registries))
    try:
        size = archive.stat().st_size
    except OSError as error:
        raise ServiceError(
            f"{archive}: {error.strerror}",
            where=f"services.archives.{name}",
            remedy=f"Write it: docker save {name} | gzip >{archive}",
        ) from error
    return DockerImage(name=name, archive=str(archive), archive_bytes=size)


def _summary(service: About) -> str:
    """Return `generate Qwen/Qwen3-8B with vllm/vllm-openai:v0.32.0, GPUs 0 1, at 10.0.0.11:8000`."""
    noun = "GPU" if len(service.gpus) == 1 else "GPUs"
    place = f"{noun} {' '.join(map(str, service.gpus))}" if service.gpus else "CPU"
    address = f"[{service.bind}]" if ":" in service.bind else service.bind
    return (
        f"{service.task} {service.model} with {service.image}, {place}, at {address}:{service.port}"
    )


def _release(base: str, wanted: Sequence[Resolved], rendered: Rendered) -> Release:
    return Release(
        base=base,
        compose=rendered.text,
        hashes=rendered.hashes,
        secrets={
            name: rendered.env_files[f"{name}.env"]
            for name in rendered.hashes
            if f"{name}.env" in rendered.env_files
        },
        about=json.dumps({item.service.name: about(item) for item in wanted}, sort_keys=True),
    )


def about(item: Resolved) -> dict[str, object]:
    """Return how to call a service, without its secrets, as it is kept beside its release."""
    left_out = {"environment", "api_key", "folder"}
    return {
        **item.service.model_dump(mode="json", exclude=left_out),
        KEY: next(iter(item.engine.launch(item.service).secrets), ""),
    }
