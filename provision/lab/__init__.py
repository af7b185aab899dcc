"""The lab: throw-away real hosts on this machine, to rehearse on and to test against."""

from __future__ import annotations

from provision.lab.host import LabHost
from provision.lab.lab import GPU_PROFILES, Lab
from provision.lab.manage import clean, down, find, status, up
from provision.lab.profiles import all_profiles

__all__ = [
    "GPU_PROFILES",
    "Lab",
    "LabHost",
    "all_profiles",
    "clean",
    "down",
    "find",
    "status",
    "up",
]
