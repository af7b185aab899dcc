"""A host's services as one Compose project: its text, its secrets and the files that it mounts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any, Final, NamedTuple

import yaml

from provision.facts import Facts
from provision.secret import Secret
from provision.serving.engines.engine import Launch
from provision.serving.service import FILES, Service
from provision.serving.services.resolve import Resolved
from provision.serving.services.role import ServicesRole

PROJECT: Final = "provision"
"""Name of the Compose project."""
HASH: Final = "provision.config-hash"
"""Label with the sha256 over everything that makes a container another one."""


class Rendered(NamedTuple):
    """What lies on a host for its services."""

    text: str
    """compose.yaml."""
    env_files: Mapping[str, Mapping[str, Secret]]
    """By name beside compose.yaml; nobody but root may read them there."""
    files: Mapping[str, bytes]
    """By absolute path on the host; what lies there never changes."""
    notes: Mapping[str, tuple[str, ...]]
    """By service, what was decided for the operator."""
    hashes: Mapping[str, str]
    """By service, the sha256 over everything that makes its container another one."""
    patience: Mapping[str, int]
    """By service, the seconds until it must be healthy."""


def compose(
    host: str,
    services: Sequence[Resolved],
    role: ServicesRole,
    *,
    facts: Facts | None = None,
) -> Rendered:
    """Return the Compose project of `services`; identical input gives identical bytes."""
    items = [_item(resolved, role) for resolved in services]

    def rendered(hashes: Mapping[str, str]) -> str:
        return role.render(
            "compose.yaml.j2",
            host=host,
            services=items,
            hashes=hashes,
            cdi=by_cdi(role, facts),
            text=quoted,
        )

    hashes = _hashes(rendered({}))
    return Rendered(
        text=rendered(hashes),
        env_files={item.env_file: item.secrets for item in items if item.env_file},
        files={
            _path(role, name, content): content
            for resolved in services
            for name, content in resolved.files.items()
        },
        notes={item.service.name: item.notes for item in items},
        hashes=hashes,
        patience={item.service.name: item.start_seconds for item in items},
    )


def quoted(text: str) -> str:
    """Return a text as YAML has it, in which Compose finds no variable to replace."""
    double = json.dumps(text.replace("$", "$$"), ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", double)


def by_cdi(role: ServicesRole, facts: Facts | None) -> bool:
    """Say whether GPUs are handed over by CDI: as stated, or where there is nothing else."""
    if role.cdi is not None:
        return role.cdi
    if facts is None or facts.docker is None:
        return False
    return facts.toolkit is None and "nvidia" not in facts.docker.runtimes


class _Mount(NamedTuple):
    source: str
    target: str


class _Item(NamedTuple):
    """One service in the words of the template."""

    service: Service
    notes: tuple[str, ...]
    image: str
    command: tuple[str, ...]
    env_file: str
    secrets: Mapping[str, Secret]
    environment: Mapping[str, str]
    port: str
    mounts: tuple[_Mount, ...]
    volume: str
    cache: str
    probe: str
    start_seconds: int


def _item(resolved: Resolved, role: ServicesRole) -> _Item:
    service, engine, files = resolved
    launch = engine.launch(service)
    version = engine.version(service) or service.image.rpartition(":")[2]
    volume = re.sub(r"[^A-Za-z0-9_.-]", "-", f"{service.name}-{engine.name}-{version}")
    zone = {"TZ": role.time_zone} if role.time_zone else {}
    mounted = (
        _Mount(_path(role, name, content), f"{FILES}/{name}") for name, content in files.items()
    )
    return _Item(
        service=service,
        notes=tuple(map(_one_line, (*launch.notes, *_exposed(service)))),
        image=service.image,
        command=launch.command,
        env_file=f"{service.name}.env" if launch.secrets else "",
        secrets=launch.secrets,
        environment=dict(sorted({**launch.environment, **zone, **service.environment}.items())),
        port=f"{_host_part(service.bind)}:{service.port}:{launch.port}",
        mounts=(_Mount(service.folder, service.mounted), *mounted),
        volume=volume if launch.cache else "",
        cache=launch.cache,
        probe=_probe(launch, engine.dialect.health),
        start_seconds=_start_seconds(service),
    )


def _path(role: ServicesRole, name: str, content: bytes) -> str:
    """Return where a mounted file lies on the host: another content is another path."""
    return f"{role.dir}/files/{hashlib.sha256(content).hexdigest()}/{name}"


def _probe(launch: Launch, path: str) -> str:
    """Return bash that succeeds when the engine's health path answers 200."""
    # Images of TEI have no curl. Bash's /dev/tcp is in those of all engines.
    request = f"GET {path} HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n"
    return (
        f"exec 3<>/dev/tcp/127.0.0.1/{launch.port} && printf '{request}' >&3 && "
        'read -r _ status _ <&3 && [ "$status" = 200 ]'
    )


def _start_seconds(service: Service) -> int:
    """Return how long a start may take before a failed health check counts."""
    if not service.size_bytes:
        return _START_UNKNOWN
    fits = (seconds for size, seconds in _START.items() if service.size_bytes <= size)
    return next(fits, _START_LONGEST)


def _exposed(service: Service) -> tuple[str, ...]:
    if not ip_address(service.bind).is_unspecified:
        return ()
    return (f"reached at every address of the host: Docker opens port {service.port} past ufw",)


def _host_part(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _one_line(note: str) -> str:
    return " ".join(note.split())


def _hashes(text: str) -> Mapping[str, str]:
    """Return the sha256 of each service: over what the YAML means, not how it is written."""
    services: Mapping[str, Any] = yaml.load(text, _LOADER)["services"]  # noqa: S506  it is safe
    return {
        name: hashlib.sha256(json.dumps(service, sort_keys=True).encode()).hexdigest()
        for name, service in services.items()
    }


_UNPRINTABLE: Final = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_START: Final = {30 * 10**9: 600, 150 * 10**9: 1200, 400 * 10**9: 1800}
"""Seconds by bytes of the model: 14B, 70B and 200B parameters of two bytes each."""
_START_LONGEST: Final = 3600
_START_UNKNOWN: Final = 1800
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the former is ten times as fast
