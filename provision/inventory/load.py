"""How an inventory is found and loaded: file, outline, merged layers, validated hosts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from provision.errors import InventoryError
from provision.inventory import document, outline
from provision.inventory.merge import Contradiction, Layer, contradictions, overlay, settles
from provision.inventory.problems import Problems, display, suggest
from provision.inventory.schema import Group, Inventory
from provision.inventory.validate import Validator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from provision.inventory.outline import GroupEntry, Outline

__all__ = ["find", "load"]


def load(path: Path, roles: Mapping[str, type[BaseModel]]) -> Inventory:
    """Return the inventory of a file, with the variables of `roles` (name → model) validated.

    Raises `InventoryError` with file:line for the one problem, or `InventoryErrors` for several.
    """
    problems = Problems(path)
    read = outline.read(document.read(path, problems), roles, problems)
    problems.check()
    fleet = _Fleet(read, problems)
    problems.check()
    validator = Validator(roles, path.absolute(), problems)
    hosts = {}
    for name, entry in read.hosts.items():
        groups = fleet.groups[name]
        given = [*(read.groups[group].roles for group in groups), entry.roles]
        ordered = tuple(dict.fromkeys(role for some in given for role in some))
        host = validator.host(entry, fleet.layers[name], fleet.values[name], groups, ordered)
        if host:
            hosts[name] = host
    validator.finish()
    problems.check()
    return Inventory(path, hosts, _groups(read), fleet.layers, dict(roles))


def find(
    argument: str | None, environment: Mapping[str, str], configured: str | None, folder: Path
) -> Path:
    """Return the inventory's file: `--inventory`, then PROVISION_INVENTORY, then configuration.

    A bare name such as `prod` also stands for `inventories/prod.yaml` below `folder`. Raises
    `InventoryError` with the inventories that there are.
    """
    wishes = (
        ("--inventory", argument),
        ("PROVISION_INVENTORY", environment.get("PROVISION_INVENTORY") or None),
        ("configuration", configured or None),
    )
    files = _files(folder)
    for where, name in wishes:
        if name is not None:
            return _look_up(name, where, folder, files)
    there = ", ".join(display(file) for file in files)
    example = f"Name one with --inventory {files[0].stem}." if files else "Write one first."
    known = f"there are: {there}" if there else f"{display(folder / 'inventories')} holds none"
    raise InventoryError(f"no inventory is named; {known}", remedy=example)


class _Fleet:
    """Layers, merged values and groups of every host."""

    def __init__(self, read: Outline, problems: Problems) -> None:
        member: dict[str, list[str]] = {name: [] for name in read.hosts}
        for group in read.groups.values():
            for host in group.hosts:
                member[host].append(group.name)
        self.groups = {name: tuple(groups) for name, groups in member.items()}
        self.layers: dict[str, tuple[Layer, ...]] = {}
        self.values: dict[str, dict[str, Any]] = {}
        # Most hosts share their groups: these are merged and compared once.
        shared: dict[tuple[str, ...], tuple[dict[str, Any], list[Contradiction]]] = {}
        clashes: dict[str, tuple[Contradiction, list[str]]] = {}
        for name, entry in read.hosts.items():
            groups = self.groups[name]
            layers = [read.groups[group].layer for group in groups]
            if groups not in shared:
                shared[groups] = _merged([read.vars, *layers]), contradictions(layers)
            under, found = shared[groups]
            self.layers[name] = (read.vars, *layers, entry.layer)
            self.values[name] = overlay(under, entry.layer.values)
            for clash in found:
                if not settles(entry.layer, clash.path):
                    key = f"{clash.path} {clash.first[0].name} {clash.second[0].name}"
                    clashes.setdefault(key, (clash, []))[1].append(name)
        for clash, hosts in clashes.values():
            _add(problems, clash, hosts)


def _merged(layers: list[Layer]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for layer in layers:
        values = overlay(values, layer.values)
    return values


def _add(problems: Problems, clash: Contradiction, hosts: list[str]) -> None:
    """Add the two places that contradict each other and the hosts that are in both groups."""
    first, one = clash.first
    second, two = clash.second
    dotted = ".".join(clash.path)
    more = f" and {len(hosts) - 1} more" if hosts[1:] else ""
    problems.add(
        two.line,
        f"{second.prefix}.{dotted}: {second.name} and {first.name} "
        f"({problems.where(one.line)}) set it differently for {hosts[0]}{more}",
        "Set it on the host, or in one of the groups.",
    )


def _groups(read: Outline) -> dict[str, Group]:
    def group(entry: GroupEntry) -> Group:
        members = tuple(host for host in read.hosts if host in entry.hosts)
        return Group(name=entry.name, hosts=members, roles=entry.roles)

    return {name: group(entry) for name, entry in read.groups.items()}


def _files(folder: Path) -> list[Path]:
    inventories = folder / "inventories"
    return sorted(file for ending in ("yaml", "yml") for file in inventories.glob(f"*.{ending}"))


def _look_up(name: str, where: str, folder: Path, files: list[Path]) -> Path:
    given = Path(name).expanduser()
    below = folder / "inventories"
    tries = (given, folder / given, *(below / f"{name}{end}" for end in ("", ".yaml", ".yml")))
    for path in tries if name else ():
        if path.exists() and not path.is_dir():
            return path
    what = "is a folder, not a file" if name and given.is_dir() else "no such inventory"
    remedy = suggest(given.stem, [file.stem for file in files])
    raise InventoryError(f"{name!r}: {what}", where=where, remedy=remedy)
