"""The lab's tasks: throw-away real hosts on this machine."""

from __future__ import annotations

import sys

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task


@task(
    auto_shortflags=False,
    help={
        "hosts": "how many hosts there shall be at least",
        "distro": "trixie or bookworm",
        "name": "the lab's name; several may run side by side",
    },
)
def up(context: Context, hosts: int = 2, distro: str = "trixie", name: str = "lab") -> None:
    """Bring up a lab of throw-away hosts and write its inventory."""
    del context
    from provision import lab

    found = lab.up(hosts=hosts, distro=distro, name=name)
    for host in found.hosts:
        _say(f"{host.name}  {host.address}  up")
    _say(f"inventory: {found.inventory}")


@task(
    auto_shortflags=False,
    help={"name": "the lab's name", "format": "text or json"},
)
def status(context: Context, name: str = "lab", format: str = "text") -> None:  # noqa: A002  the option's name
    """Show what there is of a lab."""
    del context
    import json

    from provision import lab

    about = lab.status(name)
    if format == "json":
        sys.stdout.write(json.dumps(about, indent=2) + "\n")
        return
    _say(f"lab '{name}': {'up' if about['up'] else 'down'}")
    for host in about["hosts"]:
        _say(f"{host['name']}  {host['address']}  {host['state']}")


@task(auto_shortflags=False, help={"name": "the lab's name"})
def down(context: Context, name: str = "lab") -> None:
    """Take a lab down and remove everything it wrote."""
    del context
    from provision import lab

    lab.down(name)


@task(auto_shortflags=False)
def clean(context: Context) -> None:
    """Take this checkout's labs down, stop the lab's own Docker Engine, remove its cache."""
    del context
    from provision import lab

    lab.clean()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


collection = Collection("lab")
for each in (up, status, down, clean):
    collection.add_task(each)
