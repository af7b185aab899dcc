"""What works on a host is kept, what was interrupted is finished, what would harm is refused."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from keyboard import INV, PROJECT, await_that, inv

from provision.lab import Lab

pytestmark = pytest.mark.lab
Write = Callable[..., Path]
NOTE = "/var/lib/provision/pending/systemd_service:docker:restart"
INSTALL_DOCKER_IO = (
    "apt-get update -qq && DEBIAN_FRONTEND=noninteractive "
    "apt-get install -y -qq docker.io docker-cli >/dev/null && docker info >/dev/null"
)
STARTS = "systemctl show -p ActiveEnterTimestampMonotonic docker"


def test_working_engine_of_the_distribution_is_kept(lab: Lab, bare: str) -> None:
    """A docker.io that answers stays, gets the nvidia runtime, and the second run changes nothing."""
    done = lab.exec(bare, INSTALL_DOCKER_IO)
    assert done.returncode == 0, done.stderr
    answer = inv("provision", "--inventory", lab.inventory, "--host", bare, "--yes")
    again = inv("provision", "--inventory", lab.inventory, "--host", bare, "--yes")
    assert answer.status == 0, answer.text
    assert "package:docker-ce" not in answer.stdout
    assert lab.exec(bare, "dpkg -s docker-ce").returncode != 0
    assert "nvidia" in lab.exec(bare, "docker info -f '{{json .Runtimes}}'").stdout
    assert "0 changes" in again.stdout


def test_engine_that_does_not_answer_is_not_replaced_behind_ones_back(lab: Lab, bare: str) -> None:
    """A stopped docker.io is refused with the choice there is, and nothing is changed."""
    assert lab.exec(bare, INSTALL_DOCKER_IO).returncode == 0
    lab.exec(bare, "systemctl stop docker.socket docker.service")
    answer = inv("provision", "--inventory", lab.inventory, "--host", bare, "--yes")
    assert answer.status == 1
    assert "docker.io is installed, but no Docker Engine answers" in answer.stdout
    assert "docker.replace_engine: true" in answer.stdout
    assert lab.exec(bare, "test -e /etc/apt/keyrings/docker-ce.gpg").returncode == 1


def test_restart_that_a_dead_run_left_behind_is_done_by_the_next(lab: Lab, converged: str) -> None:
    """A restart noted on the host is in the plan, is done once, and is then forgotten."""
    lab.exec(converged, f"mkdir -p {NOTE.rpartition('/')[0]} && touch {NOTE}")
    before = lab.exec(converged, STARTS).stdout
    planned = inv("plan", "--inventory", lab.inventory, "--host", converged)
    assert planned.status == 2
    assert "systemd_service:docker   restart_pending: true → false" in planned.stdout
    assert lab.exec(converged, STARTS).stdout == before
    assert inv("provision", "--inventory", lab.inventory, "--host", converged, "--yes").status == 0
    assert lab.exec(converged, STARTS).stdout != before
    assert inv("plan", "--inventory", lab.inventory, "--host", converged).status == 0


def test_daemon_json_that_docker_would_refuse_never_takes_the_old_ones_place(
    lab: Lab, converged: str, write_inventory: Write
) -> None:
    """A key that dockerd does not know is refused before the write, and Docker keeps running."""
    before = lab.exec(converged, "cat /etc/docker/daemon.json").stdout
    path = write_inventory(gpu02={"docker": {"daemon": {"no-such-option": True}}})
    answer = inv("provision", "--inventory", path, "--host", converged, "--yes")
    assert answer.status == 1, answer.text
    assert "no-such-option" in answer.stdout
    assert lab.exec(converged, "cat /etc/docker/daemon.json").stdout == before
    assert lab.exec(converged, "docker info").returncode == 0
    assert inv("plan", "--inventory", lab.inventory, "--host", converged).status == 0


def test_moving_the_data_root_of_a_running_engine_is_refused(
    converged: str, write_inventory: Write
) -> None:
    """Another data root would hide all images and containers: the plan fails and says so."""
    path = write_inventory(gpu02={"docker": {"data_root": "/data/docker"}})
    answer = inv("plan", "--inventory", path, "--host", converged)
    assert answer.status == 1
    assert "images and containers lie in /var/lib/docker" in answer.stdout


def test_removal_that_nobody_was_shown_is_refused(lab: Lab, bare: str) -> None:
    """When apt would remove a package that the plan does not name, nothing is installed."""
    lab.exec(bare, "apt-get update -qq && apt-get install -y -qq chrony >/dev/null")
    script = (
        "mkdir -p /tmp/x/DEBIAN && printf 'Package: in-the-way\\nVersion: 1\\nArchitecture: all\\n"
        "Maintainer: t <t@t>\\nConflicts: docker-ce-cli\\nDescription: t\\n' >/tmp/x/DEBIAN/control"
        " && dpkg-deb -b /tmp/x /tmp/x.deb >/dev/null && dpkg -i /tmp/x.deb"
    )
    assert lab.exec(bare, script).returncode == 0
    answer = inv("provision", "--inventory", lab.inventory, "--host", bare, "--yes")
    assert answer.status == 1
    assert "apt would also remove in-the-way" in answer.stdout
    assert lab.exec(bare, "dpkg -s docker-ce").returncode != 0


def test_ctrl_c_in_the_midst_of_an_installation(lab: Lab, bare: str) -> None:
    """Apt is ended, and the next run brings what it left half-way to its end."""
    words = ["provision", "--inventory", str(lab.inventory), "--host", bare, "--yes"]
    run = subprocess.Popen(
        [INV, *words], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert run.stderr is not None
    for line in run.stderr:
        if "install docker-ce" in line:
            break
    unpacked = "until grep -qs containerd.io /var/log/dpkg.log; do sleep 0.1; done"
    assert lab.exec(bare, f"timeout 60 sh -c '{unpacked}'").returncode == 0
    run.send_signal(signal.SIGINT)
    stdout, _ = run.communicate(timeout=30)
    assert run.returncode == 1
    assert "stopped by the operator" in stdout
    await_that(lambda: lab.exec(bare, "pgrep -x 'apt-get|dpkg'").stdout == "", 10)
    assert inv(*words).status == 0
    assert "0 changes" in inv("plan", "--inventory", lab.inventory, "--host", bare).stdout


def test_service_that_changes_together_with_its_configuration(lab: Lab, converged: str) -> None:
    """A disabled Docker whose daemon.json differs too is enabled, restarted once, and well."""
    lab.exec(converged, "systemctl disable -q docker")
    lab.exec(converged, 'sed -i \'s/"nvidia-container-runtime"/"gone"/\' /etc/docker/daemon.json')
    words = ("provision", "--inventory", lab.inventory, "--host", converged, "--yes")
    answer = inv(*words)
    assert answer.status == 0, answer.text
    assert answer.stderr.count("gpu02: restart docker") == 1
    assert "0 changes" in inv(*words).stdout
