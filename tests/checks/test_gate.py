"""The gate of a plan: it judges by the checks of the sweep, and stops what cannot work."""

from __future__ import annotations

from typing import Any, Final

import pytest
from sights import facts, host, sight

from provision.checks.gate import before_plan, forbids_apply, refusals
from provision.checks.registry import judged
from provision.facts import GPU, OS, Driver, Facts
from provision.finding import Finding
from provision.serving.deployment import Deployment
from provision.serving.history import History, WayBack
from provision.serving.roles import DEPLOY

ALL: Final = host().roles
OK: Final = Driver(status="ok", kernel_module="580.159.04", library="580.159.04", cuda="13.0")


def _only(seen: Facts, name: str = "gpu01", roles: tuple[str, ...] = ALL) -> Finding:
    (finding,) = before_plan(host(name), roles, seen)
    return finding


def test_a_host_that_is_well_is_planned_without_a_word() -> None:
    """Nothing to say, nothing that stops a plan, nothing that forbids to apply it."""
    assert before_plan(host(), ALL, facts()) == []


def test_a_bare_host_with_a_driver_can_be_planned() -> None:
    """What a plan is to install is not missed before it."""
    bare = facts(docker=None, toolkit=None)
    assert before_plan(host(), ALL, bare) == []


@pytest.mark.parametrize(
    ("values", "what", "remedy"),
    [
        ({"driver": Driver(status="absent")}, "no NVIDIA driver", "ubuntu-drivers install"),
        ({"driver": Driver(status="absent")}, "no NVIDIA driver", "gpus: 0"),
        (
            {"driver": Driver(status="absent"), "nouveau": True},
            "nouveau is loaded instead of the NVIDIA driver",
            "blacklist nouveau",
        ),
        (
            {"driver": Driver(status="not loaded"), "nouveau": True},
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
        ({"unknown": ("gpus",)}, "nvidia-smi gave no answer in time", "dmesg"),
        ({"driver": None}, "nvidia-smi gave no answer in time", "dmesg"),
        ({"gpus": facts().gpus[:1]}, "nvidia-smi sees 1 of 2 declared GPUs", "gpus: 1"),
        ({"gpus": ()}, "nvidia-smi sees 0 of 2 declared GPUs", "fallen off the bus"),
        (
            {"gpus": (*facts().gpus, GPU(index=2, uuid="GPU-3", name="NVIDIA H200"))},
            "nvidia-smi sees 3 GPUs, and 2 are declared",
            "gpus: 3",
        ),
        ({"os": OS(id="openEuler", name="openEuler 24.03")}, "openEuler 24.03 is not", "Debian 12"),
        ({"os": OS(id="alpine")}, "alpine is not supported yet", "Ubuntu 22.04"),
        ({"unknown": ("docker",), "docker": None}, "docker info gave no answer", "journalctl"),
    ],
)
def test_what_cannot_work_stops_a_plan_with_its_remedy(
    values: dict[str, Any], what: str, remedy: str
) -> None:
    """Each way in which a host can be unfit has one finding and its own next step."""
    finding = _only(facts(**values))
    assert finding.verdict == "fail"
    assert what in finding.what
    assert remedy in finding.remedy
    assert refusals([finding]) == [f"{finding.what}. {finding.remedy}"]


@pytest.mark.parametrize(
    "values",
    [
        {"driver": Driver(status="absent")},
        {"gpus": facts().gpus[:1]},
        {"unknown": ("driver",)},
        {"os": OS(id="alpine")},
    ],
)
def test_a_sweep_judges_as_a_plan_does(values: dict[str, Any]) -> None:
    """What a plan refuses a sweep reports in the same words, and as one finding of its name."""
    finding = _only(facts(**values))
    swept = [each for each in judged(sight(facts=facts(**values))) if each.check == finding.check]
    assert swept == [finding.model_copy(update={"host": "gpu01"})]


@pytest.mark.parametrize(
    "system",
    [
        OS(id="debian"),
        OS(id="debian", version="12"),
        OS(id="ubuntu", version="22.04"),
        OS(id="ubuntu", like=("debian",)),
        OS(id="linuxmint", like=("ubuntu",), version="21"),
    ],
)
def test_debian_and_its_family_are_supported(system: OS) -> None:
    """Derivatives count by what they are like; a release without a number is the newest."""
    assert before_plan(host(), ALL, facts(os=system, unknown=("toolkit",))) == []


def test_an_older_release_is_a_warning() -> None:
    """It may work, so a plan is made."""
    finding = _only(facts(os=OS(id="ubuntu", version="20.04", name="Ubuntu 20.04 LTS")))
    assert (finding.verdict, refusals([finding])) == ("warn", [])


def test_without_systemd_a_plan_is_made_and_not_applied() -> None:
    """Roles that manage units and packages cannot be applied there."""
    finding = _only(facts(systemd=False))
    assert (finding.check, finding.verdict, refusals([finding])) == ("host.boot", "warn", [])
    assert forbids_apply([finding]) == [str(finding)]


@pytest.mark.parametrize("role", [Deployment(), History(), WayBack()])
def test_a_deployment_needs_no_systemd(role: Any) -> None:
    """Bringing services up, and back, talks to Docker alone."""
    variables = {**host().variables, DEPLOY: role}
    about = host().model_copy(update={"roles": (DEPLOY,), "variables": variables})
    assert before_plan(about, (DEPLOY,), facts(systemd=False)) == []


def test_the_description_of_services_needs_no_systemd() -> None:
    """It has no resources of its own: a deployment brings them up."""
    assert before_plan(host(), ("services",), facts(systemd=False)) == []


def test_only_selected_roles_are_judged() -> None:
    """A role that makes no sense without GPUs is missed where it is planned, and only there."""
    bare = facts(driver=Driver(status="absent"), gpus=(), nvidia_devices=0)
    assert before_plan(host("unsure"), ("base",), bare) == []
    assert _only(bare, "unsure", ("base", "nvidia_container_toolkit")).check == "driver.loaded"


def test_an_undeclared_number_is_held_against_the_bus() -> None:
    """A GPU that nvidia-smi misses is worth a warning; on the bus it may belong to somebody."""
    finding = _only(facts(gpus=facts().gpus[:1]), "unsure", host("unsure").roles)
    assert (finding.check, finding.verdict) == ("gpu.count", "warn")
    assert finding.what == "nvidia-smi sees 1 of 2 NVIDIA GPUs on the bus"


def test_a_host_without_gpus_is_not_asked_for_any() -> None:
    """With gpus: 0 no state of a driver is a finding."""
    for driver in (None, Driver(status="absent"), Driver(status="mismatch")):
        assert before_plan(host("plain"), ("base",), facts(driver=driver, gpus=())) == []
