"""The stack of the benchmark: what workload.py describes, as resources."""

from __future__ import annotations

from collections.abc import Iterator

from provision.facts import Facts
from provision.inventory.schema import Host
from provision.state.kinds.directory import Directory
from provision.state.kinds.file import File
from provision.state.kinds.guarded_command import GuardedCommand
from provision.state.kinds.package import Package
from provision.state.resource import Resource
from provision.state.role import Role


class Stack(Role):
    """Three directories, four files, three templates, three packages, a service, a command."""

    root: str
    """The folder that stands for the file system of a host."""
    host_index: int
    node_name: str
    gpu_count: int
    image_tag: str
    api_token: str
    revision: str

    def resources(self, host: Host, facts: Facts) -> Iterator[Resource]:
        """Yield them."""
        del host
        yield Directory(name=f"{self.root}/opt/stack")
        yield Directory(name=f"{self.root}/opt/stack/data", mode="0750")
        yield Directory(name=f"{self.root}/etc/keyrings")
        yield self._file("etc/keyrings/nvidia.asc", "files/nvidia.asc")
        yield self._file("etc/nvidia.sources", "files/nvidia.sources")
        yield self._file("opt/stack/daemon.json", "files/daemon.json")
        yield self._file("opt/stack/90-gpu.conf", "files/90-gpu.conf")
        yield self._file("opt/stack/compose.yaml", "compose.yaml.j2")
        yield self._file("opt/stack/.env", "env.j2", mode="0600", sensitive=True)
        yield self._file("opt/stack/gpu-stack.service", "gpu-stack.service.j2")
        for name in ("bash", "coreutils", "tar"):
            yield Package(name=name, manager=facts.os.packages)
        yield GuardedCommand(
            name="service state", done_when=f"{self.root}/bin/svc is-active docker", script="false"
        )
        yield GuardedCommand(
            name="read the GPUs", done_when=f"cat {self.root}/bin/gpus.csv", script="false"
        )

    def _file(
        self, path: str, template: str, *, mode: str = "0644", sensitive: bool = False
    ) -> File:
        content = self.render(template, **self.model_dump())
        return File(name=f"{self.root}/{path}", content=content, mode=mode, sensitive=sensitive)
