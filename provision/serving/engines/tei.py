"""text-embeddings-inference: its image, its command line in every release, and where it answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from provision.errors import ServiceError, nearest
from provision.serving.engines.arguments import Flags, Way, plain, written
from provision.serving.engines.engine import Dialect, Launch
from provision.serving.service import Service, Task

Number = tuple[int, int]


class Tei:
    """Hugging Face's server for embeddings and reranking."""

    name: str = "tei"
    image: str = "ghcr.io/huggingface/text-embeddings-inference:cuda-1.9"
    cpu_image: str = "ghcr.io/huggingface/text-embeddings-inference:cpu-1.9"
    memory_flag: str = ""
    tasks: frozenset[Task] = frozenset({"embed", "score"})
    dialect: Dialect = Dialect(
        health="/health",
        models="",
        chat="",
        embeddings="/v1/embeddings",
        rerank="/rerank",
        rerank_shape="tei",
    )

    def version(self, service: Service) -> str | None:
        """Return the version as stated, or as the image's tag says it."""
        found = _TAG.search(_tag(service.image))
        return service.version or (found[1] if found else None)

    def launch(self, service: Service) -> Launch:
        """Return what to run; `ServiceError` for what this release cannot do."""
        where = f"service {service.name}"
        number = self._number(service, where)
        _refuse(service, number, where)
        own = plain(service.arguments, where)
        flags = {**_defaults(service, number, own, where), **own}
        return Launch(
            command=tuple(_command(flags, number, where)),
            environment={"HF_HUB_OFFLINE": "1"},
            secrets={"API_KEY": service.api_key} if service.api_key else {},
            port=_PORT,
            cache="",
            notes=tuple(_notes(service, number, own)),
        )

    def _number(self, service: Service, where: str) -> Number:
        version = self.version(service)
        found = _NUMBER.match(version or "")
        number = (int(found[1]), int(found[2])) if found else (0, 0)
        if number in _KNOWN:
            return number
        what = f"the tag of {service.image} does not say which release of TEI it is"
        if version:
            what = f"the flags of TEI {version} are not known, only those of 1.5 to 1.9"
        remedy = "State the release whose flags it has, such as version: '1.9'"
        raise ServiceError(what, where=where, remedy=remedy)


ENGINE: Final = Tei()
_PORT: Final = 80
_NUMBER: Final = re.compile(r"v?(\d+)\.(\d+)")
_TAG: Final = re.compile(r"(?:^|-)v?(\d+\.\d+(?:\.\d+)?)(?=$|-)")
_KNOWN: Final = frozenset((1, minor) for minor in range(5, 10))
_WAYS: Final[Mapping[str, Way]] = {
    "auto-truncate": "none",
    "json-output": "none",
    "disable-spans": "none",
    "cors-allow-origin": "append",
}
"""How the flags are written that do not simply take one value."""
_SINCE: Final[Mapping[str, Number]] = {
    **dict.fromkeys(
        (
            "auto-truncate",
            "cors-allow-origin",
            "default-prompt",
            "default-prompt-name",
            "dtype",
            "hostname",
            "huggingface-hub-cache",
            "json-output",
            "max-batch-requests",
            "max-batch-tokens",
            "max-client-batch-size",
            "max-concurrent-requests",
            "model-id",
            "otlp-endpoint",
            "otlp-service-name",
            "payload-limit",
            "pooling",
            "port",
            "revision",
            "tokenization-workers",
            "uds-path",
        ),
        (1, 5),
    ),
    # It came in 1.6.1, and a tag such as 1.6 may stand for 1.6.0.
    "disable-spans": (1, 7),
    # It came in 1.7.1.
    "prometheus-port": (1, 8),
    "dense-path": (1, 8),
    "served-model-name": (1, 9),
}
"""The first release with each flag that may be set here."""
_OURS: Final = frozenset({"api-key", "hf-api-token", "hf-token"})
"""Flags that would show a secret, or reach out of the host."""


def _refuse(service: Service, number: Number, where: str) -> None:
    """Raise for what TEI cannot do at all, or not in this release."""
    if service.task == "generate":
        what, remedy = "TEI does not generate", "Take another engine, such as engine: vllm"
    elif service.tool_parser or service.reasoning_parser or service.chat_template:
        what = "TEI has neither parsers nor chat templates"
        remedy = "Drop tool_parser, reasoning_parser and chat_template."
    elif service.api_key and number < (1, 6):
        what = "TEI 1.5 wants the API key at /health too, so that it would never become healthy"
        remedy = "Take an image from 1.6 on, or drop api_key."
    elif not service.gpus and _is_for_gpus(service.image):
        what = f"{service.image} needs a GPU, and the service has none"
        remedy = f"Take image: {Tei.cpu_image}"
    else:
        return
    raise ServiceError(what, where=where, remedy=remedy)


def _defaults(service: Service, number: Number, own: Flags, where: str) -> Flags:
    """Return the flags that belong to us; `ServiceError` where an argument contradicts them."""
    fixed: Flags = {
        "model-id": service.mounted,
        # Docker sets HOSTNAME, which TEI would take for its address.
        "hostname": "0.0.0.0",  # noqa: S104  in the container; the host's address is `bind`
        "port": _PORT,
    }
    if number >= _SINCE["served-model-name"]:
        fixed = {**fixed, "served-model-name": service.served_name}
    for name in own:
        if name in _OURS or str(own[name]) != str(fixed.get(name, own[name])):
            raise ServiceError(
                f"the argument {name} belongs to the service itself",
                where=where,
                remedy="Drop the argument; `model`, `served_name`, `port` and `api_key` say it.",
            )
    return fixed


def _command(flags: Flags, number: Number, where: str) -> Iterator[str]:
    # An argument replaces the image's own command, which is this flag.
    for name, value in {"json-output": True, **flags}.items():
        since = _SINCE.get(name)
        if since is None:
            remedy = nearest(name, set(_SINCE))
            raise ServiceError(f"TEI has no flag --{name}", where=where, remedy=remedy)
        if number < since:
            raise ServiceError(
                f"TEI {_text(number)} has no flag --{name}; all of {_text(since)} have it",
                where=where,
                remedy="Take a newer image or drop the argument.",
            )
        yield from written(name, _WAYS.get(name, "one"), value, where)


def _notes(service: Service, number: Number, own: Flags) -> Iterator[str]:
    if number < _SINCE["served-model-name"]:
        yield f"TEI {_text(number)} answers to any name, not only to {service.served_name}"
    if "auto-truncate" not in own and number < (1, 9):
        yield "texts that are too long are refused: auto-truncate: true cuts them"
    if service.gpus and _tag(service.image).startswith("cpu-"):
        yield "the image is for the CPU: its GPUs stay idle"


def _is_for_gpus(image: str) -> bool:
    """Say whether an image of the project itself is built for GPUs."""
    repository = image.partition("@")[0].rpartition(":")[0]
    own = repository.endswith("huggingface/text-embeddings-inference")
    return own and not _tag(image).startswith("cpu-")


def _tag(image: str) -> str:
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


def _text(number: Number) -> str:
    return ".".join(map(str, number))
