"""Why a login failed: one line with host, user, address and the next command for each error."""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import paramiko
import pytest

from provision.errors import ConnectError
from provision.host.known_hosts import UnknownKeyError, fingerprint
from provision.host.login import explain, place_of
from provision.host.sudo import explain_sudo
from provision.inventory.schema import SSH, Host

KEY, OTHER = (paramiko.ECDSAKey.generate() for _ in range(2))
HOST = Host(name="gpu01", ssh=SSH(address="10.0.0.11", port=2222, user="ops", key=Path("/keys/id")))
PLAIN = Host(name="gpu02")
PLACE = "gpu01 (ops@10.0.0.11:2222)"
SSH_COMMAND = "ssh -i /keys/id -p 2222 ops@10.0.0.11 true"
CHANGED = paramiko.BadHostKeyException("[10.0.0.11]:2222", KEY, OTHER)
NO_PORT = paramiko.ssh_exception.NoValidConnectionsError(
    {("10.0.0.11", 2222): ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")}
)


@pytest.mark.parametrize(
    ("error", "what", "remedy"),
    [
        (CHANGED, "the host key has CHANGED", "ssh-keygen -R '[10.0.0.11]:2222' && inv trust"),
        (
            paramiko.AuthenticationException("Authentication failed."),
            "the login was refused",
            SSH_COMMAND,
        ),
        (paramiko.PasswordRequiredException("locked"), "the key /keys/id is encrypted", "ssh-add"),
        (FileNotFoundError(2, "No such file", "/keys/id"), "/keys/id does not exist", "ssh.key"),
        (socket.gaierror(-2, "Name or service not known"), "cannot be resolved", "ssh.address"),
        (ConnectionRefusedError(), "the connection was refused", SSH_COMMAND),
        (NO_PORT, "the connection was refused", SSH_COMMAND),
        (TimeoutError("timed out"), "the host does not answer", SSH_COMMAND),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "the host does not answer", SSH_COMMAND),
        (OSError(errno.ENETUNREACH, "unreachable"), "the host does not answer", SSH_COMMAND),
        (
            TimeoutError("the command did not end in time"),
            "did not end in time",
            "Look at the host",
        ),
        (EOFError(), "the connection failed: EOFError", SSH_COMMAND),
        (paramiko.SSHException("Error reading SSH protocol banner"), "banner", SSH_COMMAND),
        (ConnectionResetError(104, "Connection reset by peer"), "reset by peer", SSH_COMMAND),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_every_error_is_one_line_with_the_place_and_the_next_step(
    error: Exception, what: str, remedy: str
) -> None:
    """Host, user, address and port come first, then what happened, then what to do."""
    explained = explain(error, HOST, None)
    assert isinstance(explained, ConnectError)
    text = str(explained)
    assert text.startswith(f"{PLACE}: ")
    assert what in explained.what
    assert remedy in explained.remedy
    assert "\n" not in text


def test_a_changed_key_shows_both_fingerprints() -> None:
    """The operator can compare what was expected with what came."""
    text = str(explain(CHANGED, HOST, None))
    assert fingerprint(OTHER) in text
    assert fingerprint(KEY) in text
    ours = HOST.model_copy(update={"ssh": HOST.ssh.model_copy(update={"known_hosts": "/k"})})
    assert "ssh-keygen -f /k -R" in str(explain(CHANGED, ours, None))


def test_what_the_inventory_does_not_say_comes_from_the_connection() -> None:
    """User, address and port are those that the ssh configuration resolved."""
    connection = SimpleNamespace(user="me", host="gpu02.lan", port=22, gateway=None)
    assert place_of(PLAIN, connection) == "gpu02 (me@gpu02.lan:22)"
    assert place_of(PLAIN, None) == "gpu02 (gpu02:22)"
    refused = explain(paramiko.AuthenticationException(), PLAIN, connection)
    assert "the agent's and ~/.ssh's keys" in refused.what
    assert refused.remedy.endswith("ssh -p 22 me@gpu02.lan true")


def test_a_gateway_is_named() -> None:
    """An error through a jump host says through which, and the command jumps too."""
    host = PLAIN.model_copy(update={"ssh": SSH(address="10.0.0.12", gateway="bastion")})
    error = explain(ConnectionRefusedError(), host, None)
    assert "(through the gateway bastion)" in error.what
    assert "-J bastion" in error.remedy


def test_an_error_at_the_gateway_is_not_told_of_the_host() -> None:
    """The place is the gateway's, and the command to try goes to it, not through it."""
    gateway = SimpleNamespace(user="me", host="bastion.lan", port=2022, gateway=None)
    target = SimpleNamespace(user="ops", host="10.0.0.12", port=22, gateway=gateway)
    at_gateway = str(explain(ConnectionRefusedError(), PLAIN, gateway, target))
    assert at_gateway.startswith("gpu02, at its gateway (me@bastion.lan:2022): the connection was")
    assert at_gateway.endswith("ssh -p 2022 me@bastion.lan true")
    behind = str(explain(ConnectionRefusedError(), PLAIN, target, target))
    assert "(through the gateway me@bastion.lan)" in behind


def test_an_unknown_key_says_how_to_compare_and_how_to_trust_it() -> None:
    """Fingerprint, ssh-keygen and `inv trust` stand in one line."""
    error = UnknownKeyError("[10.0.0.11]:2222", KEY)
    assert "inv trust --host [10.0.0.11]:2222" in str(error)
    error.host = HOST
    text = str(error)
    assert text.startswith("gpu01 ([10.0.0.11]:2222): unknown host key ecdsa-sha2-nistp")
    assert fingerprint(KEY) in text
    assert "ssh-keygen -lf" in text
    assert text.endswith("inv trust --host gpu01")


@pytest.mark.parametrize(
    ("status", "stderr", "what", "remedy"),
    [
        (1, "sudo: a password is required\n", "sudo wants a password", "NOPASSWD"),
        (
            1,
            "sudo: a terminal is required to read the password\n",
            "sudo wants a pass",
            "sudoers.d/ops",
        ),
        (127, "env: 'sudo': No such file or directory\n", "no root shell", "Install sudo"),
        (1, "sudo: unknown user root\n", "no root shell through sudo: sudo: unknown user", "root"),
        (127, "", "exit status 127", "Install sudo"),
    ],
)
def test_sudo_that_refuses_is_told_from_a_script_that_fails(
    status: int, stderr: str, what: str, remedy: str
) -> None:
    """The error has the place and the line for sudoers."""
    with pytest.raises(ConnectError) as raised:
        explain_sudo(PLACE, "ops", status, stderr)
    assert str(raised.value).startswith(f"{PLACE}: ")
    assert what in raised.value.what
    assert remedy in raised.value.remedy


@pytest.mark.parametrize(
    ("status", "stderr"), [(0, "sudo: warning\n"), (1, "E: apt failed"), (2, "")]
)
def test_a_script_that_fails_is_not_sudos_fault(status: int, stderr: str) -> None:
    """What the script did is judged by somebody else."""
    result: Any = explain_sudo(PLACE, "ops", status, stderr)
    assert result is None
