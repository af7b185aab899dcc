"""The task `apply`: what it refuses before it says a word to any host."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from provision.inventory.load import load
from provision.state.kinds.file import File
from provision.state.plan import HostPlan, plan_host
from provision.state.resource import Resource, State
from provision.state.role import load_roles
from provision.state.saved_plan import (
    Asked,
    SavedPlan,
    new_salt,
    saved_host,
    sources_of,
    unplanned,
)
from provision.state.saved_plan_file import write
from provision.state.saved_plan_marks import Marks

ROOT: Final = Path(__file__).resolve().parents[2]
INV: Final = str(Path(sys.executable).with_name("inv"))
ROLE: Final = '''\
"""Files."""

from provision.state.kinds.file import File
from provision.state.role import Role
from provision.secret import Secret


class Files(Role):
    """A file."""

    text: str = "a"
    """Its text."""
    token: Secret | None = None
    """A secret."""

    def resources(self, host, facts):
        """Yield it."""
        yield File(name="/a", content=self.text)
'''
INVENTORY: Final = """\
vars:
  ssh: {address: 127.0.0.1, port: 1, user: ops, connect_timeout: 5}
  files: {text: a, token: env:FILES_TOKEN}
hosts:
  gpu01: {roles: [files]}
  gpu02: {roles: [files], ssh: {port: 2}}
"""


class Project(NamedTuple):
    """A project of its own, with a copy of the tool, and a plan that was saved there."""

    folder: Path

    @property
    def inventory(self) -> Path:
        """Its inventory."""
        return self.folder / "inventories/prod.yaml"

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a text in one of its files."""
        file = self.folder / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def inv(self, *words: str, token: str = "t0ken") -> subprocess.CompletedProcess[str]:  # noqa: S107
        """Type `inv …` there."""
        environment = {**os.environ, "FILES_TOKEN": token, "PYTHONPATH": str(self.folder)}
        return subprocess.run(
            [INV, *words],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def save(self, *lost: str) -> None:
        """Save a plan of both hosts, or of those that were not `lost`."""
        hosts = load(self.inventory, load_roles(self.folder)).hosts
        salt = new_salt()
        plan = SavedPlan(
            by="anna@bastion",
            at=datetime(2026, 11, 20, 17, tzinfo=UTC),
            inventory=self.inventory,
            asked=Asked(),
            sources=sources_of(self.folder, ["files"]),
            salt=salt,
            hosts=tuple(
                unplanned(name, f"{name}: timed out")
                if name in lost
                else saved_host(host, SIGHT.plan, SIGHT, Marks(salt))
                for name, host in hosts.items()
            ),
        )
        write(self.folder / "friday.plan", plan)


class Sight(NamedTuple):
    """What was seen when the plan was made."""

    resources: Mapping[str, tuple[Resource, ...]]
    states: Mapping[str, Mapping[str, State | None]]

    @property
    def plan(self) -> HostPlan:
        """Return the plan of a host that lacks the file."""
        return plan_host("gpu01", self.resources, self.states, 0)


SIGHT: Final = Sight({"files": (File(name="/a", content="a"),)}, {"files": {"file:/a": None}})


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the tool and write a role beside it."""
    folder = tmp_path_factory.mktemp("original")
    leave_out = shutil.ignore_patterns("__pycache__", "assets", "*.md")
    shutil.copytree(ROOT / "provision", folder / "provision", ignore=leave_out)
    for assets in ("state/kinds/assets", "report/assets"):
        shutil.copytree(ROOT / "provision" / assets, folder / "provision" / assets)
    shutil.copy(ROOT / "tasks.py", folder)
    for path, text in (
        ("roles/files/role.py", ROLE),
        ("templates/files/a.j2", "a"),
        ("inventories/prod.yaml", INVENTORY),
    ):
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_text(text)
    return folder


@pytest.fixture
def project(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return the project with a saved plan."""
    monkeypatch.setenv("FILES_TOKEN", "t0ken")
    shutil.copytree(original, tmp_path / "p")
    found = Project(tmp_path / "p")
    monkeypatch.setattr("provision.state.saved_plan._PACKAGE", found.folder / "provision")
    found.save()
    return found


Move = Callable[[Project], None]
MOVES: Final[Mapping[str, tuple[Move, str]]] = {
    "tool": (
        lambda project: project.edit("provision/errors.py", '"""', '""" '),
        "provision: the tool's own source differs from what made the plan",
    ),
    "role": (
        lambda project: project.edit("roles/files/role.py", "Files.", "Some files."),
        "roles/files: differs from what the plan was made with",
    ),
    "template": (
        lambda project: project.edit("templates/files/a.j2", "a", "b"),
        "templates/files: differs from what the plan was made with",
    ),
    "setting": (
        lambda project: project.edit("inventories/prod.yaml", "text: a", "text: b"),
        "gpu01: files.text: is set to something else now",
    ),
    "address": (
        lambda project: project.edit("inventories/prod.yaml", "port: 2", "port: 3"),
        "gpu02: ssh.port: is set to something else now",
    ),
    "host gone": (
        lambda project: project.edit("inventories/prod.yaml", "gpu02", "gpu03"),
        "gpu02: is no longer in the inventory",
    ),
    "role gone": (
        lambda project: project.edit(
            "inventories/prod.yaml", "gpu01: {roles: [files]}", "gpu01: {}"
        ),
        "gpu01: roles: is set to something else now",
    ),
}


@pytest.mark.parametrize("name", MOVES)
def test_what_moved_on_the_controller_is_named_before_any_host_is_asked(
    project: Project, name: str
) -> None:
    """With exit code 1; nobody listens at the hosts' address, and nobody notices."""
    move, said = MOVES[name]
    move(project)
    done = project.inv("apply", "friday.plan")
    assert done.returncode == 1, done.stderr
    assert said in done.stdout.splitlines()
    assert (
        "Nothing was changed: the plan made by anna@bastion at 2026-11-20 17:00 UTC" in done.stdout
    )
    assert done.stderr == ""


def test_another_value_of_a_secret_is_named_and_not_shown(project: Project) -> None:
    """Neither value stands in the plan or in what is said."""
    done = project.inv("apply", "friday.plan", token="0ther")  # noqa: S106
    assert done.returncode == 1
    assert "gpu02: files.token: is set to something else now" in done.stdout
    text = (project.folder / "friday.plan").read_text() + done.stdout + done.stderr
    assert "t0ken" not in text
    assert "0ther" not in text


def test_a_plan_that_still_holds_goes_to_its_hosts(project: Project) -> None:
    """Those that cannot be planned now keep the others from being applied, and are named."""
    done = project.inv("apply", "friday.plan")
    assert done.returncode == 1
    assert "gpu01: cannot be planned now: gpu01 (ops@127.0.0.1:1)" in done.stdout
    assert "gpu02: cannot be planned now: gpu02 (ops@127.0.0.1:2)" in done.stdout
    assert done.stdout.splitlines()[-1].endswith("no longer holds. Plan again.")


def test_a_part_of_the_plans_hosts_is_judged_alone(project: Project) -> None:
    """What moved elsewhere does not matter to them, and the operator reads how to ask for them."""
    project.edit("inventories/prod.yaml", "port: 2", "port: 3")
    whole = project.inv("apply", "friday.plan")
    assert "or apply it without them: --host '!gpu02'." in whole.stdout
    part = project.inv("apply", "friday.plan", "--host", "!gpu02")
    assert "gpu02" not in part.stdout
    assert "gpu01: cannot be planned now" in part.stdout


def test_a_host_without_a_plan_does_not_pass_for_done(project: Project) -> None:
    """It is named with why it has none, and the exit code is 1."""
    project.save("gpu01", "gpu02")
    done = project.inv("apply", "friday.plan")
    assert done.returncode == 1
    assert "gpu02: has no plan: gpu02: timed out" in done.stdout
    assert "2 failed" in done.stdout


def test_a_program_reads_what_moved(project: Project) -> None:
    """As one JSON document."""
    project.edit("inventories/prod.yaml", "port: 2", "port: 3")
    done = project.inv("apply", "friday.plan", "--format", "json")
    assert done.returncode == 1
    what = "is set to something else now"
    assert json.loads(done.stdout) == {"moved": [{"host": "gpu02", "id": "ssh.port", "what": what}]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["friday.plan", "--host", "gpu03"], "no host matches 'gpu03'"),
        (["friday.plan", "--serial", "half"], "expected hosts at once"),
        (["monday.plan"], "monday.plan: no such file or directory. Name a file"),
        (["inventories/prod.yaml"], "the plan is truncated or damaged"),
        (["friday.plan", "--role", "files"], "unknown option '--role'"),
    ],
)
def test_what_cannot_be_done_is_one_line(project: Project, words: list[str], said: str) -> None:
    """On stderr, with exit code 1."""
    done = project.inv("apply", *words)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_plan_is_not_made_for_a_place_that_takes_no_file(project: Project) -> None:
    """The hosts are not asked in vain."""
    done = project.inv("plan", "--inventory", "prod", "--out", "nowhere/friday.plan")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "provision: nowhere: there is no such folder. Make it first.\n"


def test_words_without_a_flag_reach_their_task(project: Project) -> None:
    """`inv explain HOST VALUE` and `inv apply FILE` take them in order."""
    done = project.inv("explain", "gpu01", "files.text", "--inventory", "prod")
    assert done.returncode == 0, done.stderr
    assert "gpu01 files.text = a" in done.stdout
