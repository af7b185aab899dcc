"""A saved plan: what it holds, what it hides, and that it names whatever moved since."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.errors import PlanError
from provision.inventory.schema import SSH, Host
from provision.secret import MASK, Secret
from provision.state.kinds.file import File
from provision.state.kinds.json_file import JsonFile
from provision.state.kinds.package import Package
from provision.state.kinds.systemd_service import SystemdService
from provision.state.plan import HostPlan, plan_host
from provision.state.resource import DUE, Handler, Resource, State
from provision.state.role import Role
from provision.state.saved_plan import (
    Asked,
    SavedHost,
    SavedPlan,
    Sources,
    new_salt,
    saved_host,
    sources_of,
    unplanned,
)
from provision.state.saved_plan_file import check_place, read, write
from provision.state.saved_plan_marks import Marks, digest_of_tree
from provision.state.saved_plan_moved import (
    Ground,
    done,
    moved_settings,
    moved_sources,
    moved_state,
)

UNSAID = "of which the plan does not warn"
SALT = new_salt()
DOCKER = SystemdService(name="docker", restart_fear="restarts Docker")
RUNNING: State = {"active": True, "enabled": True, DUE: False}
PASSWORD = "correct horse battery staple"  # noqa: S105  the canary


class Token(Role):
    """A role with a secret."""

    token: Secret | None = None
    """A secret."""
    mirrors: tuple[str, ...] = ()
    """Some texts."""

    def resources(self, *_: object) -> Any:
        """Yield nothing."""
        return iter(())


class Sight(NamedTuple):
    """What was seen of a host."""

    resources: Mapping[str, Sequence[Resource]]
    states: Mapping[str, Mapping[str, State | None]]
    plan: HostPlan


def _sight(*parts: tuple[Resource, State | None], containers: int = 0, **more: Any) -> Sight:
    """Return what one role, and perhaps `more`, see and plan."""
    roles = {"one": parts, **more}
    resources = {role: [item for item, _ in some] for role, some in roles.items()}
    states = {role: {item.id: state for item, state in some} for role, some in roles.items()}
    return Sight(resources, states, plan_host("gpu01", resources, states, containers))


def _host(**variables: Any) -> Host:
    roles = {name: Token(**values) for name, values in variables.items()}
    return Host(name="gpu01", roles=tuple(roles), variables=roles)


def _saved(sight: Sight, host: Host | None = None) -> SavedHost:
    return saved_host(host or _host(), sight.plan, sight, Marks(SALT))


def _moved(before: Sight, after: Sight) -> list[str]:
    """Return what moved between two sights, as an operator reads it."""
    ground = Ground(_host(), after.plan, after, Marks(SALT))
    return [str(item) for item in moved_state(_saved(before), ground)]


def _state(content: str, mode: str = "0644") -> State:
    return {"content": content, "mode": mode, "owner": "root", "group": "root"}


def _file(name: str = "/a", content: str = "new", **more: Any) -> File:
    return File(name=name, content=content, **more)


# ---------------------------------------------------------------- what is as planned


def test_what_stands_still_has_not_moved() -> None:
    """Another look at the same ground finds nothing, whatever the rows say."""
    sight = _sight(
        (_file("/update"), _state("old")),
        (_file("/create"), None),
        (_file("/ok"), _state("new")),
        (_file("/gone", present=False), _state("x")),
        (Package(name="tree"), None),
        (_file("/late", after=("package:tree",)), _state("new")),
    )
    assert {row.verdict for row in sight.plan.rows} == {"ok", "change", "maybe"}
    assert _moved(sight, sight) == []


@given(finished=st.sets(st.integers(0, 4)))
def test_what_is_done_already_counts_as_done(finished: set[int]) -> None:
    """Whichever part of a plan was applied, the rest is still as planned."""
    wanted = [_file(f"/{number}") for number in range(5)]
    before = _sight(*((item, _state("old")) for item in wanted))
    after = _sight(
        *(
            (item, item.expected() if number in finished else _state("old"))
            for number, item in enumerate(wanted)
        )
    )
    assert _moved(before, after) == []
    assert done(_saved(before), after.plan) == len(finished)


def test_a_row_that_may_change_does_once_its_cause_is_done() -> None:
    """It was announced; without its cause the same change is a move."""
    late = _file("/late", after=("file:/cause",))
    before = _sight((_file("/cause"), _state("old")), (late, _state("new")))
    after = _sight((_file("/cause"), _state("new")), (late, _state("by package", "0600")))
    alone = _sight((_file("/cause"), _state("old")), (late, _state("by hand")))
    assert _moved(before, after) == []
    assert _moved(before, alone) == [
        "gpu01: file:/late: content was planned from new, is now by hand"
    ]


def test_half_a_row_may_be_done() -> None:
    """A service that was enabled but did not start, or a package that was only unpacked."""
    before = _sight((DOCKER, {"active": False, "enabled": False, DUE: False}))
    half = _sight((DOCKER, {"active": False, "enabled": True, DUE: False}))
    assert _moved(before, half) == []
    begun: State = {"installed": False, "version": "1", "hold": False}
    tree = Package(name="tree")
    assert _moved(_sight((tree, None)), _sight((tree, begun))) == []


def test_a_restart_that_a_dead_run_left_due_was_announced() -> None:
    """Where the plan holds the restart; elsewhere it is a move."""
    config = _file("/etc/docker/x", notify=(DOCKER.restart,))
    due = {**RUNNING, DUE: True}
    before = _sight((config, _state("old")), (DOCKER, RUNNING), containers=1)
    after = _sight((config, _state("new")), (DOCKER, due), containers=1)
    assert _moved(before, after) == []
    quiet = _sight((DOCKER, RUNNING))
    assert _moved(quiet, _sight((DOCKER, due))) == [
        "gpu01: systemd_service:docker: restart_pending was planned from false, is now true"
    ]


def test_keys_of_others_in_a_joined_file_may_move() -> None:
    """Of a file that we share, our own keys count; the others are merged as they are."""
    shared = JsonFile(name="/d.json", merge={"a": 1})
    rights = {"(mode)": "0644", "(owner)": "root", "(group)": "root"}
    before = _sight((shared, {"a": 2, "(text)": '{"a": 2}', **rights}))
    after = _sight((shared, {"a": 2, "(text)": '{"a": 2, "b": 3}', **rights}))
    other = _sight((shared, {"a": 3, "(text)": '{"a": 3}', **rights}))
    assert _moved(before, after) == []
    assert _moved(before, other) == ["gpu01: json_file:/d.json: a was planned from 2, is now 3"]


# ---------------------------------------------------------------- what moved


@pytest.mark.parametrize(
    ("resource", "before", "after", "said"),
    [
        (_file(), _state("old"), _state("other"), "content was planned from old, is now other"),
        (_file(), _state("old"), _state("a\nb"), "content differs from what was planned from"),
        (_file(), _state("old"), _state("x" * 99), "content differs from what was planned from"),
        (_file(), _state("old"), None, "was there when it was planned, and is absent now"),
        (_file(), None, _state("x"), "was absent when it was planned, and is there now"),
        (_file(), _state("new"), None, "was there when it was planned, and is absent now"),
        (
            _file(),
            _state("new"),
            _state("new", "0600"),
            "mode was planned from 0644, is now 0600",
        ),
        (
            _file(),
            _state("old"),
            _state("other", "0600"),
            "content was planned from old, is now other; mode was planned from 0644, is now 0600",
        ),
        (
            _file(present=False),
            None,
            _state("x"),
            "was absent when it was planned, and is there now",
        ),
        (
            _file(present=False),
            _state("x"),
            _state("y"),
            "content was planned from x, is now y",
        ),
        (
            Package(name="tree", version="2"),
            {"installed": True, "version": "1", "hold": False},
            {"installed": True, "version": "1.1", "hold": False},
            "version was planned from 1, is now 1.1",
        ),
        (
            Package(name="tree"),
            {"installed": True, "version": "1", "hold": False},
            None,
            "was there when it was planned, and is absent now",
        ),
        (
            DOCKER,
            RUNNING,
            {**RUNNING, "active": False},
            "active was planned from true, is now false",
        ),
    ],
)
def test_what_moved_is_named(
    resource: Resource, before: State | None, after: State | None, said: str
) -> None:
    """With host, row and keys, and from what to what where that can be shown."""
    assert _moved(_sight((resource, before)), _sight((resource, after))) == [
        f"gpu01: {resource.id}: {said}"
    ]


def test_a_file_that_appeared_as_wanted_is_done() -> None:
    """Nothing is left to be done to it, whoever did it."""
    assert _moved(_sight((_file(), None)), _sight((_file(), _state("new")))) == []


def test_another_wish_is_named() -> None:
    """A row that shall be something else now, since facts or locks moved, is not what was shown."""
    before, after = (_sight((_file(content=text), _state("old"))) for text in ("new", "newer"))
    assert _moved(before, after) == ["gpu01: file:/a: content shall be something else now"]


def test_a_row_that_may_change_now_is_named() -> None:
    """It was as expected, and what may change it was not to be changed."""
    late = (_file("/late", after=("file:/cause",)), _state("new"))
    before = _sight((_file("/cause"), _state("new")), late)
    after = _sight((_file("/cause"), _state("old")), late)
    assert _moved(before, after)[1:] == ["gpu01: file:/late: may change after file:/cause now"]


def test_rows_that_came_or_went_are_named() -> None:
    """A change that the file does not list, and one that nobody asks for any more."""
    one, two = (_file("/one"), _state("old")), (_file("/two"), None)
    assert _moved(_sight(one), _sight(one, two)) == [
        "gpu01: file:/two: is not in the plan, and is to be created now"
    ]
    assert _moved(_sight(one, two), _sight(one)) == [
        "gpu01: file:/two: is to be created by the plan, and no role asks for it any more"
    ]
    assert _moved(_sight((_file("/one"), _state("new")), two), _sight(two)) == []


def test_a_plan_that_is_half_done_may_have_less_left() -> None:
    """What was changed moves the facts, and by these a role may ask for less; never for more."""
    one, two, three = _file("/one"), (_file("/two"), None), (_file("/three"), None)
    before = _sight((one, _state("old")), two)
    assert _moved(before, _sight((one, _state("new")))) == []
    assert _moved(before, _sight((one, _state("new")), three)) == [
        "gpu01: file:/three: is not in the plan, and is to be created now"
    ]


def test_a_handler_that_was_not_announced_is_named() -> None:
    """What runs beside the changes is part of what was shown."""
    loud = _file(notify=(DOCKER.restart,))
    before = _sight((loud, _state("old")), (DOCKER, {**RUNNING, "active": False}))
    after = _sight((loud, _state("old")), (DOCKER, RUNNING))
    assert "gpu01: systemd_service:docker:restart: would run, which is not in the plan" in _moved(
        before, after
    )


def test_a_fear_that_nobody_read_of_is_named() -> None:
    """Containers that were started since make a restart another thing; how many does not matter."""
    parts = ((_file(notify=(DOCKER.restart,)), _state("old")), (DOCKER, RUNNING))
    quiet, busy, busier = (_sight(*parts, containers=number) for number in (0, 1, 2))
    assert _moved(busy, busier) == []
    assert _moved(quiet, busy) == [
        f"gpu01: {DOCKER.restart.id}: restarts Docker while containers run, {UNSAID}"
    ]
    package = Package(name="tree")
    assert _moved(_sight((package, None)), _sight((package, None), containers=3)) == [
        f"gpu01: package:tree: runs package scripts while containers run, {UNSAID}"
    ]


# ---------------------------------------------------------------- secrets


def test_no_secret_stands_in_a_saved_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a variable nor a sensitive file, nor a text that holds one by chance."""
    monkeypatch.setenv("CANARY", PASSWORD)
    host = _host(one={"token": "env:CANARY"})
    sight = _sight(
        (_file(content=f"key={PASSWORD}", sensitive=True), None),
        (_file("/plain", content=f"url with {PASSWORD}"), _state(f"old {PASSWORD}")),
    )
    saved = _saved(sight, host)
    text = saved.model_dump_json() + unplanned("gpu02", f"said {PASSWORD}").model_dump_json()
    expected = {**(sight.resources["one"][0].expected() or {})}
    assert saved.rows[0].expected
    assert saved.rows[0].expected["content"] == Marks(SALT).of(expected["content"], secret=True)
    assert PASSWORD not in text
    assert MASK in text
    assert "env:CANARY" not in text


def test_a_secret_that_moved_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a setting, and as a key of a row; with the same value nothing moved."""
    host = _host(one={"token": "env:CANARY"})
    monkeypatch.setenv("CANARY", PASSWORD)
    saved = _saved(_sight(), host)
    assert list(moved_settings(saved, host, Marks(SALT))) == []
    monkeypatch.setenv("CANARY", "another one")
    (moved,) = moved_settings(saved, host, Marks(SALT))
    assert str(moved) == "gpu01: one.token: is set to something else now"
    item = _file(sensitive=True)
    before, after = (_sight((item, _state(f"sha256:{text}"))) for text in ("old", "other"))
    assert _moved(before, after) == ["gpu01: file:/a: content differs"]


def test_a_secret_that_cannot_be_read_here_does_not_keep_a_plan_from_being_saved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may belong to another role; once it can be read, the plan is another one."""
    monkeypatch.delenv("CANARY", raising=False)
    host = _host(one={"token": "env:CANARY"})
    saved = _saved(_sight(), host)
    assert list(moved_settings(saved, host, Marks(SALT))) == []
    monkeypatch.setenv("CANARY", PASSWORD)
    assert [item.id for item in moved_settings(saved, host, Marks(SALT))] == ["one.token"]


def test_marks_of_secrets_are_slow_and_salted() -> None:
    """The same value has another mark under another salt, and another one where it is no secret."""
    one, other = Marks("00" * 16), Marks("01" * 16)
    assert one.of("x", secret=True) != other.of("x", secret=True)
    assert one.of("x", secret=True) != one.of("x") != other.of("x")
    assert one.of("pre x post", secrets={"x"}) == one.of("pre x post", secret=True)
    assert one.of("x") == one.of("x")


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"mirrors": ("a", "c")}, ["one.mirrors.1"]),
        ({"mirrors": ("a",)}, ["one.mirrors.1"]),
        ({"mirrors": ("a", "b", "c")}, ["one.mirrors.2"]),
        ({"mirrors": ("a", "b")}, []),
    ],
)
def test_a_setting_that_moved_is_named(change: dict[str, Any], names: list[str]) -> None:
    """By its dotted name, as the inventory has it."""
    saved = _saved(_sight(), _host(one={"mirrors": ("a", "b")}))
    host = _host(one=change)
    assert [item.id for item in moved_settings(saved, host, Marks(SALT))] == names


def test_a_role_that_came_is_named_and_not_its_every_variable() -> None:
    """One line says that the host's roles differ."""
    saved = _saved(_sight(), _host(one={}))
    moved = moved_settings(saved, _host(one={}, two={"mirrors": ("a",)}), Marks(SALT))
    assert [item.id for item in moved] == ["roles"]


def test_the_way_to_log_in_counts_but_not_the_password_of_sudo() -> None:
    """Another address is another host; a password that was changed or asked for is neither."""
    saved = _saved(_sight())
    host = _host().model_copy(update={"ssh": SSH(address="10.0.0.1")})
    assert [item.id for item in moved_settings(saved, host, Marks(SALT))] == ["ssh.address"]
    password = Secret("env:SOME_PASSWORD")
    ssh = _host().ssh.model_copy(update={"sudo_password": password})
    host = _host().model_copy(update={"ssh": ssh})
    assert list(moved_settings(saved, host, Marks(SALT))) == []


def test_many_settings_that_moved_are_counted() -> None:
    """Five names are enough to know what happened."""
    saved = _saved(_sight(), _host(one={"mirrors": tuple("abcdefgh")}))
    host = _host(one={"mirrors": tuple("12345678")})
    moved = [str(item) for item in moved_settings(saved, host, Marks(SALT))]
    assert len(moved) == 6
    assert moved[-1] == "gpu01: 3 more settings differ"


# ---------------------------------------------------------------- sources


def test_sources_that_moved_are_named(tmp_path: Path) -> None:
    """Role and templates by their folder; the tool by its version, or that its source differs."""
    role, template = tmp_path / "roles/one/role.py", tmp_path / "templates/one/a.j2"
    for path in (role, template):
        path.parent.mkdir(parents=True)
        path.write_text("1")
    before = sources_of(tmp_path, ["one", "two"])
    assert list(moved_sources(before, sources_of(tmp_path, ["one", "two"]))) == []
    role.write_text("2")
    template.rename(template.with_name("b.j2"))
    after = sources_of(tmp_path, ["one", "two"])
    assert [item.id for item in moved_sources(before, after)] == ["roles/one", "templates/one"]
    newer = before.model_copy(update={"version": "9", "tool": "9"})
    assert [str(item) for item in moved_sources(before, newer)] == [
        f"provision: version {before.version} made the plan, and this is 9"
    ]
    edited = before.model_copy(update={"tool": "9"})
    assert [item.what for item in moved_sources(before, edited)] == [
        "the tool's own source differs from what made the plan"
    ]


def test_what_python_compiles_is_no_source(tmp_path: Path) -> None:
    """A role that was run is the same role; a file more is another one."""
    (tmp_path / "role.py").write_text("1")
    digest = digest_of_tree(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__/role.pyc").write_text("1")
    assert digest_of_tree(tmp_path) == digest
    (tmp_path / "more").write_text("")
    assert digest_of_tree(tmp_path) != digest
    assert digest_of_tree(tmp_path / "nowhere") == ""


# ---------------------------------------------------------------- the file


def _plan(*hosts: SavedHost) -> SavedPlan:
    return SavedPlan(
        by="anna@bastion",
        at=datetime(2026, 11, 20, 17, tzinfo=UTC),
        inventory=Path("/srv/prod.yaml"),
        asked=Asked(roles=("one",), force=True),
        sources=Sources(version="1", tool="t", roles={"one": "r"}, templates={"one": ""}),
        salt=SALT,
        hosts=hosts,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the file of a plan of two hosts, one of which could not be reached."""
    path = tmp_path / "friday.plan"
    sight = _sight((_file(content="zwölf ✓\n"), _state("old\udcff")), (_file("/b"), None))
    write(path, _plan(_saved(sight), unplanned("gpu02", "gpu02: timed out")))
    return path


def test_what_was_written_is_read(file: Path) -> None:
    """As it was, by its owner only, and nothing else is left in the folder."""
    assert read(file).hosts[1].error == "gpu02: timed out"
    write(file, read(file))
    again = read(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]
    assert [row.id for row in again.hosts[0].rows] == ["file:/a", "file:/b"]
    assert again.asked == Asked(roles=("one",), force=True)


def test_every_edit_is_noticed(file: Path) -> None:
    """Whatever is changed in the plan, also the address of its salt; its layout is nobody's."""
    document = json.loads(file.read_text())
    file.write_text(json.dumps(document))
    read(file)
    for key, value in (("by", "mallory"), ("salt", "00"), ("hosts", [])):
        edited = {**document, "plan": {**document["plan"], key: value}}
        file.write_text(json.dumps(edited))
        with pytest.raises(PlanError, match=r"edited or damaged.*inv plan --out"):
            read(file)


def test_a_truncated_file_is_refused_wherever_it_ends(file: Path) -> None:
    """In one clear line that names it."""
    whole = file.read_bytes()
    for length in range(0, len(whole) - 2, 37):
        file.write_bytes(whole[:length])
        with pytest.raises(PlanError, match="truncated or damaged") as raised:
            read(file)
        assert raised.value.where == str(file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"[]", "no saved plan"),
        (b"{}", "no saved plan"),
        (b"\xff\xfe", "truncated or damaged"),
        (b'{"kind": "provision plan", "format": 2}', "has format 2, and this version reads 1"),
        (b'{"kind": "provision plan", "format": 1}', "checksum does not fit"),
        (b"[" * 100_000, "truncated or damaged"),
    ],
)
def test_what_is_no_plan_is_refused(tmp_path: Path, text: bytes, said: str) -> None:
    """With what to do instead."""
    path = tmp_path / "x"
    path.write_bytes(text)
    with pytest.raises(PlanError, match=said):
        read(path)


def test_a_plan_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Also a folder in its place."""
    with pytest.raises(PlanError, match="no such file"):
        read(tmp_path / "x")
    with pytest.raises(PlanError, match="is a directory"):
        read(tmp_path)


def test_a_place_that_takes_no_file_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    """A plan of 200 hosts is not lost to a typo in a path."""
    check_place(tmp_path / "x")
    with pytest.raises(PlanError, match="no such folder"):
        check_place(tmp_path / "nowhere" / "x")
    with pytest.raises(PlanError, match="is a folder"):
        check_place(tmp_path)


def test_fields_of_a_plan_that_are_unknown_are_refused(file: Path) -> None:
    """A checksum that fits does not make a plan."""
    broken = read(file).model_copy(update={"by": 7})
    with pytest.warns(UserWarning, match="serialized"):
        write(file, broken)
    with pytest.raises(PlanError, match="does not say what it must: by"):
        read(file)


def test_handlers_are_saved_with_what_an_operator_reads() -> None:
    """Id, title and fears."""
    loud = _file(notify=(DOCKER.restart,))
    saved = _saved(_sight((loud, _state("old")), (DOCKER, RUNNING), containers=1))
    (handler,) = saved.handlers
    assert isinstance(DOCKER.restart, Handler)
    assert (handler.id, handler.title) == ("systemd_service:docker:restart", "restart docker")
    assert handler.fears == ("restarts Docker while 1 container runs",)
