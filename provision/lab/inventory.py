"""The files that lead an operator to a lab: the inventory and the known hosts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from provision.lab.host import LabHost, known_hosts
from provision.lab.lab import Lab
from provision.lab.profiles import settings_of
from provision.lab.vllm_image import NAME

ROLES = ("base", "docker", "nvidia_container_toolkit", "models")
TEMPLATE = """\
# Written by `inv lab.up`; rewritten by the next one.
vars:
  ssh:
    user: ops
    key: {lab.key}
    known_hosts: {lab.known_hosts}
  gpus: 1
  docker:
    fingerprint: {lab.docker_fingerprint}
  nvidia_container_toolkit:
    fingerprint: {lab.nvidia_fingerprint}
  models:
    modelscope: {{endpoint: "{lab.hub.url}"}}
    huggingface: {{endpoint: "{lab.hub.url}"}}
    wanted:
      lab/tiny-chat:
      lab/minilm:
{services}groups:
  lab:
    hosts: ["{pattern}"]
    roles: [{roles}]
hosts:
{hosts}"""

# Real engines, but small and on the CPU: no host of a lab has a GPU.
SERVICES = """\
      lab/tiny-chat-tools:
      lab/tiny-reranker:
  services:
    bind: 127.0.0.1
    images: {{vllm: "{image}"}}
    archives: {{"{image}": {archive}}}
    shm_size: 1gb
    wanted:
      chat:
        model: lab/tiny-chat-tools
        port: 8001
        gpus: 0
        tool_parser: hermes
        required: [chat, tools]
        arguments: {{dtype: float32, enforce-eager: true, max-model-len: 2048, kv-cache-memory-bytes: 64M}}
      embed:
        task: embed
        model: lab/minilm
        port: 8002
        gpus: 0
        arguments: {{dtype: float32, enforce-eager: true, kv-cache-memory-bytes: 64M}}
      rerank:
        task: score
        model: lab/tiny-reranker
        port: 8003
        gpus: 0
        required: [rerank]
        arguments: {{dtype: float32, enforce-eager: true, kv-cache-memory-bytes: 64M}}
"""


def write_files(lab: Lab, roles: Sequence[str] = ROLES, *, serving: bool = False) -> None:
    """Write the inventory and the known hosts of a lab, with the services where it has them."""
    lab.known_hosts.write_text("".join(known_hosts(lab.space, host) for host in lab.hosts))
    lab.inventory.parent.mkdir(parents=True, exist_ok=True)
    lab.inventory.write_text(inventory_of(lab, roles, serving=serving))


def inventory_of(lab: Lab, roles: Sequence[str], *, serving: bool = False) -> str:
    """Return the text of a lab's inventory, with all hosts in one group with these roles."""
    services = SERVICES.format(image=NAME, archive=lab.vllm_archive) if serving else ""
    roles = (*roles, "services") if serving else roles
    last = lab.hosts[-1].name.removeprefix("gpu")
    pattern = f"gpu[01:{last}]" if len(lab.hosts) > 1 else "gpu01"
    hosts = "".join(f"  {host.name}: {_flow(_settings(lab, host))}\n" for host in lab.hosts)
    return TEMPLATE.format(
        lab=lab, pattern=pattern, hosts=hosts, roles=", ".join(roles), services=services
    )


def _settings(lab: Lab, host: LabHost) -> dict[str, Any]:
    """Return a host's address, and what its profiles want the inventory to say."""
    settings = settings_of(lab.space, host)
    return {**settings, "ssh": {"address": host.address, **settings.get("ssh", {})}}


def _flow(value: Any) -> str:
    """Write settings on one line of YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value)
