"""A model's config.json, as it is read when its files are listed: what is known without weights."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from provision.errors import ProvisionError
from provision.serving.hub.download import download
from provision.serving.hub.listing import Listing
from provision.serving.hub.wanted import Hub

_NAME: Final = "config.json"
_MAX_BYTES: Final = 1 << 20
_CLASSES: Final = ("id2label", "label2id")
"""Long in classifiers of many classes, and of no use to a deployment but for their number."""


def read_config(listing: Listing, hub: Hub, path: Path | None) -> Mapping[str, Any] | None:
    """Return config.json of a listed model; None where it has none, or it cannot be read.

    `path` is the model's folder on the controller, where it lies there already.
    """
    file = next((file for file in listing.files if file.path == _NAME), None)
    if file is None or file.size_bytes > _MAX_BYTES:
        return None
    # A model that cannot be judged can still be locked: its files' own errors come with them.
    with suppress(ProvisionError, OSError, ValueError, RecursionError):
        if path is not None:
            return _parsed((path / _NAME).read_bytes())
        only = listing.model_copy(update={"files": (file,)})
        with tempfile.TemporaryDirectory(prefix="provision-config-") as folder:
            download(only, hub, Path(folder), lambda *_: None)
            return _parsed((Path(folder) / _NAME).read_bytes())
    return None


def _parsed(text: bytes) -> Mapping[str, Any] | None:
    document = json.loads(text)
    if not isinstance(document, dict):
        return None
    labels = document.get("id2label")
    count = {"num_labels": len(labels)} if isinstance(labels, dict) else {}
    return {key: value for key, value in document.items() if key not in _CLASSES} | count
