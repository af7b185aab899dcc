"""Causes are read off the output of hosts that lie: in bounded time, whatever stands in it."""

from __future__ import annotations

import time
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.host.causes import _ALL, cause_of

LARGE: Final = 8 << 20
ENDED: Final = (
    "provision: service chat stopped while it started (exit code 1); its log stays in /x.log"
)
# Beginnings of what patterns look for, each followed by what they read over.
BEGINNINGS: Final = (
    *("CUDA out of memory ", "max seq len (1), 1 GiB KV cache is needed ", "unrecognized arguments: x"),
    *("on endpoint x (0): x0.0.0.0:1", "on endpoint x (0): 0", "on endpoint x (0): [::"),
    *("provision: x names x, which ", "provision: service x ", "provision: a names b names "),
    *("Release file ", "Retrying ", "error: Hash mismatch for a", "shared_memory.py "),
    *("invalid tool parser: x (choose from {a", "ERROR 1 1 [", "(x) ", "ValueError: ", "NCCL error: "),
    *("Could not get lock /x. It is held by process 1 (", "Model architectures [", "\n", " ", "\n ", "a"),
    *("Version 'x' for 'y", "E: ", "ERROR: ", "404 ", "provision: wrong key: ", "[", "\\", "{0}{name}"),
)  # fmt: skip


@pytest.mark.parametrize("end", ["", f"\n{ENDED}\n"], ids=["no end", "an end"])
@pytest.mark.parametrize("piece", BEGINNINGS)
def test_a_flood_of_one_beginning_is_read_in_bounded_time(piece: str, end: str) -> None:
    """8 MiB of it, on one line or on many: seconds where each try to the end would take hours."""
    for text in (piece * (LARGE // len(piece)), f"{piece}\n" * (LARGE // (len(piece) + 1))):
        begun = time.process_time()
        found = cause_of(text + end)
        assert time.process_time() - begun < 20
        assert found is None or len(found.what) + len(found.remedy) < 6000


@given(st.lists(st.sampled_from([*BEGINNINGS, ENDED, "\n"]), max_size=20).map("".join))
def test_any_output_has_a_cause_or_none(output: str) -> None:
    """Braces and groups that matched nothing stand in no text."""
    found = cause_of(output)
    assert found is None or (found.what and "None" not in found.what)


def test_what_a_service_says_counts_before_its_end_only() -> None:
    """The log of one that came up before, or comes after, is not why this one did not."""
    said = "RuntimeError: CUDA out of memory\n"
    before, after = cause_of(f"{said}{ENDED}\n"), cause_of(f"{ENDED}\n{said}")
    assert before is not None
    assert after is not None
    assert before.what == "chat: the GPU's memory does not suffice"
    assert after.what == "chat: it stopped while it started (exit code 1)"


def test_the_end_of_a_long_output_is_what_is_read() -> None:
    """What went wrong stands there."""
    found = cause_of("fine\n" * 2_000_000 + "E: No space left on device\n")
    assert found is not None
    assert found.what == "the disk is full"


def test_no_pattern_begins_to_read_over_lines_without_a_limit() -> None:
    r"""`[\s\S]*` from each place that fits would be tried to the end of the output."""
    for known in _ALL:
        assert r"[\s\S]*" not in known.pattern
        assert "(?s" not in known.pattern
