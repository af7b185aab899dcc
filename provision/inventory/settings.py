"""The settings that every host has, and the form of their values."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationInfo,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

from provision.secret import Secret


@dataclass(frozen=True)
class _Matches:
    """Text of a form that `expected` puts in words, for an operator never sees a pattern."""

    pattern: str
    expected: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "pattern": f"^(?:{self.pattern})$"}

    def _check(self, text: str) -> str:
        if not re.fullmatch(self.pattern, text):
            raise PydanticCustomError("expected", "{noun}", {"noun": self.expected})
        return text


def _resolve(path: Path, info: ValidationInfo) -> Path:
    """Return the path with `~` and the inventory's folder written out."""
    try:
        expanded = path.expanduser()
    except RuntimeError as error:
        raise ValueError(f"the home folder of {path} is unknown") from error
    folder = (info.context or {}).get("folder")
    return Path(os.path.normpath(folder / expanded if folder else expanded))


def _for_ssh(path: Path) -> Path:
    """Refuse what ssh replaces in its options even in quotes, or cannot be told to leave alone."""
    if re.search(r'["\\$\x00-\x1f\x7f]', str(path)):
        raise ValueError("expected a path without quotes, backslashes, dollars and line ends")
    return path


@dataclass(frozen=True)
class BesideInventory:
    """A path whose default is the inventory's own with another ending: `prod.models.lock.json`."""

    ending: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.with_info_before_validator_function(self._place, handler(source))

    def _place(self, path: Any, info: ValidationInfo) -> Any:
        inventory = (info.context or {}).get("inventory", "inventory")
        return f"{inventory}{self.ending}" if path is None else path


# A name never starts with a dash: it would be read as an option.
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_ADDRESS = rf"{_NAME}|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]+)?"
_GATEWAY = rf"(?:{_NAME}@)?(?:{_NAME}|\[[0-9A-Fa-f:.]+\])(?::[0-9]{{1,5}})?"
# as RFC 3986 has them; a quote or a backslash would end what holds it in a configuration file
_URL = r"(?:https?|socks5h?)://[A-Za-z0-9._~%!$&'()*+,;=:@\[\]-]+(?:/[A-Za-z0-9._~%!$&'()*+,;=:@/?#-]*)?"

Direct = Annotated[str, _Matches(r"[A-Za-z0-9.*:_/-]+", "a name, an address or a network")]
Address = Annotated[str, _Matches(_ADDRESS, "a host name or an IP address")]
User = Annotated[str, _Matches(_NAME, "a user name")]
Gateway = Annotated[str, _Matches(_GATEWAY, "a gateway as [user@]host[:port]")]
ProxyURL = Annotated[str, _Matches(_URL, "a URL such as http://10.0.0.1:3128")]
LocalPath = Annotated[Path, AfterValidator(_resolve)]
SSHPath = Annotated[LocalPath, AfterValidator(_for_ssh)]


class Model(BaseModel):
    """A model of this wing: frozen, and no key passes that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SSH(Model):
    """How to log in to a host; what is absent is left to ~/.ssh/config."""

    address: Address = ""
    """Host name, IP address or alias of ~/.ssh/config. Default: the host's name."""
    port: int | None = Field(default=None, ge=1, le=65535, examples=[22])
    """Port of the SSH server."""
    user: User | None = None
    """User to log in as."""
    sudo_password: Secret | None = None
    """Password for sudo, where it asks for one; --ask-sudo-password asks the operator."""
    key: SSHPath | None = None
    """Private key; a relative path starts at the inventory's folder."""
    gateway: Gateway | None = None
    """Jump host, as [user@]host[:port]."""
    known_hosts: SSHPath | None = None
    """File of trusted host keys; a relative path starts at the inventory's folder."""
    connect_timeout: float = Field(default=10.0, gt=0, examples=[10])
    """Seconds to wait for a connection."""


class Proxies(Model):
    """Proxies through which a host reaches the outside."""

    apt: ProxyURL | None = None
    """Proxy of the package manager."""
    docker: ProxyURL | None = None
    """Proxy through which Docker pulls images."""
    pip: ProxyURL | None = None
    """Proxy of pip."""
    hub: ProxyURL | None = None
    """Proxy through which models are downloaded."""
    no_proxy: tuple[Direct, ...] = Field(default=(), examples=["10.0.0.0/8"])
    """Names and networks that are reached directly."""


class Settings(Model):
    """Settings that every host has, whatever its roles."""

    ssh: SSH = SSH()
    """How to log in."""
    proxies: Proxies = Proxies()
    """Proxies towards the outside."""
    gpus: int | None = Field(default=None, ge=0, examples=[8])
    """Number of GPUs that must be there; absent = unknown."""
