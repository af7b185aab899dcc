"""The laws of RPM hosts: the same roles over a real dnf, on a Debian host in disguise (`el9-disguise`).

dnf, rpm, the index, its signatures, dockerd and systemd are real; the distribution is not: the
packages are Debian's files in RPMs with Docker's names and relations, and the toolkit's stand-ins.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from keyboard import inv, inventory

from provision.lab import Lab
from provision.lab.rpm_repositories import FORGED, ensure_rpms

pytestmark = [pytest.mark.lab, pytest.mark.matrix("rpm")]

HOST: Final = "gpu01"
TUNA: Final = "https://mirrors.tuna.tsinghua.edu.cn/docker-ce"
NVIDIA: Final = "https://nvidia.github.io/libnvidia-container"
INSTALLED: Final = "rpm -qa --qf '%{NAME}\\n' | sort"
# A host is born in a minute; undoing what a test did takes a second.
CLEAN: Final = """set -e
systemctl stop docker.socket docker containerd 2>/dev/null || :
rpm -qa | grep -v '^rocky-release-' | xargs -r rpm -e --nodeps --noscripts
find /etc/yum.repos.d /etc/pki/rpm-gpg -type f ! -name rocky.repo -delete
rm -rf /etc/docker /etc/containerd /etc/cdi /run/cdi /var/lib/provision /var/cache/dnf /etc/dnf
cp -a /root/dnf /etc/dnf
systemctl daemon-reload
systemctl reset-failed
"""
LOOK: Final = (
    "find /etc /usr /var/lib -xdev -path /var/lib/rpm -prune -o -type f -printf '%p %m %s %T@\\n'"
    " | sort; rpm -qa | sort; dpkg -l; systemctl list-unit-files --no-legend --no-pager | grep -v '^session-'"
)
# Another dnf at work: what holds its locks of the lists and of the database until it is told to end.
BUSY: Final = """touch /run/lab-busy
systemd-run --quiet --collect --unit lab-busy python3 -c '
import os, time, dnf
conf = dnf.Base().conf
with dnf.lock.build_metadata_lock(conf.cachedir, True), dnf.lock.build_rpmdb_lock(conf.persistdir, True):
    open("/run/lab-locked", "w")
    while os.path.exists("/run/lab-busy"):
        time.sleep(0.2)
'
until [ -e /run/lab-locked ]; do sleep 0.2; done"""


@pytest.fixture(scope="module")
def disguised(lab: Lab) -> Iterator[Lab]:
    """Return a lab whose first host calls itself Rocky Linux 9.6; `gpu01` is bare again afterwards."""
    ensure_rpms()
    lab.reset(HOST)
    lab.dress(HOST, "el9-disguise")
    assert lab.exec(HOST, "cp -a /etc/dnf /root/dnf").returncode == 0
    yield lab
    lab.reset(HOST)


@pytest.fixture
def fresh(disguised: Lab) -> Lab:
    """Return the lab with that host as it was, without what the last test had installed."""
    done = disguised.exec(HOST, CLEAN)
    assert done.returncode == 0, done.stderr
    assert _ask(disguised, INSTALLED).split() == ["rocky-release"]
    return disguised


def _ask(lab: Lab, script: str) -> str:
    return lab.exec(HOST, script).stdout


def _run(verb: str, path: Path) -> Any:
    yes = ("--yes",) if verb == "provision" else ()
    return inv(verb, "--inventory", path, "--host", HOST, *yes)


def _path(lab: Lab, folder: Path, **settings: Any) -> Path:
    return inventory(lab, folder, **{HOST: settings})


def test_a_plan_leaves_the_host_untouched(fresh: Lab, tmp_path: Path) -> None:
    """A plan over rpm and dnf shows all that is to come, and changes no file."""
    before = _ask(fresh, LOOK)
    answer = _run("plan", _path(fresh, tmp_path))
    assert answer.status == 2, answer.text
    assert "dnf_repository:docker-ce" in answer.stdout
    assert "package:docker-ce-cli" in answer.stdout
    assert "apt" not in answer.stdout
    assert len(before.splitlines()) > 2000
    assert _ask(fresh, LOOK) == before


def test_an_rpm_host_converges_and_the_second_run_changes_nothing(
    fresh: Lab, tmp_path: Path
) -> None:
    """Docker and the toolkit come by dnf, work, and cost one exec once they are there."""
    path = _path(fresh, tmp_path)
    first = _run("provision", path)
    assert first.status == 0, first.text
    assert {"docker-ce", "containerd.io", "nvidia-container-toolkit", "ca-certificates"} <= set(
        _ask(fresh, INSTALLED).split()
    )
    assert _ask(fresh, "docker info -f '{{.ServerVersion}} {{.LiveRestoreEnabled}}'").split() == [
        "26.1.5+dfsg1",
        "true",
    ]
    assert "nvidia" in _ask(fresh, "docker info -f '{{.Runtimes}}'")
    assert _ask(fresh, "systemctl is-enabled docker; systemctl is-active docker").split() == [
        "enabled",
        "active",
    ]
    # the driver stays out of unattended upgrades, and only there
    assert "nvidia-driver*" in _ask(fresh, "grep ^excludepkgs /etc/dnf/automatic.conf")
    assert "excludepkgs" not in _ask(fresh, "cat /etc/dnf/dnf.conf")
    logged = len(fresh.logs(HOST))
    second = _run("provision", path)
    log = fresh.logs(HOST)[logged:]
    assert second.status == 0, second.text
    assert "0 changes" in second.stdout
    assert len(re.findall("Starting session: command", log)) == 1


def test_a_container_gets_the_gpus(fresh: Lab, tmp_path: Path) -> None:
    """The engine out of the RPMs runs a container and hands it the GPUs by the toolkit's runtime."""
    assert _run("provision", _path(fresh, tmp_path)).status == 0
    fresh.engine("cp", str(fresh.tiny_image()), f"{fresh.host(HOST).container}:/root/tiny.tar")
    script = "docker import /root/tiny.tar tiny >/dev/null && docker run --rm --gpus all tiny true"
    done = fresh.exec(HOST, script)
    assert done.returncode == 0, done.stderr


def test_a_held_version_is_moved_by_us_alone(fresh: Lab, tmp_path: Path) -> None:
    """A pattern pins, a hold keeps `dnf upgrade` away without a plugin, and we move it all the same."""
    older = _path(fresh, tmp_path, docker={"version": "26.1.4", "hold": True})
    assert _run("provision", older).status == 0
    query = "rpm -q --qf '%{VERSION} ' docker-ce docker-ce-cli"
    assert _ask(fresh, query).split() == ["26.1.4", "26.1.4"]
    assert "Nothing to do" in _ask(fresh, "dnf -y upgrade")
    assert "0 changes" in _run("provision", older).stdout
    newer = _path(fresh, tmp_path, docker={"version": "26.1.*-1.el9", "hold": True})
    assert "0 changes" in _run("plan", newer).stdout
    moved = _run("provision", _path(fresh, tmp_path, docker={"version": "3:26.1.5*"}))
    assert moved.status == 1  # docker-ce-cli has another epoch: no pattern with one fits both
    moved = _run("provision", _path(fresh, tmp_path, docker={"version": "26.1.5", "hold": True}))
    assert moved.status == 0, moved.text
    assert _ask(fresh, query).split() == ["26.1.5", "26.1.5"]


def test_a_wrong_key_is_refused(fresh: Lab, tmp_path: Path) -> None:
    """A key of another fingerprint enters no repository and installs nothing."""
    docker = {"fingerprint": fresh.nvidia_fingerprint}
    answer = _run("provision", _path(fresh, tmp_path, docker=docker))
    assert answer.status == 1
    assert f"not the pinned one: expected {fresh.nvidia_fingerprint}" in answer.text
    assert _ask(fresh, "ls /etc/yum.repos.d /etc/pki/rpm-gpg").split() == [
        *("/etc/pki/rpm-gpg:", "/etc/yum.repos.d:", "rocky.repo")
    ]
    assert "containerd.io" not in _ask(fresh, INSTALLED)


def test_an_index_that_was_changed_after_its_signing_is_refused(fresh: Lab, tmp_path: Path) -> None:
    """NVIDIA's index is signed: one that was tampered with is not entered."""
    path = _path(fresh, tmp_path, nvidia_container_toolkit={"mirror": f"{NVIDIA}/{FORGED}"})
    answer = _run("provision", path)
    assert answer.status == 1
    assert "GPG" in answer.text
    assert "nvidia" not in _ask(fresh, "ls /etc/yum.repos.d")
    assert "nvidia-container-toolkit" not in _ask(fresh, INSTALLED)


def test_packages_that_somebody_else_signed_are_refused(fresh: Lab, tmp_path: Path) -> None:
    """Docker's packages are signed: with another key none of them is installed."""
    path = _path(fresh, tmp_path, docker={"mirror": f"{TUNA}/{FORGED}"})
    answer = _run("provision", path)
    assert answer.status == 1
    assert "a package is not signed by the pinned key" in answer.text
    assert not {"docker-ce", "containerd.io"} & set(_ask(fresh, INSTALLED).split())


def test_nothing_is_removed_that_was_not_shown(fresh: Lab, tmp_path: Path) -> None:
    """What Docker obsoletes is refused, or shown as a removal; what it conflicts with stays."""
    assert fresh.exec(HOST, "dnf -y install runc site-agent").returncode == 0
    refused = _run("plan", _path(fresh, tmp_path))
    assert "runc is installed" in refused.text
    path = _path(fresh, tmp_path, docker={"replace_engine": True})
    plan = _run("plan", path)
    assert re.search(r"- package:runc\b", plan.stdout), plan.text
    assert "site-agent" not in plan.stdout
    answer = _run("provision", path)
    assert answer.status == 1
    assert "dnf would also remove" in answer.text
    assert "site-agent" in answer.text
    assert {"runc", "site-agent"} <= set(_ask(fresh, INSTALLED).split())
    assert fresh.exec(HOST, "rpm -e site-agent").returncode == 0
    answer = _run("provision", path)
    assert answer.status == 0, answer.text
    assert "runc" not in _ask(fresh, INSTALLED).split()


def test_an_older_entry_is_disabled_and_its_neighbours_stay(fresh: Lab, tmp_path: Path) -> None:
    """Docker's own .repo of the wiki page goes out of use; what else stands in the file does not."""
    text = (
        f"[docker-ce-stable]\nname=Docker\nbaseurl={TUNA}/linux/centos/9/x86_64/stable\n"
        "enabled=1\ngpgcheck=0\n\n[theirs]\nname=x\nbaseurl=file:///usr/share/lab-el9\ngpgcheck=0\n"
    )
    fresh.exec(HOST, "cat >/etc/yum.repos.d/wiki.repo", input=text)
    path = _path(fresh, tmp_path)
    assert "disables the older repository" in _run("plan", path).text
    answer = _run("provision", path)
    assert answer.status == 0, answer.text
    after = _ask(fresh, "cat /etc/yum.repos.d/wiki.repo")
    assert after == text.replace("enabled=1", "# provision: enabled\nenabled=0")
    assert "0 changes" in _run("provision", path).stdout


def test_another_dnf_is_waited_for(fresh: Lab, tmp_path: Path) -> None:
    """While somebody else's dnf holds its locks ours waits, as long as lock_timeout says."""
    timeouts = {"docker": {"lock_timeout": 1}, "base": {"lock_timeout": 1}}
    assert fresh.exec(HOST, BUSY).returncode == 0
    hasty = _run("provision", _path(fresh, tmp_path, **timeouts))
    assert hasty.status == 1, hasty.text
    assert _ask(fresh, INSTALLED).split() == ["rocky-release"]
    fresh.exec(HOST, "systemd-run --quiet --on-active=5 rm -f /run/lab-busy /run/lab-locked")
    answer = _run("provision", _path(fresh, tmp_path))
    assert answer.status == 0, answer.text


def test_the_proxy_goes_into_dnf_conf_and_out_again(disguised: Lab, tmp_path: Path) -> None:
    """The one line is ours, with a mark; the file is as it was when the proxy is taken back."""
    only = {"roles": ["base"], "base": {"packages": []}}
    document = _ask(disguised, "cat /etc/dnf/dnf.conf")
    proxied = _path(disguised, tmp_path, proxies={"apt": "http://10.0.0.1:3128"}, **only)
    plan = json.loads(
        inv("plan", "--inventory", proxied, "--host", HOST, "--format", "json").stdout
    )
    assert "dnf_setting:proxy" in json.dumps(plan)
    words = ("provision", "--inventory", proxied, "--host", HOST, "--yes", "--role", "base")
    assert inv(*words).status == 0
    assert "proxy=http://10.0.0.1:3128" in _ask(disguised, "cat /etc/dnf/dnf.conf")
    without = _path(disguised, tmp_path, **only)
    words = ("provision", "--inventory", without, "--host", HOST, "--yes", "--role", "base")
    assert inv(*words).status == 0
    assert _ask(disguised, "cat /etc/dnf/dnf.conf") == document
