"""Models: whether all their files are there; what was read of them is judged where it is read."""

from __future__ import annotations

from typing import Final

from provision.checks.check import Check

COMPLETE: Final = Check(
    name="models.complete",
    group="models",
    explain="The lock file says which files each model has, with their sizes and checksums. One "
    "that is missing or shorter makes an engine fail at its next start, or load a model that "
    "answers nonsense; what runs has it in memory and goes on. Files get lost when somebody makes "
    "room, and are cut short by a disk that was full or a copy that was broken off. inv provision "
    "fetches what is missing; with --deep the checksums are computed as well, which reads every "
    "byte.",
    judge=lambda _: (),
)
