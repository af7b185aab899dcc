"""The network as a host sees it: names that must resolve, and ports that services need."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from provision.checks.check import Check, Sight
from provision.checks.needs import service_containers, wanted_services
from provision.checks.words import fail, listed, warn
from provision.facts.health import Listener
from provision.finding import Finding
from provision.serving.services.role import services_of

_NAMES: Final = "network.names"
_PORTS: Final = "network.ports"
_LIVE: Final = frozenset({"running", "restarting", "paused"})


def _names(sight: Sight) -> Iterator[Finding]:
    network = sight.health.network
    if network and network.unresolved:
        yield warn(
            _NAMES,
            f"{listed(network.unresolved)} {'does' if len(network.unresolved) == 1 else 'do'} "
            "not resolve",
            "Look at /etc/resolv.conf and whether its servers answer: resolvectl status; "
            f"getent hosts {network.unresolved[0]}",
        )


def _ports(sight: Sight) -> Iterator[Finding]:
    network, role, running = (
        sight.health.network,
        services_of(sight.host),
        service_containers(sight),
    )
    if network is None or role is None or sight.health.engine is None or sight.facts.docker is None:
        return
    for name, wish in wanted_services(sight).items():
        if name in running and running[name].status in _LIVE:
            continue  # the port is its own
        for listener in network.listeners:
            if listener.port == wish.port and _meets(listener, wish.bind or role.bind):
                who = listener.process or "another program"
                yield fail(
                    _PORTS,
                    f"port {wish.port} is taken by {who}",
                    f"Stop it (ss -ltnp 'sport = :{wish.port}'), or give the service another port.",
                    service=name,
                )
                break


def _meets(listener: Listener, bind: str | None) -> bool:
    """Say whether a service that binds to this address would be in the listener's way."""
    taken = listener.address.strip("[]").partition("%")[0]
    if bind is None or taken in {"", "*", bind} or ip_address(bind).is_unspecified:
        return True
    try:
        return ip_address(taken).is_unspecified
    except ValueError:
        return False


NAMES: Final = Check(
    name=_NAMES,
    group="network",
    reads=("network",),
    explain="Packages, images and models come from servers with names, which a host asks its name "
    "servers for. When they do not answer, what runs goes on, and the next install, pull or "
    "download fails. Look at the servers in /etc/resolv.conf: one that is gone makes every lookup "
    "slow, and a network that changed may need another. Where hosts reach the outside by a proxy "
    "only, it is the proxy's name that counts.",
    judge=_names,
)
PORTS: Final = Check(
    name=_PORTS,
    group="network",
    reads=("network", "engine"),
    explain="Each service has a port of the host. When it does not run and somebody else listens "
    "there, it cannot be started: mostly an engine that was once started by hand, or a container "
    "of an older installation. Stop that, or choose another port in the inventory.",
    judge=_ports,
)
