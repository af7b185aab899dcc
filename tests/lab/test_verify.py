"""The laws of `inv verify`: every fault is found, by its own checks alone, and nothing is changed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from engine_stand_in.build import image
from faults.fleet import HOST, OTHER, Fleet, Swept
from faults.inject import CHAT, FAULTS
from test_spine import FINGERPRINT

pytestmark = pytest.mark.lab
EXPECTED: dict[str, dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "faults" / "faults.yaml").read_text("utf-8")
)
CODES = {"warn": 2, "fail": 1}
RESTLESS = "-e /var/lib/docker/containers/ -e '^/tmp d '"
"""Where Docker writes what containers say, and puts a moment's file for each exec: also of the
health checks, when nobody looks."""
CONTAINERS = (
    "docker ps --all --no-trunc --format '{{.ID}} {{.Image}} {{.State}} {{.CreatedAt}}' | sort; "
    "docker images --all --no-trunc --quiet | sort; docker volume ls --quiet"
)
EVENTS = (
    "docker events --since {} --until $(($(date +%s) + 1)) --format '{{{{.Type}}}} {{{{.Action}}}}' | "
    "grep -E '^(container (create|destroy)|image pull)$' | sort"
)


def assert_found(swept: Swept, name: str) -> None:
    """See that exactly the checks of a fault have spoken, as it is written, and the exit code."""
    finds = EXPECTED[name]["finds"]
    findings = swept.findings()
    verdicts = sorted((check, verdict) for check, (verdict, _) in finds.items())
    assert sorted((one["check"], one["verdict"]) for one in findings) == verdicts, swept.told()
    for one in findings:
        assert finds[one["check"]][1] in f"{one['what']} {one['remedy']}", swept.told()
    codes = [CODES[verdict] for _, verdict in verdicts]
    assert swept.answer.status == min(codes, default=0)


def test_every_fault_of_the_list_can_be_made() -> None:
    """A fault that is added to the list is not forgotten here."""
    assert set(FAULTS) == set(EXPECTED)


@pytest.mark.matrix
@pytest.mark.parametrize("name", EXPECTED)
def test_a_fault_is_found_by_its_checks_alone(healthy: Fleet, name: str) -> None:
    """The named checks have the verdict and the words; no other check says anything."""
    with FAULTS[name](healthy.target):
        assert_found(healthy.sweep("--host", HOST), name)


def test_a_healthy_fleet_has_no_finding(healthy: Fleet) -> None:
    """Not one line, exit code 0; also of services that were called, and of healed hosts."""
    swept = healthy.sweep()
    assert [swept.told(host) for host in (HOST, OTHER)] == ["", ""]
    assert swept.answer.status == 0
    assert all(row["reached"] for row in swept.hosts.values())
    assert {"services.calls", "models.complete", "gpu.nvlink"} <= set(swept.hosts[HOST]["checks"])


def test_a_sweep_changes_nothing(healthy: Fleet) -> None:
    """Neither a file nor a package nor a unit nor a container of a host is another one."""
    seen = f"{{ {FINGERPRINT}; }} | grep -v {RESTLESS}; {CONTAINERS}"
    before = healthy.lab.exec(HOST, seen).stdout.splitlines()
    assert healthy.verify("--host", HOST).status == 0
    after = healthy.lab.exec(HOST, seen).stdout.splitlines()
    assert len(before) > 2000
    assert sorted(set(after) ^ set(before)) == []


def test_a_hanging_nvidia_smi_costs_its_host_alone(healthy: Fleet) -> None:
    """The host loses what hangs and nothing else; the sweep of another one is not slower for it."""
    with FAULTS["nvidia-smi-hangs"](healthy.target):
        swept = healthy.sweep()
    assert_found(swept, "nvidia-smi-hangs")
    assert swept.told(OTHER) == ""
    assert 8 < swept.hosts[HOST]["seconds"] < 60
    assert swept.hosts[OTHER]["seconds"] < swept.hosts[HOST]["seconds"] - 4


def test_a_sweep_can_be_narrowed(healthy: Fleet) -> None:
    """A group without one of its checks; what was not checked is neither well nor ill."""
    with FAULTS["gpu-pcie-narrow"](healthy.target):
        swept = healthy.sweep("--host", HOST, "--only", "gpu", "--skip", "gpu.pcie")
    assert swept.answer.status == 0, swept.told()
    groups = {check.partition(".")[0] for check in swept.hosts[HOST]["checks"]}
    assert groups == {"gpu"}
    assert "gpu.pcie" not in swept.hosts[HOST]["checks"]
    assert swept.hosts[HOST]["groups"]["docker"] is None


def test_an_unknown_group_is_refused_with_the_nearest_name(healthy: Fleet) -> None:
    """Before any host is asked."""
    answer = healthy.verify("--only", "gpus")
    assert answer.status == 1
    assert "there is no check or group 'gpus'" in answer.stderr
    assert "gpu" in answer.stderr.partition("'gpus'")[2]


def test_every_report_tells_of_the_same_fault(healthy: Fleet, tmp_path: Path) -> None:
    """On paper and for machines, in a file that holds the whole of it."""
    files = {form: tmp_path / form for form in ("junit", "prometheus", "html")}
    with FAULTS["gpu-persistence-off"](healthy.target):
        for form, file in files.items():
            answer = healthy.verify("--format", form, "--out", file)
            assert (answer.status, answer.stdout) == (2, ""), answer.text
        shown = healthy.verify("--explain")
    suites = {suite.get("name"): suite for suite in ET.parse(files["junit"]).getroot()}  # noqa: S314  our own
    assert set(suites) == {HOST, OTHER}
    warnings = suites[HOST].find("properties/property[@name='warnings']")
    assert warnings is not None
    assert warnings.get("value") == "1"
    samples = files["prometheus"].read_text("utf-8")
    labels = f'{{host="{HOST}",group="gpu",check="gpu.persistence"}}'
    assert f"provision_check{labels} 1\n" in samples
    assert f'provision_host_up{{host="{OTHER}"}} 1\n' in samples
    page = files["html"].read_text("utf-8")
    assert "persistence mode is off" in page
    assert "persistence mode is off" in shown.stdout
    assert "puts a GPU to sleep" in shown.stdout


def test_a_host_that_is_not_reached_is_a_row(healthy: Fleet, tmp_path: Path) -> None:
    """With the reason and what to do; the others are swept all the same."""
    document = yaml.safe_load(healthy.inventory.read_text("utf-8"))
    document["hosts"][OTHER]["ssh"]["port"] = 9
    path = tmp_path / "fleet.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")
    swept = healthy._replace(inventory=path).sweep()
    assert swept.answer.status == 1
    (finding,) = swept.findings(OTHER)
    assert (finding["check"], finding["verdict"]) == ("host.reachable", "fail")
    assert finding["remedy"]
    assert not swept.hosts[OTHER]["reached"]
    assert (swept.hosts[HOST]["reached"], swept.told(HOST)) == (True, "")


def test_a_deep_sweep_starts_one_container_and_leaves_none(healthy: Fleet) -> None:
    """Of an image that is there; it pulls nothing, and says nothing of a host that is well."""
    target = healthy.target
    before, since = target.root(CONTAINERS), target.root("date +%s.%N").strip()
    swept = healthy.sweep("--host", HOST, "--deep")
    assert (swept.answer.status, swept.told()) == (0, "")
    assert "toolkit.container" in swept.hosts[HOST]["checks"]
    assert target.root(CONTAINERS) == before
    assert target.root(EVENTS.format(since)).splitlines() == [
        "container create",
        "container destroy",
    ]


def test_a_deep_sweep_finds_that_no_container_gets_a_gpu(healthy: Fleet) -> None:
    """What is installed and registered looks right; only a container shows that it does not work."""
    hook, kept = "/usr/bin/nvidia-container-runtime-hook", "/root/hook"
    target = healthy.target
    target.root(f"cp -p {hook} {kept}; printf '#!/bin/sh\\nexit 1\\n' >{hook}")
    try:
        swept = healthy.sweep("--host", HOST, "--deep")
        assert healthy.sweep("--host", HOST).told() == ""
    finally:
        target.root(f"cat {kept} >{hook}; rm {kept}")
    (finding,) = swept.findings()
    assert (finding["check"], finding["verdict"]) == ("toolkit.container", "fail"), swept.told()


def test_a_container_with_a_gpu_that_is_not_there_does_not_start(healthy: Fleet) -> None:
    """The lab's stand-in for the toolkit says it in the words of the real one."""
    run = "docker run --rm --gpus '\"device={}\"' --entrypoint nvidia-smi {} -L 2>&1"
    there = healthy.lab.exec(HOST, run.format(1, image()))
    assert there.returncode == 0, there.stdout
    missing = healthy.lab.exec(HOST, run.format(7, image()))
    assert missing.returncode != 0
    assert "nvidia-container-cli: device error: 7: unknown device" in missing.stdout


def test_gpus_of_a_service_are_looked_at_where_it_runs(healthy: Fleet) -> None:
    """What counts is what its own container sees, and the finding names the service."""
    with FAULTS["gpus-lost-in-container"](healthy.target):
        (finding,) = healthy.sweep("--host", HOST, "--only", "docker").findings()
    assert finding["service"] == CHAT
    assert re.search(r"sees 0 of 1 GPUs: Failed to initialize NVML", finding["what"])
