"""Where the value of a setting comes from, and what it overrode."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from provision.errors import InventoryError
from provision.inventory.merge import Layer
from provision.inventory.node import at, plain
from provision.inventory.problems import display, suggest
from provision.inventory.schema import Inventory

_SETTINGS = ("ssh", "proxies", "gpus")


class Origin(NamedTuple):
    """One place that sets a value; `line` is 0 for a default, which stands in no file."""

    path: Path
    line: int
    value: Any
    layer: str  # vars, group gpu, host gpu01, default, default of role docker


def origins(inventory: Inventory, host: str, dotted: str) -> list[Origin]:
    """Return where a setting such as `docker.mirror` comes from: the winner first.

    The others follow in the order in which they were overridden. A setting that no layer sets has
    its default as its one origin. Raises `InventoryError` for an unknown name.
    """
    if host not in inventory.hosts:
        raise InventoryError(
            f"no host {host!r}",
            where=display(inventory.path),
            remedy=suggest(host, inventory.hosts),
        )
    found = _set(inventory.path, inventory.layers.get(host, ()), dotted.split("."))
    return found or [_default(inventory, host, dotted)]


def leaves(inventory: Inventory, host: str, dotted: str) -> list[str]:
    """Return the dotted names of all values below a setting, or its own if it is one value."""
    if host not in inventory.hosts:
        return [dotted]  # for `origins` to refuse
    value = _default(inventory, host, dotted).value
    return [f"{dotted}{name}" for name in _names(value)]


def _names(value: Any) -> list[str]:
    below = _below(value)
    return [f".{key}{name}" for key, item in below.items() for name in _names(item)] or [""]


def _set(path: Path, layers: tuple[Layer, ...], keys: list[str]) -> list[Origin]:
    found = []
    for layer in reversed(layers):
        for split in _splits(keys):
            node = at(layer.node, split)
            if node is not None:
                found.append(Origin(path, node.line, plain(node), layer.name))
                break
    return found


def _splits(keys: list[str]) -> list[list[str]]:
    """Return the ways to read a dotted path: the last keys may be one that holds dots."""
    return [[*keys[:n], ".".join(keys[n:])] for n in range(len(keys) - 1, 0, -1)] or [keys]


def _default(inventory: Inventory, host: str, dotted: str) -> Origin:
    first, *rest = dotted.split(".")
    known = inventory.hosts[host]
    settings = {name: getattr(known, name) for name in _SETTINGS}
    value: Any = {**_role_defaults(inventory), **known.variables, **settings}
    layer = "default" if first in _SETTINGS else f"default of role {first}"
    for key in (first, *rest):
        names = _below(value)
        if key not in names:
            raise InventoryError(
                f"no setting {dotted!r} on host {host}",
                where=display(inventory.path),
                remedy=suggest(key, names) if names else "It has no settings below it.",
            )
        value = names[key]
    return Origin(inventory.path, 0, value, layer)


def _role_defaults(inventory: Inventory) -> dict[str, Any]:
    """Return the defaults of roles that a host may not have."""
    return {
        role: {
            name: info.get_default(call_default_factory=True, validated_data={})
            for name, info in model.model_fields.items()
            if not info.is_required()
        }
        for role, model in inventory.models.items()
    }


def _below(value: Any) -> dict[str, Any]:
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    return dict(value) if isinstance(value, Mapping) else {}
