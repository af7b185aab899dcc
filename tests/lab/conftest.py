"""The lab that tests run on: two hosts of a name space of their own, fresh for the session."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from provision import lab as labs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.lab import Lab

NAME = os.environ.get("PROVISION_TEST_LAB", "test")  # two sessions at once take two names


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Bring up a lab that is nobody else's, and take it down at the end."""
    labs.down(NAME)
    yield labs.up(hosts=2, name=NAME)
    labs.down(NAME)
