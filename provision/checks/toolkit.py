"""The NVIDIA Container Toolkit: installed, and registered with Docker as a runtime."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provision.checks.check import Check, Sight
from provision.checks.needs import wants_toolkit
from provision.checks.words import fail, warn
from provision.finding import Finding

_INSTALLED: Final = "toolkit.installed"
_RUNTIME: Final = "toolkit.runtime"
_RUNTIME_NAME: Final = "nvidia"


def _installed(sight: Sight) -> Iterator[Finding]:
    if _is_missing(sight):
        yield fail(
            _INSTALLED,
            "the NVIDIA Container Toolkit is not installed",
            f"inv provision --host {sight.host.name}",
        )


def _is_missing(sight: Sight) -> bool:
    unknown = "toolkit" in sight.facts.unknown
    return wants_toolkit(sight.host) and not sight.facts.toolkit and not unknown


def _runtime(sight: Sight) -> Iterator[Finding]:
    engine, docker = sight.health.engine, sight.facts.docker
    if docker is None or not wants_toolkit(sight.host):
        return
    registered = engine.runtime_registered if engine and not engine.config_error else None
    again = f"inv provision --host {sight.host.name}"
    if _RUNTIME_NAME not in docker.runtimes:
        restart = "; systemctl restart docker" if registered else ""
        yield fail(
            _RUNTIME,
            "Docker does not know the runtime nvidia"
            + (", although daemon.json names it" if registered else ""),
            f"{again}{restart}",
        )
    elif _is_missing(sight):
        yield fail(_RUNTIME, "the runtime nvidia that Docker knows is not there any more", again)
    elif registered is False:
        yield warn(
            _RUNTIME,
            "daemon.json no longer names the runtime nvidia: Docker loses it at its next start",
            again,
        )


INSTALLED: Final = Check(
    name=_INSTALLED,
    group="toolkit",
    reads=("engine",),
    explain="The NVIDIA Container Toolkit puts the devices and libraries of the driver into "
    'containers. Without it Docker answers \'could not select device driver "" with capabilities: '
    "[[gpu]]'. It is a set of four packages of one version from NVIDIA's repository, which the "
    "role nvidia_container_toolkit installs; cleaning up packages is how it gets lost.",
    judge=_installed,
)
RUNTIME: Final = Check(
    name=_RUNTIME,
    group="toolkit",
    reads=("engine",),
    explain="Docker knows the toolkit as the runtime nvidia, by an entry in "
    "/etc/docker/daemon.json that it reads when it starts. When the entry or the program is gone, "
    "containers with GPUs do not start: 'unknown or invalid runtime name: nvidia'. Tools that "
    "write daemon.json anew drop it; it may also be there and Docker not have been restarted "
    "since. The role nvidia_container_toolkit writes it and restarts Docker.",
    judge=_runtime,
)
