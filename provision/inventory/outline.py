"""The shape of an inventory file: vars, groups with members and roles, hosts with settings."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from provision.inventory import ranges
from provision.inventory.merge import Layer, layer
from provision.inventory.node import Node, reading

if TYPE_CHECKING:
    from collections.abc import Collection

    from provision.inventory.problems import Problems

BLOCKS: Final = ("ssh", "proxies")
SETTINGS: Final = (*BLOCKS, "gpus")
NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
GLOB: Final = re.compile(r"[*?]")


@dataclass(frozen=True)
class GroupEntry:
    """A group as the file writes it."""

    name: str
    hosts: frozenset[str]
    roles: tuple[str, ...]
    layer: Layer


@dataclass(frozen=True)
class HostEntry:
    """A host as the file writes it, with the ranges of its key and its values written out."""

    name: str
    line: int
    roles: tuple[str, ...]
    layer: Layer


@dataclass(frozen=True)
class Outline:
    """The three parts of a file."""

    vars: Layer
    groups: dict[str, GroupEntry]
    hosts: dict[str, HostEntry]


def read(root: Node, roles: Collection[str], problems: Problems) -> Outline:
    """Return the outline of a file's top node, and add what is unknown or of the wrong shape."""
    reader = _Reader(roles, problems)
    top = reader.mapping(root, "", ("vars", "groups", "hosts"))
    settings = layer("vars", "vars", reader.settings(top.get("vars"), "vars", ()))
    hosts = reader.hosts(top.get("hosts"), root.line)
    groups = reader.groups(top.get("groups"), hosts)
    return Outline(settings, groups, hosts)


class _Reader:
    def __init__(self, roles: Collection[str], problems: Problems) -> None:
        self.roles = frozenset(roles)
        self.problems = problems

    def hosts(self, node: Node | None, line: int) -> dict[str, HostEntry]:
        bodies = self.mapping(node, "hosts", None)
        if not bodies and (node is None or not node.value):
            line = node.line if node else line
            self.problems.add(line, "hosts: there are none", "Write `hosts: {gpu01: }`.")
        found: dict[str, HostEntry] = {}
        for key, body in bodies.items():
            prefix = f"hosts.{key}"
            roles = self.role_list(body, prefix)
            settings = self.settings(body, prefix, ("roles",))
            for entry in self.expanded(key, settings, roles):
                if entry.name in found:
                    what = f"the host {entry.name} is already defined on line"
                    self.problems.add(
                        body.line,
                        f"{prefix}: {what} {found[entry.name].line}",
                        "Define each host once; give common settings to a group.",
                    )
                found.setdefault(entry.name, entry)
        return found

    def expanded(self, key: str, body: Node, roles: tuple[str, ...]) -> list[HostEntry]:
        names = self.names(key, f"hosts.{key}", body.line)
        entries = []
        ranged = "[" in key
        for index, name in enumerate(names):
            if not self.check_name(name, "host", f"hosts.{key}", body.line):
                break
            own = self.stepped(body, index, len(names), f"hosts.{key}") if ranged else body
            entries.append(
                HostEntry(name, body.line, roles, layer(f"host {name}", f"hosts.{key}", own))
            )
        return entries

    def stepped(self, node: Node, index: int, count: int, path: str) -> Node:
        """Return the node with its ranges at `index`; without a range it is the node itself."""
        value: Any = node.value
        if isinstance(value, str) and ranges.has_range(value):
            try:
                text = ranges.step(value, index, count)
            except ranges.RangeError as error:
                self.problems.add(node.line, f"{path}: {error}", error.remedy)
                return node
            return node._replace(value=text, text=text)
        if isinstance(value, dict):
            items = {
                key: self.stepped(child, index, count, f"{path}.{key}")
                for key, child in value.items()
            }
            return node._replace(value=items)
        if isinstance(value, list):
            below = [self.stepped(child, index, count, path) for child in value]
            return node._replace(value=below)
        return node

    def groups(self, node: Node | None, hosts: dict[str, HostEntry]) -> dict[str, GroupEntry]:
        found = {}
        for name, body in self.mapping(node, "groups", None).items():
            prefix = f"groups.{name}"
            self.check_name(name, "group", prefix, body.line)
            if name in hosts:
                what = f"the host of line {hosts[name].line} has this name, too"
                self.problems.add(body.line, f"{prefix}: {what}", "Rename the group.")
            parts = self.mapping(body, prefix, ("hosts", "roles", "vars"))
            settings = self.settings(parts.get("vars"), f"{prefix}.vars", ())
            found[name] = GroupEntry(
                name,
                self.members(parts.get("hosts"), f"{prefix}.hosts", hosts),
                self.role_list(body, prefix),
                layer(f"group {name}", f"{prefix}.vars", settings),
            )
        return found

    def check_name(self, name: str, kind: str, prefix: str, line: int) -> bool:
        if NAME.fullmatch(name):
            return True
        self.problems.add(
            line,
            f"{prefix}: {name!r} is no {kind} name",
            "Write letters, digits, dots, dashes and underscores.",
        )
        return False

    def members(self, node: Node | None, prefix: str, hosts: Collection[str]) -> frozenset[str]:
        found: set[str] = set()
        for item in self.strings(node, prefix):
            names = self.names(item.value, prefix, item.line)
            unknown = []
            for name in names:
                matching = fnmatch.filter(hosts, name) if GLOB.search(name) else [name]
                if not matching:
                    self.problems.add(
                        item.line,
                        f"{prefix}: no host matches {name!r}",
                        self.problems.suggest(name, hosts),
                    )
                found |= {host for host in matching if host in hosts}
                unknown += [host for host in matching if host not in hosts]
            if unknown:
                more = f" and {len(unknown) - 1} more of {item.value}" if unknown[1:] else ""
                self.problems.add(
                    item.line,
                    f"{prefix}: no host {unknown[0]!r}{more}",
                    self.problems.suggest(unknown[0], hosts),
                )
        return frozenset(found)

    def names(self, text: str, prefix: str, line: int) -> list[str]:
        try:
            return ranges.expand(text)
        except ranges.RangeError as error:
            self.problems.add(line, f"{prefix}: {error}", error.remedy)
            return []

    def role_list(self, body: Node, prefix: str) -> tuple[str, ...]:
        below = body.value if isinstance(body.value, dict) else {}
        found: dict[str, None] = {}
        for item in self.strings(below.get("roles"), f"{prefix}.roles"):
            if item.value not in self.roles:
                self.problems.add(
                    item.line,
                    f"{prefix}.roles: unknown role {item.value!r}",
                    self.problems.suggest(item.value, self.roles),
                )
            found[item.value] = None
        return tuple(found)

    def settings(self, node: Node | None, prefix: str, extra: tuple[str, ...]) -> Node:
        """Return the settings below `node`; an empty block counts as an empty mapping."""
        parts = self.mapping(node, prefix, (*SETTINGS, *extra, *sorted(self.roles)))
        below = {}
        for key, child in parts.items():
            if key in BLOCKS or (key in self.roles and key not in SETTINGS):
                value = self.mapping(child, f"{prefix}.{key}", None)
                below[key] = child._replace(value=value)
            elif key in SETTINGS:
                below[key] = child
        return Node(below, node.line if node else 0)

    def mapping(
        self, node: Node | None, prefix: str, known: tuple[str, ...] | None
    ) -> dict[str, Node]:
        if node is None or node.value is None:
            return {}
        if not isinstance(node.value, dict):
            what = f"{prefix}: expected a mapping, got {reading(node.value)}"
            self.problems.add(node.line, what, "Write `key: value` lines below it.")
            return {}
        for key, child in node.value.items():
            if known is not None and key not in known:
                path = f"{prefix}.{key}" if prefix else key
                self.problems.add(
                    child.line, f"{path}: unknown key", self.problems.suggest(key, known)
                )
        return node.value

    def strings(self, node: Node | None, prefix: str) -> list[Node]:
        if node is None or node.value is None:
            return []
        if not isinstance(node.value, list):
            what = f"{prefix}: expected a list, got {reading(node.value)}"
            key = prefix.rsplit(".", 1)[-1]
            self.problems.add(node.line, what, f"Write {key}: [{node.text}].")
            return []
        for item in node.value:
            if not isinstance(item.value, str):
                what = f"{prefix}: expected a string, got {reading(item.value)}"
                self.problems.add(item.line, what, f'Quote it: "{item.text}".')
        return [item for item in node.value if isinstance(item.value, str)]
