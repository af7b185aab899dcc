"""Facts kept in a file beside the inventory, so that services can be judged with no host at hand."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from provision.errors import FactsError
from provision.facts.model import Facts

_AGAIN: Final = "Record them anew: inv facts --record, with the same --inventory."


def path_beside(inventory: Path) -> Path:
    """Return where the facts of an inventory's hosts are kept."""
    return inventory.with_name(f"{inventory.stem}.facts.json")


def read(path: Path) -> dict[str, Facts]:
    """Return the facts by host; none where nothing was recorded. Raises `FactsError`."""
    try:
        hosts = json.loads(path.read_text(encoding="utf-8"))["hosts"]
        return {name: Facts.model_validate(entry["facts"]) for name, entry in hosts.items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise FactsError(reason, where=str(path), remedy="Check its permissions.") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = "they do not fit" if isinstance(error, ValidationError) else "no JSON of facts"
        raise FactsError(f"not recorded facts: {reason}", where=str(path), remedy=_AGAIN) from error


def write(path: Path, facts: Mapping[str, Facts]) -> None:
    """Replace the file in one step, as `inv facts --format json` prints it."""
    hosts = {name: {"facts": each.model_dump(mode="json")} for name, each in sorted(facts.items())}
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"hosts": hosts}, file, indent=1)
            file.write("\n")
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        reason = error.strerror or "it cannot be written"
        raise FactsError(reason, where=str(path), remedy="Check the folder.") from error
    finally:
        if temporary:
            with suppress(OSError):
                Path(temporary).unlink()
