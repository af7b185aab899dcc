"""The fifteen resources for pyinfra, as its documentation writes such a deploy."""

from pathlib import Path

from pyinfra import host
from pyinfra.operations import apt, files, server

STACK = Path(__file__).resolve().parents[1] / "project" / "templates" / "stack"
ROOT = host.data.root
NAMES = ("host_index", "node_name", "gpu_count", "image_tag", "api_token", "revision")
VALUES = {name: host.data.get(name) for name in NAMES}

for path, mode in (("opt/stack", "755"), ("opt/stack/data", "750"), ("etc/keyrings", "755")):
    files.directory(name=path, path=f"{ROOT}/{path}", user="root", group="root", mode=mode)
for source, path in (
    ("nvidia.asc", "etc/keyrings/nvidia.asc"),
    ("nvidia.sources", "etc/nvidia.sources"),
    ("daemon.json", "opt/stack/daemon.json"),
    ("90-gpu.conf", "opt/stack/90-gpu.conf"),
):
    files.put(
        name=path,
        src=str(STACK / "files" / source),
        dest=f"{ROOT}/{path}",
        user="root",
        group="root",
        mode="644",
    )
for source, path, mode in (
    ("compose.yaml.j2", "opt/stack/compose.yaml", "644"),
    ("env.j2", "opt/stack/.env", "600"),
    ("gpu-stack.service.j2", "opt/stack/gpu-stack.service", "644"),
):
    files.template(
        name=path,
        src=str(STACK / source),
        dest=f"{ROOT}/{path}",
        user="root",
        group="root",
        mode=mode,
        **VALUES,
    )
apt.packages(name="packages", packages=["bash", "coreutils", "tar"], present=True)
server.shell(name="service state", commands=[f"{ROOT}/bin/svc is-active docker"])
server.shell(name="read the GPUs", commands=[f"cat {ROOT}/bin/gpus.csv"])
