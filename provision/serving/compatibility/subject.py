"""The subject: all that is known of a service, its model and its host, for rules to judge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from provision.facts import GPU, Facts
from provision.serving.engines.engine import Engine
from provision.serving.service import Service


class Model(NamedTuple):
    """What is known of a model without its weights; `None` or empty = unknown."""

    config: Mapping[str, Any] | None
    """Its config.json."""
    files: Mapping[str, int]
    """Bytes by path of all its files on the host."""


class Image(NamedTuple):
    """What `docker image inspect` says of an image that is there."""

    environment: Mapping[str, str]
    """Its variables: `CUDA_VERSION`, `NVIDIA_REQUIRE_CUDA`, …"""
    architecture: str = ""
    """Docker's word for it: amd64, arm64."""


class Subject(NamedTuple):
    """One service on one host; a rule that lacks something says nothing, or that it is unknown."""

    service: Service
    engine: Engine
    facts: Facts | None = None
    """What the host was seen to be; `None` = it was not looked at."""
    model: Model | None = None
    image: Image | None = None
    """`None` = not on the host yet: what its tag promises is judged instead."""

    @property
    def gpus(self) -> tuple[GPU, ...]:
        """Return the GPUs of the host that are given to the service, in order."""
        known = {gpu.index: gpu for gpu in self.facts.gpus} if self.facts else {}
        return tuple(known[index] for index in self.service.gpus if index in known)
