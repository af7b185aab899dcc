"""Sweeps of small and of large fleets, for the tests of their reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from provision.checks.registry import BACKGROUND
from provision.checks.sweep import HostSweep, Sweep
from provision.finding import Finding

EXPLAIN: Final = BACKGROUND
FEW: Final = ("host.disk", "gpu.ecc", "gpu.xid", "services.running")
LOST: Final = Finding(
    check="host.reachable", verdict="fail", what="no connection: timed out", remedy="Is it on?"
)
XID: Final = Finding(
    check="gpu.xid", verdict="fail", what="GPU 3: Xid 79 since the boot", remedy="Power it off."
)
ECC: Final = Finding(
    check="gpu.ecc", verdict="warn", what="GPU 0: ECC is off", remedy="nvidia-smi -i 0 -e 1"
)
TOKENS: Final = Finding(
    check="services.running", verdict="ok", what="generated its last tokens 3 d ago", service="chat"
)
HOSTILE: Final = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "</style></title></script><b>",
    "\x1b[2J\x1b]0;owned\x07",
    "\x00\x08\ud800\ufffe\uffff",
    "one\ntwo\r\nthree\u2028four",
    "gpu\u202e10\u2066",
    "]]> &amp; & %s {0} $x \\ \" ' `",
    "[bold]no[/]",
    "显存不足 °C",
)
"""What a host may say that another program would obey; kept by every report, obeyed by none."""


def down(host: str) -> Finding:
    """Return a finding whose remedy is a command for its host."""
    return Finding(
        check="services.running",
        verdict="fail",
        what="does not run",
        remedy=f"inv deploy --host {host} --service chat",
        host=host,
        service="chat",
    )


def host(name: str, *findings: Finding, checks: Sequence[str] = FEW) -> HostSweep:
    """Return what was found on a host."""
    return HostSweep(
        host=name, summary="2 NVIDIA H200", checks=tuple(checks), findings=findings, seconds=2.5
    )


def sweep(*hosts: HostSweep, explain: bool = False) -> Sweep:
    """Return a sweep that began at a known time."""
    return Sweep(
        inventory="inventories/prod.yaml",
        begun=1_795_000_000.0,
        seconds=8.25,
        hosts=hosts,
        explain=explain,
    )


def fleet(count: int, found: Mapping[int, Sequence[Finding]] | None = None) -> Sweep:
    """Return a sweep of `gpu01` and so on, with what was found on some of them, by number."""
    names = (f"gpu{number:02d}" for number in range(1, count + 1))
    return sweep(
        *(host(name, *(found or {}).get(number, ())) for number, name in enumerate(names, start=1))
    )


def hostile() -> Sweep:
    """Return a sweep in which every text is hostile; a host's name stays its own."""
    hosts = (
        HostSweep(
            host=f"{text}{number}",
            summary=text,
            checks=(f"gpu.{text}", "gpu.ecc"),
            findings=tuple(
                Finding.model_construct(
                    check=check,
                    verdict=verdict,
                    what=f"what {text}",
                    remedy=f"remedy {text}",
                    host=text,
                    service=text,
                )
                for verdict in ("fail", "warn", "ok")
                for check in (f"gpu.{text}", f"{text}.gpu")
            ),
        )
        for number, text in enumerate(text for text in HOSTILE if "\ud800" not in text)
    )
    return sweep(*hosts).model_copy(update={"inventory": HOSTILE[0]})
