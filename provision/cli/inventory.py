"""Tasks on the inventory: show it, explain a value, describe its format."""

from __future__ import annotations

from provision.cli.command import OK, Options, Project, command


@command("inventory", "format")
def inventory(options: Options) -> int:
    """Show the inventory as a tree of groups, hosts and roles."""
    from provision.cli.selection import loaded
    from provision.report.console import consoles
    from provision.report.inventory import inventory_document, print_inventory
    from provision.report.machine import write_json

    fleet = loaded(options)
    if options.format == "json":
        write_json(inventory_document(fleet))
    else:
        print_inventory(consoles()[0], fleet)
    return OK


@command("inventory", positional=["host", "value"], helps={"host": "Name of a host."})
def explain(options: Options, host: str, value: str) -> int:
    """Say where a value comes from and what it overrode: inv explain gpu01 docker.mirror."""
    from provision.cli.selection import loaded
    from provision.inventory.origin import leaves, origins
    from provision.report.console import consoles
    from provision.report.inventory import print_origins

    fleet = loaded(options)
    for leaf in leaves(fleet, host, value):
        print_origins(consoles()[0], host, leaf, origins(fleet, host, leaf))
    return OK


@command()
def schema(options: Options) -> int:
    """Write the JSON Schema of inventories, for editors, to stdout."""
    del options
    from provision.inventory.json_schema import json_schema
    from provision.report.machine import write_json
    from provision.state.role import load_roles

    write_json(json_schema(load_roles(Project.folder)))
    return OK
