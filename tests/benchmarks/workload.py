"""The fifteen resources that every contestant keeps: as data, seeded, changed and checked.

Three directories, four files, three templates, three packages, the state of a service and a command
that only reads. A host here is an sshd and a folder, so its service is a stand-in for systemctl,
and its GPUs are a file.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from typing import Final, NamedTuple

import jinja2
from places import BASE, HERE, folder, root

DIRECTORIES: Final = {"opt/stack": 0o755, "opt/stack/data": 0o750, "etc/keyrings": 0o755}
PACKAGES: Final = ("bash", "coreutils", "tar")
"""There on every Debian: nothing is installed."""
FILES: Final = {
    "etc/keyrings/nvidia.asc": "files/nvidia.asc",
    "etc/nvidia.sources": "files/nvidia.sources",
    "opt/stack/daemon.json": "files/daemon.json",
    "opt/stack/90-gpu.conf": "files/90-gpu.conf",
}
TEMPLATES: Final = {
    "opt/stack/compose.yaml": ("compose.yaml.j2", 0o644),
    "opt/stack/.env": ("env.j2", 0o600),
    "opt/stack/gpu-stack.service": ("gpu-stack.service.j2", 0o644),
}
STACK: Final = HERE / "project" / "templates" / "stack"
NOW, BEFORE = "r-2026-11-20", "r-2026-11-01"
SERVICE: Final = """\
#!/bin/sh
# stand-in for systemctl
[ "$1" = is-active ] && [ -f "$0.$2" ] && cat "$0.$2"
"""


class Path(NamedTuple):
    """What one path of a host should be."""

    mode: int
    content: str | None = None
    """`None`: a directory."""


def variables(number: int) -> dict[str, object]:
    """Return what differs from host to host."""
    return {
        "root": str(root(number)),
        "host_index": number,
        "node_name": f"gpu-{number:03d}",
        "gpu_count": 8,
        "image_tag": "v0.32.0",
        "api_token": hashlib.sha256(f"token {number}".encode()).hexdigest(),
        "revision": NOW,
    }


def desired(number: int, revision: str = NOW) -> dict[str, Path]:
    """Return what each path of a host should be."""
    values = {**variables(number), "revision": revision}
    environment = jinja2.Environment(
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  no HTML
    )
    rendered = {
        path: Path(mode, environment.from_string((STACK / name).read_text("utf-8")).render(values))
        for path, (name, mode) in TEMPLATES.items()
    }
    files = {path: Path(0o644, (STACK / name).read_text("utf-8")) for path, name in FILES.items()}
    return {**{path: Path(mode) for path, mode in DIRECTORIES.items()}, **files, **rendered}


def seed(number: int, revision: str = NOW) -> None:
    """Bring a host into the wanted state, or its .env into one of before."""
    place = root(number)
    shutil.rmtree(place, ignore_errors=True)
    for path, (mode, content) in desired(number, revision).items():
        target = place / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            target.mkdir(exist_ok=True)
        else:
            target.write_text(content, "utf-8")
        target.chmod(mode)
    tools = place / "bin"
    tools.mkdir()
    (tools / "svc").write_text(SERVICE)
    (tools / "svc").chmod(0o755)
    (tools / "svc.docker").write_text("active\n")
    gpus = (
        f"{n}, NVIDIA H200, 143771 MiB, {n} MiB, 3{n}, 75.2 W, 580.126.09, GPU-0000-{n:04d}\n"
        for n in range(8)
    )
    (tools / "gpus.csv").write_text("".join(gpus))


def drift(number: int) -> None:
    """Give a host the .env of a revision before."""
    (root(number) / "opt/stack/.env").write_text(
        desired(number, BEFORE)["opt/stack/.env"].content or ""
    )


def wrong(number: int) -> str:
    """Return the first path of a host that is not as wanted; empty when all are."""
    for path, (mode, content) in desired(number).items():
        target = root(number) / path
        if target.stat().st_mode & 0o7777 != mode:
            return f"{target}: mode {target.stat().st_mode:o}"
        if content is not None and target.read_text("utf-8") != content:
            return f"{target}: content"
    return ""


_PATHS: Final = " ".join(f'"$R/{path}"' for path in [*DIRECTORIES, *FILES, *TEMPLATES])
_REGULAR: Final = " ".join(f'"$R/{path}"' for path in [*FILES, *TEMPLATES])
PROBE: Final = (
    f"R=$BENCH_ROOT; stat -c '%F %a %U %G %n' {_PATHS}; sha256sum {_REGULAR}; "
    f"dpkg-query -W -f '${{Package}} ${{Status}}\\n' {' '.join(PACKAGES)}; "
    '"$R/bin/svc" is-active docker; cat "$R/bin/gpus.csv"'
)
"""What a floor asks: the whole state of the fifteen resources, in one script."""
SWEEP: Final = (
    "R=$BENCH_ROOT; uname -r; cat /etc/os-release; cat /proc/uptime; cat /proc/meminfo; df -P /; "
    f"dpkg-query -W -f '${{Package}} ${{Version}}\\n' {' '.join(PACKAGES)}; "
    '"$R/bin/svc" is-active docker; cat "$R/bin/gpus.csv"'
)
"""What a floor asks for a sweep."""


def prepare(number: int) -> None:
    """Write down for the floors what they ask a host, what it shall answer, and what they write."""
    environment = {"BENCH_ROOT": str(root(number)), "PATH": "/usr/bin:/bin"}
    words = ["sh", "-c", PROBE]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    (folder(number) / "expected").write_text(done.stdout)
    (folder(number) / "env").write_text(desired(number)["opt/stack/.env"].content or "")
    (BASE / "probe.sh").write_text(PROBE)
    (BASE / "sweep.sh").write_text(SWEEP)
