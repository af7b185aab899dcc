"""A rollout goes through a fleet batch by batch and leaves no host out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.cli.deploy import rollout
from provision.errors import UsageError
from provision.rollout import Rollout
from provision.serving.calls import ServiceCaller


@given(batches=st.lists(st.integers(1, 9), max_size=3), hosts=st.integers(0, 40))
def test_every_host_is_in_one_batch(batches: list[int], hosts: int) -> None:
    """In order, whatever the sizes."""
    split = list(Rollout(tuple(batches)).split(range(hosts)))
    assert [host for batch in split for host in batch] == list(range(hosts))
    assert all(split)


@pytest.mark.parametrize(
    ("serial", "hosts", "sizes"),
    [
        ("", 5, [1, 4]),
        ("", 1, [1]),
        ("1", 3, [1, 1, 1]),
        ("4", 9, [4, 4, 1]),
        ("25%", 10, [3, 3, 3, 1]),
        ("1%", 3, [1, 1, 1]),
        ("100%", 3, [3]),
    ],
)
def test_serial_is_a_number_of_hosts_or_their_share(
    serial: str, hosts: int, sizes: list[int]
) -> None:
    """A share is rounded up; without it a canary goes first."""
    made = rollout(serial, "", hosts, ServiceCaller())
    assert [len(batch) for batch in made.split(range(hosts))] == sizes


@pytest.mark.parametrize("serial", ["0", "-1", "0%", "101%", "half", "1.5", "25 %"])
def test_serial_that_means_nothing_is_refused(serial: str) -> None:
    """With what to write instead."""
    with pytest.raises(UsageError, match="hosts at once") as raised:
        rollout(serial, "", 4, ServiceCaller())
    assert "25%" in raised.value.remedy


@pytest.mark.parametrize(
    ("max_fail", "hosts", "number"),
    [
        ("", 9, 0),
        ("0", 9, 0),
        ("3", 9, 3),
        ("10%", 9, 0),
        ("10%", 25, 2),
        ("0%", 9, 0),
        ("100%", 9, 9),
    ],
)
def test_max_fail_is_a_number_of_hosts_or_their_share(
    max_fail: str, hosts: int, number: int
) -> None:
    """A share is rounded down: no more hosts fail than were allowed to."""
    assert rollout("", max_fail, hosts).max_fail == number


@pytest.mark.parametrize("max_fail", ["-1", "101%", "many", "1.5", "5 %", "%"])
def test_max_fail_that_means_nothing_is_refused(max_fail: str) -> None:
    """A number below nought would stop before the first host."""
    with pytest.raises(UsageError, match="number of hosts") as raised:
        rollout("", max_fail, 4)
    assert "10%" in raised.value.remedy


def test_without_a_canary_all_hosts_go_at_once() -> None:
    """As `inv provision` has it, unless `--serial` says otherwise."""
    assert list(rollout("", "", 3, canary=False).split(range(3))) == [range(3)]
    assert len(list(rollout("1", "", 3, canary=False).split(range(3)))) == 3


def test_hosts_that_could_not_be_planned_count_where_a_number_was_given() -> None:
    """`--max-fail` counts them; without it they hold nobody up."""
    assert rollout("", "2", 4).having_lost(["gpu01"]).lost == ("gpu01",)
    assert rollout("", "", 4).having_lost(["gpu01"]).lost == ()
