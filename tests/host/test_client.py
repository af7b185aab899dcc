"""Connections of many threads: what they share is the same for each of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from provision.host.client import client
from provision.inventory.schema import Host
from provision.inventory.settings import SSH

THREADS = 48


@pytest.fixture
def restless() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("restless")
def test_connections_are_made_at_the_same_time() -> None:
    """Each has its own address, user and gateway, and none finds a half-read configuration."""
    together = Barrier(THREADS)

    def made(number: int) -> tuple[str, str, int, str]:
        ssh = SSH(address=f"10.0.0.{number}", user=f"u{number}", port=2200, gateway="ops@10.1.0.1")
        together.wait()
        found = client(Host(name=f"h{number}", ssh=ssh))
        return found.host, found.user, found.port, found.gateway.host

    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(3):
            assert list(pool.map(made, range(THREADS))) == [
                (f"10.0.0.{n}", f"u{n}", 2200, "10.1.0.1") for n in range(THREADS)
            ]
