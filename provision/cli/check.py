"""The task that judges, with no host at hand, whether services will run where they are to run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.cli.command import FAILED, OK, PENDING, Options, command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.finding import Finding


@command(
    "inventory",
    "host",
    "group",
    "format",
    helps={"facts": "File of recorded facts. Default: beside the inventory (inv facts --record)."},
)
def check(options: Options, *, service: str = "", facts: str = "") -> int:
    """Judge whether driver, image, GPUs, model and flags fit together; no host is asked."""
    from pathlib import Path

    from provision.cli.selection import path_of, selected
    from provision.cli.services import named, with_services
    from provision.facts.record import path_beside, read
    from provision.report.console import consoles
    from provision.report.fit import fit_document, print_fit
    from provision.report.machine import write_json
    from provision.serving.compatibility.services import fitting
    from provision.serving.models import refuse_unlocked

    hosts = with_services(selected(options), "check")
    refuse_unlocked(hosts, ())
    only = named(service, hosts)
    path = Path(facts) if facts else path_beside(path_of(options))
    seen = read(path)
    found = {host.name: fitting(host, seen.get(host.name), only) for host in hosts}
    if options.format == "json":
        write_json(fit_document(found, seen))
    else:
        stdout, _ = consoles()
        print_fit(stdout, found, seen, path)
    return _code([finding for each in found.values() for finding in each])


def _code(findings: Sequence[Finding]) -> int:
    verdicts = {finding.verdict for finding in findings}
    return FAILED if "fail" in verdicts else PENDING if "warn" in verdicts else OK
