"""The inventory as an operator reads it: a tree, and where a value comes from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from provision.inventory.origin import Origin
from provision.inventory.schema import Host, Inventory


def print_inventory(console: Console, inventory: Inventory) -> None:
    """Print groups with their roles and hosts, then the hosts without a group."""
    tree = Tree(str(inventory.path), guide_style="dim")
    for group in inventory.groups.values():
        roles = Text(f"  {', '.join(group.roles)}", "dim")
        branch = tree.add(Text.assemble((group.name, "bold"), roles))
        for name in group.hosts:
            branch.add(_host(inventory.hosts[name]))
    for host in inventory.hosts.values():
        if not host.groups:
            tree.add(_host(host))
    console.print(tree, soft_wrap=True)


def inventory_document(inventory: Inventory) -> dict[str, Any]:
    """Return `{path, groups, hosts}` with every host's merged settings; secrets as references."""
    return {
        "path": str(inventory.path),
        "groups": {name: item.model_dump(mode="json") for name, item in inventory.groups.items()},
        "hosts": {name: item.model_dump(mode="json") for name, item in inventory.hosts.items()},
    }


def print_origins(console: Console, host: str, value: str, origins: Sequence[Origin]) -> None:
    """Print the value that holds and those it overrode, each with its place."""
    winner, *others = origins
    console.print(Text(f"{host} {value} = {_value(winner.value)}", "bold"), soft_wrap=True)
    console.print(f"  {_place(winner)}", soft_wrap=True)
    for origin in others:
        text = Text(f"  overrides {_value(origin.value)}   {_place(origin)}", "dim")
        console.print(text, soft_wrap=True)


def _value(value: Any) -> str:
    """Return a value as YAML would have it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _host(host: Host) -> Text:
    ssh = host.ssh
    text = Text(host.name)
    user = f"{ssh.user}@" if ssh.user else ""
    text.append(f"  {user}{ssh.address}{f':{ssh.port}' if ssh.port else ''}", "dim")
    if host.gpus is not None:
        text.append(f"  {host.gpus} GPU{'' if host.gpus == 1 else 's'}", "dim")
    return text


def _place(origin: Origin) -> str:
    return f"{origin.path}:{origin.line} ({origin.layer})" if origin.line else f"({origin.layer})"
