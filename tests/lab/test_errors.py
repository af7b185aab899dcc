"""Every failure an operator meets is one clear line with the remedy, and the other hosts go on."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from keyboard import Answer, inv

from provision.lab import Lab

pytestmark = pytest.mark.lab
Write = Callable[..., Path]

HOLD_DPKG_LOCK = """
setsid perl -MFcntl -e 'open(my $f, ">", "/var/lib/dpkg/lock-frontend") or die;
my $lock = pack("s s x4 q q i", F_WRLCK, 0, 0, 0, 0); fcntl($f, F_SETLK, $lock) or die; sleep 120' \
  >/dev/null 2>&1 </dev/null &
sleep 0.5
"""


def expect(answer: Answer, said: str, remedy: str, *, other: str = "unchanged") -> None:
    """Check exit code, one line about gpu01, its remedy, no traceback, and that gpu02 was done."""
    lines = answer.lines_about("gpu01")
    assert answer.status == 1, answer.text
    assert len(lines) == 1, answer.text
    assert re.search(said, lines[0]), lines[0]
    assert re.search(remedy, lines[0]), lines[0]
    assert "Traceback" not in answer.text
    assert re.search(rf"\b1 {other}", answer.stdout), answer.stdout


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("settings", "said", "remedy"),
    [
        ({"ssh": {"address": "{free}", "connect_timeout": 3}}, "does not answer", "Is it up"),
        ({"ssh": {"port": 2299}}, "connection was refused", "Is sshd running there"),
        ({"ssh": {"key": "{stranger}"}}, "login was refused; tried the key", "ssh -i"),
        ({"ssh": {"key": "/nowhere/key"}}, "file /nowhere/key does not exist", "Set ssh.key"),
        ({"ssh": {"known_hosts": "{empty}"}}, "unknown host key ssh-", "inv trust --host gpu01"),
        ({"ssh": {"known_hosts": "{forged}"}}, "host key has CHANGED", "ssh-keygen -f .* -R"),
        ({"ssh": {"user": "nosudo"}}, "sudo wants a password", "NOPASSWD"),
        ({"ssh": {"address": "no.such.host.invalid"}}, "name cannot be resolved", "ssh.address"),
        ({"gpus": 3}, "nvidia-smi sees 1 of 3 declared GPUs", "gpus: 1"),
    ],
)
def test_host_that_cannot_be_entered(
    converged: str,
    words: dict[str, str],
    write_inventory: Write,
    settings: dict[str, Any],
    said: str,
    remedy: str,
) -> None:
    """A host that cannot be reached, trusted or entered is one line, and the others are done."""
    assert converged == "gpu02"
    path = write_inventory(gpu01=_filled(settings, words))
    expect(inv("provision", "--inventory", path, "--yes"), said, remedy)


@pytest.mark.parametrize(
    ("edit", "said", "remedy"),
    [
        (("gpus:", "gpsu:"), r"fleet.yaml:\d+: vars.gpsu: unknown key", "Did you mean 'gpus'"),
        (("gpu[01:02]", "gup[01:02]"), r"fleet.yaml:\d+: groups.lab.hosts", "Did you mean 'gpu"),
        (("docker,", "dokcer,"), r"fleet.yaml:\d+: groups.lab.roles", "Did you mean 'docker'"),
        (("gpus: 1", "gpus: one"), r"fleet.yaml:\d+: vars.gpus", "Write gpus: 8"),
    ],
)
def test_typos_in_the_inventory(
    lab: Lab, tmp_path: Path, edit: tuple[str, str], said: str, remedy: str
) -> None:
    """A misspelt key, host, role or value is one line with file, line and the nearest name."""
    path = tmp_path / "fleet.yaml"
    path.write_text(lab.inventory.read_text().replace(*edit, 1))
    answer = inv("provision", "--inventory", path, "--yes")
    assert answer.status == 1
    assert re.search(said, answer.stderr), answer.stderr
    assert remedy in answer.stderr
    assert len(answer.text.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("--host", "gup01"), "Did you mean 'gpu01'"),
        (("--host", ""), "empty"),
        (("--role", "dokcer"), "Did you mean 'docker'"),
        (("--group", "lba"), "Did you mean 'lab'"),
        (("--inventroy", "x"), "Did you mean '--inventory'"),
        (("--format", "jsno"), "Did you mean 'json'"),
    ],
)
def test_typos_on_the_command_line(lab: Lab, words: tuple[str, ...], remedy: str) -> None:
    """A misspelt option or value is one line with the nearest name."""
    answer = inv("plan", "--inventory", lab.inventory, *words)
    assert answer.status == 1
    assert remedy in answer.stderr
    assert "Traceback" not in answer.text


def test_mirror_that_is_down(lab: Lab, bare: str, converged: str) -> None:
    """An unreachable mirror is named with the remedy, and nothing is installed from it."""
    assert (bare, converged) == ("gpu01", "gpu02")
    lab.mirror_down()
    try:
        answer = inv("provision", "--inventory", lab.inventory, "--yes")
    finally:
        lab.mirror_up()
    expect(answer, "mirror.* cannot be reached", "set another mirror")


@pytest.mark.parametrize("repository", ["docker-ce", "nvidia"])
def test_repository_that_was_tampered_with(
    lab: Lab, bare: str, converged: str, repository: str
) -> None:
    """A repository whose index does not fit its signature is refused."""
    assert (bare, converged) == ("gpu01", "gpu02")
    lab.tamper(repository)
    try:
        answer = inv("provision", "--inventory", lab.inventory, "--yes")
    finally:
        lab.untamper(repository)
    expect(answer, "signature or checksums", "another mirror")


def test_key_with_another_fingerprint(bare: str, converged: str, write_inventory: Write) -> None:
    """A signing key that is not the pinned one is refused, named, and not kept."""
    assert (bare, converged) == ("gpu01", "gpu02")
    wrong = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"
    path = write_inventory(gpu01={"docker": {"fingerprint": wrong}})
    answer = inv("provision", "--inventory", path, "--yes")
    expect(answer, f"not the pinned one: expected {wrong}, got [0-9A-F]{{40}}", "Do not go on")


def test_disk_that_is_full(lab: Lab, bare: str, converged: str) -> None:
    """A full disk is named as such."""
    assert (bare, converged) == ("gpu01", "gpu02")
    lab.exec(bare, "mount -t tmpfs -o size=2m tmpfs /var/cache/apt/archives")
    expect(inv("provision", "--inventory", lab.inventory, "--yes"), "disk is full", "df -h")


def test_dpkg_lock_that_is_not_released(
    lab: Lab, bare: str, converged: str, write_inventory: Write
) -> None:
    """A dpkg lock held longer than the limit is named with its holder."""
    assert (bare, converged) == ("gpu01", "gpu02")
    assert lab.exec(bare, HOLD_DPKG_LOCK).returncode == 0
    path = write_inventory(gpu01={"docker": {"lock_timeout": 2}})
    answer = inv("provision", "--inventory", path, "--yes")
    expect(answer, r"lock.*perl|holds", "Wait for it to end or stop it")


def test_daemon_json_that_is_no_json(lab: Lab, bare: str, converged: str) -> None:
    """An invalid daemon.json stops the host before anything is changed, and stays as it is."""
    assert (bare, converged) == ("gpu01", "gpu02")
    lab.exec(bare, "mkdir -p /etc/docker && echo '{\"debug\": tru}' >/etc/docker/daemon.json")
    answer = inv("provision", "--inventory", lab.inventory, "--yes")
    expect(answer, "daemon.json.*invalid JSON at line 1 column", "Mend it on the host")
    assert lab.exec(bare, "cat /etc/docker/daemon.json").stdout == '{"debug": tru}\n'
    assert lab.exec(bare, "test -e /etc/apt/keyrings/docker-ce.gpg").returncode == 1


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("profile", "said", "remedy"),
    [
        ("none", "no NVIDIA driver", "gpus: 0"),
        ("mismatch", "driver/library version mismatch", "reboot"),
        ("hang", "no answer in time", "dmesg"),
    ],
)
def test_driver_that_does_not_work(
    lab: Lab, bare: str, converged: str, profile: str, said: str, remedy: str
) -> None:
    """A missing, mismatched or hanging driver fails the plan with its remedy."""
    assert (bare, converged) == ("gpu01", "gpu02")
    lab.gpu(bare, profile)
    expect(inv("provision", "--inventory", lab.inventory, "--yes"), said, remedy)


def test_trust_shows_all_unknown_keys_and_records_them(
    tmp_path: Path, write_inventory: Write
) -> None:
    """Unknown keys of all hosts are shown at once, recorded with --yes, and then good to go."""
    known_hosts = tmp_path / "known"
    settings = {"ssh": {"known_hosts": str(known_hosts)}}
    path = write_inventory(gpu01=settings, gpu02=settings)
    shown = inv("trust", "--inventory", path)
    recorded = inv("trust", "--inventory", path, "--yes")
    again = inv("trust", "--inventory", path)
    assert shown.status == 2
    assert len(re.findall(r"^gpu0\d .*SHA256:", shown.stdout, re.MULTILINE)) == 2
    assert recorded.status == again.status == 0, recorded.text
    assert "2 known, 0 unknown" in again.stdout
    assert known_hosts.stat().st_mode & 0o777 == 0o600
    assert inv("facts", "--inventory", path).status == 0


@pytest.fixture
def words(lab: Lab, tmp_path: Path) -> dict[str, str]:
    """Return what cases name in braces: a free address, a stranger's key, odd known_hosts files."""
    key = Ed25519PrivateKey.generate()
    stranger, empty, forged = (tmp_path / name for name in ("stranger", "empty", "forged"))
    stranger.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
    )
    empty.touch()
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    forged.write_text(f"{lab.host('gpu01').address} {public.decode()}\n")
    free = lab.host("gpu01").address.rpartition(".")[0] + ".250"
    return {"free": free, "stranger": str(stranger), "empty": str(empty), "forged": str(forged)}


def _filled(settings: Any, words: dict[str, str]) -> Any:
    if isinstance(settings, dict):
        return {key: _filled(value, words) for key, value in settings.items()}
    return settings.format(**words) if isinstance(settings, str) else settings
