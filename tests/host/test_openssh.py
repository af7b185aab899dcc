"""OpenSSH's command line is as strict as our own connection, and its endings read as well."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from provision.errors import ConnectError
from provision.host import ssh_config
from provision.host.openssh import CIPHERS, Ended, as_root, explain_ended, ssh_argv
from provision.inventory.schema import SSH, Host

SHELLS = [["sh"], ["dash"], ["bash"], ["busybox", "sh"]]
STRICT = [
    "-oBatchMode=yes",
    "-oStrictHostKeyChecking=yes",
    "-oUpdateHostKeys=no",
    "-oLogLevel=ERROR",
    "-oServerAliveInterval=15",
    "-oServerAliveCountMax=4",
    f"-oCiphers={CIPHERS}",
    "-oCompression=no",
    "-oForwardAgent=no",
    "-oForwardX11=no",
    "-oClearAllForwardings=yes",
    "-oControlMaster=no",
    "-oControlPath=none",
    "-oPermitLocalCommand=no",
    "-oRemoteCommand=none",
    "-oRequestTTY=no",
    "-oConnectTimeout=10",
]
HOST = Host(name="gpu01", ssh=SSH(address="10.0.0.11", port=2222, user="ops"))
PLACE = "gpu01 (ops@10.0.0.11:2222)"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the operator a home folder with an empty ssh configuration."""
    monkeypatch.setenv("HOME", str(tmp_path))
    ssh_config._read.cache_clear()  # noqa: SLF001  each test has files of its own
    (tmp_path / ".ssh").mkdir()
    return tmp_path


def with_ssh(**settings: object) -> Host:
    """Return the host with other ssh settings."""
    return HOST.model_copy(update={"ssh": HOST.ssh.model_copy(update=settings)})


def understood(argv: list[str]) -> dict[str, str]:
    """Return what OpenSSH makes of a command line."""
    done = subprocess.run([argv[0], "-G", *argv[1:]], capture_output=True, text=True, check=True)
    return dict(line.partition(" ")[::2] for line in done.stdout.splitlines())


def test_command_line_is_strict_and_plain() -> None:
    """Nothing is asked, forwarded, shared or compressed; user, port and address are given."""
    assert ssh_argv(HOST) == ["ssh", *STRICT, "-l", "ops", "-p", "2222", "--", "10.0.0.11"]


def test_key_and_known_hosts_are_the_inventorys_alone() -> None:
    """A given key is the only one tried, and a given file the only one that knows host keys."""
    host = with_ssh(key=Path("/keys/my id"), known_hosts=Path("/keys/100%"), connect_timeout=2.5)
    argv = ssh_argv(host)
    assert argv[len(STRICT) : -6] == [
        "-oConnectTimeout=3",
        '-oIdentityFile="/keys/my id"',
        "-oIdentitiesOnly=yes",
        '-oUserKnownHostsFile="/keys/100%%"',
        "-oGlobalKnownHostsFile=/dev/null",
    ]
    seen = understood(argv)
    assert seen["identityfile"] == "/keys/my id"
    assert seen["userknownhostsfile"] == "/keys/100%"


def test_openssh_understands_every_option() -> None:
    """What is asked for is what OpenSSH says it would do."""
    seen = understood(ssh_argv(HOST))
    assert (seen["user"], seen["port"], seen["hostname"]) == ("ops", "2222", "10.0.0.11")
    assert seen["batchmode"] == "yes"
    assert seen["stricthostkeychecking"] == "true"
    assert seen["controlmaster"] == "false"
    assert seen["ciphers"] == CIPHERS


def test_gateway_is_as_strict_as_the_host() -> None:
    """`-J` would not hand the options on, so the gateway has them in a ProxyCommand."""
    host = with_ssh(gateway="jump@bastion:2022", key=Path("/keys/50%"))
    *flags, proxy = ssh_argv(host)[: -len(["-l", "ops", "-p", "2222", "--", "10.0.0.11"])]
    key = ['-oIdentityFile="/keys/50%%"', "-oIdentitiesOnly=yes"]
    assert flags == ["ssh", *STRICT, *key]
    words = proxy.removeprefix("-oProxyCommand=")
    inner = " ".join(["ssh -W '[%h]:%p'", *STRICT, "'-oIdentityFile=\"/keys/50%%%%\"'", key[1]])
    assert words == f"{inner} -l jump -p 2022 -- bastion"
    assert understood(ssh_argv(host))["proxycommand"] == words


def test_ssh_configuration_fills_what_the_inventory_leaves_open(home: Path) -> None:
    """The alias stays, for OpenSSH reads its block too; a ProxyJump becomes strict."""
    (home / ".ssh/config").write_text(
        "Host gpu01\n  HostName 10.0.0.11\n  Port 2200\n  User me\n  ProxyJump you@hop:2022\n"
    )
    argv = ssh_argv(Host(name="gpu01", ssh=SSH(key=Path("/keys/id"))))
    assert argv[-6:] == ["-l", "me", "-p", "2200", "--", "gpu01"]
    inner = next(word for word in argv if word.startswith("-oProxyCommand="))
    assert "StrictHostKeyChecking=yes" in inner
    assert inner.endswith("-l you -p 2022 -- hop")
    assert "IdentityFile" not in inner  # the inventory's key is for the inventory's hosts


def test_missing_program_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ssh on this machine the error says what to install."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConnectError, match=r"gpu01: there is no ssh .* openssh-client"):
        ssh_argv(HOST)


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize("user", ["0", "1000"])
def test_arguments_reach_the_script_as_they_are(
    tmp_path: Path, shell: list[str], user: str
) -> None:
    """Blanks, quotes, dollars and Chinese survive any login shell, with sudo and without."""
    for name, text in (("id", f"echo {user}"), ("sudo", '[ "$1" = -n ] && shift && exec "$@"')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    words = ["a b", "it's", '"$HOME"', "`id`", "模型", "-n", "*", "!"]
    command = as_root(Host(name="gpu01"), 'printf "%s\\n" "$@"', *words)
    done = subprocess.run(
        [*shell, "-c", command],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )
    assert done.stdout.splitlines() == words


@pytest.mark.parametrize(
    ("stderr", "what", "remedy"),
    [
        ("ssh: Could not resolve hostname x: Name or service not known", "resolved", "ssh.address"),
        ("ops@10.0.0.11: Permission denied (publickey).", "login was refused", "ssh.key"),
        ("ssh: connect to host x port 2222: Connection refused", "was refused", "Is sshd running"),
        ("ssh: connect to host x port 2222: Connection timed out", "does not answer", "firewall"),
        ("Timeout, server 10.0.0.11 not responding.", "does not answer", "firewall"),
        (
            "No ED25519 host key is known for x and you have requested strict checking.\r\n",
            "unknown host key",
            "inv trust --host gpu01",
        ),
        (
            "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nHost key verification failed.",
            "the host key has CHANGED",
            "Somebody may be in between",
        ),
        ("Connection to x closed by remote host.\n", "closed by remote host", "ssh -p 2222"),
        ("", "without a word", "ssh -p 2222"),
    ],
)
def test_every_ending_of_ssh_is_one_line_with_the_next_step(
    stderr: str, what: str, remedy: str
) -> None:
    """The place is the one that our own connection names."""
    error = explain_ended(HOST, Ended(255, "", stderr))
    assert error is not None
    assert str(error).startswith(f"{PLACE}: ")
    assert what in error.what
    assert remedy in error.remedy
    assert "\n" not in str(error)


def test_sudo_is_told_from_a_command_that_fails() -> None:
    """What the command said is judged by who sent it; what sudo said, here."""
    refused = explain_ended(HOST, Ended(1, "", "sudo: a password is required\n"))
    assert refused is not None
    assert "NOPASSWD" in refused.remedy
    missing = explain_ended(HOST, Ended(127, "", "env: 'sudo': No such file or directory"))
    assert missing is not None
    assert "Install sudo" in missing.remedy
    assert explain_ended(HOST, Ended(1, "", "dd: '/x': No space left on device")) is None
    assert explain_ended(HOST, Ended(127, "", "sh: 1: tar: not found")) is None


@pytest.mark.parametrize(
    ("stderr", "busy"),
    [
        ("kex_exchange_identification: Connection closed by remote host", True),
        ("kex_exchange_identification: read: Connection reset by peer", True),
        ("ops@hop: Permission denied (publickey).\nkex_exchange_identification: x", False),
        ("Host key verification failed.\r\nkex_exchange_identification: x", False),
        ("Connection to x closed by remote host.", False),
    ],
)
def test_busy_sshd_is_told_from_a_gateway_that_refuses(stderr: str, busy: bool) -> None:  # noqa: FBT001  a column
    """A drop at the door is worth another try, unless a reason stands beside it."""
    assert Ended(255, "", stderr).is_busy is busy


def test_signal_means_lost() -> None:
    """An ssh that was killed has lost the connection; a command that failed has not."""
    assert Ended(-9, "", "").is_lost
    assert not Ended(1, "", "").is_lost
    assert shutil.which("ssh")
