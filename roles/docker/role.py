"""Docker Engine and the Compose plugin from a docker-ce mirror."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field, HttpUrl

from provision.facts import Facts
from provision.inventory.schema import Host
from provision.state.docker_daemon import DAEMON_JSON, DOCKER
from provision.state.kinds.apt_repository import AptRepository, Fingerprint
from provision.state.kinds.directory import Directory
from provision.state.kinds.json_file import JsonFile
from provision.state.kinds.package import Package
from provision.state.resource import Resource
from provision.state.role import Role


class Docker(Role):
    """Docker Engine and the Compose plugin from a docker-ce mirror; a working engine is kept."""

    mirror: HttpUrl = HttpUrl("https://mirrors.tuna.tsinghua.edu.cn/docker-ce")
    """Base URL of the docker-ce mirror; the distribution's name is appended as `/linux/<id>`."""
    fingerprint: Fingerprint = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"
    """Fingerprint of the key that signs the mirror: Docker's own."""
    channel: str = "stable"
    """Component of the repository."""
    version: str | None = None
    """Version of docker-ce and docker-ce-cli, exact or a pattern such as `5:28.*`."""
    containerd_version: str | None = None
    """Version of containerd.io, exact or a pattern."""
    hold: bool = False
    """Keep `apt upgrade` from moving the engine: it restarts Docker."""
    replace_engine: bool = False
    """Replace a working engine that did not come from docker-ce (the distribution's docker.io)."""
    registry_mirrors: tuple[HttpUrl, ...] = ()
    """Mirrors of Docker Hub, asked before it; they serve no other registry."""
    data_root: str | None = None
    """Where images and containers lie; None = /var/lib/docker."""
    daemon: Mapping[str, Any] = Field(default_factory=dict)
    """More keys of daemon.json; keys that are not named here or above stay as they are."""

    def resources(self, host: Host, facts: Facts) -> Iterator[Resource]:
        """Yield daemon.json before the packages: the first start takes networks and data root."""
        yield Directory(name="/etc/docker")
        yield JsonFile(name=DAEMON_JSON, merge=self._daemon_json(host), notify=(DOCKER.restart,))
        if not self._keeps(facts):
            yield from self._engine(facts)
        yield DOCKER

    def _keeps(self, facts: Facts) -> bool:
        """Say whether the host has an engine that works and is not ours to replace."""
        foreign = facts.docker is not None and facts.docker.package != "docker-ce"
        return foreign and not self.replace_engine

    def _engine(self, facts: Facts) -> Iterator[Resource]:
        linux = f"{str(self.mirror).rstrip('/')}/linux/{facts.os.id}"
        yield AptRepository(
            name="docker-ce",
            uri=linux,
            suite=facts.os.codename,
            components=(self.channel,),
            key_url=f"{linux}/gpg",
            fingerprint=self.fingerprint,
            replaces=("download.docker.com/linux/", "/docker-ce/linux/"),
            lock_timeout=self.lock_timeout,
        )
        versions = {
            "docker-ce": self.version,
            "docker-ce-cli": self.version,
            "containerd.io": self.containerd_version,
            "docker-buildx-plugin": None,
            "docker-compose-plugin": None,
        }
        for name in ("docker.io", "docker-compose", "docker-buildx", "containerd", "runc"):
            yield Package(name=name, present=False, lock_timeout=self.lock_timeout)
        for name, version in versions.items():
            yield Package(
                name=name, version=version, hold=self.hold, lock_timeout=self.lock_timeout
            )

    def _daemon_json(self, host: Host) -> Mapping[str, Any]:
        keys: dict[str, Any] = {
            "live-restore": True,
            "log-driver": "json-file",
            "log-opts": {"max-file": "3", "max-size": "100m"},
        }
        if self.registry_mirrors:
            keys["registry-mirrors"] = [str(url).rstrip("/") for url in self.registry_mirrors]
        if self.data_root:
            keys["data-root"] = self.data_root
        if host.proxies.docker:
            proxy = str(host.proxies.docker)
            keys["proxies"] = {
                "http-proxy": proxy,
                "https-proxy": proxy,
                "no-proxy": ",".join(host.proxies.no_proxy),
            }
        return {**keys, **self.daemon}
