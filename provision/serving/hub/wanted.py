"""Which model is wanted, from which hub, and how to reach that hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from provision.secret import Secret

Source = Literal["modelscope", "huggingface", "controller"]
DEFAULT_REVISION: Final[dict[Source, str]] = {
    "modelscope": "master",
    "huggingface": "main",
    "controller": "",
}
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_ID: Final = re.compile(rf"{_NAME}/{_NAME}")
_REVISION: Final = re.compile(rf"{_NAME}(?:/{_NAME})*")
_ENDPOINT: Final = re.compile(r"https?://[A-Za-z0-9\[][^\s/?#@]*(?:/[^\s?#]*)?")


class Model(BaseModel):
    """A record of this room: frozen, and no key passes that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Wanted(Model):
    """A model as an inventory asks for it."""

    source: Source
    """Where it comes from; `controller` is a folder on the machine that runs us."""
    id: str
    """Organisation and name, as in Qwen/Qwen3-0.6B."""
    revision: str
    """Branch, tag or commit. Default: the hub's main branch."""
    path: Path | None = None
    """The folder on the controller, for the source `controller` only."""

    @property
    def key(self) -> str:
        """Return the one name of this wish: `modelscope:Qwen/Qwen3-0.6B@master`."""
        return key_of(self.source, self.id, self.revision)

    @model_validator(mode="before")
    @classmethod
    def _default_revision(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("revision") is None:
            return {**values, "revision": DEFAULT_REVISION.get(values.get("source", ""), "")}
        return values

    @field_validator("id")
    @classmethod
    def _safe_id(cls, text: str) -> str:
        # It becomes a folder on hosts and a part of URLs.
        if not _ID.fullmatch(text) or ".." in text:
            raise ValueError("expected organisation/name, such as Qwen/Qwen3-0.6B")
        return text

    @field_validator("revision")
    @classmethod
    def _safe_revision(cls, text: str) -> str:
        if text and (not _REVISION.fullmatch(text) or ".." in text):
            raise ValueError("expected a branch, a tag or a commit, such as main")
        return text

    @model_validator(mode="after")
    def _path_fits_source(self) -> Wanted:
        if self.source == "controller":
            if self.path is None:
                raise ValueError("expected the folder of the model as path")
            if self.revision:
                raise ValueError("a folder has no revisions: drop revision")
        elif self.path is not None:
            raise ValueError(f"path is for source controller only, not {self.source}")
        elif not self.revision:
            raise ValueError("expected a branch, a tag or a commit, such as main")
        return self


class Hub(Model):
    """How to reach a hub."""

    endpoint: str | None = None
    """Base URL of a mirror, such as https://hf-mirror.com. Default: what the environment of the
    hub's own tools says (HF_ENDPOINT, MODELSCOPE_ENDPOINT), else the hub itself."""
    token: Secret | None = None
    """Access token of private and gated models; no other is ever sent, so that a mirror cannot
    get the one that you once logged in with."""

    @field_validator("endpoint")
    @classmethod
    def _safe_endpoint(cls, text: str | None) -> str | None:
        if text is None:
            return None
        # No password in it: it stands in the lock file and in errors.
        if not _ENDPOINT.fullmatch(text):
            raise ValueError("expected a URL without a password, such as https://hf-mirror.com")
        return text.rstrip("/")


def key_of(source: Source, identity: str, revision: str) -> str:
    """Return the key of a model: source, id and, of a hub, the revision asked for."""
    return f"{source}:{identity}@{revision}" if revision else f"{source}:{identity}"
