"""A sweep as programs read it: complete, in one order, and nothing in it breaks its format."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree as ET

import pytest
from sweeps import ECC, HOSTILE, LOST, TOKENS, XID, down, fleet, host, hostile, sweep

from provision.report.sweep_documents import sweep_json, sweep_junit, sweep_prometheus
from provision.secret import Secret

SMALL = sweep(
    host("gpu02", XID, ECC, TOKENS, down("gpu02"), checks=("gpu.xid", "gpu.ecc")),
    host("gpu01", checks=("gpu.ecc",)),
    host("gpu03", LOST, checks=("host.reachable",)),
)
# The text format of Prometheus: a name, labels in which \, " and new lines are escaped, a number.
SAMPLE = re.compile(
    r'[a-z_]+(\{[a-z]+="(?:[^"\\\n]|\\["\\n])*"(,[a-z]+="(?:[^"\\\n]|\\["\\n])*")*\})? [0-9.e+-]+'
)


def test_the_document_has_what_its_description_says() -> None:
    """Its keys are sorted and always there; a group of which nothing was checked is null."""
    document = json.loads(sweep_json(SMALL))
    assert list(document) == ["begun", "hosts", "inventory", "seconds", "verdict"]
    assert list(document["hosts"]) == ["gpu01", "gpu02", "gpu03"]
    ill = document["hosts"]["gpu02"]
    assert ill["checks"] == {"gpu.ecc": "warn", "gpu.xid": "fail", "services.running": "fail"}
    assert ill["groups"]["gpu"] == "fail"
    assert ill["groups"]["docker"] is None
    assert ill["findings"][0] == {
        "check": "gpu.xid",
        "group": "gpu",
        "verdict": "fail",
        "service": "",
        "what": "GPU 3: Xid 79 since the boot",
        "remedy": "Power it off.",
    }
    assert [document["hosts"][name]["reached"] for name in document["hosts"]] == [True, True, False]


def test_the_junit_report_has_a_suite_a_host_and_a_case_a_check() -> None:
    """A failure carries its remedy, a warning passes and says that it is one."""
    root = ET.fromstring(sweep_junit(SMALL))  # noqa: S314  our own
    assert dict(root.attrib) == {
        "name": "verify inventories/prod.yaml",
        "time": "8.250",
        "tests": "5",
        "failures": "3",
        "errors": "0",
    }
    assert [suite.get("name") for suite in root] == ["gpu02", "gpu01", "gpu03"]
    suite = root[0]
    assert ET.tostring(suite, encoding="unicode").rstrip() == (
        '<testsuite name="gpu02" hostname="gpu02" tests="3" failures="2" errors="0" skipped="0"'
        ' time="2.500" timestamp="2026-11-18T11:06:40">\n'
        "    <properties>\n"
        '      <property name="summary" value="2 NVIDIA H200" />\n'
        '      <property name="warnings" value="1" />\n'
        "    </properties>\n"
        '    <testcase name="gpu.ecc" classname="gpu">\n'
        "      <properties>\n"
        '        <property name="verdict" value="warn" />\n'
        "      </properties>\n"
        "      <system-out>warn: GPU 0: ECC is off. nvidia-smi -i 0 -e 1</system-out>\n"
        "    </testcase>\n"
        '    <testcase name="gpu.xid" classname="gpu">\n'
        '      <failure type="gpu.xid" message="GPU 3: Xid 79 since the boot">'
        "fail: GPU 3: Xid 79 since the boot. Power it off.</failure>\n"
        "    </testcase>\n"
        '    <testcase name="services.running" classname="services">\n'
        '      <failure type="services.running" message="chat: does not run">'
        "fail: chat: does not run. inv deploy --host gpu02 --service chat</failure>\n"
        "      <system-out>ok: chat: generated its last tokens 3 d ago</system-out>\n"
        "    </testcase>\n"
        "  </testsuite>"
    )


def test_any_text_makes_well_formed_xml() -> None:
    """XML 1.0 forbids control characters even as references: they come as their numbers."""
    text = sweep_junit(hostile())
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", text)
    root = ET.fromstring(text)  # noqa: S314  our own
    messages = [failure.get("message", "") for failure in root.iter("failure")]
    assert any("<script>alert(1)</script>" in message for message in messages)
    assert any(r"\x1b[2J" in message for message in messages)
    assert any("显存不足 °C" in message for message in messages)


def test_the_metrics_are_exactly_these() -> None:
    """Sorted, so that a file changes only when a value does; each metric with its type."""
    assert sweep_prometheus(SMALL).splitlines() == [
        "# HELP provision_check Verdict of a check on a host: 0 ok, 1 warn, 2 fail.",
        "# TYPE provision_check gauge",
        'provision_check{host="gpu01",group="gpu",check="gpu.ecc"} 0',
        'provision_check{host="gpu02",group="gpu",check="gpu.ecc"} 1',
        'provision_check{host="gpu02",group="gpu",check="gpu.xid"} 2',
        'provision_check{host="gpu02",group="services",check="services.running"} 2',
        'provision_check{host="gpu03",group="host",check="host.reachable"} 2',
        "# HELP provision_host_up Whether the host answered the sweep.",
        "# TYPE provision_host_up gauge",
        'provision_host_up{host="gpu01"} 1',
        'provision_host_up{host="gpu02"} 1',
        'provision_host_up{host="gpu03"} 0',
        "# HELP provision_sweep_seconds How long the last sweep took.",
        "# TYPE provision_sweep_seconds gauge",
        "provision_sweep_seconds 8.25",
        "# HELP provision_sweep_timestamp_seconds When the last sweep began, since 1970.",
        "# TYPE provision_sweep_timestamp_seconds gauge",
        "provision_sweep_timestamp_seconds 1795000000.0",
    ]


def test_every_line_of_metrics_keeps_the_grammar() -> None:
    """Quotes, backslashes and new lines in a name stay inside of their label."""
    text = sweep_prometheus(hostile())
    assert text.endswith("\n")
    for line in text.removesuffix("\n").split("\n"):
        assert line.startswith(("# HELP ", "# TYPE ")) or SAMPLE.fullmatch(line), line
    up = [line for line in text.split("\n") if line.startswith("provision_host_up{")]
    assert len(up) == len(hostile().hosts)
    assert len(up) == len(HOSTILE) - 1


def test_a_series_is_never_written_twice() -> None:
    """A collector throws the whole file away for one series that comes twice."""
    twice = [XID, XID.model_copy(update={"what": "GPU 4: Xid 48"}), ECC]
    lines = sweep_prometheus(fleet(64, dict.fromkeys(range(1, 65), twice))).splitlines()
    series = [line.rpartition(" ")[0] for line in lines if not line.startswith("#")]
    assert len(series) == len(set(series))


@pytest.mark.parametrize("write", [sweep_json, sweep_junit])
def test_every_finding_is_in_the_document(write: object) -> None:
    """What was found is told to programs as it is to people."""
    assert callable(write)
    text = write(SMALL)
    for finding in (each for one in SMALL.hosts for each in one.findings):
        assert finding.what in text
        assert finding.remedy in text


@pytest.mark.parametrize("write", [sweep_json, sweep_junit, sweep_prometheus])
def test_a_secret_is_in_no_document(write: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports are sent around; a secret with characters that a format escapes is masked, too."""
    assert callable(write)
    monkeypatch.setenv("PROVISION_TEST_KEY", 'sk-"<&\\very')
    value = Secret("env:PROVISION_TEST_KEY").reveal()
    told = XID.model_copy(update={"what": f"no {value}", "remedy": value, "service": value})
    text = write(sweep(host("gpu01", told).model_copy(update={"summary": value})))
    assert "very" not in text
