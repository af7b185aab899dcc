"""How the layers of a host become its settings: `vars < group < host`, deep for mappings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from provision.inventory.node import Node, at, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Path = tuple[str, ...]


class Layer(NamedTuple):
    """Settings written in one place of the file."""

    name: str  # vars, group gpu, host gpu01
    prefix: str  # vars, groups.gpu.vars, hosts.gpu[01:16]
    node: Node
    values: dict[str, Any]  # the node, plain


class Contradiction(NamedTuple):
    """Two layers of one rank that set the value at `path` differently."""

    path: Path
    first: tuple[Layer, Node]
    second: tuple[Layer, Node]


def layer(name: str, prefix: str, node: Node) -> Layer:
    """Return the layer of a mapping node."""
    return Layer(name, prefix, node, plain(node))


def overlay(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `under` with `over` on top; what `over` does not touch is shared, not copied."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            merged[key] = overlay(below, value)
        else:
            merged[key] = value
    return merged


def contradictions(layers: Sequence[Layer]) -> list[Contradiction]:
    """Return the values that two of `layers`, the groups of a host, set differently."""
    seen: dict[Path, tuple[Layer, Node]] = {}
    found: list[Contradiction] = []
    for current in layers:
        found += [
            Contradiction(path, seen[other], (current, node))
            for path, node in _leaves(current.node, ())
            for other in _rivals(path, seen)
            if other != path or _text(seen[other][1]) != _text(node)
        ]
        seen |= {path: (current, node) for path, node in _leaves(current.node, ())}
    return found


def settles(top: Layer, path: Path) -> bool:
    """Tell whether a layer above sets the value at `path`, or replaces what holds it."""
    return any(_is_leaf(at(top.node, path[:length])) for length in range(1, len(path) + 1))


def _leaves(node: Node, path: Path) -> Iterator[tuple[Path, Node]]:
    for key, child in node.value.items():
        if isinstance(child.value, dict):
            yield from _leaves(child, (*path, key))
        else:
            yield (*path, key), child


def _rivals(path: Path, seen: dict[Path, tuple[Layer, Node]]) -> list[Path]:
    """Return the leaves seen at `path`, above it or below it; mappings rival only leaves."""
    above = [path[:length] for length in range(1, len(path) + 1) if path[:length] in seen]
    return above or [other for other in seen if other[: len(path)] == path]


def _is_leaf(node: Node | None) -> bool:
    return node is not None and not isinstance(node.value, dict)


def _text(node: Node) -> str:
    return json.dumps(plain(node), sort_keys=True)  # True and 1 are equal in Python, not in YAML
