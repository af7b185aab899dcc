"""The NVIDIA Container Toolkit: GPUs in Docker's containers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Final

from pydantic import HttpUrl

from provision.facts import Facts
from provision.inventory.schema import Host
from provision.state.docker_daemon import CHECK_DAEMON_JSON, DAEMON_JSON, DOCKER
from provision.state.kinds.apt_repository import AptRepository, Fingerprint
from provision.state.kinds.dnf_repository import DnfRepository
from provision.state.kinds.guarded_command import GuardedCommand
from provision.state.kinds.json_file import JsonFile
from provision.state.kinds.package import Package, PackageVersion
from provision.state.resource import Resource
from provision.state.role import PackageRole

PACKAGES = (
    "libnvidia-container1",
    "libnvidia-container-tools",
    "nvidia-container-toolkit-base",
    "nvidia-container-toolkit",
)
_OLDER: Final = (
    "/libnvidia-container/",
    "nvidia.github.io/nvidia-docker",
    "nvidia.github.io/nvidia-container-runtime",
)


class NvidiaContainerToolkit(PackageRole):
    """The NVIDIA Container Toolkit, registered with Docker as a runtime and through CDI."""

    needs_gpu: ClassVar[bool] = True

    mirror: HttpUrl = HttpUrl("https://nvidia.github.io/libnvidia-container")
    """Base URL of the repository; in China: https://mirrors.ustc.edu.cn/libnvidia-container"""
    fingerprint: Fingerprint = "C95B321B61E88C1809C4F759DDCAE044F796ECB0"
    """Fingerprint of the key that signs the repository: NVIDIA's own."""
    version: PackageVersion = "1.20.0-1"
    """Version of all four packages: they only work together at one version."""
    default_runtime: bool = False
    """Make `nvidia` the runtime of every container, also of those that ask for no GPU."""
    cdi: bool = True
    """Let Docker (25 or newer) hand out GPUs by CDI names, as in --device nvidia.com/gpu=all."""

    def resources(self, host: Host, facts: Facts) -> Iterator[Resource]:
        """Yield nothing on a host that is declared without GPUs."""
        if host.gpus == 0:
            return
        yield self._repository(facts)
        for name in PACKAGES:
            yield Package(
                name=name,
                manager=facts.os.packages,
                version=self.version,
                # Docker looks for the toolkit's hook only when it starts.
                notify=(DOCKER.restart,),
                lock_timeout=self.lock_timeout,
            )
        yield JsonFile(
            name=DAEMON_JSON,
            merge=self._runtime(facts),
            check=CHECK_DAEMON_JSON,
            notify=(DOCKER.restart,),
        )
        yield GuardedCommand(
            name="describe the GPUs for CDI",
            done_when="[ -s /var/run/cdi/nvidia.yaml ] || [ -s /etc/cdi/nvidia.yaml ]",
            script="nvidia-ctk cdi generate --output=/var/run/cdi/nvidia.yaml",
            after=tuple(f"package:{name}" for name in PACKAGES),
        )
        yield DOCKER

    def _repository(self, facts: Facts) -> AptRepository | DnfRepository:
        base = str(self.mirror).rstrip("/")
        if facts.os.packages == "dnf":
            return DnfRepository(
                name="nvidia-container-toolkit",
                uri=f"{base}/stable/rpm/{facts.os.basearch}",
                key_url=f"{base}/gpgkey",
                fingerprint=self.fingerprint,
                # as in its own stable/rpm/nvidia-container-toolkit.repo: NVIDIA signs the index
                gpgcheck=False,
                repo_gpgcheck=True,
                replaces=_OLDER,
                lock_timeout=self.lock_timeout,
            )
        return AptRepository(
            name="nvidia-container-toolkit",
            uri=f"{base}/stable/deb/{facts.os.architecture}",
            suite="/",
            key_url=f"{base}/gpgkey",
            fingerprint=self.fingerprint,
            replaces=_OLDER,
            lock_timeout=self.lock_timeout,
        )

    def _runtime(self, facts: Facts) -> dict[str, Any]:
        keys: dict[str, Any] = {
            "runtimes": {"nvidia": {"args": [], "path": "nvidia-container-runtime"}}
        }
        if self.default_runtime:
            keys["default-runtime"] = "nvidia"
        if self.cdi and (facts.docker is None or facts.docker.major >= 25):  # noqa: PLR2004
            keys["features"] = {"cdi": True}
        return keys
