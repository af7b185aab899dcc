"""Docker: active, with a configuration that it will start with again, and GPUs where they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from provision.checks.check import Check, Sight
from provision.checks.needs import driver_works, wants_docker
from provision.checks.words import fail, listed
from provision.facts.health import Container
from provision.finding import Finding

_ACTIVE: Final = "docker.active"
_CONFIG: Final = "docker.config"
_GPUS: Final = "docker.container_gpus"
_ALL: Final = -1
_DOWN: Final = frozenset({"inactive", "failed"})


def _active(sight: Sight) -> Iterator[Finding]:
    units = sight.health.engine.units if sight.health.engine else {}
    docker = sight.facts.docker
    if "docker" in sight.facts.unknown:  # it must not be taken for absent, and be replaced
        yield fail(
            _ACTIVE,
            "docker info gave no answer that makes sense in time",
            "Look at `systemctl status docker` and `journalctl -u docker` on the host.",
        )
    elif docker is None and sight.health.engine and wants_docker(sight.host):
        yield _absent(units, sight)
    elif docker and docker.package and units.get("containerd") in _DOWN:
        yield fail(
            _ACTIVE,
            f"containerd is {units['containerd']}: Docker answers, and starts no container",
            "systemctl start containerd docker; why it stopped: journalctl -u containerd",
        )


def _absent(units: Mapping[str, str], sight: Sight) -> Finding:
    down = [f"{unit} is {state}" for unit, state in units.items() if state in _DOWN]
    if "docker" not in units:
        return fail(
            _ACTIVE,
            "no Docker Engine answers",
            f"Install it: inv provision --host {sight.host.name}; or look at systemctl status docker",
        )
    return fail(
        _ACTIVE,
        f"no Docker Engine answers: {listed(down)}" if down else "docker is active and answers not",
        "systemctl start docker; why it stopped: journalctl -u docker -u containerd",
    )


def _config(sight: Sight) -> Iterator[Finding]:
    engine = sight.health.engine
    if engine and engine.config_error:
        yield fail(
            _CONFIG,
            f"/etc/docker/daemon.json is not valid: {engine.config_error}",
            "Docker will not start with it again: mend it, and prove it with "
            "dockerd --validate --config-file /etc/docker/daemon.json",
        )


def _container_gpus(sight: Sight) -> Iterator[Finding]:
    engine, there = sight.health.engine, len(sight.facts.gpus)
    if engine is None or sight.facts.docker is None or not driver_works(sight):
        return  # then it is the driver that is to be mended
    for each in engine.containers:
        if _lost(each, there):
            seen = each.gpus_seen or 0
            said = f": {each.gpu_error}" if each.gpu_error else ""
            who = "" if each.service else f"container {each.name} "
            yield fail(
                _GPUS,
                f"{who}sees {seen} of {_wanted(each, there)} GPUs{said}",
                f"docker restart {each.name}; so that it does not happen again let the role "
                "nvidia_container_toolkit hand GPUs over by CDI (cdi: true).",
                service=each.name if each.service else "",
            )


def _lost(container: Container, there: int) -> bool:
    """Say whether a container has fewer GPUs than it was given; what the host lacks is no loss."""
    if container.status != "running" or not container.gpus_wanted:
        return False
    if container.gpus_seen is None:
        return bool(container.gpu_error)
    return container.gpus_seen < _wanted(container, there)


def _wanted(container: Container, there: int) -> int:
    return there if container.gpus_wanted == _ALL else min(container.gpus_wanted or 0, there)


ACTIVE: Final = Check(
    name=_ACTIVE,
    group="docker",
    reads=("engine",),
    explain="All services are containers of Docker. Its daemon is started by systemd and stands on "
    "a second one, containerd. When they stop, containers may run on (live-restore), but nothing "
    "can be deployed, restarted or looked at. Mostly somebody stopped them, the configuration is "
    "wrong, the disk is full, or an upgrade went half-way; the journal has the reason. An engine "
    "that hangs must be mended too: provision would otherwise take it for absent.",
    judge=_active,
)
CONFIG: Final = Check(
    name=_CONFIG,
    group="docker",
    reads=("engine",),
    explain="Docker reads /etc/docker/daemon.json when it starts. A file that is not valid JSON, or "
    "that has keys which Docker does not know, goes unnoticed until the next start, at the latest "
    "the next reboot: then Docker stays down, and all services with it. Editing by hand and tools "
    "that rewrite the file are the cause.",
    judge=_config,
)
CONTAINER_GPUS: Final = Check(
    name=_GPUS,
    group="docker",
    reads=("engine",),
    explain="A running container can lose its GPUs: when systemd reloads its units (systemctl "
    "daemon-reload, which many package upgrades do), it sets the device rules of containers anew "
    "and drops what the NVIDIA runtime had added. The program runs on until it opens the GPU "
    "again; nvidia-smi in the container says 'Failed to initialize NVML: Unknown Error'. A restart "
    "of the container brings them back. GPUs that are handed over by CDI, which Docker itself "
    "knows of, are not lost.",
    judge=_container_gpus,
)
