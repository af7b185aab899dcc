"""The role `docker`: what it refuses, before anything was changed, and what it says then."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from provision.errors import RoleError
from provision.facts import OS, Docker, Facts
from provision.inventory.schema import Host
from provision.inventory.settings import Proxies
from provision.state.role import load_roles

ROLE: Final = load_roles(Path(__file__).parents[2])["docker"]
DEBIAN: Final = OS(id="debian", codename="bookworm", architecture="amd64")
HOST: Final = Host(name="gpu01", proxies=Proxies(docker="http://10.0.0.1:3128"))


def _facts(version: str, package: str) -> Facts:
    return Facts(os=DEBIAN, docker=Docker(version=version, package=package))


@pytest.mark.parametrize(
    ("version", "package", "remedy"),
    [
        ("20.10.24+dfsg1", "docker.io", "replace_engine: true"),
        ("20.10.7", "docker-ce", "docker.version"),
    ],
)
def test_proxies_that_an_old_docker_would_not_start_with_are_refused(
    version: str, package: str, remedy: str
) -> None:
    """Before 23 dockerd takes `proxies` for an unknown key and stays down after the restart."""
    with pytest.raises(RoleError, match="it would not start again") as raised:
        list(ROLE().resources(HOST, _facts(version, package)))
    assert remedy in str(raised.value)


@pytest.mark.parametrize(
    ("version", "package", "settings"),
    [
        ("26.1.5", "docker.io", {}),
        ("20.10.24", "docker.io", {"replace_engine": True}),
        ("20.10.24", "docker-ce", {"version": "5:28.*"}),
    ],
)
def test_proxies_pass_where_the_engine_knows_them_or_goes(
    version: str, package: str, settings: dict[str, Any]
) -> None:
    """A newer engine, and one that this very role replaces or upgrades, get their proxies."""
    resources = list(ROLE(**settings).resources(HOST, _facts(version, package)))
    (written,) = [item for item in resources if item.id == "json_file:/etc/docker/daemon.json"]
    assert "proxies" in getattr(written, "merge")  # noqa: B009  of one kind only


@pytest.mark.parametrize(
    ("engine", "remedy"),
    [
        ("kubelet", "take the role off this host"),
        ("k3s", "take the role off this host"),
        ("rke2", "take the role off this host"),
        ("podman-docker", "remove podman-docker"),
        ("docker (snap)", "snap remove docker"),
    ],
)
def test_engines_beside_docker_are_refused(engine: str, remedy: str) -> None:
    """Beside Kubernetes, Podman's and snap's Docker nothing is done, and the way out is named."""
    facts = Facts(os=DEBIAN, engines=("containerd", engine))
    with pytest.raises(RoleError, match=f"{engine.partition(' ')[0]}.* is installed") as raised:
        list(ROLE(replace_engine=True).resources(Host(name="gpu01"), facts))
    assert remedy in str(raised.value)
