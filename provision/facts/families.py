"""Families of distributions: which package system is theirs, and whose packages fit."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal

Packages = Literal["apt", "dnf"]

_RPM: Final = frozenset({"rhel", "fedora", "centos", "openEuler", "anolis"})
"""Ids, own or alike, of those whose packages are RPMs; openEuler and Anolis 23 are like nobody."""
_EQUIVALENT: Final = {
    # A package built for Enterprise Linux 8, 9, 10 wants glibc 2.28, 2.34, 2.39 at most.
    ("openEuler", "20.03"): 8,  # glibc 2.28, its release notes
    ("openEuler", "22.03"): 9,  # glibc 2.34, its release notes
    ("openEuler", "24.03"): 9,  # glibc 2.38, its release notes
    ("anolis", "23"): 9,  # glibc 2.36 and later, its release notes
    ("alinux", "3"): 8,  # glibc 2.32, Alibaba Cloud's documentation
}
"""Equivalent Enterprise Linux by id and the beginning of the version, for those that are none."""


def packages_of(names: Collection[str]) -> Packages:
    """Return the package system of a distribution, by its id and what it is like."""
    return "dnf" if not _RPM.isdisjoint(names) else "apt"


def enterprise_linux(names: Collection[str], version: str) -> int | None:
    """Return the major version of Enterprise Linux whose packages fit; None = of none."""
    for (name, beginning), major in _EQUIVALENT.items():
        if name in names and f"{version}.".startswith(f"{beginning}."):
            return major
    first = version.partition(".")[0]
    return int(first) if "rhel" in names and first.isdecimal() else None
