"""The service: one model served by one engine on one host, with everything decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from provision.secret import Secret

Task = Literal["generate", "embed", "score"]
"""What a service does: chat and completions, embeddings, or reranking."""
Argument = bool | int | float | str | list[str | int | float] | dict[str, object]
"""Value of an engine's flag: `true` is the bare flag, `false` leaves it out, a mapping is JSON."""
FILES: Final = "/etc/provision"
"""Folder in the container of files that the service brings along, such as chat templates."""


class Service(BaseModel):
    """A service as it is to run; nothing in it is left to a default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """Unique on its host; the name of its container."""
    engine: str
    task: Task
    model: str
    """`<organisation>/<name>`, by which the engines' defaults know the family."""
    folder: str
    """Where the model lies on the host; mounted read-only."""
    mounted: str
    """Where the model lies in the container."""
    size_bytes: int
    """Size of all its files; the time to load them follows from it."""
    served_name: str
    """What requests call it."""
    bind: str
    """Address of the host at which it is reached; `0.0.0.0` is all."""
    port: int
    """Port of the host at which it is reached."""
    gpus: tuple[int, ...]
    """Indices of the host's GPUs; none = CPU."""
    image: str
    """Repository and tag, without a mirror's prefix."""
    version: str | None = None
    """The engine's version where the tag does not say it."""
    arguments: Mapping[str, Argument] = {}
    """Flags of the engine without their dashes; they win over any default."""
    environment: Mapping[str, str] = {}
    api_key: Secret | None = None
    tool_parser: str | None = None
    """`None`: that of the model's family; empty: no tool calls."""
    reasoning_parser: str | None = None
    """`None`: that of the model's family; empty: none."""
    chat_template: str | None = None
    """Name of a file below `FILES` that was mounted, or path in the image; `None`: the model's."""
    required: tuple[str, ...] = ()
    """Checks in which an answer of poor quality fails the service too: `tools`, `rerank`."""
