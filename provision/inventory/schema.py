"""What a host, a group and an inventory are once they are read and validated."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, Field, SerializeAsAny, model_validator

from provision.inventory.merge import Layer
from provision.inventory.settings import SSH, Model, Proxies, Settings

__all__ = ["SSH", "Group", "Host", "Inventory", "Proxies"]


class Host(Settings):
    """A host with all its settings merged and validated."""

    name: str
    """Name in the inventory."""
    groups: tuple[str, ...] = ()
    """Groups it belongs to, in the order of the file."""
    roles: tuple[str, ...] = ()
    """Roles to apply, in order."""
    variables: Mapping[str, SerializeAsAny[BaseModel]] = Field(default_factory=dict)
    """Variables by role, one entry for each of `roles`."""

    @model_validator(mode="after")
    def _address_is_the_name(self) -> "Host":
        if not self.ssh.address:
            ssh = self.ssh.model_copy(update={"address": self.name})
            object.__setattr__(self, "ssh", ssh)
        return self


class Group(Model):
    """A named set of hosts with common roles and settings."""

    name: str
    """Name in the inventory."""
    hosts: tuple[str, ...] = ()
    """Names of its hosts, in the order of the inventory."""
    roles: tuple[str, ...] = ()
    """Roles that it gives its hosts, in order."""


@dataclass(frozen=True)
class Inventory:
    """A whole fleet, as one file describes it."""

    path: Path
    hosts: dict[str, Host]
    groups: dict[str, Group]
    layers: Mapping[str, tuple[Layer, ...]] = field(default_factory=dict, repr=False)
    models: Mapping[str, type[BaseModel]] = field(default_factory=dict, repr=False)
