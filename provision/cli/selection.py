"""Which inventory, which of its hosts and which of their roles a call is about."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

from provision.cli.command import Options, Project
from provision.errors import UsageError, nearest
from provision.inventory.load import find, load
from provision.inventory.schema import Host, Inventory
from provision.inventory.select import select
from provision.secret import Secret
from provision.state.role import Role, load_roles


def loaded(options: Options) -> Inventory:
    """Return the inventory that `--inventory`, the environment or the configuration names."""
    return load(path_of(options), load_roles(Project.folder))


def path_of(options: Options) -> Path:
    """Return the inventory's file."""
    return find(options.inventory or None, os.environ, options.configured, Project.folder)


def selected(options: Options, inventory: Inventory | None = None) -> list[Host]:
    """Return the hosts that are asked for; raise `UsageError` for names that do not exist."""
    chosen = select(inventory or loaded(options), options.host, options.group)
    if options.ask_sudo_password:
        chosen = _with_password(chosen)
    if not options.role:
        return chosen
    known = {role for host in chosen for role in host.roles}
    deployed = {
        name
        for host in chosen
        for name, role in host.variables.items()
        if cast("Role", role).deploys
    }
    for role in options.role:
        if role in deployed:
            raise UsageError(
                f"the role '{role}' is deployed, not planned",
                where="--role",
                remedy="Leave it out; it is the subject of inv deploy.",
            )
        if role not in known:
            raise UsageError(
                f"no selected host has the role '{role}'",
                where="--role",
                remedy=nearest(role, known),
            )
    return [host for host in chosen if set(host.roles) & set(options.role)]


def _with_password(hosts: list[Host]) -> list[Host]:
    """Ask for sudo's password, once, and give it to all hosts."""
    password = Secret.asked(f"Password for sudo ({len(hosts)} selected): ")
    return [
        host.model_copy(update={"ssh": host.ssh.model_copy(update={"sudo_password": password})})
        for host in hosts
    ]
