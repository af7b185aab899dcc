"""The lab's libnvidia-container repository: stand-ins for the four packages of NVIDIA's toolkit."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from provision.lab.archive import finish, index, release
from provision.lab.deb import Control, pack, write_deb
from provision.lab.keys import Keys
from provision.lab.machine import architecture
from provision.lab.names import ASSETS, assets, cache, recipe
from provision.lab.process import Say, step


@dataclass(frozen=True)
class StandIn:
    """One package: the assets it holds and where they go; `{v}` is its version."""

    name: str
    depends: str
    files: Mapping[str, str] = field(default_factory=dict)
    scripts: tuple[str, ...] = ()


VERSIONS = ("1.20.0-1", "1.19.1-1")
UNITS = "etc/systemd/system"
PACKAGES = (
    StandIn("libnvidia-container1", "libc6"),
    StandIn(
        "libnvidia-container-tools",
        "libnvidia-container1 (= {v})",
        {"nvidia-container-cli": "usr/bin"},
    ),
    StandIn(
        "nvidia-container-toolkit-base",
        "libc6",
        {
            "nvidia-ctk": "usr/bin",
            "nvidia-container-runtime": "usr/bin",
            "nvidia-cdi-refresh.service": UNITS,
            "nvidia-cdi-refresh.path": UNITS,
        },
        ("postinst", "prerm"),
    ),
    StandIn(
        "nvidia-container-toolkit",
        "libnvidia-container-tools (= {v}), nvidia-container-toolkit-base (= {v})",
        {"nvidia-container-runtime-hook": "usr/bin"},
    ),
)
LIST = "deb https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH) /\n"


def ensure_nvidia(keys: Keys, say: Say) -> Path:
    """Return the folder served as …/libnvidia-container, built once."""
    files = [*assets("nvidia"), Path(__file__)]
    root = cache() / "mirror" / f"nvidia-{recipe(keys.fingerprint('nvidia'), files=files)}"
    if root.exists():
        return root
    with step(say, "packing the stand-ins for the NVIDIA Container Toolkit"):
        return finish(root, lambda tree: _build(keys, tree))


def _build(keys: Keys, root: Path) -> None:
    deb = root / "stable" / "deb"
    flat = deb / architecture()
    with TemporaryDirectory(dir=root.parent) as scratch:
        for version in VERSIONS:
            for package in PACKAGES:
                _pack(package, version, Path(scratch) / version / package.name, flat)
    shutil.copy(keys.public("nvidia"), root / "gpgkey")
    (deb / "nvidia-container-toolkit.list").write_text(LIST)
    index(flat, ".", flat)
    release(flat, {}, keys, "nvidia")


def _pack(package: StandIn, version: str, tree: Path, folder: Path) -> None:
    upstream = version.partition("-")[0]
    own = tree / "usr/share/lab" / package.name  # dpkg forgets a package that has no file at all
    own.parent.mkdir(parents=True)
    own.write_text(f"lab stand-in {version}\n")
    for name, place in package.files.items():
        target = tree / place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_asset(name).replace("@VERSION@", upstream))
        target.chmod(0o755 if place == "usr/bin" else 0o644)
    scripts = {kind: _asset(f"{package.name}.{kind}") for kind in package.scripts}
    settings = [f"/{place}/{name}\n" for name, place in package.files.items() if place == UNITS]
    if settings:
        scripts["conffiles"] = "".join(settings)
    control = Control(
        name=package.name,
        version=version,
        architecture=architecture(),
        depends=package.depends.format(v=version),
        description=f"lab stand-in for {package.name}",
        scripts=scripts,
    )
    write_deb(control, pack(tree, tree.with_suffix(".tar.gz")), folder)


def _asset(name: str) -> str:
    return (ASSETS / "nvidia" / name).read_text()
