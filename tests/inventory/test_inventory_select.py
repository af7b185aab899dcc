"""A selection is what the operator meant, or an error: never silently something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from provision.errors import UsageError
from provision.inventory.select import select

if TYPE_CHECKING:
    from collections.abc import Callable

    from provision.inventory.schema import Inventory

    Load = Callable[[str], Inventory]

FLEET = """\
groups:
  gpu: {hosts: ["gpu*"]}
  old: {hosts: [gpu01, login]}
hosts: {login: , "gpu[01:04]": , lone: }
"""
GPUS = ["gpu01", "gpu02", "gpu03", "gpu04"]


@pytest.mark.parametrize(
    ("hosts", "groups", "expected"),
    [
        ([], [], ["login", *GPUS, "lone"]),
        (["gpu02"], [], ["gpu02"]),
        (["gpu03,login", "gpu01"], [], ["login", "gpu01", "gpu03"]),
        (["gpu*"], [], GPUS),
        (["gpu[02:03]"], [], ["gpu02", "gpu03"]),
        (["gpu*", "!gpu03"], [], ["gpu01", "gpu02", "gpu04"]),
        (["!gpu[01:04]"], [], ["login", "lone"]),
        (["!login", "gpu*"], [], GPUS),
        (["l*, !login"], [], ["lone"]),
        ([], ["gpu"], GPUS),
        ([], ["gpu,old"], ["login", *GPUS]),
        ([], ["g*", "!old"], ["gpu02", "gpu03", "gpu04"]),
        ([], ["!gpu"], ["login", "lone"]),
        (["gpu*"], ["old"], ["gpu01"]),
        (["!gpu02"], ["gpu"], ["gpu01", "gpu03", "gpu04"]),
    ],
)
def test_patterns_select_in_the_order_of_the_inventory(
    inventory: Load, hosts: list[str], groups: list[str], expected: list[str]
) -> None:
    """Items add up, exclusions take away, and both options together intersect."""
    assert [host.name for host in select(inventory(FLEET), hosts, groups)] == expected


@pytest.mark.parametrize(
    ("hosts", "groups", "line"),
    [
        (["gpu9"], [], "--host gpu9: no host matches 'gpu9'. Did you mean 'gpu04'?"),
        (["gpu[03:05]"], [], "--host gpu[03:05]: no host matches 'gpu05'. Did you mean 'gpu04'?"),
        (["gpu[3:1]"], [], "--host gpu[3:1]: the range [3:1] runs backwards. Write [1:3]."),
        (["!lonne"], [], "--host lonne: no host matches 'lonne'. Did you mean 'lone'?"),
        ([""], [], "--host: an empty name. Write a name or a pattern."),
        (["gpu01,"], [], "--host: an empty name. Write a name or a pattern."),
        (["!"], [], "--host: an empty name. Write a name or a pattern."),
        (["gpu"], [], "--host gpu: no host matches 'gpu'. 'gpu' is a group: write --group gpu."),
        (
            [],
            ["lone"],
            "--group lone: no group matches 'lone'. 'lone' is a host: write --host lone.",
        ),
        ([], ["gpus"], "--group gpus: no group matches 'gpus'. Did you mean 'gpu'?"),
        (
            ["lone"],
            ["gpu"],
            (
                "--host lone --group gpu: no host is left. "
                "Loosen the selection: what both --host and --group select is taken."
            ),
        ),
    ],
)
def test_an_item_that_matches_nothing_is_an_error(
    inventory: Load, hosts: list[str], groups: list[str], line: str
) -> None:
    """A typo never widens or empties a selection in silence, in an exclusion least of all."""
    with pytest.raises(UsageError) as caught:
        select(inventory(FLEET), hosts, groups)
    assert str(caught.value) == line
