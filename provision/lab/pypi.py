"""The lab's PyPI: the wheels that lab hosts install, in the layout of PEP 503."""

from __future__ import annotations

import hashlib
import re
import sys
from html import escape
from pathlib import Path

from provision.errors import LabError
from provision.lab.archive import finish
from provision.lab.machine import architecture
from provision.lab.names import cache, recipe
from provision.lab.process import Say, run, step

ROLE = Path(__file__).resolve().parents[2] / "roles" / "models"
UNLOCKED = ("modelscope-hub==0.5.1", "huggingface_hub==2.4.0")  # where the role locks nothing
TOOLS = ("pip", "setuptools")
PYTHONS = ("3.11", "3.13")  # bookworm's and trixie's
GLIBC = range(17, 37)  # the minor versions of glibc 2 whose wheels run on bookworm and later
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}  # Debian's names and Python's
PIP = (sys.executable, "-m", "pip")
PAGE = "<!DOCTYPE html>\n<html><body>\n{links}</body></html>\n"


def ensure_pypi(say: Say) -> Path:
    """Return the folder served as a PyPI mirror, built once for each state of the requirements."""
    locks = sorted(ROLE.glob("requirements-*.txt"))
    parts = (UNLOCKED, TOOLS, PYTHONS, GLIBC, architecture())
    root = cache() / "mirror" / f"pypi-{recipe(*parts, files=[*locks, Path(__file__)])}"
    if root.exists():
        return root
    with step(say, "fetching the Python packages that hosts may want"):
        return finish(root, lambda tree: _build(locks, tree))


def download(folder: Path, *arguments: str) -> None:
    """Fetch wheels with this Python's pip, from wherever it is set up to fetch."""
    quiet = ("--quiet", "--disable-pip-version-check", "--only-binary=:all:", "--dest", str(folder))
    try:
        run([*PIP, "download", *quiet, *arguments])
    except LabError as error:
        remedy = "Let pip of this Python reach a package index, see `pip config`."
        raise LabError(error.what, where=f"pip download {arguments[-1]}", remedy=remedy) from error


def _build(locks: list[Path], tree: Path) -> None:
    packages = tree / "packages"
    packages.mkdir()
    for python in PYTHONS:
        options = target(python)
        for lock in locks:  # all that a locked file needs stands in it
            download(packages, *options, "--no-deps", "--require-hashes", "-r", str(lock))
        if not locks:
            download(packages, *options, *UNLOCKED)
        download(packages, *options, "--no-deps", *TOOLS)
    projects: dict[str, list[Path]] = {}
    for wheel in sorted(packages.iterdir()):
        projects.setdefault(normalized(wheel.name.partition("-")[0]), []).append(wheel)
    for project, wheels in projects.items():
        _page(tree / "simple" / project, [_link(wheel) for wheel in wheels])
    _page(tree / "simple", [f'<a href="{name}/">{name}</a><br>\n' for name in projects])


def normalized(name: str) -> str:
    """Return a project's name as indexes write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def target(python: str) -> list[str]:
    """Return pip's options for wheels of another Python on this architecture."""
    machine = MACHINES.get(architecture(), architecture())
    tags = [f"manylinux_2_{minor}_{machine}" for minor in GLIBC] + [f"manylinux2014_{machine}"]
    abis = (f"cp{python.replace('.', '')}", "abi3", "none")
    options = ["--implementation=cp", f"--python-version={python}"]
    return options + [f"--platform={tag}" for tag in tags] + [f"--abi={abi}" for abi in abis]


def _link(wheel: Path) -> str:
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    href = f"../../packages/{escape(wheel.name)}#sha256={digest}"
    return f'<a href="{href}">{escape(wheel.name)}</a><br>\n'


def _page(folder: Path, links: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_text(PAGE.format(links="".join(links)))
