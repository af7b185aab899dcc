"""The house: imports point down only, and two libraries have one user each."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE: Final = Path(__file__).resolve().parents[1] / "provision"

# From the ground up. A module may import those of lower floors and of its own.
FLOORS: Final = (
    ("errors",),
    ("secret", "finding"),
    ("facts",),
    ("inventory",),
    ("state",),
    ("host",),
    ("serving",),
    ("checks",),
    ("rollout",),
    ("fleet",),
    ("trust", "sweep"),
    ("report",),
    ("cli",),
)
FLOOR: Final = {wing: number for number, wings in enumerate(FLOORS) for wing in wings}
LAB_MAY: Final = frozenset({"errors"})
# A wing knows less than what lies below it where the design says so.
ONLY: Final = {"facts": {"errors"}, "secret": {"errors"}, "inventory": {"errors", "secret"}}
_SSH: Final = tuple(
    f"host/{name}.py"
    for name in (
        *("channel", "client", "connection", "gateways", "known_hosts", "login", "ssh_config"),
        *("sudo", "tunnel"),
    )
)
OWNERS: Final = {
    "fabric": _SSH,
    "paramiko": _SSH,
    "rich": ("report/",),
    "invoke": ("cli/",),
    "yaml": ("inventory/", "serving/compose.py"),
    "jinja2": ("state/template.py",),
    "huggingface_hub": ("serving/hub/",),
    "modelscope": ("serving/hub/",),
    "modelscope_hub": ("serving/hub/",),
}
KIND_HELPERS: Final = frozenset(
    {"model_folders", "package_apt", "package_dnf", "paths", "release_move"}
)


def violations(package: Path) -> list[str]:
    """Return `file:line: why` for every import that points the wrong way."""
    return [
        f"{path.relative_to(package).as_posix()}:{line}: {why}"
        for path in sorted(package.rglob("*.py"))
        if "assets" not in path.parts
        for line, target in _imports(path, package)
        for why in _why(path.relative_to(package), target, package.name)
    ]


def _imports(path: Path, package: Path) -> Iterator[tuple[int, str]]:
    """Yield every import, also inner ones and those for the type checker, as an absolute name."""
    parts = [package.name, *path.relative_to(package).with_suffix("").parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = parts[: len(parts) - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def _why(module: Path, target: str, package: str) -> Iterator[str]:
    top, *rest = target.split(".")
    owners = OWNERS.get(top)
    if owners and not module.as_posix().startswith(owners):
        yield f"only {', '.join(owners)} may import {top}"
    if top != package or not rest:
        return
    here, there = module.parts[0].removesuffix(".py"), rest[0]
    if here in {there, "__init__"} or there == "lab" == here:
        yield from _between_kinds(module, rest)
    elif here == "lab":
        if there not in LAB_MAY:
            yield f"the lab may not know {target}"
    elif there == "lab":
        if here != "cli":
            yield "only cli may know the lab"
    elif here not in FLOOR or there not in FLOOR:
        yield f"'{here if here not in FLOOR else there}' has no floor: add it to FLOORS"
    elif FLOOR[there] > FLOOR[here] or there not in ONLY.get(here, {there}):
        yield f"{here} may not import {there}: {target}"


def _between_kinds(module: Path, rest: list[str]) -> Iterator[str]:
    if module.parts[:2] == ("state", "kinds") and rest[:2] == ["state", "kinds"]:
        other = rest[2] if len(rest) > 2 else ""
        if other not in KIND_HELPERS | {module.stem}:
            yield f"a kind may not import another: {other or 'kinds'}"


def test_imports_point_down_only() -> None:
    """The product keeps to the floors of DESIGN.md."""
    assert violations(PACKAGE) == []


def test_every_wing_has_a_floor() -> None:
    """A new wing is put on its floor before it is used."""
    wings = {path.name.removesuffix(".py") for path in PACKAGE.iterdir()}
    wings -= {"__init__", "__pycache__", "py.typed", "lab"}
    assert wings <= FLOOR.keys()


@pytest.mark.parametrize(
    ("module", "text", "reason"),
    [
        ("state/plan.py", "from provision.host import look", "state may not import host"),
        ("state/plan.py", "from ..host.look import look", "state may not import host"),
        ("state/plan.py", "def f():\n    import provision.fleet", "state may not import fleet"),
        ("facts/read.py", "from provision.secret import redact", "facts may not import secret"),
        ("errors.py", "from provision import secret", "errors may not import secret"),
        (
            "inventory/load.py",
            "from provision.facts import Facts",
            "inventory may not import facts",
        ),
        ("host/apply.py", "from provision.checks.driver import x", "host may not import checks"),
        ("host/apply.py", "import paramiko", "may import paramiko"),
        ("fleet.py", "import fabric.connection", "may import fabric"),
        ("fleet.py", "from rich.console import Console", "only report/ may import rich"),
        ("fleet.py", "from provision.trust import scan", "fleet may not import trust"),
        ("state/role.py", "import invoke", "only cli/ may import invoke"),
        ("state/kinds/file.py", "from provision.state.kinds.directory import D", "a kind may not"),
        ("state/kinds/file.py", "from .package import Package", "a kind may not import another"),
        ("state/kinds/paths.py", "from provision.state.kinds.file import File", "a kind may not"),
        ("lab/host.py", "from provision.facts import Facts", "the lab may not know"),
        ("host/look.py", "from provision import lab", "only cli may know the lab"),
        ("attic/x.py", "from provision.errors import LabError", "'attic' has no floor"),
        (
            "host/x.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from provision import cli",
            "host may not import cli",
        ),
    ],
)
def test_a_violation_is_found(tmp_path: Path, module: str, text: str, reason: str) -> None:
    """The guard sees inner, relative and type-only imports, with file and line."""
    path = tmp_path / "provision" / module
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    found = violations(tmp_path / "provision")
    assert found
    assert all(line.startswith(f"{module}:") and reason in line for line in found), found


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("host/login.py", "import paramiko\nfrom provision.inventory.schema import Host"),
        ("state/kinds/file.py", "from provision.state.kinds.paths import write"),
        ("state/kinds/file.py", "from provision.state.resource import Resource"),
        ("lab/host.py", "from provision.errors import LabError\nfrom provision.lab import names"),
        ("cli/lab.py", "from provision import lab\nfrom invoke.tasks import task"),
        ("report/plan.py", "from rich.text import Text\nfrom provision.fleet import Visit"),
        ("trust.py", "from provision.fleet import greet\nimport hashlib"),
    ],
)
def test_what_is_allowed_is_not_found(tmp_path: Path, module: str, text: str) -> None:
    """Imports that point down pass."""
    path = tmp_path / "provision" / module
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    assert violations(tmp_path / "provision") == []


def test_roles_know_the_state_and_the_pure_rooms_only() -> None:
    """A role is pure: it knows facts, the inventory's host, resources, and what serving knows."""
    allowed = {"facts", "inventory", "state", "serving", "errors", "secret"}
    for path in sorted(PACKAGE.parent.glob("roles/*/*.py")):
        for line, target in _imports(path, path.parent):
            top, *rest = target.split(".")
            assert top != "provision" or rest[0] in allowed, f"{path}:{line}: {target}"
            assert top not in {"fabric", "paramiko", "rich", "subprocess"}, f"{path}:{line}"
