"""The laws of parts of slow matrices: together they are all, and no part lacks a law."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shard import PARTS, Shard, named, today

SOME_LAWS = """
import pytest

@pytest.mark.matrix
@pytest.mark.parametrize("n", range(7))
def test_many(n): assert n != 5

@pytest.mark.matrix
@pytest.mark.parametrize("n", range(2))
def test_few(n): pass

def test_alone(): pass
"""
ALONE = {
    "PYTHONPATH": str(Path(__file__).parent),
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTEST_ADDOPTS": "",
}
IDS = st.sets(st.text(), min_size=1, max_size=12)


@given(law=st.text(), ids=IDS, parts=st.integers(1, 6))
def test_each_parameter_set_is_in_one_part_and_each_part_has_each_law(
    law: str, ids: set[str], parts: int
) -> None:
    """Nothing is left to no part, nor done twice unless a part would be without the law."""
    found = [Shard(number, parts).of(law, ids) for number in range(1, parts + 1)]
    times = Counter(id_ for part in found for id_ in part)
    assert all(found)
    assert set(times) == ids
    assert len(ids) < parts or set(times.values()) == {1}


@given(law=st.text(), ids=st.lists(st.text(), min_size=1, unique=True), number=st.integers(1, 3))
def test_a_part_is_the_same_in_any_order(law: str, ids: list[str], number: int) -> None:
    """Tests are collected in any order, so that it decides nothing."""
    assert Shard(number, 3).of(law, ids) == Shard(number, 3).of(law, ids[::-1])


def test_a_day_has_one_part_and_a_part_can_be_named() -> None:
    """The part of today is one of them, and what is printed is what the variable takes."""
    assert today().parts == PARTS
    assert named(str(today())) == today()


@pytest.mark.parametrize("value", ["0/3", "4/3", "1", "a/b", "1/0", " 1/3"])
def test_a_part_that_is_none_is_an_error_that_says_what_is_one(value: str) -> None:
    """A slip in the variable never runs another part, or all, in silence."""
    with pytest.raises(pytest.UsageError, match=r"PROVISION_SHARD=.* such as 2/3"):
        named(value)


def test_a_session_runs_its_part_and_prints_it(tmp_path: Path) -> None:
    """The parts together run each test, and each says twice how to run it again."""
    texts = [run(tmp_path, PROVISION_SHARD=f"{number}/3") for number in (1, 2, 3)]
    passed = [line for text in texts for line in text.splitlines() if "PASSED" in line]
    assert len({line.partition(" ")[0] for line in passed}) == 6 + 2 + 1
    assert sum("test_many[5] FAILED" in text for text in texts) == 1
    for number, text in enumerate(texts, 1):
        assert text.count(f"this part again: PROVISION_SHARD={number}/3 make test") == 2, text
        assert "test_alone" in text
        assert "test_few" in text


def test_the_printed_part_is_what_ran(tmp_path: Path) -> None:
    """Without the variable the day decides, and the line that is printed repeats it."""
    before, text, after = today(), run(tmp_path), today()
    assert any(text.count(f"part {shard}, ") == 2 for shard in (before, after)), text


@pytest.mark.parametrize(("word", "count"), [("::test_many", 7), ("::test_many[3]", 1)])
def test_who_names_a_test_gets_all_of_it(tmp_path: Path, word: str, count: int) -> None:
    """A test that is asked for by name runs whatever the day is."""
    text = run(tmp_path, f"test_some.py{word}", PROVISION_SHARD="1/3")
    assert len(set(re.findall(r"::test_many\[\d\]", text))) == count


def test_all_of_a_matrix_is_one_part_of_one(tmp_path: Path) -> None:
    """With 1/1, as `make test-all` has it, nothing is left out, and that is printed."""
    text = run(tmp_path, PROVISION_SHARD="1/1")
    assert text.count("matrices: all of 9 tests") == 2
    assert "9 passed, 1 failed" in text or "1 failed, 9 passed" in text


def test_laws_of_one_name_are_one_matrix(tmp_path: Path) -> None:
    """Of seven laws of a group each runs in exactly one part."""
    laws = "".join(f"\ndef test_law_{n}(): pass\n" for n in range(7))
    text = f'import pytest\npytestmark = pytest.mark.matrix("group")\n{laws}'
    texts = [run(tmp_path, laws=text, PROVISION_SHARD=f"{n}/3") for n in (1, 2, 3)]
    passed = [name for text in texts for name in re.findall(r"::(test_law_\d) PASSED", text)]
    assert sorted(passed) == [f"test_law_{n}" for n in range(7)]


def test_processes_of_one_session_run_one_part(tmp_path: Path) -> None:
    """Each of them selects by itself, and the one that prints says it once."""
    text = run(tmp_path, "-p", "xdist", "-n", "2", PROVISION_SHARD="2/3")
    alone = run(tmp_path, PROVISION_SHARD="2/3")
    assert sorted(re.findall(r"PASSED .*(::\S+)", text)) == sorted(
        re.findall(r"(::\S+) PASSED", alone)
    )
    printed = re.findall(r"^matrices: .*", text, re.MULTILINE)
    assert printed == re.findall(r"^matrices: .*", alone, re.MULTILINE)[:1]


def run(folder: Path, *words: str, laws: str = SOME_LAWS, **environment: str) -> str:
    """Run laws in a session of their own, and return what it prints."""
    (folder / "test_some.py").write_text(laws)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = matrix: slow\n")
    argv = [sys.executable, "-m", "pytest", "-p", "shard", "-v", *words]
    clean = {name: value for name, value in os.environ.items() if name != "PROVISION_SHARD"}
    return subprocess.run(
        argv,
        cwd=folder,
        env={**clean, **ALONE, **environment},
        capture_output=True,
        text=True,
        check=False,
    ).stdout
