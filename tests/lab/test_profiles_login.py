"""The laws of odd ways in: whatever the login, sudo and shell of a host, it comes to the same end."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from keyboard import inv

from provision.errors import LabError
from provision.host.push import push
from provision.inventory.schema import SSH, Host
from provision.lab import Lab
from provision.lab.profiles import SUDO_PASSWORD
from provision.state.resource import Bulk, Transfer

pytestmark = pytest.mark.lab
Write = Callable[..., Path]

WAYS_IN: Final = (
    "sudo-password",
    "sudo-rs",
    "sudo-rs+sudo-password",
    "requiretty",
    "requiretty+sudo-password",
    "port-2222+umask-077",
    "bastion+port-2222",
    "fish+sudo-password",
    "tcsh+sudo-password",
    "busybox-sh",
    "gbk+sudo-password",
    "noexec-tmp+bare-path",
    "no-tools",
    "fish+requiretty",
    "sudo-rs+sudo-password+bastion+port-2222+tcsh+busybox-sh+gbk+umask-077+noexec-tmp+bare-path+no-tools",
)
FILES: Final = "/etc/apt /etc/docker /etc/nvidia-container-runtime /etc/cdi /var/lib/provision"
"""What provisioning writes, but for what packages bring."""
STATE: Final = {
    "packages": "dpkg-query -W -f='${Package} ${Version} ${db:Status-Abbrev}\\n'",
    "files": f"find {FILES} -printf '%p %y %m %U %G %l\\n' 2>/dev/null | sort",
    "contents": "find /etc/apt /etc/docker -type f -print0 | sort -z | xargs -0 sha256sum",
    "daemon.json": "cat /etc/docker/daemon.json",
    "docker": "docker info -f '{{.ServerVersion}} {{.DefaultRuntime}} {{.LiveRestoreEnabled}}'",
    "runtimes": "docker info -f '{{range $name, $_ := .Runtimes}}{{$name}} {{end}}'",
    "units": "systemctl is-enabled docker containerd; systemctl is-active docker containerd",
}


class End(NamedTuple):
    """What a host has come to: answers by subject, packages apart."""

    packages: frozenset[str]
    answers: dict[str, str]


def end_of(lab: Lab, host: str) -> End:
    """Look at a host from inside, by a shell that no profile has touched."""
    answers = {name: lab.exec(host, f"umask 022; {ask}").stdout for name, ask in STATE.items()}
    return End(frozenset(answers.pop("packages").splitlines()), answers)


@pytest.fixture(scope="module")
def plain(lab: Lab) -> tuple[End, End]:
    """Return what a plain host is before and after it was provisioned."""
    lab.reset("gpu01")
    before = end_of(lab, "gpu01")
    answer = inv("provision", "--inventory", lab.inventory, "--host", "gpu01", "--yes")
    assert answer.status == 0, answer.text
    return before, end_of(lab, "gpu01")


@pytest.mark.matrix
@pytest.mark.parametrize("ways", WAYS_IN)
def test_every_way_in_leads_to_the_same_end(
    plain: tuple[End, End], lab: Lab, bare: str, write_inventory: Write, ways: str
) -> None:
    """The host comes to be what a plain one does, and the second run changes nothing in one exec."""
    names = ways.split("+")
    path = write_inventory(gpu01=lab.dress(bare, *names))
    own = end_of(lab, bare).packages - plain[0].packages
    first = inv("provision", "--inventory", path, "--host", bare, "--yes")
    assert first.status == 0, first.text
    end = end_of(lab, bare)
    assert json.loads(end.answers["daemon.json"])
    assert differences(end, plain[1]) == []
    assert end.packages - own == plain[1].packages - own
    logged = len(lab.logs(bare))
    second = inv("provision", "--inventory", path, "--host", bare, "--yes")
    log = lab.logs(bare)[logged:]
    assert second.status == 0, second.text
    assert "0 changes" in second.stdout
    assert len(re.findall("Accepted publickey", log)) == 1
    assert len(re.findall("Starting session: command", log)) == execs(names)
    assert SUDO_PASSWORD not in first.text + second.text


def differences(end: End, other: End) -> list[str]:
    """Return the lines that only one of two hosts answers."""
    both = [
        {
            f"{name}: {line}"
            for name in STATE
            if name in each.answers
            for line in each.answers[name].splitlines()
        }
        for each in (end, other)
    ]
    return [f"- {line}" for line in sorted(both[1] - both[0])] + [
        f"+ {line}" for line in sorted(both[0] - both[1])
    ]


def execs(names: list[str]) -> int:
    """Return what a converged host costs; where sudo wants a terminal, its refusal comes first."""
    return 2 if "requiretty" in names else 1


@pytest.mark.parametrize("ways", ["requiretty", "gbk", "fish", "tcsh", "umask-077"])
def test_what_a_host_prints_at_login_is_no_answer(
    lab: Lab, bare: str, write_inventory: Write, ways: str
) -> None:
    """Facts are the same whatever shell, locale, lecture and greeting stand before them."""
    words = ("facts", "--host", bare, "--format", "json", "--inventory")
    usual = json.loads(inv(*words, lab.inventory).stdout)
    path = write_inventory(gpu01=lab.dress(bare, *ways.split("+")))
    answer = inv(*words, path)
    assert answer.status == 0, answer.text
    assert steady(json.loads(answer.stdout)) == steady(usual)


def steady(document: Any) -> Any:
    """Return facts without what moves by itself, and without the Python that fish brings along."""
    if isinstance(document, dict):
        kept = {key: steady(value) for key, value in document.items() if key != "pythons"}
        return {key: value for key, value in kept.items() if not isinstance(value, float | int)}
    return [steady(item) for item in document] if isinstance(document, list) else document


@pytest.mark.parametrize(
    "ways", ["sudo-password", "sudo-rs+sudo-password", "requiretty+sudo-password"]
)
def test_a_wrong_password_is_tried_once(
    lab: Lab, bare: str, write_inventory: Write, tmp_path: Path, ways: str
) -> None:
    """A wrong password is said to be so, and costs the account one failed attempt, not its lock."""
    lab.dress(bare, *ways.split("+"))
    assert lab.exec(bare, COUNT_FAILURES).returncode == 0
    wrong = tmp_path / "wrong"
    wrong.write_text("no such word\n")
    settings = {"ssh": {"sudo_password": f"file:{wrong}"}}
    answer = inv("facts", "--inventory", write_inventory(gpu01=settings), "--host", bare)
    failures = lab.exec(bare, "faillock --user ops | grep -c ' V$'").stdout.strip()
    assert answer.status == 1, answer.text
    assert "password" in answer.text
    assert failures == "1", lab.exec(bare, "faillock --user ops").stdout


@pytest.mark.parametrize("ways", ["sudo-password", "sudo-rs+sudo-password"])
def test_a_password_that_nobody_gave_is_asked_for_with_the_remedy(
    lab: Lab, bare: str, ways: str
) -> None:
    """Where sudo wants a password and none was given, the error says how to give one."""
    lab.dress(bare, *ways.split("+"))
    answer = inv("plan", "--inventory", lab.inventory, "--host", bare)
    assert answer.status == 1
    assert re.search("sudo wants a password", answer.text), answer.text
    assert "--ask-sudo-password" in answer.text


@pytest.mark.parametrize("ways", ["sudo-password", "sudo-rs+sudo-password", "fish+sudo-password"])
def test_bulk_data_reaches_a_host_whose_sudo_wants_a_password(
    lab: Lab, bare: str, tmp_path: Path, ways: str
) -> None:
    """Large and small files arrive whole, and the password is in none of them."""
    dressed = lab.dress(bare, *ways.split("+"))
    way_in = {"address": lab.host(bare).address, "user": "ops", "key": lab.key}
    ssh = {**way_in, "known_hosts": lab.known_hosts, **dressed["ssh"]}
    contents = {"large": os.urandom(9 << 20), "a": b"a\n", "empty": b"", "folder/b": b"b"}
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    sizes = tuple((name, len(content)) for name, content in contents.items())
    bulk = Bulk(key="m@1", folder="/srv/m", files=sizes)
    transfer = Transfer(way="push", bulk=bulk, origin=str(tmp_path))
    host = Host(name=bare, ssh=SSH.model_validate(ssh))
    push(host, transfer, lambda _done, _total: None, lambda: False)
    for name, content in contents.items():
        said = lab.exec(bare, f"sha256sum </srv/m/{name}").stdout.split()[0]
        assert said == hashlib.sha256(content).hexdigest(), name


def test_a_host_behind_a_bastion_answers_nobody_else(
    lab: Lab, bare: str, write_inventory: Write
) -> None:
    """The profile does what it says: without the bastion there is no way in, and with it there is."""
    dressed = lab.dress(bare, "bastion")
    direct = write_inventory(gpu01={"ssh": {"connect_timeout": 2}})
    refused = inv("facts", "--inventory", direct, "--host", bare)
    entered = inv("facts", "--inventory", write_inventory(gpu01=dressed), "--host", bare)
    assert refused.status == 1
    assert "does not answer" in refused.text
    assert entered.status == 0, entered.text
    assert f"Accepted publickey for ops from {lab.host('gpu02').address}" in lab.logs(bare)


def test_dressing_twice_changes_nothing(lab: Lab, bare: str) -> None:
    """Profiles are idempotent: after a second time the same files stand there."""
    names = sorted({name for ways in WAYS_IN for name in ways.split("+")})
    settings = lab.dress(bare, *names)
    before = lab.exec(bare, LOOK).stdout
    assert lab.dress(bare, *names) == settings
    assert len(before.splitlines()) > 20
    assert lab.exec(bare, LOOK).stdout == before


def test_a_misspelt_profile_is_named(lab: Lab, bare: str) -> None:
    """An unknown profile is refused with the nearest, before the host is touched."""
    with pytest.raises(LabError, match="no profile 'sudo-pasword'"):
        lab.dress(bare, "port-2222", "sudo-pasword")
    assert lab.exec(bare, "test -e /etc/lab/profiles").returncode == 1


LOOK: Final = """
sha256sum /etc/passwd /etc/login.defs /etc/sudoers /etc/sudoers.d/* /etc/pam.d/* /home/ops/.* /bin/sh
dpkg-divert --list
mount
iptables-save | grep -v '^[#:]'
"""
COUNT_FAILURES: Final = """
cat >/etc/pam.d/common-auth <<'PAM'
auth requisite pam_faillock.so preauth
auth [success=2 default=ignore] pam_unix.so nullok
auth [default=die] pam_faillock.so authfail
auth requisite pam_deny.so
auth required pam_permit.so
PAM
faillock --user ops --reset
"""
