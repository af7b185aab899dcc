"""The contract of an engine: what its container is told for a service, and how it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from provision.secret import Secret
from provision.serving.service import Service, Task


class Launch(NamedTuple):
    """What the container of a service runs."""

    command: tuple[str, ...]
    """Arguments after the image's own entrypoint."""
    environment: Mapping[str, str]
    """What the engine needs; the service's own `environment` is not in it."""
    secrets: Mapping[str, Secret]
    """Environment variables that nobody may read."""
    port: int
    """At which it listens in the container."""
    cache: str
    """Folder in the container that makes the next start faster; empty: none."""
    notes: tuple[str, ...] = ()
    """What was decided for the operator, or left out: `no Ray in images from 0.18: …`."""


class Dialect(NamedTuple):
    """Where and in what words an engine answers."""

    health: str
    models: str
    """Path that lists the served names as OpenAI does; empty: there is none."""
    chat: str
    embeddings: str
    rerank: str
    rerank_shape: str
    """`jina`: {query, documents} → results[].relevance_score; `tei`: {query, texts} → [].score."""


class Engine(Protocol):
    """One engine; pure: it knows command lines and answers, neither Docker nor SSH."""

    name: str
    """As operators write it in `engine`."""
    image: str
    """Image that is taken where none is named; with a tag, never `latest`."""
    cpu_image: str
    """The same for a service without GPUs; `image` where one serves both."""
    memory_flag: str
    """Flag that takes its share of a GPU's memory, without dashes; empty: it takes what it needs."""
    tasks: frozenset[Task]
    dialect: Dialect

    def version(self, service: Service) -> str | None:
        """Return the engine's version, from the image's tag or as stated; None: unknown."""

    def launch(self, service: Service) -> Launch:
        """Return what to run; `ServiceError` for what this version cannot do."""
