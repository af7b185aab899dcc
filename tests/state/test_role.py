"""Roles: how they are loaded, what two of them may both ask for, and what templates refuse."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from provision.errors import RoleError, TemplateError
from provision.facts import OS, Facts
from provision.inventory.schema import Host
from provision.state.kinds.file import File
from provision.state.kinds.json_file import JsonFile
from provision.state.kinds.systemd_service import SystemdService
from provision.state.role import Role, load_roles, resources_of
from provision.state.template import render

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from provision.state.resource import Resource

HOST = Host(name="gpu01")
FACTS = Facts(os=OS(id="debian"))
DOCKER = SystemdService(name="docker")


class Given(Role):
    """A role that yields what it was given."""

    wanted: tuple[Any, ...] = ()

    def resources(self, host: Host, facts: Facts) -> Iterator[Resource]:
        """Yield it."""
        del host, facts
        yield from self.wanted


def _resources(**roles: tuple[Resource, ...]) -> dict[str, tuple[Resource, ...]]:
    return resources_of({name: Given(wanted=some) for name, some in roles.items()}, HOST, FACTS)


def _json(**merge: Any) -> JsonFile:
    return JsonFile(name="/etc/docker/daemon.json", merge=merge)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (_json(a=1), _json(b=2)),
        (_json(log={"a": 1}), _json(log={"b": 1})),
        (_json(log={"a": 1}), _json(log={})),
        (DOCKER, DOCKER.model_copy(update={"after": ("package:docker-ce",)})),
    ],
    ids=["two keys", "two keys below one", "the mapping and a key of it", "one service"],
)
def test_two_roles_may_share_what_does_not_contradict(one: Resource, other: Resource) -> None:
    """Disjoint keys of one JSON file, and a resource that is the same, may be asked for twice."""
    assert _resources(one=(one,), two=(other,)) == {"one": (one,), "two": (other,)}


def test_two_roles_may_not_notify_differently_for_one_resource() -> None:
    """A resource is changed with its first role, so the other's handler would be lost: refused."""
    loud = DOCKER.model_copy(update={"notify": (DOCKER.restart,)})
    with pytest.raises(RoleError, match="'one' and 'two'"):
        _resources(one=(DOCKER,), two=(loud,))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (_json(a=1), _json(a=2)),
        (_json(a=1), _json(a=1)),
        (_json(a={"b": 1}), _json(a="x")),
        (_json(a="x"), _json(a={"b": 1})),
        (_json(a={"b": 1}), _json(a={"b": 2})),
        (File(name="/x", content="a"), File(name="/x", content="b")),
        (DOCKER, SystemdService(name="docker", enabled=False)),
    ],
)
def test_a_contradiction_names_both_roles(one: Resource, other: Resource) -> None:
    """Overlapping keys or different states of one id are refused before anything is looked at."""
    with pytest.raises(RoleError, match=f"^{one.id}: the roles 'one' and 'two' ask for different"):
        _resources(one=(one,), two=(other,))


def test_one_role_may_not_ask_twice() -> None:
    """One role that yields one id twice is a mistake of the role."""
    with pytest.raises(RoleError, match="'one' and 'one'"):
        _resources(one=(File(name="/x"), File(name="/x", content="b")))


def _project(folder: Path, text: str) -> Path:
    path = folder / "roles" / "web" / "role.py"
    path.parent.mkdir(parents=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return folder


def test_a_role_is_loaded_by_its_folder(tmp_path: Path) -> None:
    """The class is known by the folder's name and finds its templates under it."""
    text = """
        from provision.state.role import Role

        class Web(Role):
            port: int = 80
    """
    roles = load_roles(_project(tmp_path, text))
    assert list(roles) == ["web"]
    assert (roles["web"](port=81).port, roles["web"].folder) == (81, tmp_path / "templates" / "web")
    assert load_roles(tmp_path / "nowhere") == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import no_such_module_here", "ModuleNotFoundError"),
        ("class Web(", "SyntaxError"),
        ("from provision.state.role import Role", "expected one subclass of Role, found 0"),
        (
            "from provision.state.role import Role\nclass A(Role): pass\nclass B(Role): pass",
            "expected one subclass of Role, found 2",
        ),
    ],
)
def test_a_role_that_does_not_load_is_an_error_with_its_path(
    tmp_path: Path, text: str, reason: str
) -> None:
    """Whatever its code does wrong, the operator reads one line with the file."""
    with pytest.raises(RoleError, match=rf"roles/web/role\.py: .*{reason}"):
        load_roles(_project(tmp_path, text))


def _template(folder: Path, text: str) -> Path:
    path = folder / "web"
    path.mkdir(exist_ok=True)
    (path / "x.j2").write_text(text, encoding="utf-8")
    return path


def test_a_template_keeps_its_text(tmp_path: Path) -> None:
    """Blocks take their line with them, the last newline stays, nothing is escaped for HTML."""
    text = "{% if on %}\n  a=<{{ a }}>\n{% endif %}\nlast\n"
    assert render(_template(tmp_path, text), "x.j2", on=True, a='"&') == '  a=<"&>\nlast\n'


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("one\ntwo {{ mirrror }}\n", "web/x.j2:2", "'mirrror' is undefined. Did you mean 'mirror'"),
        ("{{ mirror.port }}", "web/x.j2:1", "no attribute 'port'"),
        ("a\nb\n{% if %}\n", "web/x.j2:3", "Expected an expression"),
        ("{% for x in y %}", "web/x.j2:1", ""),
        ("{% include 'gone.j2' %}", "web/x.j2:1", "gone.j2"),
    ],
)
def test_a_template_error_has_its_line_and_the_nearest_name(
    tmp_path: Path, text: str, where: str, what: str
) -> None:
    """Undefined names and wrong syntax are errors at template:line."""
    with pytest.raises(TemplateError) as raised:
        render(_template(tmp_path, text), "x.j2", mirror="m")
    assert raised.value.where == where
    assert what in str(raised.value)


def test_a_role_renders_its_own_templates(tmp_path: Path) -> None:
    """`role` is the role itself."""
    _template(tmp_path, "port {{ role.wanted[0] }} {{ more }}")
    Given.folder = tmp_path / "web"
    assert Given(wanted=(7,)).render("x.j2", more="m") == "port 7 m"


class Broken(Given):
    """A role with a bug in it."""

    def resources(self, host: Host, facts: Facts) -> Iterator[Resource]:
        """Fail as such code does."""
        del host
        yield File(name=str({}[facts.os.id]))


def test_a_bug_in_a_role_names_the_role() -> None:
    """What a role's own code raises is an error that names its file, not a traceback."""
    with pytest.raises(RoleError, match="KeyError: 'debian'") as raised:
        resources_of({"broken": Broken()}, HOST, FACTS)
    assert raised.value.where == "roles/broken/role.py"
