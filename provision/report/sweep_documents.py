"""A sweep as programs read it: JSON, JUnit XML and the text that Prometheus collects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from xml.etree import ElementTree as ET

from provision.checks.check import GROUPS
from provision.checks.sweep import HostSweep, Sweep, group_of, worst
from provision.finding import Finding
from provision.report.sweep_rows import made, masked, moment, reached, shown
from provision.report.visible import visible_json

_LEVELS: Final = {"ok": 0, "warn": 1, "fail": 2}


def sweep_json(sweep: Sweep) -> str:
    """Return one JSON document, keys sorted, secrets masked.

    | key | value |
    |---|---|
    | `inventory` | path of the inventory |
    | `begun`, `seconds` | when, in seconds since 1970, and how long it took |
    | `verdict` | the worst of all: `ok`, `warn` or `fail` |
    | `hosts` | by name: `reached`, `summary`, `seconds`, `verdict`, and the next three |
    | `groups` | by group: its worst verdict; `null` = nothing of it was checked |
    | `checks` | by check that was made: its worst verdict |
    | `findings` | list of `{check, group, verdict, service, what, remedy}`, in the order found |
    """
    sweep = masked(sweep)
    document = {
        "inventory": sweep.inventory,
        "begun": sweep.begun,
        "seconds": sweep.seconds,
        "verdict": sweep.verdict,
        "hosts": {host.host: _host(host) for host in sweep.hosts},
    }
    return visible_json(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)) + "\n"


def sweep_junit(sweep: Sweep) -> str:
    """Return JUnit XML: a suite a host, a case a check with its group as `classname`.

    A check that found a failure fails, with all of its findings in the text. JUnit knows no
    warning: a check that only warns passes, its findings are its `system-out`, and its property
    `verdict` is `warn`; the count of such checks is the suite's property `warnings`.
    """
    sweep = shown(sweep)
    suites = [_suite(host, sweep) for host in sweep.hosts]
    root = ET.Element("testsuites", name=f"verify {sweep.inventory}", time=f"{sweep.seconds:.3f}")
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(suite.get(count, 0)) for suite in suites)))
    root.extend(suites)
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def sweep_prometheus(sweep: Sweep) -> str:
    """Return metrics in the text format that node_exporter's textfile collector reads."""
    sweep = shown(sweep)
    hosts = sorted(sweep.hosts, key=lambda host: host.host)
    up = {_labels(host=host.host): int(reached(host)) for host in hosts}
    checks = {
        _labels(host=host.host, group=group_of(check), check=check): _LEVELS[worst(found)]
        for host in hosts
        for check, found in made(host).items()
    }
    metrics = (
        _metric("check", "Verdict of a check on a host: 0 ok, 1 warn, 2 fail.", checks),
        _metric("host_up", "Whether the host answered the sweep.", up),
        _metric("sweep_seconds", "How long the last sweep took.", {"": sweep.seconds}),
        _metric(
            "sweep_timestamp_seconds", "When the last sweep began, since 1970.", {"": sweep.begun}
        ),
    )
    return "".join(line + "\n" for metric in metrics for line in metric)


def _host(host: HostSweep) -> dict[str, Any]:
    return {
        "reached": reached(host),
        "summary": host.summary,
        "seconds": host.seconds,
        "verdict": host.verdict,
        "groups": {group: host.group(group) for group in GROUPS},
        "checks": {check: worst(found) for check, found in made(host).items()},
        "findings": [
            finding.model_dump(exclude={"host"}) | {"group": group_of(finding.check)}
            for finding in host.findings
        ],
    }


def _suite(host: HostSweep, sweep: Sweep) -> ET.Element:
    checks = made(host)
    verdicts = [worst(found) for found in checks.values()]
    suite = ET.Element(
        "testsuite",
        name=host.host,
        hostname=host.host,
        tests=str(len(checks)),
        failures=str(verdicts.count("fail")),
        errors="0",
        skipped="0",
        time=f"{host.seconds:.3f}",
        timestamp=moment(sweep.begun).strftime("%Y-%m-%dT%H:%M:%S"),
    )
    _properties(suite, {"summary": host.summary, "warnings": str(verdicts.count("warn"))})
    for check, found in checks.items():
        suite.append(_case(check, found))
    return suite


def _case(check: str, found: Sequence[Finding]) -> ET.Element:
    case = ET.Element("testcase", name=check, classname=group_of(check))
    verdict = worst(found)
    if verdict == "warn":
        _properties(case, {"verdict": verdict})
    failures = [finding for finding in found if finding.verdict == "fail"]
    if failures:
        message = "; ".join(_what(finding) for finding in failures)
        ET.SubElement(case, "failure", type=check, message=message).text = _lines(failures)
    others = [finding for finding in found if finding.verdict != "fail"]
    if others:
        ET.SubElement(case, "system-out").text = _lines(others)
    return case


def _properties(element: ET.Element, values: Mapping[str, str]) -> None:
    properties = ET.SubElement(element, "properties")
    for name, value in values.items():
        ET.SubElement(properties, "property", name=name, value=value)


def _what(finding: Finding) -> str:
    return ": ".join(filter(None, (finding.service, finding.what)))


def _lines(findings: Sequence[Finding]) -> str:
    """Return `fail: chat: what. remedy`, one line a finding."""
    return "\n".join(
        f"{finding.verdict}: {finding.model_copy(update={'host': ''})}" for finding in findings
    )


def _metric(name: str, text: str, samples: Mapping[str, float]) -> Iterator[str]:
    yield f"# HELP provision_{name} {text}"
    yield f"# TYPE provision_{name} gauge"
    for labels, value in samples.items():
        yield f"provision_{name}{labels} {value!r}"


def _labels(**labels: str) -> str:
    """Return `{host="gpu01",check="gpu.ecc"}`, escaped as the format wants it."""
    pairs = (f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{','.join(pairs)}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
