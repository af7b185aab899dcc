"""What the facts' script learns from rpm, where a distribution has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Machine

RELEASE = 'NAME="Rocky Linux"\nID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.6"\n'
# As rpm answers a query for many names: a line for each, in the order of the names.
RPM = """#!/bin/sh
for name; do
    case $name in
        docker-ce | runc) echo "ii $name" ;;
        docker | moby-engine | docker-engine | podman-docker | containerd | docker-runc | kubelet)
            echo "package $name is not installed" ;;
    esac
done
exit 8
"""


@pytest.mark.parametrize("shell", ["sh", "busybox"])
def test_packages_of_an_rpm_host_are_told_by_rpm(machine: Machine, shell: str) -> None:
    """The engine's package, and what else is in Docker's way; what is not installed is no package."""
    machine.file("/etc/os-release", RELEASE)
    machine.program("docker", "echo 'engine|28.2.2|/var/lib/docker|systemd|0|runc'")
    machine.program("rpm", RPM)
    machine.program("dpkg-query", "exit 127")
    facts = machine.facts(shell)
    assert facts.docker is not None
    assert facts.docker.package == "docker-ce"
    assert facts.engines == ("runc",)
    assert (facts.os.packages, facts.os.enterprise_linux) == ("dnf", 9)
    assert facts.unknown == ()


def test_a_host_whose_databases_do_not_answer_has_no_such_packages(machine: Machine) -> None:
    """Where neither answers, no engine is made up."""
    machine.file("/etc/os-release", RELEASE)
    for name in ("dpkg-query", "rpm", "docker"):
        machine.program(name, "exit 127")
    facts = machine.facts()
    assert (facts.docker, facts.engines) == (None, ())
