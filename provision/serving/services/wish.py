"""How an inventory asks for one service, and what of it can be refused as it stands."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from provision.inventory.settings import LocalPath
from provision.secret import Secret
from provision.serving.service import Argument, Task
from provision.state.kinds.paths import AbsolutePath

_MODEL: Final = r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*"
_FOLDER: Final = r"(?:/(?!\.{1,2}(?:/|$))[^/\x00-\x1f\x7f]+)+"
_TAG: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_IMAGE: Final = (
    r"(?:[a-z0-9][a-z0-9.-]*(?::[0-9]+)?/)?[a-z0-9][a-z0-9._/-]*"
    rf"(?::{_TAG})?(?:@sha256:[0-9a-f]{{64}})?"
)


def _of_form(pattern: str, expected: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"expected {expected}")
        return text

    return check


def _address(text: str) -> str:
    try:
        # a scope is of no use to Docker, and may be any text
        return str(ip_address(text.replace("%", "no scope")))
    except ValueError:
        raise ValueError(
            "expected an IP address of the host, such as 10.0.0.11; 0.0.0.0 stands for all of them"
        ) from None


ServiceName = Annotated[
    str,
    AfterValidator(
        _of_form(
            r"[a-z0-9][a-z0-9_.-]{1,62}",
            "a name of 2 to 63 small letters, digits, dots and dashes: it names a container",
        )
    ),
]
BindAddress = Annotated[str, AfterValidator(_address)]
Image = Annotated[
    str,
    AfterValidator(_of_form(_IMAGE, "an image with its tag, such as vllm/vllm-openai:v0.32.0")),
]
Registry = Annotated[
    str,
    AfterValidator(
        _of_form(
            r"[a-z0-9][a-z0-9.-]*(?::[0-9]+)?(?:/[a-z0-9._-]+)*",
            "a registry with what comes before an image's name, such as docker.m.daocloud.io",
        )
    ),
]
Size = Annotated[
    str, AfterValidator(_of_form(r"[0-9]+(?:\.[0-9]+)?[kmgKMG][bB]?", "a size such as 16gb"))
]
TimeZone = Annotated[
    str,
    AfterValidator(_of_form(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*", "a name like Asia/Shanghai")),
]
_ModelName = Annotated[
    str,
    AfterValidator(
        _of_form(
            f"{_MODEL}|{_FOLDER}", "a model as organisation/name, or its folder on the host as /…"
        )
    ),
]
_Variable = Annotated[
    str, AfterValidator(_of_form(r"[A-Za-z_][A-Za-z0-9_]*", "the name of a variable"))
]
_Flag = Annotated[
    str,
    AfterValidator(
        _of_form(r"[A-Za-z0-9][A-Za-z0-9_.-]*", "a flag without its dashes, as in max-model-len")
    ),
]
_Index = Annotated[int, Field(ge=0)]
_SECRET: Final = re.compile(
    r"(?:^|_)(?:PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|ACCESS_KEY|PRIVATE_KEY|CREDENTIALS?)$",
    re.IGNORECASE,
)
"""Names of variables that hold secrets."""


class ServiceWish(BaseModel):
    """One service as an operator asks for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: str = Field(default_factory=lambda: "vllm")  # a plain one would be every typo's remedy
    """What serves it: `vllm`, or `tei` for embeddings and reranking."""
    task: Task = "generate"
    """`generate` (chat and completions), `embed` or `score` (reranking)."""
    model: _ModelName
    """One of `models.wanted`, as `<organisation>/<name>`; or a folder of the host, as `/…`."""
    served_name: str | None = None
    """Name by which requests call it. Default: the model's, without its organisation."""
    port: int = Field(ge=1, le=65535)
    """Port of the host at which it is reached."""
    bind: BindAddress | None = None
    """Address of the host at which it is reached, where that is not the role's `bind`."""
    gpus: int | tuple[_Index, ...] | None = None
    """How many GPUs, or which: `[0, 1]`; 0 = on the CPU. Default: 1, or 0 where `gpus: 0`."""
    memory_share: float | None = Field(default=None, gt=0, le=1)
    """Fraction of each GPU's memory that it takes, so that others may have the rest; an engine
    that takes no more than it needs, as `tei`, is not told."""
    image: Image | None = None
    """Image with its tag, where that is not the one in `images`."""
    version: str | None = None
    """Version of the engine, where the image's tag does not say it."""
    arguments: Mapping[_Flag, Argument] = Field(default_factory=dict)
    """Flags of the engine without their dashes: `max-model-len: 32768`; `true` is the bare flag,
    `false` leaves it out."""
    environment: Mapping[_Variable, str] = Field(default_factory=dict)
    """Environment of the engine, nothing secret."""
    api_key: Secret | None = None
    """Key that requests must bring, as env:NAME, file:PATH or cmd:COMMAND."""
    tool_parser: str | None = None
    """Parser of tool calls. Default: that of the model's family; `""` = no tool calls."""
    reasoning_parser: str | None = None
    """Parser of reasoning. Default: that of the model's family; `""` = none."""
    chat_template: Annotated[AbsolutePath | LocalPath, Field(union_mode="left_to_right")] | None = (
        None
    )
    """File beside the inventory, or in the image where it begins with `/`. Default: the model's."""
    required: tuple[
        Literal["chat", "stream", "tools", "tools_stream", "embeddings", "rerank"], ...
    ] = ()
    """Checks in which a poor answer fails the deployment too, and does not only warn: `tools`."""

    @field_validator("gpus")
    @classmethod
    def _gpus_make_sense(cls, gpus: int | tuple[int, ...] | None) -> int | tuple[int, ...] | None:
        if isinstance(gpus, int) and gpus < 0:
            raise ValueError("expected a number of GPUs, or a list of their indices")
        if isinstance(gpus, tuple) and len(set(gpus)) < len(gpus):
            raise ValueError("a GPU stands twice in the list")
        return gpus

    @field_validator("environment")
    @classmethod
    def _nothing_secret(cls, environment: Mapping[str, str]) -> Mapping[str, str]:
        for name, value in environment.items():
            if value and _SECRET.search(name):
                raise ValueError(
                    f"{name} would stand in plans and in compose.yaml. The key that requests must "
                    "bring is api_key: env:NAME; a hub's token is models.huggingface.token"
                )
        return environment

    @property
    def chat_template_file(self) -> Path | None:
        """Return the chat template's file on the controller, where it is one."""
        return self.chat_template if isinstance(self.chat_template, Path) else None


class Mistake(NamedTuple):
    """Something that a service must not say, and where it stands below the role."""

    place: tuple[str, ...]
    what: str
    value: Any = None


def is_moving(image: str) -> bool:
    """Say whether an image's name may stand for another image tomorrow."""
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return not digest and (not tag or tag.split("-")[-1] == "latest" or "nightly" in tag)
