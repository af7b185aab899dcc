"""How a script comes to run as root on a host: what sudo is asked, and what it wants for it."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from shlex import quote
from typing import Final

import paramiko

from provision.errors import ConnectError
from provision.secret import Secret
from provision.state.shell import nonce

_PATIENCE: Final = 30  # seconds for sudo to ask, and to take a password
_MOST_SAID: Final = 1 << 16  # characters of a lecture, a banner of PAM's, a prompt
_GLANCE: Final = 0.02  # seconds
_NOT_FOUND: Final = 127
_NO_SUDO: Final = re.compile(
    r"password is required|terminal is required|interactive authentication is required"
    r"|may not run sudo|not in the sudoers|not allowed|I'm sorry .*I'm afraid I can't do that"
)
_WANTS_TTY: Final = re.compile(r"you must have a tty to run sudo")


class Sudo:
    """Root through sudo on one host, with a password where there is one; learns what it wants."""

    def __init__(self, password: Secret | None) -> None:
        """Know the password, which is read when sudo first asks for it."""
        self._password = password
        self._word = nonce()  # the prompt, and what says that sudo has let us in
        self._process = nonce()  # what stands before sudo's process id
        self._tty = False
        self._refused: ConnectError | None = None

    def command(self, user: str, environment: Mapping[str, str]) -> str:
        """Return the command line that runs the sh on its stdin as root, for any login shell."""
        words = [f"{name}={quote(value)}" for name, value in environment.items()]
        inside = " ".join([*(["env", *words] if words else []), "sh"])
        if user == "root":
            return f"{inside} -s"
        if self._password is None:
            line = f"env LC_ALL=C sudo -n {inside} -s"
        else:
            # sudo-rs swallows a script that is sent right behind the password
            ready = quote(f"echo {self._word}; exec sh -s")
            asks = f"exec env LC_ALL=C sudo -S -p {quote(self._word)} {inside} -c {ready}"
            line = f"sh -c {quote(f'echo {self._process} $$ >&2; {asks}')}"
        return _with_tty(line) if self._tty else line

    def enter(self, channel: paramiko.Channel, user: str, where: str) -> str:
        """Give sudo the password if it asks, once: a second question means that it was wrong.

        Returns when a script may be sent, or when sudo has ended without letting us in, what it
        said until then.
        """
        if user == "root" or self._password is None:
            return ""
        if self._refused:
            raise self._refused
        heard, said, given = "", "", ""
        deadline = time.monotonic() + _PATIENCE
        while f"{self._word}\n" not in heard:  # what a login file prints comes before it
            if time.monotonic() > deadline:
                raise _silent(where, said)
            if channel.recv_ready():
                heard = (heard + channel.recv(4096).decode("utf-8", "replace"))[-_MOST_SAID:]
            elif channel.recv_stderr_ready():
                said = (said + channel.recv_stderr(4096).decode("utf-8", "replace"))[-_MOST_SAID:]
                if self._word in said:
                    self._answer(channel, given, self._wrong(user, where))
                    said, given = said.replace(self._word, ""), said
            elif channel.exit_status_ready() or channel.closed:
                if given and not _NO_SUDO.search(said) and not _WANTS_TTY.search(said):
                    raise self._refuse(self._wrong(user, where))
                return said
            else:
                time.sleep(_GLANCE)
        return ""

    def wants_tty(self, status: int, stderr: str) -> bool:
        """Say whether sudo refused for want of a terminal; from now on it gets one."""
        if self._tty or status == 0 or not _WANTS_TTY.search(stderr):
            return False
        self._tty = True
        return True

    def _answer(self, channel: paramiko.Channel, given: str, wrong: ConnectError) -> None:
        """Answer sudo's first question; end it at the second, and raise `wrong`."""
        if given:
            self._end(channel, given)
            raise self._refuse(wrong)
        assert self._password is not None  # noqa: S101  or nobody would have asked
        channel.sendall(self._password.reveal().encode() + b"\n")

    def _end(self, channel: paramiko.Channel, said: str) -> None:
        """Kill sudo at its question: an end of its input would count as one more wrong password."""
        found = re.search(rf"{self._process} (\d+)", said)
        transport = channel.get_transport()
        if found and transport:
            with transport.open_session(timeout=_PATIENCE) as other:
                other.exec_command(f"kill -KILL {found[1]}")
                other.settimeout(_PATIENCE)
                other.recv_exit_status()

    def _refuse(self, error: ConnectError) -> ConnectError:
        self._refused = error
        return error

    @staticmethod
    def _wrong(user: str, where: str) -> ConnectError:
        return ConnectError(
            f"sudo does not take the password of {user}; it was tried once",
            where=where,
            remedy="Give another: --ask-sudo-password, or ssh.sudo_password in the inventory.",
        )


def explain_sudo(place: str, user: str, status: int, stderr: str) -> None:
    """Raise `ConnectError` when sudo, not the script, ended with `status`."""
    ours = status == _NOT_FOUND or "sudo:" in stderr or _NO_SUDO.search(stderr)
    if status == 0 or not ours:
        return
    if _NO_SUDO.search(stderr):
        raise ConnectError(
            f"sudo wants a password, or {user} may not use it",
            where=place,
            remedy="Give the password: --ask-sudo-password, or ssh.sudo_password in the inventory; "
            f"or let sudo ask none: echo '{user} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/{user}",
        )
    detail = (stderr.strip().splitlines() or [f"exit status {status}"])[0]
    raise ConnectError(
        f"no root shell through sudo: {detail}",
        where=place,
        remedy="Install sudo and allow it, or set ssh.user to root.",
    )


def _with_tty(line: str) -> str:
    """Return the command under a terminal that sudo finds, with its streams left as they are.

    A terminal as stdin would echo the script, cut its lines and merge stderr into stdout.
    """
    inner = quote(f"{line} <&3 >&4 2>&5")
    outer = (
        "exec 3<&0 4>&1 5>&2; "
        f"exec env SHELL=/bin/sh script -qec {inner} /dev/null </dev/null >/dev/null 2>&1"
    )
    return f"sh -c {quote(outer)}"


def _silent(where: str, said: str) -> ConnectError:
    detail = (said.strip().splitlines() or ["nothing"])[-1]
    return ConnectError(
        f"sudo neither asks for the password nor lets us in; it said: {detail}",
        where=where,
        remedy="Try there: sudo -v. A second factor needs NOPASSWD for this user.",
    )
