"""vLLM: its image, its command line in every release, and where it answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from provision.errors import ServiceError
from provision.serving.engines import vllm_parts as parts
from provision.serving.engines.arguments import Flags, plain, written
from provision.serving.engines.engine import Dialect, Launch
from provision.serving.engines.families import family_of
from provision.serving.engines.vllm_changes import Part, adapted, joined
from provision.serving.engines.vllm_flags import Release, release_of, releases
from provision.serving.engines.vllm_parsers import parsers
from provision.serving.service import Service, Task

_CACHE: Final = "/root/.cache/vllm"
_ENVIRONMENT: Final = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_CACHE_ROOT": _CACHE,
    "VLLM_NO_USAGE_STATS": "1",
}
_TAG: Final = re.compile(r"v?(\d+\.\d+\.\d+(?:\.\d+)?(?:\.post\d+|rc\d+)?)(?=$|[-+_])")


class Vllm:
    """vLLM's OpenAI-compatible server."""

    name: str = "vllm"
    image: str = "vllm/vllm-openai:v0.32.0"
    cpu_image: str = image
    memory_flag: str = "gpu-memory-utilization"
    tasks: frozenset[Task] = frozenset({"generate", "embed", "score"})
    dialect: Dialect = Dialect(
        health="/health",
        models="/v1/models",
        chat="/v1/chat/completions",
        embeddings="/v1/embeddings",
        rerank="/v1/rerank",
        rerank_shape="jina",
    )

    def version(self, service: Service) -> str | None:
        """Return the version as stated, or as the image's tag says it."""
        return service.version or _of_tag(service.image)

    def launch(self, service: Service) -> Launch:
        """Return what to run; `ServiceError` for what this release cannot do."""
        where = f"service {service.name}"
        release = self._release(service, where)
        own = adapted(plain(service.arguments, where), release, where)
        default = _defaults(service, release, own.flags, where)
        flags = joined(default.flags, own.flags)
        return Launch(
            command=tuple(_command(flags, release, where)),
            environment=_ENVIRONMENT,
            secrets={"VLLM_API_KEY": service.api_key} if service.api_key else {},
            port=_PORT,
            cache=_CACHE,
            notes=(*_other_tag(service), *default.notes, *own.notes),
        )

    def _release(self, service: Service, where: str) -> Release:
        version = self.version(service)
        if version is None:
            raise ServiceError(
                f"the tag of {service.image} does not say which vLLM it is",
                where=where,
                remedy=f"State its release, such as version: {releases()[-1]}",
            )
        return release_of(version, where)


ENGINE: Final = Vllm()
_PORT: Final = 8000


def _defaults(service: Service, release: Release, own: Flags, where: str) -> Part:
    """Return all flags that the service itself asks for."""
    case = parts.Case(service, release, family_of(service.model), own)
    found = Part(_fixed(service, own, where))
    for part in (parts.gpus, parts.task, parsers, parts.template):
        found = parts.both(found, part(case))
    return found


def _fixed(service: Service, own: Flags, where: str) -> Flags:
    """Return the flags that belong to us; `ServiceError` where an argument contradicts them."""
    fixed: Flags = {
        # Of all releases: the newer ones take it as a word of its own too.
        "model": service.mounted,
        "served-model-name": service.served_name,
        "host": "0.0.0.0",  # noqa: S104  in the container; the host's address is `bind`
        "port": _PORT,
    }
    for name, value in fixed.items():
        mine = own.get(name, value)
        more = name == "served-model-name" and isinstance(mine, list) and value in mine
        if str(mine) != str(value) and not more:
            raise ServiceError(
                f"the argument {name} is {mine}, and the service itself makes it {value}",
                where=where,
                remedy=f"Drop the argument; write {_SETTING[name]} of the service instead.",
            )
    if "api-key" in own:
        raise ServiceError(
            "an API key among the arguments can be read by everybody on the host",
            where=where,
            remedy="Write api_key: env:NAME, file:PATH or cmd:COMMAND instead.",
        )
    return fixed


_SETTING: Final = {
    "model": "`model`",
    "served-model-name": "`served_name`",
    "host": "`bind`",
    "port": "`port`",
}


def _command(flags: Flags, release: Release, where: str) -> Iterator[str]:
    for name, value in flags.items():
        way = release.flag(name.partition(".")[0])
        if way is None:
            raise ServiceError(f"vLLM {release.name} has no flag --{name}", where=where)
        yield from written(name, "one" if "." in name else way, value, where)


def _of_tag(image: str) -> str | None:
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    found = _TAG.match(tag)
    return found[1] if found else None


def _other_tag(service: Service) -> tuple[str, ...]:
    tag = _of_tag(service.image)
    if service.version is None or tag is None or service.version.removeprefix("v") == tag:
        return ()
    return (f"version {service.version}, as stated, though the image's tag says {tag}",)
