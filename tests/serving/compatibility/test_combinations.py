"""Every combination gets the findings that it must have, and no other."""

from __future__ import annotations

import pytest
from combinations import ROWS, Row, Said
from subjects import subject

from provision.finding import Finding
from provision.serving.compatibility.judge import judge


def findings(row: Row) -> list[Finding]:
    """Return what is wrong with a combination."""
    found = judge(subject(row.card, row.driver, row.image, **row.more))
    return [finding for finding in found if finding.verdict != "ok"]


def says(finding: Finding, said: Said) -> bool:
    """Say whether a finding is the one that a row names."""
    return (
        (finding.check, finding.verdict) == said[:2]
        and said.what in finding.what
        and said.remedy in finding.remedy
    )


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_a_combination_is_told_what_is_wrong_with_it_and_nothing_else(row: Row) -> None:
    """Each named finding is there with its remedy, and there are no others."""
    found = findings(row)
    for said in row.said:
        assert any(says(finding, said) for finding in found), [*map(str, found)]
    assert len(found) == len(row.said), [*map(str, found)]


def test_there_are_enough_combinations() -> None:
    """The table holds what the issue asks for: sixty combinations, works and works not."""
    assert len(ROWS) >= 60
    assert sum(not row.said for row in ROWS.values()) >= 15


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_what_fails_has_a_remedy_and_what_is_unknown_is_no_ok(row: Row) -> None:
    """A refusal always says what to do; what cannot be told is a warning that says so."""
    for finding in findings(row):
        assert finding.remedy or finding.verdict == "warn", finding
        assert finding.service == "chat"
        assert "\n" not in finding.what
        if finding.what.startswith("unknown"):
            assert finding.verdict == "warn"
