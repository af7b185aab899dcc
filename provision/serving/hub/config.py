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
from provision.serving.hub.listing import Listing, RemoteFile
from provision.serving.hub.wanted import Hub

_NAME: Final = "config.json"
_BESIDE: Final = "hf_quant_config.json"
_QUANTISED: Final = ("quant_algo", "kv_cache_quant_algo", "group_size", "exclude_modules")
"""What decides how much memory the weights and their cache take."""
_MAX_BYTES: Final = 1 << 20
_CLASSES: Final = ("id2label", "label2id")
"""Long in classifiers of many classes, and of no use to a deployment but for their number."""


def read_config(listing: Listing, hub: Hub, path: Path | None) -> Mapping[str, Any] | None:
    """Return config.json of a listed model; None where it has none, or it cannot be read.

    What NVIDIA's ModelOpt says beside it of the quantisation is in it, as newer models have it.
    `path` is the model's folder on the controller, where it lies there already.
    """
    names = {_NAME, _BESIDE}
    files = tuple(file for file in listing.files if file.path in names)
    if _NAME not in {file.path for file in files} or any(_is_long(file) for file in files):
        return None
    # A model that cannot be judged can still be locked: its files' own errors come with them.
    with suppress(ProvisionError, OSError, ValueError, RecursionError):
        if path is not None:
            return _joined(path)
        only = listing.model_copy(update={"files": files})
        with tempfile.TemporaryDirectory(prefix="provision-config-") as folder:
            download(only, hub, Path(folder), lambda *_: None)
            return _joined(Path(folder))
    return None


def _is_long(file: RemoteFile) -> bool:
    return file.size_bytes > _MAX_BYTES


def _joined(folder: Path) -> Mapping[str, Any] | None:
    """Return config.json with the quantisation that stands beside it, where it has none itself."""
    config, beside = _parsed((folder / _NAME).read_bytes()), folder / _BESIDE
    if config is None or not beside.exists() or config.get("quantization_config"):
        return config
    stated = (_parsed(beside.read_bytes()) or {}).get("quantization")
    if not isinstance(stated, Mapping):
        return config
    kept = {key: value for key, value in stated.items() if key in _QUANTISED}
    return {**config, "quantization_config": {"quant_method": "modelopt", **kept}}


def _parsed(text: bytes) -> Mapping[str, Any] | None:
    document = json.loads(text)
    if not isinstance(document, dict):
        return None
    labels = document.get("id2label")
    count = {"num_labels": len(labels)} if isinstance(labels, dict) else {}
    return {key: value for key, value in document.items() if key not in _CLASSES} | count
