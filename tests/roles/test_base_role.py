"""The role `base`: what it keeps from being upgraded behind an operator's back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from provision.facts.sections import text_of
from provision.state.role import load_roles

PROJECT: Final = Path(__file__).parents[2]


def test_every_package_of_the_driver_is_kept_from_unattended_upgrades() -> None:
    """What the sweep counts as the driver's packages is all on the list that upgrades leave alone."""
    kept = load_roles(PROJECT)["base"]().render("keep-driver.conf.j2")
    patterns = re.findall(r'^ +"(\S+)";$', kept, re.MULTILINE)
    asked = re.search(r"dpkg-query .*?\| sed", text_of("upgrades"), re.DOTALL)
    assert asked
    names = [glob.rstrip("*") for glob in re.findall(r"'([a-z][^' ]*)'", asked[0])]
    assert {"libcuda1", "cuda-drivers", "nvidia-driver"} <= {*names}
    for name in names:
        assert any(re.match(pattern, name) for pattern in patterns), name
