"""The laws of saved plans: applied exactly, resumed, or refused by the name of what moved."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import pytest
from keyboard import PROJECT
from workshop import DEB, TOKEN, Workshop, furnish

from provision.lab import Lab

pytestmark = pytest.mark.lab
PLAN: Final = "friday.plan"
REFUSED: Final = "Nothing was changed: the plan made by "


@pytest.fixture(scope="module")
def bench(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Return a project of one host and the plan of its only role, saved once for the module."""
    workshop = furnish(lab, tmp_path_factory.mktemp("workshop"))
    workshop.describe(gpu01=workshop.address("gpu01"))
    workshop.prepare("gpu01")
    answer = workshop.inv("plan", "--inventory", "prod", "--out", PLAN)
    assert answer.status == 2, answer.text
    return workshop


@pytest.fixture
def workshop(bench: Workshop) -> Workshop:
    """Return the project, its host as the plan was made from, and the inventory as it was."""
    bench.describe(gpu01=bench.address("gpu01"))
    bench.prepare("gpu01")
    return bench


def _changed(answer: str) -> set[str]:
    outcome = json.loads(answer)["hosts"]["gpu01"]["outcome"]
    return {row["id"] for row in outcome["rows"] if row["outcome"] == "changed"}


# ---------------------------------------------------------------- what is applied


def test_a_plan_is_applied_exactly(workshop: Workshop) -> None:
    """All rows that it lists and no other change; after that there is nothing left to do."""
    listed = json.loads((workshop.folder / PLAN).read_text())["plan"]["hosts"][0]
    pending = {row["id"] for row in listed["rows"] if row["verdict"] == "change"}
    answer = workshop.inv("apply", PLAN, "--format", "json")
    assert answer.status == 0, answer.text
    assert _changed(answer.stdout) == pending
    assert pending == {"file:/etc/things/conf", "file:/etc/things/token", "command:enter the hall"}
    files = "cat /etc/things/conf /etc/things/token; stat -c %a /etc/things/token"
    assert workshop.lab.exec("gpu01", files).stdout == f"new\n{TOKEN}\n600\n"
    before = workshop.look("gpu01")
    again = workshop.inv("apply", PLAN)
    assert again.status == 0, again.text
    assert "0 changes" in again.stdout
    assert workshop.look("gpu01") == before


def test_the_plan_is_shown_and_no_question_is_asked(workshop: Workshop) -> None:
    """The file was the review; what is left of it is printed before it is done."""
    answer = workshop.inv("apply", PLAN)
    assert answer.status == 0, answer.text
    assert "then once: restart things" in answer.stdout
    assert "pass --yes" not in answer.text


@pytest.mark.parametrize("words", [("apply", PLAN, "--dry-run"), ("--dry", "apply", PLAN)])
def test_a_dry_run_checks_and_shows(workshop: Workshop, words: tuple[str, ...]) -> None:
    """Changes are pending, and none is made."""
    before = workshop.look("gpu01")
    answer = workshop.inv(*words)
    assert answer.status == 2, answer.text
    assert "~ file:/etc/things/conf" in answer.stdout
    assert workshop.look("gpu01") == before


def test_a_plan_holds_no_secret_and_is_its_owners(workshop: Workshop) -> None:
    """Neither the value, nor the one that it replaces, nor an unsalted digest of one."""
    file = workshop.folder / PLAN
    digest = workshop.lab.exec("gpu01", f"printf '%s\\n' {TOKEN} | sha256sum").stdout.split()[0]
    text = file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    for hidden in (TOKEN, "older-token", digest):
        assert hidden not in text


def test_what_is_left_of_a_plan_is_applied_once_its_step_is_mended(workshop: Workshop) -> None:
    """A failed apply leaves rows and a restart; the next one does these and nothing else."""
    workshop.lab.exec("gpu01", ": >/run/things-blocked")
    first = workshop.inv("apply", PLAN)
    assert first.status == 1, first.text
    assert "file:/etc/things/conf" not in first.stderr
    assert workshop.lab.exec("gpu01", "cat /etc/things/conf").stdout == "new\n"
    assert workshop.lab.exec("gpu01", "ls /var/lib/provision/pending").stdout.strip()
    workshop.lab.exec("gpu01", "rm /run/things-blocked")
    second = workshop.inv("apply", PLAN, "--format", "json")
    assert second.status == 0, second.text
    assert "Of the plan's changes 2 are done already." in second.stderr
    assert _changed(second.stdout) == {"command:enter the hall", "systemd_service:things"}
    assert workshop.lab.exec("gpu01", "ls /var/lib/provision/pending").stdout == ""


def test_a_plan_of_real_roles_is_resumed_where_a_mirror_stopped_it(
    bench: Workshop, bare: str
) -> None:
    """What Docker's install did to the facts, and half a repository, do not make it another plan."""
    for folder in ("roles", "templates"):
        shutil.copytree(PROJECT / folder, bench.folder / folder, dirs_exist_ok=True)
    words = ("--inventory", bench.lab.inventory, "--host", bare)
    saved = bench.inv("plan", *words, "--out", "real.plan")
    assert saved.status == 2, saved.text
    bench.lab.tamper("nvidia")
    try:
        first = bench.inv("apply", "real.plan", timeout=300)
    finally:
        bench.lab.untamper("nvidia")
    assert first.status == 1, first.text
    assert "signature or checksums do not fit" in first.stdout
    second = bench.inv("apply", "real.plan", timeout=300)
    assert second.status == 0, second.text
    assert "are done already" in second.stderr
    assert "docker-ce" not in second.stdout
    third = bench.inv("provision", *words, "--yes")
    assert third.status == 0, third.text
    assert "0 changes" in third.stdout


def test_an_empty_plan_is_saved_and_applied(workshop: Workshop, tmp_path: Path) -> None:
    """Of a host as it shall be: both exit with 0, and nothing is changed."""
    assert workshop.inv("provision", "--inventory", "prod", "--yes").status == 0
    file = tmp_path / "empty.plan"
    saved = workshop.inv("plan", "--inventory", "prod", "--out", file)
    before = workshop.look("gpu01")
    applied = workshop.inv("apply", file)
    assert (saved.status, applied.status) == (0, 0), saved.text + applied.text
    assert workshop.look("gpu01") == before


def test_a_host_that_could_not_be_planned_is_left_out_and_told(
    workshop: Workshop, tmp_path: Path
) -> None:
    """The others are applied as they were shown; the exit code stays 1 until it is planned."""
    dead = {"ssh": {**workshop.address("gpu01")["ssh"], "port": 1}}
    workshop.describe(gpu01=workshop.address("gpu01"), gpu02=dead)
    file = tmp_path / "part.plan"
    saved = workshop.inv("plan", "--inventory", "prod", "--out", file)
    assert saved.status == 1, saved.text
    applied = workshop.inv("apply", file)
    assert applied.status == 1, applied.text
    assert "gpu02: has no plan: gpu02 (" in applied.stdout
    assert "1 changed, 0 unchanged, 1 failed" in applied.stdout
    assert workshop.inv("apply", file, "--host", "!gpu02").status == 0


# ---------------------------------------------------------------- what is refused

Move = Callable[[Workshop], AbstractContextManager[None]]


def _on_the_host(script: str) -> Move:
    @contextmanager
    def move(workshop: Workshop) -> Iterator[None]:
        done = workshop.lab.exec("gpu01", f"set -e\n{script}")
        assert done.returncode == 0, done.stderr
        yield

    return move


def _in(path: str, old: str, new: str) -> Move:
    return lambda workshop: workshop.edited(path, old, new)


@contextmanager
def _another_role(workshop: Workshop) -> Iterator[None]:
    workshop.describe("things", "more", gpu01=workshop.address("gpu01"))
    yield


@contextmanager
def _another_text(workshop: Workshop) -> Iterator[None]:
    workshop.describe(things={"text": "newer"}, gpu01=workshop.address("gpu01"))
    yield


@contextmanager
def _another_host(workshop: Workshop) -> Iterator[None]:
    workshop.describe(gpu02=workshop.address("gpu02"))
    yield


MOVES: Final[Mapping[str, tuple[Move, str]]] = {
    "content of a file that shall change": (
        _on_the_host("echo other >/etc/things/conf"),
        "gpu01: file:/etc/things/conf: content differs from what was planned from",
    ),
    "content of a file that was as expected": (
        _on_the_host("echo other >/etc/things/extra"),
        "gpu01: file:/etc/things/extra: content differs from what was planned from",
    ),
    "mode": (
        _on_the_host("chmod 600 /etc/things/extra"),
        "gpu01: file:/etc/things/extra: mode was planned from 0644, is now 0600",
    ),
    "owner of a file that shall change": (
        _on_the_host("chown daemon /etc/things/conf"),
        "gpu01: file:/etc/things/conf: owner was planned from root, is now daemon",
    ),
    "file removed": (
        _on_the_host("rm /etc/things/conf"),
        "gpu01: file:/etc/things/conf: was there when it was planned, and is absent now",
    ),
    "file that came": (
        _on_the_host("echo x >/etc/things/unwanted"),
        "gpu01: file:/etc/things/unwanted: was absent when it was planned, and is there now",
    ),
    "secret on the host": (
        _on_the_host("echo stolen >/etc/things/token"),
        "gpu01: file:/etc/things/token: content differs",
    ),
    "package removed": (
        _on_the_host("dpkg -P things-wanted"),
        "gpu01: package:things-wanted: was there when it was planned, and is absent now",
    ),
    "package installed": (
        _on_the_host(f"{DEB}deb things-unwanted"),
        "gpu01: package:things-unwanted: was absent when it was planned, and is there now",
    ),
    "service stopped": (
        _on_the_host("systemctl stop things"),
        "gpu01: systemd_service:things: active was planned from true, is now false",
    ),
    "service disabled": (
        _on_the_host("systemctl disable --quiet things"),
        "gpu01: systemd_service:things: enabled was planned from true, is now false",
    ),
    "setting": (_another_text, "gpu01: things.text: is set to something else now"),
    "host gone": (_another_host, "gpu01: is no longer in the inventory"),
    "role gained": (_another_role, "gpu01: roles: is set to something else now"),
    "role code": (
        _in("roles/things/role.py", "Things:", "Few things:"),
        "roles/things: differs from what the plan was made with",
    ),
    "template": (
        _in("templates/things/conf.j2", "{{", "# {{"),
        "templates/things: differs from what the plan was made with",
    ),
    "tool": (
        _in("provision/state/plan.py", '"""', '""" '),
        "provision: the tool's own source differs from what made the plan",
    ),
}


@pytest.mark.matrix
@pytest.mark.parametrize("name", MOVES)
def test_what_moved_is_refused_by_its_name(workshop: Workshop, name: str) -> None:
    """With exit code 1, with nothing changed on the host, and with no other name."""
    move, said = MOVES[name]
    with move(workshop):
        before = workshop.look("gpu01")
        answer = workshop.inv("apply", PLAN)
        assert answer.status == 1, answer.text
        first, *others = answer.stdout.splitlines()
        assert first == said
        assert [line.startswith(REFUSED) for line in others] == [True]
        assert workshop.look("gpu01") == before


def test_another_secret_is_refused_and_not_shown(workshop: Workshop) -> None:
    """The variable by its name, its values nowhere."""
    before = workshop.look("gpu01")
    answer = workshop.inv("apply", PLAN, token="0ther-t0ken")  # noqa: S106
    assert answer.status == 1
    assert "gpu01: things.token: is set to something else now" in answer.stdout.splitlines()
    assert "0ther-t0ken" not in answer.text
    assert TOKEN not in answer.text
    assert workshop.look("gpu01") == before


@pytest.mark.parametrize("damage", ["edited", "truncated"])
def test_a_file_that_is_not_as_it_was_written_is_refused(
    workshop: Workshop, tmp_path: Path, damage: str
) -> None:
    """A plan that somebody changed was reviewed by nobody."""
    text = (workshop.folder / PLAN).read_text()
    file = tmp_path / "damaged.plan"
    edited = text.replace('"force": false', '"force": true')
    file.write_text({"edited": edited, "truncated": text[: len(text) // 2]}[damage])
    before = workshop.look("gpu01")
    answer = workshop.inv("apply", file)
    assert (answer.status, answer.stdout) == (1, "")
    assert len(answer.stderr.splitlines()) == 1
    assert damage in answer.stderr
    assert workshop.look("gpu01") == before


def test_one_host_that_moved_keeps_all_from_being_applied(
    workshop: Workshop, tmp_path: Path
) -> None:
    """All or nothing, unless the operator leaves the host out as the message says."""
    workshop.prepare("gpu02")
    workshop.describe(gpu01=workshop.address("gpu01"), gpu02=workshop.address("gpu02"))
    file = tmp_path / "both.plan"
    assert workshop.inv("plan", "--inventory", "prod", "--out", file).status == 2
    workshop.lab.exec("gpu02", "echo other >/etc/things/conf")
    before = workshop.look("gpu01"), workshop.look("gpu02")
    answer = workshop.inv("apply", file)
    assert answer.status == 1, answer.text
    assert "gpu02: file:/etc/things/conf: content differs" in answer.stdout
    assert "apply it without them: --host '!gpu02'." in answer.stdout
    assert (workshop.look("gpu01"), workshop.look("gpu02")) == before
    part = workshop.inv("apply", file, "--host", "!gpu02")
    assert part.status == 0, part.text
    assert workshop.look("gpu02") == before[1]
    assert workshop.lab.exec("gpu01", "cat /etc/things/conf").stdout == "new\n"


def test_a_host_that_cannot_be_reached_now_keeps_all_from_being_applied(
    workshop: Workshop,
) -> None:
    """Nobody can say that it is still as planned."""
    workshop.lab.exec("gpu01", "systemctl stop ssh ssh.socket")
    try:
        answer = workshop.inv("apply", PLAN)
    finally:
        workshop.lab.exec("gpu01", "systemctl start ssh")
    assert answer.status == 1
    assert "gpu01: cannot be planned now: gpu01 (" in answer.stdout
