"""Checks: what is wrong with a host, and that every finding says what to do about it."""

from __future__ import annotations

from typing import Any

import pytest

from provision.checks.driver import check_driver
from provision.checks.finding import Finding
from provision.checks.system import check_system
from provision.facts import GPU, OS, Driver, Facts

OK = Driver(status="ok", kernel_module="580.159.04", library="580.159.04", cuda="13.0")
TWO = tuple(GPU(index=index, uuid=f"GPU-{index}", name="NVIDIA H200") for index in range(2))


def _facts(**values: Any) -> Facts:
    return Facts(**{"os": OS(id="debian", name="Debian 12"), "systemd": True, **values})


def _only(findings: list[Finding]) -> Finding:
    (finding,) = findings
    assert finding.message
    assert finding.remedy.endswith((".", "`.", "`")), finding.remedy
    assert str(finding) == f"{finding.message}. {finding.remedy}"
    return finding


@pytest.mark.parametrize("gpus", [None, 2])
def test_a_driver_that_works_is_no_finding(gpus: int | None) -> None:
    """All declared GPUs seen, or none declared: nothing to say."""
    assert check_driver(_facts(driver=OK, gpus=TWO), gpus) == []


@pytest.mark.parametrize(
    ("values", "message", "remedy"),
    [
        ({"driver": Driver(status="absent")}, "no NVIDIA driver", "ubuntu-drivers install"),
        ({"driver": Driver(status="absent")}, "no NVIDIA driver", "gpus: 0"),
        (
            {"driver": Driver(status="absent"), "nouveau": True},
            "nouveau is loaded instead of the NVIDIA driver",
            "blacklist nouveau",
        ),
        (
            {"driver": Driver(status="mismatch", kernel_module="580.126", library="580.159")},
            "driver/library version mismatch: kernel module 580.126, libraries 580.159",
            "reboot",
        ),
        ({"driver": Driver(status="mismatch")}, "kernel module ?, libraries ?", "reboot"),
        (
            {"driver": Driver(status="not loaded", message="NVIDIA-SMI has failed")},
            "the NVIDIA kernel module is not loaded: NVIDIA-SMI has failed",
            "modprobe nvidia",
        ),
        ({"driver": Driver(status="broken")}, "nvidia-smi fails", "dmesg"),
        ({"unknown": ("driver", "gpus")}, "nvidia-smi gave no answer in time", "reboot"),
        ({"driver": OK, "unknown": ("gpus",)}, "nvidia-smi gave no answer in time", "dmesg"),
        ({"driver": None}, "nvidia-smi gave no answer in time", "dmesg"),
        ({"driver": OK, "gpus": TWO}, "8 GPUs are declared, nvidia-smi sees 2", "gpus: 2"),
        ({"driver": OK}, "8 GPUs are declared, nvidia-smi sees 0", "fallen off the bus"),
    ],
)
def test_a_driver_that_does_not_work_fails_with_its_remedy(
    values: dict[str, Any], message: str, remedy: str
) -> None:
    """Each way in which a driver can be broken has one finding and its own next step."""
    finding = _only(check_driver(_facts(**values), 8))
    assert (finding.check, finding.level) == ("driver", "fail")
    assert message in finding.message
    assert remedy in finding.remedy


@pytest.mark.parametrize(
    ("values", "level", "message"),
    [
        ({"systemd": False}, "warn", "not booted with systemd"),
        ({"os": OS(id="openEuler", name="openEuler 24.03")}, "fail", "openEuler 24.03 is not"),
        ({"os": OS(id="alpine")}, "fail", "alpine is not supported yet"),
        ({"unknown": ("docker",)}, "fail", "docker info gave no answer"),
    ],
)
def test_a_system_that_cannot_be_provisioned_is_found(
    values: dict[str, Any], level: str, message: str
) -> None:
    """A foreign system, a missing init and an engine that hangs are said before a plan is made."""
    finding = _only(check_system(_facts(**values)))
    assert finding.level == level
    assert message in finding.message


@pytest.mark.parametrize(
    "os", [OS(id="debian"), OS(id="ubuntu", like=("debian",)), OS(id="linuxmint", like=("ubuntu",))]
)
def test_debian_and_its_family_are_supported(os: OS) -> None:
    """Derivatives count by what they are like."""
    assert check_system(_facts(os=os, unknown=("toolkit",))) == []
