"""Sizes, rates and models as an operator reads them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from provision.fleet import Visit
from provision.host.apply import Outcome
from provision.host.connection import Connection
from provision.host.steps import Amount
from provision.inventory.schema import Host
from provision.report.meter import Meter
from provision.report.models import (
    lock_document,
    models_document,
    print_audit,
    print_lock,
    print_models,
)
from provision.serving.hub.update import Change
from provision.state.plan import HostPlan, RolePlan, Row
from provision.state.sizes import human_size


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (999.6, "1.0 kB"),
        (1000, "1.0 kB"),
        (15_200_000_000, "15.2 GB"),
        (830_000_000, "830 MB"),
        (999_949, "1000 kB"),
        (10**18, "1000 PB"),
    ],
)
def test_size_is_three_digits_and_a_unit(size: float, text: str) -> None:
    """Decimal units, as disks and hubs count."""
    assert human_size(size) in {text, text.replace("1000 kB", "1.0 MB")}


@given(st.integers(0, 1 << 60))
def test_every_size_reads_near_what_it_is(size: int) -> None:
    """The text is a number and a unit, and within some percent of the size."""
    number, unit = human_size(size).split()
    factor = 1000 ** ["B", "kB", "MB", "GB", "TB", "PB"].index(unit)
    assert abs(float(number) * factor - size) <= size * 0.06


def test_meter_tells_rate_and_time_left() -> None:
    """Over the last moments, so that a slow line is seen as one soon."""
    meter = Meter()
    assert str(meter) == ""
    meter.add(Amount(0, 10**10), 0)
    assert str(meter) == "0 B of 10.0 GB"
    meter.add(Amount(10**9, 10**10), 10)
    assert str(meter) == "1.0 GB of 10.0 GB, 100 MB/s, 90 s left".replace("90 s", "2 min")
    for second in range(11, 60):
        meter.add(Amount(10**9, 10**10), second)
    assert str(meter) == "1.0 GB of 10.0 GB"


def test_meter_counts_files_without_a_rate() -> None:
    """Files differ too much in size for one."""
    meter = Meter()
    meter.add(Amount(1, 400, "files"), 0)
    meter.add(Amount(3, 400, "files"), 1)
    assert str(meter) == "checked 3 of 400 files"


@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10), st.floats(0, 1e6)), max_size=20))
def test_meter_takes_whatever_comes(seen: list[tuple[int, int, float]]) -> None:
    """Amounts that shrink, other totals, and a clock that stands still."""
    meter = Meter()
    for done, total, now in seen:
        meter.add(Amount(done, total), now)
        assert " of " in str(meter)
        assert "-" not in str(meter)


# ---------------------------------------------------------------- tables


def _text(show: Any, *arguments: Any) -> str:
    file = io.StringIO()
    show(Console(file=file, width=200, highlight=False), *arguments)
    return file.getvalue()


def _visit() -> Visit:
    rows = [
        Row(
            id=f"model_snapshot:Qwen/{name}@c1",
            role="models",
            verdict="change",
            action=action,
            note="5.0 GB to go [x]",
        )
        for name, action in (("A", "create"), ("B", "update"))
    ]
    roles = (RolePlan(role="models", rows=tuple(rows), steps=(), notices=()),)
    host = Host(name="gpu01")
    return Visit(host, Connection(host), plan=HostPlan(host="gpu01", roles=roles))


def test_models_are_missing_partial_or_complete() -> None:
    """One row each, with what is to be done, and one line in sum."""
    lines = _text(print_models, [_visit()]).splitlines()
    assert [line.split()[:3] for line in lines[1:3]] == [
        ["gpu01", "Qwen/A@c1", "missing"],
        ["gpu01", "Qwen/B@c1", "partial"],
    ]
    assert lines[1].rstrip().endswith("5.0 GB to go [x]")
    assert lines[-1] == "0 of 2 complete"
    models = models_document([_visit()])["hosts"]["gpu01"]["models"]
    assert [item["state"] for item in models] == ["missing", "partial"]


def test_lock_tells_what_became_of_each_model() -> None:
    """Upgrades with both revisions, failures with their reason, and whether the file was written."""
    changes = [
        Change(key="modelscope:Q/A@master", action="upgraded", old="a" * 40, new="b" * 40),
        Change(key="modelscope:Q/B@master", action="failed", error="Q/B: [no] such model"),
    ]
    text = _text(print_lock, {Path("lab.lock"): changes})
    assert f"{'a' * 12} → {'b' * 12}" in text
    assert "Q/B: [no] such model" in text
    assert text.endswith("lab.lock: written\n")
    same = _text(print_lock, {Path("lab.lock"): changes[1:]})
    assert same.endswith("lab.lock: unchanged\n")
    assert (
        lock_document({Path("lab.lock"): changes})["files"]["lab.lock"][0]["action"] == "upgraded"
    )


def test_audit_names_what_is_damaged() -> None:
    """An error stands for itself; a host without one says nothing wrong."""
    outcome = Outcome(host="gpu01", error="gpu01: no longer as the hub lists them: [a]")
    text = _text(print_audit, [_visit()], [outcome])
    assert "no longer as the hub lists them: [a]" in text
