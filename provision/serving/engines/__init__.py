"""Engines: what serves a model, one module each, found by the module's name."""

from __future__ import annotations

import importlib
import pkgutil

from provision.errors import ServiceError, nearest
from provision.serving.engines.engine import Engine


def engine_of(name: str) -> Engine:
    """Return the engine of a name; raise `ServiceError` with the nearest where there is none."""
    if name in _modules() and (engine := _engine(name)):
        return engine
    known = {module for module in _modules() if _engine(module)}
    raise ServiceError(f"there is no engine '{name}'", remedy=nearest(name, known))


def _modules() -> set[str]:
    return {module.name for module in pkgutil.iter_modules(__path__)}


def _engine(module: str) -> Engine | None:
    """Return the engine that a module is about, by its `ENGINE`; None for one that helps others."""
    found: Engine | None = getattr(importlib.import_module(f"{__name__}.{module}"), "ENGINE", None)
    return found
