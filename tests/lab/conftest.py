"""The lab that tests run on: two hosts of a name space of their own, fresh for the session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from engine_stand_in.build import archive
from faults import fleet
from keyboard import NAME, ROLES, inv, inventory

from provision import lab as labs
from provision.lab.models import TINY_CHAT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from provision.lab import Lab
    from provision.lab.hub_container import Hub


LONG = (
    *("test_vllm", "test_canary", "test_run_deaths", "test_profiles_history", "test_deploy"),
    *("test_verify", "test_profiles_login", "test_models_faults", "test_saved_plans", "test_spine"),
)
"""Modules that take minutes, the longest first: begun late, one process would wait for another."""


@pytest.hookimpl(trylast=True)  # after the order was shuffled
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long modules."""
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Bring up a lab that is nobody else's, and take it down at the end."""
    labs.down(NAME)
    yield labs.up(hosts=2, name=NAME, roles=ROLES)
    labs.down(NAME)


@pytest.fixture(scope="module")
def spoiled(lab: Lab) -> Iterator[Lab]:
    """Let the tests of a module spoil the first host: the next module finds it as new."""
    yield lab
    lab.reset("gpu01")


@pytest.fixture
def bare(spoiled: Lab) -> Iterator[str]:
    """Return a host that nothing was done to; the test may spoil it."""
    spoiled.reset("gpu01")
    yield "gpu01"
    spoiled.gpu("gpu01", "h200-x1")


@pytest.fixture(scope="session")
def first_run(lab: Lab) -> dict[str, str]:
    """Provision a bare host, and return what its Docker said right after, before anyone used it."""
    lab.reset("gpu02")
    answer = inv("provision", "--inventory", lab.inventory, "--host", "gpu02", "--yes")
    assert answer.status == 0, answer.text
    asked = {
        "starts": "journalctl -o cat -u docker.service | grep -c '^Started docker'",
        "files": "ls /etc/docker/daemon.json /var/lib/docker/engine-id",
        "live_restore": "docker info -f '{{.LiveRestoreEnabled}}'",
    }
    return {name: lab.exec("gpu02", script).stdout.strip() for name, script in asked.items()}


@pytest.fixture(scope="session")
def converged(first_run: dict[str, str]) -> str:
    """Return a host that was provisioned; tests leave it so."""
    del first_run
    return "gpu02"


@pytest.fixture(scope="session")
def models_lab() -> Iterator[Lab]:
    """Bring up four hosts of a lab of their own, whose hub no other test spoils."""
    labs.down(f"{NAME}-models")
    yield labs.up(hosts=4, name=f"{NAME}-models")
    labs.down(f"{NAME}-models")


@pytest.fixture
def hub(models_lab: Lab) -> Iterator[Hub]:
    """Return the hub of that lab, healthy, with an empty log and `master` where it began."""
    models_lab.hub.heal()
    models_lab.hub.move(TINY_CHAT, "master", to="v1")
    models_lab.hub.clear_log()
    yield models_lab.hub
    models_lab.hub.heal()


@pytest.fixture(scope="session")
def services_lab() -> Iterator[Lab]:
    """Bring up two hosts of a lab of their own, for services on a stand-in engine."""
    labs.down(f"{NAME}-services")
    yield labs.up(hosts=2, name=f"{NAME}-services", roles=("base", "docker", "models", "services"))
    labs.down(f"{NAME}-services")


@pytest.fixture(scope="session")
def stand_in_archive(services_lab: Lab) -> Path:
    """Return the archive with the images of the stand-in engine."""
    return archive(services_lab.engine)


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fleet.Fleet]:
    """Bring up two hosts with GPUs and services, which are well; a test that makes a fault heals it."""
    name = f"{NAME}-verify"
    labs.down(name)
    lab = labs.up(hosts=2, name=name, roles=fleet.ROLES)
    yield fleet.deployed(lab, archive(lab.engine), tmp_path_factory.mktemp("verify"))
    labs.down(name)


@pytest.fixture
def write_inventory(lab: Lab, tmp_path: Path) -> Callable[..., Path]:
    """Return what writes the lab's inventory with more settings for some hosts."""
    return lambda **hosts: inventory(lab, tmp_path, **hosts)
