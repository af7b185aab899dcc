"""The task `rollback`: what it asks hosts for, where it leads, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from provision.cli.rollback import way_back
from provision.errors import ServiceError
from provision.facts import OS, Docker, Facts
from provision.fleet import Visit
from provision.host.connection import Connection
from provision.inventory.load import load
from provision.inventory.schema import Host
from provision.serving.history import History, WayBack
from provision.state.kinds.service_release import ServiceRelease
from provision.state.resource import State
from provision.state.role import load_roles

ROOT: Final = Path(__file__).resolve().parents[2]
INV: Final = str(Path(sys.executable).with_name("inv"))
INVENTORY: Final = """\
hosts:
  gpu01:
    roles: [services]
    gpus: 2
    ssh: {address: 127.0.0.1, port: 1, user: root, connect_timeout: 5}
    services:
      bind: 127.0.0.1
      dir: /srv/provision
      wanted:
        chat: {model: /data/chat, port: 1281}
        embed: {model: /data/embed, port: 1282, task: embed}
  gpu02: {}
"""


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """Return an inventory of a host with two services, at whose address nobody listens."""
    path = tmp_path / "lab.yaml"
    path.write_text(INVENTORY, encoding="utf-8")
    return path


@pytest.fixture
def host(inventory: Path) -> Host:
    """Return that host."""
    return load(inventory, load_roles(ROOT)).hosts["gpu01"]


FACTS: Final = Facts(os=OS(id="debian"), docker=Docker(version="28.2.2"))


def _state(before: str) -> State:
    return {
        "release": "9f3e52d1a7c0",
        "configuration": "2b2b2b2b2b2b",
        "state": "running",
        "health": "healthy",
        "(before)": before,
        "(before_hash)": "1a" * 32 if before else "",
        "(before_kept)": 1763640120 if before else 0,
        "(before_patience)": 900 if before else 0,
    }


def _back(host: Host, only: tuple[str, ...] = (), **seen: State | None) -> WayBack:
    states = {f"service_release:{name}": state for name, state in seen.items()}
    return History(only=only).way_back(host, states)


# ---------------------------------------------------------------- what is asked, and where it leads


@pytest.mark.parametrize(
    ("only", "names"), [((), ["chat", "embed"]), (("embed",), ["embed"]), (("rerank",), [])]
)
def test_history_of_the_services_that_were_asked_for_is_read(
    host: Host, only: tuple[str, ...], names: list[str]
) -> None:
    """In the folder that the inventory names; and nothing of it is to be changed."""
    found = list(History(only=only).resources(host, FACTS))
    assert [item.name for item in found] == names
    for item in found:
        assert isinstance(item, ServiceRelease)
        assert (item.base, item.expected()) == ("/srv/provision", {})


def test_host_whose_docker_is_down_cannot_go_back(host: Host) -> None:
    """It is told so, with what to look at; the history alone would promise too much."""
    with pytest.raises(ServiceError, match="no Docker answers") as raised:
        list(History().resources(host, Facts(os=OS(id="debian"))))
    assert "inv provision --host gpu01" in raised.value.remedy


def test_each_service_goes_to_its_own_release_before(host: Host) -> None:
    """With all that the move needs to know of it."""
    role = _back(host, chat=_state("aa11"), embed=_state("bb22"))
    assert list(role.resources(host, FACTS)) == [
        ServiceRelease(
            name=name,
            base="/srv/provision",
            release=release,
            hash="1a" * 32,
            kept=1763640120,
            patience=900,
        )
        for name, release in (("chat", "aa11"), ("embed", "bb22"))
    ]


def test_service_without_a_release_before_is_left_where_it_is(host: Host) -> None:
    """It was deployed once, and the one that was changed since goes back alone."""
    role = _back(host, chat=_state("aa11"), embed=_state(""))
    assert [item.name for item in role.resources(host, FACTS)] == ["chat"]


@pytest.mark.parametrize(
    ("only", "seen", "said"),
    [
        (
            (),
            {"chat": _state(""), "embed": None},
            (
                "gpu01: there is nothing to go back to: chat is in release 9f3e52d1a7c0, and none "
                "before it is left; embed has never answered as it must. To run something else,"
            ),
        ),
        (
            ("chat", "embed"),
            {"chat": _state("aa11"), "embed": None},
            "gpu01: there is nothing to go back to: embed has never answered as it must. To run",
        ),
    ],
)
def test_host_with_nothing_to_go_back_to_is_one_clear_error(
    host: Host, only: tuple[str, ...], seen: dict[str, State | None], said: str
) -> None:
    """Of services that were named none is passed over in silence."""
    with pytest.raises(ServiceError) as raised:
        list(_back(host, only, **seen).resources(host, FACTS))
    assert str(raised.value).startswith(said)
    assert str(raised.value).endswith("inv deploy")


def test_host_without_the_service_that_was_named_has_nothing_to_do(host: Host) -> None:
    """Other hosts have it."""
    assert list(_back(host, ("rerank",)).resources(host, FACTS)) == []


# ---------------------------------------------------------------- the task


def _run(inventory: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    argv = [INV, "rollback", "--inventory", str(inventory), *flags]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--host", "gpu02"], "no selected host has the role 'services'"),
        (["--service", "chatt"], "no selected host has the service 'chatt'. Did you mean 'chat'?"),
        (["--serial", "half"], "expected hosts at once, got 'half'"),
        (["--max-fail", "-1"], "expected a number of hosts"),
        (["--role", "services"], "unknown option '--role'"),
    ],
)
def test_what_cannot_be_done_is_one_line(inventory: Path, flags: list[str], said: str) -> None:
    """With exit code 1, and without a word to any host."""
    done = _run(inventory, *flags)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_host_that_answers_only_the_second_time_does_not_pass_for_unchanged(host: Host) -> None:
    """What could not be read is told as it was, and nothing is planned in its place."""
    lost = Visit(host, Connection(host), error="gpu01 (10.0.0.1:22): the connection was lost")
    with pytest.raises(ServiceError) as raised:
        list(way_back(lost, History()).resources(host, FACTS))
    assert str(raised.value) == lost.error


def test_host_whose_history_cannot_be_read_is_a_row(inventory: Path) -> None:
    """It is told once, and counts as failed: nobody knows whether there is a way back."""
    done = _run(inventory, "--yes")
    assert done.returncode == 1
    assert done.stdout.count("the connection was refused") == 1, done.stdout
    assert "1 host: 0 changes; 1 failed" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
