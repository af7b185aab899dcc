"""The files that lead an operator to a lab: the inventory and the known hosts."""

from __future__ import annotations

from collections.abc import Sequence

from provision.lab.host import known_hosts
from provision.lab.lab import Lab

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
groups:
  lab:
    hosts: ["{pattern}"]
    roles: [{roles}]
hosts:
{hosts}"""


def write_files(lab: Lab, roles: Sequence[str] = ROLES) -> None:
    """Write the inventory and the known hosts of a lab."""
    lab.known_hosts.write_text("".join(known_hosts(lab.space, host) for host in lab.hosts))
    lab.inventory.parent.mkdir(parents=True, exist_ok=True)
    lab.inventory.write_text(inventory_of(lab, roles))


def inventory_of(lab: Lab, roles: Sequence[str]) -> str:
    """Return the text of a lab's inventory, with all hosts in one group with these roles."""
    last = lab.hosts[-1].name.removeprefix("gpu")
    pattern = f"gpu[01:{last}]" if len(lab.hosts) > 1 else "gpu01"
    hosts = "".join(f"  {host.name}: {{ssh: {{address: {host.address}}}}}\n" for host in lab.hosts)
    return TEMPLATE.format(lab=lab, pattern=pattern, hosts=hosts, roles=", ".join(roles))
