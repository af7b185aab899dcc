"""The role: typed variables and the resources they ask for on a host with given facts."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from provision.errors import ProvisionError, RoleError
from provision.facts import Facts
from provision.inventory.schema import Host
from provision.state.resource import Resource
from provision.state.template import render


class Role(BaseModel):
    """What a host is to be: subclass it in `roles/<name>/role.py`, one subclass a file.

    Fields are the role's variables: typed, with a default, and with a docstring each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: ClassVar[Path]
    """Where the role's templates are: `templates/<role>`."""
    needs_gpu: ClassVar[bool] = False
    """Makes sense only where the NVIDIA driver works."""
    needs_systemd: ClassVar[bool] = True
    """Manages units of systemd, or packages that bring some: not to be applied without it."""
    deploys: ClassVar[bool] = False
    """Describes services that are deployed; it has no resources to be planned and applied."""

    def resources(self, host: Host, facts: Facts) -> Iterator[Resource]:
        """Yield the resources in the order in which they are to be applied."""
        raise NotImplementedError

    def render(self, name: str, **variables: object) -> str:
        """Render `templates/<role>/<name>` with the role itself as `role`."""
        return render(self.folder, name, role=self, **variables)


class PackageRole(Role):
    """A role that installs packages."""

    lock_timeout: int = 300
    """Seconds to wait for another apt or dpkg to finish."""


def load_roles(project: Path) -> dict[str, type[Role]]:
    """Return the role classes of `project/roles/*/role.py` by name, in the order of their names."""
    return {
        path.parent.name: _load(path, project) for path in sorted(project.glob("roles/*/role.py"))
    }


def resources_of(
    roles: Mapping[str, Role], host: Host, facts: Facts
) -> dict[str, tuple[Resource, ...]]:
    """Return the resources of each role; raise `RoleError` when two contradict each other."""
    result: dict[str, tuple[Resource, ...]] = {}
    seen: dict[str, tuple[str, Resource]] = {}
    for name, role in roles.items():
        result[name] = _yielded(name, role, host, facts)
        for resource in result[name]:
            owner, other = seen.setdefault(resource.id, (name, resource))
            if other is not resource and not (owner != name and other.joins(resource)):
                raise RoleError(
                    f"the roles '{owner}' and '{name}' ask for different things",
                    where=resource.id,
                    remedy="Let one of them own it.",
                )
    return result


def _yielded(name: str, role: Role, host: Host, facts: Facts) -> tuple[Resource, ...]:
    try:
        return tuple(role.resources(host, facts))
    except ProvisionError:
        raise
    except Exception as error:
        raise RoleError(
            f"{type(error).__name__}: {error}",
            where=f"roles/{name}/role.py",
            remedy="Mend the role; --debug shows where.",
        ) from error


def _load(path: Path, project: Path) -> type[Role]:
    name = path.parent.name
    module_name = f"provision_role_{name}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:  # pragma: no cover  (a .py file always has both)
        raise RoleError("cannot be loaded", where=str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise RoleError(
            f"{type(error).__name__}: {error}", where=str(path), remedy="Mend the role."
        ) from error
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Role) and value.__module__ == module_name
    ]
    if len(classes) != 1:
        raise RoleError(
            f"expected one subclass of Role, found {len(classes)}",
            where=str(path),
            remedy="Keep one role a file.",
        )
    classes[0].folder = project / "templates" / name
    return classes[0]
