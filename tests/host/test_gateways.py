"""A gateway that hosts share: one login, one refusal, and a dead one is left."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import paramiko
import pytest

from provision.host.gateways import _Gateway

HOSTS = 40


class Login:
    """Stands in for Fabric's connection to a gateway, and for its transport."""

    def __init__(self, error: Exception | None = None) -> None:
        """Log in well, or fail with `error`; answer as `answer` says."""
        self.error = error
        self.answer: Exception | None = None
        self.attempts = 0
        self.is_connected = False

    @property
    def transport(self) -> Login:
        """Return what sessions are opened on."""
        return self

    def open(self) -> None:
        """Take a while, so that others come meanwhile."""
        self.attempts += 1
        time.sleep(0.2)
        if self.error:
            raise self.error
        self.is_connected = True

    def close(self) -> None:
        """Be closed."""
        self.is_connected = False

    def set_keepalive(self, seconds: int) -> None:
        """Take it."""
        assert seconds > 0

    def open_session(self, timeout: float) -> Login:
        """Open one, or fail."""
        assert timeout > 0
        if self.answer:
            raise self.answer
        return Login()


def _opened(gateway: _Gateway) -> Any:
    try:
        return gateway.open()
    except paramiko.SSHException as error:
        return error


def test_hosts_that_come_together_share_a_login() -> None:
    """Who comes first logs in; who comes later finds it open."""
    login = Login()
    gateway = _Gateway(login)
    with ThreadPoolExecutor(HOSTS) as pool:
        found = list(pool.map(lambda _: _opened(gateway), range(HOSTS)))
    assert found == [login] * HOSTS
    assert login.attempts == 1


def test_a_refusal_is_each_hosts_own() -> None:
    """It is asked once, and no host's error grows with those of the others."""
    login = Login(paramiko.AuthenticationException("no"))
    gateway = _Gateway(login)
    with ThreadPoolExecutor(HOSTS) as pool:
        found = list(pool.map(lambda _: _opened(gateway), range(HOSTS)))
    assert login.attempts == 1
    assert len({id(error) for error in found}) == HOSTS
    assert {str(error) for error in found} == {"no"}
    assert max(_frames(error) for error in found) <= 3


@pytest.mark.parametrize(
    ("answer", "stays"),
    [
        (None, True),
        (paramiko.ChannelException(1, "Administratively prohibited"), True),
        (paramiko.SSHException("Timeout opening channel."), False),
        (EOFError(), False),
    ],
)
def test_a_login_that_gives_no_answer_is_closed(answer: Exception | None, *, stays: bool) -> None:
    """A refusal is an answer; the host that comes next logs in anew."""
    login = Login()
    gateway = _Gateway(login)
    gateway.open()
    login.answer = answer
    gateway.close_if_dead()
    assert login.is_connected is stays
    assert gateway.open() is login
    assert login.attempts == (1 if stays else 2)


def _frames(error: BaseException) -> int:
    count, trace = 0, error.__traceback__
    while trace:
        count, trace = count + 1, trace.tb_next
    return count
