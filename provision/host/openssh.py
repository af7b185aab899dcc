"""OpenSSH's own client, for bulk data: its command line for a host, and what its endings mean."""

from __future__ import annotations

import math
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from shlex import quote
from typing import IO, Any, Final, NamedTuple

from provision.errors import ConnectError
from provision.host.client import chain, client
from provision.host.login import explain, place_of
from provision.host.sudo import explain_sudo
from provision.inventory.schema import Host
from provision.state.shell import nonce

CIPHERS: Final = ",".join(
    (
        *("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"),
        *("aes128-ctr", "aes192-ctr", "aes256-ctr"),
    )
)
"""What OpenSSH takes for sound by default, but what the processor itself computes comes first."""
_OPTIONS: Final = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "UpdateHostKeys": "no",
    "LogLevel": "ERROR",  # what stands on stderr is the reason, not a banner
    "ServerAliveInterval": "15",
    "ServerAliveCountMax": "4",
    "Ciphers": CIPHERS,
    "Compression": "no",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "ClearAllForwardings": "yes",
    "ControlMaster": "no",
    "ControlPath": "none",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "RequestTTY": "no",
}
_FAILED: Final = 255
"""The exit status by which ssh says that it, not the command, has failed."""
_GLANCE: Final = 0.25  # seconds between looks at a child
_MOST_SAID: Final = 1 << 16  # bytes of what sudo says before it lets us in
_GRACE: Final = 3  # seconds that a child has to end after it was asked to
_TARGET: Final = "\0"  # stands for %h and %p while the other percent signs are doubled
_WORD: Final = nonce()  # sudo's prompt
_IN: Final = nonce()  # what says on stderr that sudo has let us in
_AS_ROOT: Final = (
    'if [ "$(id -u)" = 0 ]; then exec sh -c "$@"; else exec env LC_ALL=C sudo -n sh -c "$@"; fi'
)
_ENTER: Final = f'echo {_IN} >&2; exec sh -c "$@"'
_AS_ROOT_ASKED: Final = (
    f'if [ "$(id -u)" = 0 ]; then exec sh -c {quote(_ENTER)} sh "$@"; '
    f'else exec env LC_ALL=C sudo -S -p {_WORD} sh -c {quote(_ENTER)} sh "$@"; fi'
)
_BUSY: Final = re.compile(r"kex_exchange_identification|banner exchange|Connection reset by peer")
_CHANGED_KEY: Final = "IDENTIFICATION HAS CHANGED"
_UNKNOWN_KEY: Final = r"host key is known|host key for|Host key verification failed|REVOKED"
_REASONS: Final[tuple[tuple[str, Exception], ...]] = (
    (r"Could not resolve hostname", socket.gaierror()),
    (r"Permission denied|Too many authentication", OSError("No authentication methods worked")),
    (r"Connection refused", ConnectionRefusedError()),
    (r"timed out|No route to host|Network is unreachable|not responding", TimeoutError()),
)


class Ended(NamedTuple):
    """How a command over ssh ended; a negative status is the signal that killed ssh."""

    status: int
    stdout: str
    stderr: str

    @property
    def is_lost(self) -> bool:
        """Tell a connection that failed from a command that did."""
        return self.status == _FAILED or self.status < 0

    @property
    def is_busy(self) -> bool:
        """Tell an sshd that drops logins because it has too many of them (MaxStartups)."""
        if not self.is_lost or not _BUSY.search(self.stderr):
            return False  # below: what ended a gateway's ssh reads like a drop of the one behind
        other = (_CHANGED_KEY, _UNKNOWN_KEY, *(pattern for pattern, _ in _REASONS))
        return not any(re.search(pattern, self.stderr) for pattern in other)


def ssh_argv(host: Host) -> list[str]:
    """Return the argv that reaches a host as our own connection does; a command may follow.

    What the inventory leaves open is read from ~/.ssh/config by ssh itself, as Fabric reads it.
    """
    if shutil.which("ssh") is None:
        raise ConnectError(
            "there is no ssh program on this machine",
            where=host.name,
            remedy="Bulk data travels by it. Install OpenSSH's client: apt-get install openssh-client.",
        )
    argv: list[str] = []
    for hop in reversed(list(chain(client(host)))):
        argv = _argv(host, hop, argv)
    return argv


def as_root(host: Host, script: str, *arguments: str) -> str:
    """Return the command line that runs `script` with root's sh, whoever logs in, with any shell."""
    words = " ".join(quote(word) for word in (script, "provision", *arguments))
    entrance = _AS_ROOT_ASKED if host.ssh.sudo_password else _AS_ROOT
    return f"exec sh -c {quote(entrance)} sh {words}"


def run_ssh(
    host: Host, command: str, stdin: int | IO[bytes], watch: Callable[[], None] = lambda: None
) -> Ended:
    """Run a command over ssh with a file as its stdin; what `watch` raises ends it at once.

    `watch` is called four times a second. The child is in a session of its own: Ctrl-C on the
    operator's terminal reaches us, and we decide.
    """
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        _entrance(host, stdin, err) as (data, enter),
    ):

        def look() -> None:
            enter()
            watch()

        child = subprocess.Popen(
            [*ssh_argv(host), command],
            stdin=data,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        try:
            status = _watched(child, look)
        finally:
            _end(child)
        return Ended(status, _text(out), _text(err).rpartition(f"{_IN}\n")[2])


@contextmanager
def _entrance(
    host: Host, stdin: int | IO[bytes], err: IO[bytes]
) -> Iterator[tuple[int | IO[bytes], Callable[[], None]]]:
    """Yield what ssh reads, and what gives sudo its password there before the data may follow.

    Without a password ssh reads the data itself; with one, cat writes it behind the password.
    """
    password = host.ssh.sudo_password
    if password is None:
        yield stdin, lambda: None
        return
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as read, os.fdopen(writer, "wb", buffering=0) as write:
        state = {"asked": False}
        feeders: list[subprocess.Popen[bytes]] = []

        def enter() -> None:
            said = os.pread(err.fileno(), _MOST_SAID, 0).decode(errors="replace")
            if feeders:
                return
            if _IN in said:
                feeders.append(subprocess.Popen(["cat"], stdin=stdin, stdout=write))
                write.close()  # the end of what cat writes is the end of it
            elif _WORD in said and not state["asked"]:
                state["asked"] = True
                write.write(password.reveal().encode() + b"\n")

        try:
            yield read, enter
        finally:
            for feeder in feeders:
                feeder.kill()
                feeder.wait()


def explain_ended(host: Host, ended: Ended) -> ConnectError | None:
    """Return the error an operator can act on, if ssh or sudo failed rather than the command."""
    connection = client(host)
    place = place_of(host, connection)
    if not ended.is_lost:
        return _sudo_failed(place, connection.user, ended)
    if _CHANGED_KEY in ended.stderr:
        return ConnectError(
            "the host key has CHANGED",
            where=place,
            remedy="Somebody may be in between. Only if the host was installed anew, forget the "
            f"old key (ssh-keygen -R), then: inv trust --host {host.name}",
        )
    if re.search(_UNKNOWN_KEY, ended.stderr):
        return ConnectError(
            "unknown host key",
            where=place,
            remedy=f"Trust it: inv trust --host {host.name}",
        )
    return explain(_reason(ended.stderr), host, connection)


def _argv(host: Host, hop: Any, through: Sequence[str]) -> list[str]:
    """Return the argv for one hop, `through` the one that reaches the gateway before it."""
    ssh = host.ssh
    options = _OPTIONS | {"ConnectTimeout": str(math.ceil(ssh.connect_timeout))}
    if ssh.key and "look_for_keys" in hop.connect_kwargs:  # not for a jump of ~/.ssh/config
        options |= {"IdentityFile": _path(ssh.key), "IdentitiesOnly": "yes"}
    if ssh.known_hosts:
        options |= {
            "UserKnownHostsFile": _path(ssh.known_hosts),
            "GlobalKnownHostsFile": os.devnull,
        }
    if through:  # -J would not hand these options on to the gateway
        words = shlex.join([through[0], "-W", _TARGET, *through[1:]])
        options["ProxyCommand"] = words.replace("%", "%%").replace(quote(_TARGET), "'[%h]:%p'")
    flags = [f"-o{name}={value}" for name, value in options.items()]
    return ["ssh", *flags, "-l", str(hop.user), "-p", str(hop.port), "--", str(hop.original_host)]


def _path(path: os.PathLike[str]) -> str:
    """Quote a path for an option of ssh, which splits at blanks and expands percent signs."""
    return f'"{os.fspath(path)}"'.replace("%", "%%")


def _watched(child: subprocess.Popen[bytes], watch: Callable[[], None]) -> int:
    while True:
        try:
            return child.wait(_GLANCE)
        except subprocess.TimeoutExpired:
            watch()


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a child that still runs, and what it has started for its gateway."""
    for each in (signal.SIGTERM, signal.SIGKILL):
        if child.poll() is not None:
            return
        os.killpg(child.pid, each)
        try:
            child.wait(_GRACE)
        except subprocess.TimeoutExpired:
            continue


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "surrogateescape")


def _sudo_failed(place: str, user: str, ended: Ended) -> ConnectError | None:
    # Only what sudo itself said: other programs fail in words that sudo has too.
    said = "\n".join(line for line in ended.stderr.splitlines() if "sudo" in line)
    try:
        if said:
            explain_sudo(place, user, ended.status, said)
    except ConnectError as error:
        return error
    return None


def _reason(stderr: str) -> Exception:
    for pattern, error in _REASONS:
        if re.search(pattern, stderr):
            return error
    said = [line for line in stderr.splitlines() if line.strip()]
    return OSError(said[-1].strip() if said else "ssh ended without a word")
