"""What YAML nodes mean: values that know their line and how they were written."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import yaml

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.inventory.problems import Problems

_TAG: Final = "tag:yaml.org,2002:"
_STRINGS: Final = frozenset({"str", "timestamp", "value"})  # no setting is a date
_DEEPEST: Final = 50  # levels
_MOST: Final = 500_000  # values, with every alias written out
# YAML 1.1 reads 010 as 8, 22:22 as 1342 and 1:30.5 as 90.5
_SURPRISE: Final = re.compile(
    r"[-+]?(0[0-7_]*[0-7][0-7_]*|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)"
)

# no argument of a program holds NUL, and half a surrogate pair is no character
_UNSENDABLE: Final = re.compile("[\0\ud800-\udfff]")

# plans, argv and configuration files of hosts, such as apt's and Docker's, have URLs as they are
_PASSWORD: Final = re.compile(r"://[^/@\s]*:[^/@\s]+@|https?://[^/@\s]+@")

_READER: Final = yaml.constructor.SafeConstructor()


class Node(NamedTuple):
    """A value of the file with its line; in a mapping that is the line of its key."""

    value: Any  # dict[str, Node] | list[Node] | str | int | float | bool | None
    line: int
    text: str = ""  # a scalar as it was written
    bare: bool = False  # a scalar without quotes


def at(node: Node, parts: Sequence[str | int]) -> Node | None:
    """Return the node below `node` at a path of keys and indexes, or None."""
    found: Node | None = node
    for part in parts:
        below = found.value if found else None
        if isinstance(below, list):
            found = below[part] if isinstance(part, int) and part < len(below) else None
        else:
            found = below.get(part) if isinstance(below, dict) else None
    return found


def plain(node: Node) -> Any:
    """Return the value as dicts, lists and scalars."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def convert(root: yaml.Node, problems: Problems) -> Node:
    """Return the composed document as nodes, and add what YAML would silently get wrong."""
    return _Converter(problems).node(root, root.start_mark.line + 1, "", 0)


class _Known(NamedTuple):
    value: dict[str, Node] | list[Node] | None
    size: int  # values, with every alias written out
    height: int  # levels, likewise


class _Converter:
    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        # An alias shares its anchor's node: each is converted once, and its size written out kept.
        self.done: dict[int, _Known] = {}
        self.open: set[int] = set()
        self.size = 0
        self.deepest = 0

    def node(self, source: yaml.Node, line: int, path: str, level: int) -> Node:
        if isinstance(source, yaml.ScalarNode):
            self.size += 1
            value = self.scalar(source, path)
            self.check_text(source, path)
            return Node(value, line, source.value, bare=not source.style)
        known = self.done.get(id(source))
        if known is None:
            known = self.done[id(source)] = self.collection(source, line, path, level)
        else:
            self.size += known.size
        self.deepest = max(self.deepest, level + known.height)
        self.check_bounds(line)
        return Node(known.value, line)

    def collection(self, source: yaml.Node, line: int, path: str, level: int) -> _Known:
        if id(source) in self.open:
            self.problems.add(line, named(path, "an alias holds itself"), "Write the value out.")
            return _Known(None, 1, 0)
        size, deepest = self.size, self.deepest
        self.deepest = level + 1
        self.open.add(id(source))
        self.check_tag(source, path)
        value = self.children(source, line, path, level)
        self.open.discard(id(source))
        self.size += 1
        known = _Known(value, self.size - size, self.deepest - level)
        self.deepest = max(self.deepest, deepest)
        return known

    def children(
        self, source: yaml.Node, line: int, path: str, level: int
    ) -> dict[str, Node] | list[Node]:
        if isinstance(source, yaml.MappingNode):
            return self.mapping(source, path, level)
        # an alias carries the line of its anchor: where it stands is known only by its list
        return [
            self.node(
                item,
                line if id(item) in self.done else _line(item),
                f"{path}[{index}]",
                level + 1,
            )
            for index, item in enumerate(source.value)
        ]

    def mapping(self, source: yaml.MappingNode, path: str, level: int) -> dict[str, Node]:
        own: dict[str, Node] = {}
        inherited: dict[str, Node] = {}
        for key, child in source.value:
            line = _line(key)
            if key.tag == f"{_TAG}merge":
                for name, node in self.merged(child, line, path, level).items():
                    inherited.setdefault(name, node)
                continue
            name = self.key(key, path)
            node = self.node(child, line, f"{path}.{name}" if path else name, level + 1)
            if name in own:
                what = f"the key {name!r} is set twice, first on line {own[name].line}"
                self.problems.add(line, named(path, what), "Keep one of them.")
            own[name] = node
        return {**inherited, **own} if inherited else own

    def merged(self, source: yaml.Node, line: int, path: str, level: int) -> dict[str, Node]:
        node = self.node(source, line, path, level + 1)
        found: dict[str, Node] = {}
        for item in node.value if isinstance(node.value, list) else [node]:
            if not isinstance(item.value, dict):
                what = "the merge key << takes a mapping or a list of mappings"
                self.problems.add(line, named(path, what), "Give it an alias: <<: *name.")
                continue
            found = {**item.value, **found}
        return found

    def key(self, source: yaml.Node, path: str) -> str:
        if not isinstance(source, yaml.ScalarNode):
            self.problems.add(
                _line(source), named(path, "a key must be a string"), "Write a plain name."
            )
            return "?"
        self.check_text(source, path)
        value = source.value if source.tag == f"{_TAG}str" else self.scalar(source, path)
        if not isinstance(value, str):
            what = f"the key {source.value or 'null'} is {reading(value)}, not a string"
            self.problems.add(_line(source), named(path, what), f'Quote it: "{source.value}".')
        return str(source.value)

    def scalar(self, source: yaml.ScalarNode, path: str) -> Any:
        kind = source.tag.removeprefix(_TAG)
        if kind in _STRINGS:
            return source.value
        if kind == "null":
            return None
        if kind not in {"bool", "int", "float"}:
            self.check_tag(source, path)
            return source.value
        try:
            value = getattr(_READER, f"construct_yaml_{kind}")(source)
        except (ValueError, KeyError, IndexError, yaml.YAMLError):
            value = math.nan
        self.check_number(source, value, path)
        return value

    def check_text(self, source: yaml.ScalarNode, path: str) -> None:
        found = _UNSENDABLE.search(source.value)
        if found:
            what = f"the character U+{ord(found[0]):04X} can be sent to no host"
            self.problems.add(_line(source), named(path, what), "Remove it.")
        if _PASSWORD.search(source.value):
            what = "a password stands in the URL, and would stand where everybody can read it"
            remedy = "Let in the hosts by their addresses, or add it in a proxy of your own."
            self.problems.add(_line(source), named(path, what), remedy)

    def check_number(self, source: yaml.ScalarNode, value: Any, path: str) -> None:
        text, line = source.value, _line(source)
        if isinstance(value, float) and not math.isfinite(value):
            what = f"{text} is no finite number"
            self.problems.add(line, named(path, what), f'Write one, or quote it: "{text}".')
        elif source.tag != f"{_TAG}bool" and _SURPRISE.fullmatch(text):
            what = f"YAML reads the bare {text} as the number {value}"
            remedy = f'Quote it: "{text}", or write {value}.'
            self.problems.add(line, named(path, what), remedy)

    def check_tag(self, source: yaml.Node, path: str) -> None:
        kind = "map" if isinstance(source, yaml.MappingNode) else "seq"
        if isinstance(source, yaml.ScalarNode) or source.tag != _TAG + kind:
            tag = source.tag.replace(_TAG, "!!")
            self.problems.add(
                _line(source),
                named(path, f"unknown tag {tag}"),
                "Remove the tag; quote a text that starts with '!'; "
                "write a secret as env:NAME, file:PATH or cmd:COMMAND.",
            )

    def check_bounds(self, line: int) -> None:
        if self.size > _MOST:
            self.problems.add(line, f"its aliases make more than {_MOST} values", "Use fewer.")
            self.problems.check()
        if self.deepest > _DEEPEST:
            self.problems.add(line, "its aliases nest too deeply", "Write it flatter.")
            self.problems.check()


def named(path: str, what: str) -> str:
    """Return `path: what`, or `what` at the top of the file."""
    return f"{path}: {what}" if path else what


def reading(value: Any) -> str:
    """Return in words what a value is: `the boolean false`, `the number 8`, `nothing`."""
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, int | float):
        return f"the number {value}"
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else repr(value)


def _line(source: yaml.Node) -> int:
    return int(source.start_mark.line) + 1
