"""The file of a saved plan: written in one step, readable by its owner only, read as a whole."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from provision.errors import PlanError
from provision.state.saved_plan import SavedPlan
from provision.state.saved_plan_marks import canonical

FORMAT: Final = 1
_KIND: Final = "provision plan"
_AGAIN: Final = "Save it anew: inv plan --out FILE."


def check_place(path: Path) -> None:
    """Raise `PlanError` when no file can be written there, before hosts are asked."""
    folder = path.parent
    if path.is_dir():
        raise PlanError("is a folder", where=str(path), remedy="Name a file.")
    if not folder.is_dir():
        raise PlanError("there is no such folder", where=str(folder), remedy="Make it first.")
    if not os.access(folder, os.W_OK):
        raise PlanError("cannot be written to", where=str(folder), remedy="Name another folder.")


def write(path: Path, plan: SavedPlan) -> None:
    """Write the plan, or leave what is there as it is."""
    body = plan.model_dump(mode="json")
    document = {"kind": _KIND, "format": FORMAT, "checksum": _checksum(body), "plan": body}
    temporary = ""
    try:
        # mkstemp lets nobody else read it
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps(document, indent=1, ensure_ascii=True) + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        reason = error.strerror or "it cannot be written"
        raise PlanError(reason, where=str(path), remedy="Name another file.") from error
    finally:
        if temporary:
            with suppress(OSError):
                Path(temporary).unlink()


def read(path: Path) -> SavedPlan:
    """Return the plan of a file; raise `PlanError` for whatever is not one as it was written."""
    document = _document(path)
    if document.get("kind") != _KIND:
        raise PlanError("this is no saved plan", where=str(path), remedy=_AGAIN)
    if document.get("format") != FORMAT:
        raise PlanError(
            f"the plan has format {document.get('format')!r}, and this version reads {FORMAT}",
            where=str(path),
            remedy=_AGAIN,
        )
    body = document.get("plan")
    if document.get("checksum") != _checksum(body):
        raise PlanError(
            "the plan was edited or damaged: its checksum does not fit",
            where=str(path),
            remedy=_AGAIN,
        )
    try:
        return SavedPlan.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        raise PlanError(
            f"the plan does not say what it must: {'.'.join(map(str, first['loc']))}: {first['msg']}",
            where=str(path),
            remedy=_AGAIN,
        ) from error


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise PlanError(reason, where=str(path), remedy="Name a file of inv plan --out.") from error
    except (ValueError, RecursionError) as error:
        line = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise PlanError(
            f"the plan is truncated or damaged{line}", where=str(path), remedy=_AGAIN
        ) from error
    return document if isinstance(document, dict) else {}


def _checksum(body: object) -> str:
    return f"sha256:{hashlib.sha256(canonical(body).encode()).hexdigest()}"
