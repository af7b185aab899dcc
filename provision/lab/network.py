"""The lab's network: a private subnet that nothing on this machine routes yet."""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Iterator

from provision.errors import LabError
from provision.lab.engine import Engine
from provision.lab.names import Space
from provision.lab.process import run

Subnet = ipaddress.IPv4Network
RANGE = ipaddress.IPv4Network("10.77.0.0/16")


def ensure_network(engine: Engine, space: Space) -> Subnet:
    """Return the subnet of the lab's network, making the network on a free one if need be."""
    known = network_of(engine, space)
    if known is not None:
        return known
    taken = [*_routes(), *_networks(engine)]
    for subnet in _candidates(space):
        if any(subnet.overlaps(other) for other in taken):
            continue
        create = ("network", "create", "--internal", "--label", space.label)
        made = engine(*create, "--subnet", str(subnet), space.id, check=False)
        if made.returncode == 0:
            return subnet
        if "overlap" not in made.stderr:
            raise LabError(made.stderr.strip(), where="docker network create")
    raise LabError(f"no subnet of {RANGE} is free", remedy="Take other labs down first.")


def network_of(engine: Engine, space: Space) -> Subnet | None:
    """Return the subnet of the lab's network, if it is there."""
    template = "{{range .IPAM.Config}}{{.Subnet}}{{end}}"
    seen = engine("network", "inspect", "-f", template, space.id, check=False)
    return Subnet(seen.stdout.strip()) if seen.returncode == 0 else None


def _candidates(space: Space) -> Iterator[Subnet]:
    """Yield subnets, each lab beginning elsewhere so that two starting at once rarely meet."""
    subnets = list(RANGE.subnets(new_prefix=24))
    first = hashlib.sha256(space.id.encode()).digest()[0]
    for offset in range(len(subnets)):
        yield subnets[(first + offset) % len(subnets)]


def _routes() -> list[Subnet]:
    listed = json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"]).stdout or "[]")
    found = [str(route.get("dst", "default")) for route in listed]
    return [Subnet(dst, strict=False) for dst in found if dst[:1].isdigit() and dst != "0.0.0.0/0"]


def _networks(engine: Engine) -> list[Subnet]:
    ids = engine.lines("network", "ls", "--quiet")
    if not ids:
        return []
    template = "{{range .IPAM.Config}}{{println .Subnet}}{{end}}"
    subnets = engine.lines("network", "inspect", "-f", template, *ids)
    return [Subnet(subnet) for subnet in subnets if ":" not in subnet]
