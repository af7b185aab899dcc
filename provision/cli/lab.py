"""The lab's tasks: throw-away real hosts on this machine."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from invoke.collection import Collection

from provision.cli.command import OK, Options, command


@command(
    changes=True,
    lists=("profile",),
    helps={
        "profile": "Make the hosts so, in order: sudo-password,fish (inv lab.profiles); repeatable."
    },
)
def up(  # noqa: PLR0913  what a lab can be told
    options: Options,
    *,
    hosts: int = 2,
    distro: str = "trixie",
    name: str = "lab",
    serving: bool = False,
    registry: bool = False,
    profile: Sequence[str],
) -> int:
    """Bring up a lab of throw-away hosts and write its inventory."""
    del options
    from provision import lab

    names = [name for listed in profile for name in listed.split(",")]
    found = lab.up(hosts, distro, name, serving=serving, registry=registry, profiles=names)
    for host in found.hosts:
        _say(f"{host.name}  {host.address}  up")
    _say(f"inventory: {found.inventory}")
    return OK


@command()
def profiles(options: Options) -> int:
    """List the profiles that make lab hosts as untidy as real ones are."""
    del options
    from provision import lab

    found = lab.all_profiles()
    width = max(map(len, found))
    for name, profile in found.items():
        _say(f"{name:{width}}  {profile.about}")
    return OK


@command("format")
def status(options: Options, *, name: str = "lab") -> int:
    """Show what there is of a lab."""
    from provision import lab
    from provision.report.machine import write_json

    about = lab.status(name)
    if options.format == "json":
        write_json(about)
        return OK
    _say(f"lab '{name}': {'up' if about['up'] else 'down'}")
    for host in about["hosts"]:
        _say(f"{host['name']}  {host['address']}  {host['state']}")
    return OK


@command(changes=True)
def down(options: Options, *, name: str = "lab") -> int:
    """Take a lab down and remove everything it wrote."""
    del options
    from provision import lab

    lab.down(name)
    return OK


@command(changes=True)
def clean(options: Options) -> int:
    """Take this checkout's labs down, stop the lab's own Docker Engine, remove its cache."""
    del options
    from provision import lab

    lab.clean()
    return OK


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


collection = Collection("lab")
for _task in (up, profiles, status, down, clean):
    collection.add_task(_task)
