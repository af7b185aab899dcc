"""The laws of batches: no further host is begun once too many have failed, and the rest is resumed."""

from __future__ import annotations

import pytest
from workshop import Workshop, furnish

from provision.lab import Lab

pytestmark = pytest.mark.lab
RUN = ("provision", "--inventory", "prod", "--yes")


@pytest.fixture(scope="module")
def bench(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Return a project of its own."""
    return furnish(lab, tmp_path_factory.mktemp("batches"))


@pytest.fixture
def workshop(bench: Workshop) -> Workshop:
    """Return the project with two hosts, of which the first will fail half-way."""
    bench.describe(gpu01=bench.address("gpu01"), gpu02=bench.address("gpu02"))
    bench.prepare("gpu01", "gpu02")
    bench.lab.exec("gpu01", ": >/run/things-blocked")
    return bench


def _conf(workshop: Workshop, host: str) -> str:
    return workshop.lab.exec(host, "cat /etc/things/conf").stdout.strip()


def test_a_run_that_stopped_early_is_resumed_with_only_what_is_left(workshop: Workshop) -> None:
    """The host after the failed one is untouched; the next run has the rest, the one after nothing."""
    untouched = workshop.look("gpu02")
    first = workshop.inv(*RUN, "--serial", "1")
    assert first.status == 1, first.text
    assert "gpu02: not begun after gpu01 failed; nothing was touched." in first.stdout
    assert workshop.look("gpu02") == untouched
    workshop.lab.exec("gpu01", "rm /run/things-blocked")
    second = workshop.inv(*RUN, "--serial", "50%")
    assert second.status == 0, second.text
    lines = second.stdout.splitlines()
    gpu01, gpu02 = lines.index("gpu01"), lines.index("gpu02")
    assert "file:/etc/things/conf" not in "".join(lines[gpu01:gpu02])
    assert "file:/etc/things/conf" in "".join(lines[gpu02:])
    third = workshop.inv(*RUN)
    assert third.status == 0, third.text
    assert "0 changes" in third.stdout


def test_all_hosts_go_at_once_unless_told_otherwise(workshop: Workshop) -> None:
    """The failure of one is no matter of the others."""
    answer = workshop.inv(*RUN)
    assert answer.status == 1, answer.text
    assert (_conf(workshop, "gpu01"), _conf(workshop, "gpu02")) == ("new", "new")
    assert "1 changed, 0 unchanged, 1 failed" in answer.stdout


@pytest.mark.parametrize("may_fail", ["1", "50%"])
def test_as_many_hosts_may_fail_as_the_operator_says(workshop: Workshop, may_fail: str) -> None:
    """As a number, or as a share of the hosts."""
    answer = workshop.inv(*RUN, "--serial", "1", "--max-fail", may_fail)
    assert answer.status == 1, answer.text
    assert _conf(workshop, "gpu02") == "new"


def test_hosts_that_cannot_be_reached_count_where_a_number_is_given(workshop: Workshop) -> None:
    """With `--max-fail 0` nothing is begun then; without it the others are as good as ever."""
    dead = {"ssh": {**workshop.address("gpu01")["ssh"], "port": 1}}
    workshop.describe(gpu00=dead, gpu02=workshop.address("gpu02"))
    untouched = workshop.look("gpu02")
    strict = workshop.inv(*RUN, "--max-fail", "0")
    assert strict.status == 1
    assert "gpu02: not begun after gpu00 failed; nothing was touched." in strict.stdout
    assert workshop.look("gpu02") == untouched
    lenient = workshop.inv(*RUN, "--max-fail", "50%", "--serial", "1")
    assert lenient.status == 1
    assert _conf(workshop, "gpu02") == "new"


def test_a_saved_plan_goes_in_batches_too(workshop: Workshop) -> None:
    """And what a batch left undone is resumed from the same plan."""
    assert workshop.inv("plan", "--inventory", "prod", "--out", "a.plan").status == 2
    first = workshop.inv("apply", "a.plan", "--serial", "1")
    assert first.status == 1, first.text
    assert _conf(workshop, "gpu02") == "old"
    workshop.lab.exec("gpu01", "rm /run/things-blocked")
    second = workshop.inv("apply", "a.plan", "--serial", "1")
    assert second.status == 0, second.text
    assert _conf(workshop, "gpu02") == "new"
