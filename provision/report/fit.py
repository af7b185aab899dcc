"""Whether services fit their hosts, as an operator reads it: what cannot work, what is doubtful."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from provision.finding import Finding, Verdict
from provision.report.sweep_rows import folded, plural
from provision.secret import redact

_MARKS: Final[Mapping[Verdict, tuple[str, str]]] = {
    "fail": ("x", "red"),
    "warn": ("!", "yellow"),
    "ok": (" ", "dim"),
}


def print_fit(
    console: Console,
    found: Mapping[str, Sequence[Finding]],
    seen: Collection[str],
    path: Path,
) -> None:
    """Print the findings of each host, worst first, then the sum, and whose facts were missing."""
    for hosts, findings in _alike(found).items():
        if findings:
            console.print(Text(folded(hosts), "bold"))
        for verdict, (mark, colour) in _MARKS.items():
            for line in _lines(findings, verdict):
                console.print(Text(redact(f"  {mark} {line}"), colour), soft_wrap=True)
    counts = {
        verdict: sum(each.verdict == verdict for every in found.values() for each in every)
        for verdict in ("fail", "warn")
    }
    warnings = plural(counts["warn"], "warning")
    console.print(f"{plural(len(found), 'host')}: {counts['fail']} refused, {warnings}")
    unknown = [host for host in found if host not in seen]
    if unknown:
        console.print(
            f"Judged without facts of {folded(unknown)}: record them with "
            f"inv facts --record ({path})",
            soft_wrap=True,
        )


def fit_document(found: Mapping[str, Sequence[Finding]], seen: Collection[str]) -> dict[str, Any]:
    """Return `{hosts: {name: {facts, findings: [{check, verdict, what, remedy, service}]}}}`."""
    return {
        "hosts": {
            host: {
                "facts": host in seen,
                "findings": [each.model_dump(exclude={"host"}) for each in findings],
            }
            for host, findings in found.items()
        }
    }


def _alike(found: Mapping[str, Sequence[Finding]]) -> dict[tuple[str, ...], list[Finding]]:
    """Return the findings by the hosts that have exactly these."""
    groups: dict[tuple[Finding, ...], list[str]] = {}
    for host, findings in found.items():
        nameless = tuple(each.model_copy(update={"host": ""}) for each in findings)
        groups.setdefault(nameless, []).append(host)
    return {tuple(hosts): list(findings) for findings, hosts in groups.items()}


def _lines(findings: Sequence[Finding], verdict: Verdict) -> list[str]:
    """Return `chat, embed: what. remedy`; what is the same of several services is said once."""
    services: dict[Finding, list[str]] = {}
    for each in findings:
        if each.verdict == verdict:
            services.setdefault(each.model_copy(update={"service": ""}), []).append(each.service)
    return [
        str(each.model_copy(update={"service": ", ".join(filter(None, names))}))
        for each, names in services.items()
    ]
