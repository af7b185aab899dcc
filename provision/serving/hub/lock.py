"""Which files every model of an inventory has: the lock file beside the inventory."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pydantic import Field, ValidationError, field_validator

from provision.errors import HubError
from provision.serving.hub.listing import Listing
from provision.serving.hub.wanted import Model, Wanted

_VERSION: Final = 1
_CONFLICT: Final = ("<<<<<<<", "=======", ">>>>>>>")
_REMEDY: Final = "Take the version of the repository (`git checkout`), or delete it and list anew."


class Entry(Model):
    """One model as it was listed."""

    listing: Listing
    """Its files."""
    listed_at: date
    """The day on which the hub said so (UTC)."""
    endpoint: str
    """The hub that said so; empty for a folder on the controller."""
    config: Mapping[str, Any] | None = None
    """Its config.json without the names of classes; None where it has none that can be read."""


class Lock(Model):
    """All models of one inventory, by key."""

    entries: Mapping[str, Entry] = Field(default_factory=lambda: MappingProxyType({}))
    """Key of the wish → what it was answered."""

    @field_validator("entries")
    @classmethod
    def _consistent(cls, entries: Mapping[str, Entry]) -> Mapping[str, Entry]:
        for key, entry in entries.items():
            if key != entry.listing.key:
                raise ValueError(f"{key} holds {entry.listing.key}")
        return MappingProxyType(dict(sorted(entries.items())))

    def get(self, wanted: Wanted) -> Listing | None:
        """Return the files of a model, or None if it was never listed."""
        entry = self.entries.get(wanted.key)
        return entry.listing if entry else None

    def config(self, wanted: Wanted) -> Mapping[str, Any] | None:
        """Return config.json of a model, where that is known."""
        entry = self.entries.get(wanted.key)
        return entry.config if entry else None


def path_beside(inventory: Path) -> Path:
    """Return where the lock file of an inventory lies."""
    return inventory.with_name(f"{inventory.stem}.models.lock.json")


def read(path: Path) -> Lock:
    """Return the lock of a file; a file that is not there is an empty lock."""
    try:
        about = path.stat()
        return _read(path, about.st_mtime_ns, about.st_size)
    except FileNotFoundError:
        return Lock()
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise HubError(reason, where=str(path), remedy="Check its permissions.") from error
    except UnicodeDecodeError as error:
        raise HubError("not a text file", where=str(path), remedy=_REMEDY) from error


def write(path: Path, lock: Lock) -> None:
    """Replace the file in one step, so that no reader ever sees half of it."""
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(render(lock))
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        raise HubError(
            f"cannot be written: {error.strerror}", where=str(path), remedy="Check the folder."
        ) from error
    finally:
        if temporary:
            with suppress(OSError):
                Path(temporary).unlink()


def render(lock: Lock) -> str:
    """Return the text of a lock: sorted, one file a line, so that a diff reads well."""
    models = ",\n".join(f"    {json.dumps(key)}: {_model(e)}" for key, e in lock.entries.items())
    body = f"{{\n{models}\n  }}" if models else "{}"
    return f'{{\n  "version": {_VERSION},\n  "models": {body}\n}}\n'


@lru_cache(maxsize=16)
def _read(path: Path, mtime_ns: int, size: int) -> Lock:
    """Parse a file once for each state that it was in: every model of every host asks for it."""
    del mtime_ns, size
    text = path.read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith(_CONFLICT):
            raise HubError(
                "a merge conflict is left in it", where=f"{path}:{number}", remedy=_REMEDY
            )
    try:
        return Lock.model_validate({"entries": _entries(json.loads(text), path)})
    except json.JSONDecodeError as error:
        where = f"{path}:{error.lineno}"
        raise HubError(f"not JSON: {error.msg}", where=where, remedy=_REMEDY) from error
    except (ValidationError, RecursionError) as error:
        raise HubError(
            f"not a lock of models: {_first(error)}", where=str(path), remedy=_REMEDY
        ) from error


def _model(entry: Entry) -> str:
    head = {
        "endpoint": entry.endpoint,
        "listed_at": entry.listed_at.isoformat(),
        **entry.listing.model_dump(exclude={"files"}),
        "config": entry.config,
    }
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in head.items()]
    files = ",\n".join(
        f"        {json.dumps(file.model_dump(), ensure_ascii=False)}"
        for file in entry.listing.files
    )
    lines.append(f'"files": [\n{files}\n      ]')
    return "{\n" + ",\n".join(f"      {line}" for line in lines) + "\n    }"


def _entries(document: Any, path: Path) -> dict[str, Any]:
    version = document.get("version") if isinstance(document, dict) else None
    if version != _VERSION:
        raise HubError(
            f"unknown version {version!r} of a lock of models",
            where=str(path),
            remedy=f"Use a provision that knows it; this one knows {_VERSION}.",
        )
    unknown = document.keys() - {"version", "models"}
    models = document.get("models")
    if unknown or not isinstance(models, dict):
        what = f"unknown key {min(unknown)}" if unknown else "models is not there"
        raise HubError(f"not a lock of models: {what}", where=str(path), remedy=_REMEDY)
    return {
        key: dict(_entry(value)) if isinstance(value, dict) else value
        for key, value in models.items()
    }


def _entry(value: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    own = {"endpoint", "listed_at", "config"}
    yield from ((name, value[name]) for name in own & value.keys())
    yield "listing", {name: item for name, item in value.items() if name not in own}


def _first(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return "nested too deep"
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"][1:])
    return f"{place}: {first['msg'].removeprefix('Value error, ')}"
