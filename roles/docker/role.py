"""Docker Engine and the Compose plugin from a docker-ce mirror."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import Field, HttpUrl, StringConstraints, field_validator

from provision.errors import RoleError
from provision.facts import Facts
from provision.facts.families import Packages
from provision.inventory.schema import Host
from provision.state.docker_daemon import CHECK_DAEMON_JSON, DAEMON_JSON, DOCKER
from provision.state.kinds.apt_repository import AptRepository, Component, Fingerprint
from provision.state.kinds.directory import Directory
from provision.state.kinds.dnf_repository import DnfRepository
from provision.state.kinds.json_file import JsonFile
from provision.state.kinds.package import Package, PackageVersion
from provision.state.resource import Resource
from provision.state.role import PackageRole


class Docker(PackageRole):
    """Docker Engine and the Compose plugin from a docker-ce mirror; a working engine is kept."""

    mirror: HttpUrl = HttpUrl("https://mirrors.tuna.tsinghua.edu.cn/docker-ce")
    """Base URL of the docker-ce mirror; the distribution's name is appended as `/linux/<id>`."""
    fingerprint: Fingerprint | None = None
    """Fingerprint of the key that signs the mirror; left out, Docker's own for .deb or .rpm."""
    channel: Component = "stable"
    """Component of the repository."""
    version: PackageVersion | None = None
    """Version of docker-ce and docker-ce-cli, exact or a pattern: `5:28.*`, `28.*` for RPMs."""
    containerd_version: PackageVersion | None = None
    """Version of containerd.io, exact or a pattern."""
    hold: bool = False
    """Keep `apt upgrade` from moving the engine: it restarts Docker."""
    replace_engine: bool = False
    """Replace a working engine that did not come from docker-ce (the distribution's docker.io)."""
    registry_mirrors: tuple[HttpUrl, ...] = ()
    """Mirrors of Docker Hub, asked before it; they serve no other registry."""
    data_root: Annotated[str, StringConstraints(pattern="^/")] | None = None
    """Where images and containers lie; left out, it stays as it is (/var/lib/docker when new)."""
    daemon: Mapping[str, Any] = Field(default_factory=dict)
    """More keys of daemon.json; keys that are not named here or above stay as they are."""

    def resources(self, host: Host, facts: Facts) -> Iterator[Resource]:
        """Yield daemon.json before the packages: the first start takes networks and data root."""
        self._refuse(facts)
        self._refuse_proxies(host, facts)
        yield Directory(name="/etc/docker")
        yield JsonFile(
            name=DAEMON_JSON,
            merge=self._keys(host),
            defaults=self._defaults(facts),
            check=CHECK_DAEMON_JSON,
            notify=(DOCKER.restart,),
        )
        if self._is_ours(facts):
            yield from self._engine(facts)
        yield DOCKER

    def _is_ours(self, facts: Facts) -> bool:
        """Say whether the engine is to come from docker-ce: a working one is left as it is."""
        return facts.docker is None or facts.docker.package == "docker-ce" or self.replace_engine

    def _refuse(self, facts: Facts) -> None:
        """Raise `RoleError` where we would break what works."""
        for name, remedy in _FOREIGN.items():
            if name in facts.engines:
                raise RoleError(f"{name} is installed", where="role docker", remedy=remedy)
        stopped = [name for name in _ENGINES if name in facts.engines]
        if stopped and facts.docker is None and not self.replace_engine:
            raise RoleError(
                f"{stopped[0]} is installed, but no Docker Engine answers",
                where="role docker",
                remedy="Start it, or let it be replaced: docker.replace_engine: true.",
            )
        if "runc" in facts.engines and facts.docker is None and not self.replace_engine:
            raise RoleError(
                "runc is installed, which docker-ce's containerd.io takes the place of",
                where="role docker",
                remedy="Podman goes on with the one of containerd.io. Let it be replaced: "
                "docker.replace_engine: true.",
            )
        if facts.docker and self.data_root and facts.docker.root != self.data_root:
            raise RoleError(
                f"Docker's images and containers lie in {facts.docker.root}: in "
                f"{self.data_root} it would see none of them",
                where="docker.data_root",
                remedy=f"Move them by hand first, or set data_root: {facts.docker.root}.",
            )

    def _refuse_proxies(self, host: Host, facts: Facts) -> None:
        """Raise `RoleError` where dockerd would not start again with its proxies."""
        docker = facts.docker
        if not (host.proxies.docker and docker and docker.major < _PROXIES_SINCE):
            return
        ours = docker.package == "docker-ce"
        if not (self.version if ours else self.replace_engine):
            way = "upgraded (docker.version)" if ours else "replaced (docker.replace_engine: true)"
            raise RoleError(
                f"Docker {docker.version} knows no proxies in daemon.json: it would not start again",
                where="proxies.docker",
                remedy=f"Let it be {way}; or leave proxies.docker out, and set HTTPS_PROXY in a "
                "drop-in of docker.service.",
            )

    def _engine(self, facts: Facts) -> Iterator[Resource]:
        manager = facts.os.packages
        yield self._rpms(facts) if manager == "dnf" else self._debs(facts)
        for name in _REPLACED[manager] if self.replace_engine else ():
            yield Package(name=name, manager=manager, present=False, lock_timeout=self.lock_timeout)
        versions = {
            **_modules(facts),
            "docker-ce": self.version,
            "docker-ce-cli": self.version,
            "containerd.io": self.containerd_version,
            "docker-buildx-plugin": None,
            "docker-compose-plugin": None,
        }
        for name, version in versions.items():
            yield Package(
                name=name,
                manager=manager,
                version=version,
                hold=self.hold and name not in _modules(facts),
                lock_timeout=self.lock_timeout,
            )

    def _debs(self, facts: Facts) -> AptRepository:
        linux = f"{str(self.mirror).rstrip('/')}/linux/{facts.os.family}"
        return AptRepository(
            name="docker-ce",
            uri=linux,
            suite=facts.os.codename,
            components=(self.channel,),
            key_url=f"{linux}/gpg",
            fingerprint=self.fingerprint or _KEYS["apt"],
            replaces=_OLDER,
            lock_timeout=self.lock_timeout,
        )

    def _rpms(self, facts: Facts) -> DnfRepository:
        release = facts.os.enterprise_linux
        if release not in _RELEASES:
            raise RoleError(
                f"docker-ce has no packages for {facts.os.name or facts.os.id}",
                where="role docker",
                remedy="They are made for Enterprise Linux 8, 9 and 10 and what equals it. Install "
                "another engine by hand: the role keeps one that works.",
            )
        linux = (
            f"{str(self.mirror).rstrip('/')}/linux/{'rhel' if facts.os.id == 'rhel' else 'centos'}"
        )
        return DnfRepository(
            name="docker-ce",
            uri=f"{linux}/{release}/{facts.os.basearch}/{self.channel}",
            key_url=f"{linux}/gpg",
            fingerprint=self.fingerprint or _KEYS["dnf"],
            module_hotfixes=_RELEASES[release],
            replaces=_OLDER,
            lock_timeout=self.lock_timeout,
        )

    def _keys(self, host: Host) -> Mapping[str, Any]:
        keys: dict[str, Any] = {}
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

    def _defaults(self, facts: Facts) -> Mapping[str, Any]:
        """Return what a new daemon.json gets: bounded logs, and containers that outlive dockerd."""
        keys: dict[str, Any] = {
            "log-driver": "json-file",
            "log-opts": {"max-file": "3", "max-size": "100m"},
        }
        if facts.docker is None:  # an engine that is there may be in a swarm, which refuses it
            keys["live-restore"] = True
        return {} if keys.keys() & self.daemon.keys() else keys

    @field_validator("daemon")
    @classmethod
    def _no_hosts(cls, keys: Mapping[str, Any]) -> Mapping[str, Any]:
        if "hosts" in keys:
            raise ValueError("hosts stands in docker.service already: dockerd would not start")
        return keys


def _modules(facts: Facts) -> Mapping[str, PackageVersion | None]:
    """Return the package with xt_addrtype for the running kernel of EL 10, where it stands apart.

    dockerd does not start without it, and no package asks for it (docker/docker-ce-packaging#1340).
    """
    if facts.os.enterprise_linux != 10 or ".el10" not in facts.os.kernel:  # noqa: PLR2004
        return {}
    return {"kernel-modules-extra": facts.os.kernel.removesuffix(f".{facts.os.basearch}")}


_KEYS: Final[Mapping[Packages, str]] = {  # docs.docker.com/engine/install
    "apt": "9DC858229FC7DD38854AE2D88D81803C0EBFCD88",
    "dnf": "060A61C51B558A7F742B77AAC52FEB6B621E9F35",
}
_RELEASES: Final[Mapping[int | None, bool]] = {8: True, 9: False, 10: False}
"""Releases below linux/centos and linux/rhel, and whether a module hides packages: `containerd.io`
provides `runc`, which EL 8 has in its module container-tools (docker/docker-install#230)."""
_OLDER: Final = ("download.docker.com/linux/", "/docker-ce/linux/")
_REPLACED: Final[Mapping[Packages, tuple[str, ...]]] = {
    "apt": ("docker.io", "docker-compose", "docker-buildx", "containerd", "runc"),
    "dnf": (
        # the names that Docker's documentation has removed first on CentOS and RHEL
        *("docker", "docker-client", "docker-common", "docker-engine", "runc"),
        # openEuler's docker-engine, moby and docker-runc; Fedora's moby-engine and docker-cli
        *("docker-runc", "moby", "moby-client", "moby-engine", "docker-cli", "containerd"),
    ),
}
_ENGINES: Final = ("docker.io", "docker", "docker-engine", "moby-engine", "containerd")
_PROXIES_SINCE: Final = 23
"""The first Docker that reads proxies from daemon.json; an older one refuses the whole file."""
_FOREIGN: Final = {
    "kubelet": "provision does not touch Docker beside Kubernetes: take the role off this host.",
    "k3s": "provision does not touch Docker beside Kubernetes: take the role off this host.",
    "rke2": "provision does not touch Docker beside Kubernetes: take the role off this host.",
    "podman-docker": "It stands in for Docker: remove podman-docker (by apt-get or dnf) first.",
    "docker (snap)": "Snap's Docker cannot use the GPUs: remove it (snap remove docker) first.",
}
