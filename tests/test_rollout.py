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
    made = rollout(serial, 0, hosts, ServiceCaller())
    assert [len(batch) for batch in made.split(range(hosts))] == sizes


@pytest.mark.parametrize("serial", ["0", "-1", "0%", "101%", "half", "1.5", "25 %"])
def test_serial_that_means_nothing_is_refused(serial: str) -> None:
    """With what to write instead."""
    with pytest.raises(UsageError, match="hosts at once") as raised:
        rollout(serial, 0, 4, ServiceCaller())
    assert "25%" in raised.value.remedy


def test_fewer_failures_than_none_are_refused() -> None:
    """A number below nought would stop before the first host."""
    with pytest.raises(UsageError, match="number of hosts"):
        rollout("", -1, 4, ServiceCaller())
