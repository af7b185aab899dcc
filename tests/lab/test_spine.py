"""The laws of the main job: bare hosts to Docker and the toolkit, shown first, done once."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from keyboard import NAME, ROLES, inv

from provision import lab as labs
from provision.lab import Lab

pytestmark = pytest.mark.lab

EXCLUDED = ("/run", "/proc", "/sys", "/dev", "/var/log")
"""What a login itself changes, or what is no file system of the host; wtmp and lastlog are logs; sessions are units."""
FINGERPRINT = (
    f"find / /tmp /var/lib/docker /var/lib/containerd -xdev"
    rf" \( {' -o '.join(f'-path {path}' for path in EXCLUDED)} \) -prune -o"
    r" -printf '%p %y %m %U %G %s %T@ %l\n' | sort"
    "; find / /tmp -xdev"
    rf" \( {' -o '.join(f'-path {path}' for path in EXCLUDED)} \) -prune -o"
    " -type f -print0 | sort -z | xargs -0 sha256sum"
    "; dpkg -l; systemctl list-unit-files --no-legend --no-pager | grep -v '^session-'"
    "; systemctl list-units --plain --no-legend --no-pager --type=service,socket,timer"
    " | grep -Ev '^(user@|user-runtime-dir@)' | cut -d' ' -f1 | sort"
)
MOST_BYTES, MOST_PROCESSES = 26_000, 200
"""What a run that changes nothing may cost a host at most; threads, sshd and sudo are counted too."""
COMPOSE = """
services:
  gpu:
    image: tiny
    command: ["true"]
    deploy: {resources: {reservations: {devices: [{driver: nvidia, count: all, capabilities: [gpu]}]}}}
"""


def test_plan_leaves_a_bare_host_untouched(lab: Lab, bare: str) -> None:
    """A plan exits 2 and changes no file, package or unit of a bare host."""
    before = lab.exec(bare, FINGERPRINT).stdout
    answer = inv("plan", "--inventory", lab.inventory, "--host", bare)
    after = lab.exec(bare, FINGERPRINT).stdout
    assert answer.status == 2, answer.text
    assert len(before.splitlines()) > 2000
    assert before == after


def test_fingerprint_sees_a_touched_file(lab: Lab, bare: str) -> None:
    """The fingerprint that proves the law above notices one changed time stamp."""
    before = lab.exec(bare, FINGERPRINT).stdout
    lab.exec(bare, "touch /etc/hostname")
    assert lab.exec(bare, FINGERPRINT).stdout != before


def provisioned(lab: Lab, host: str) -> tuple[str, int, int]:
    """Provision a host; return what was said, and its logins and execs by sshd's own account."""
    before = len(lab.logs(host))
    answer = inv("provision", "--inventory", lab.inventory, "--host", host, "--yes")
    log = lab.logs(host)[before:]
    assert answer.status == 0, answer.text
    assert "subsystem" not in log
    words = ("Accepted publickey", "Starting session: command")
    logins, execs = (len(re.findall(word, log)) for word in words)
    return answer.stdout, logins, execs


def test_second_run_changes_nothing_in_one_connection_and_one_exec(
    lab: Lab, converged: str
) -> None:
    """A converged host costs one login and one exec channel."""
    said, logins, execs = provisioned(lab, converged)
    assert "0 changes" in said
    assert (logins, execs) == (1, 1)


def test_a_change_costs_a_second_exec_for_the_lock_and_no_more(lab: Lab, converged: str) -> None:
    """Whatever a host changes: one login, the shell that reads, changes and probes, and the lock's."""
    flip = 'sed -i \'s/"cdi": true/"cdi": false/\' /etc/docker/daemon.json'
    assert lab.exec(converged, flip).returncode == 0
    said, logins, execs = provisioned(lab, converged)
    assert "1 change" in said
    assert (logins, execs) == (1, 2)


def test_second_run_costs_a_host_next_to_nothing(lab: Lab, converged: str) -> None:
    """By the host's own count: what reaches it over the network, and the processes it starts."""
    count = "cat /sys/class/net/eth0/statistics/rx_bytes /proc/sys/kernel/ns_last_pid"

    def counted() -> tuple[int, int]:
        received, last = lab.exec(converged, count).stdout.split()
        return int(received), int(last)

    def cost() -> tuple[int, int]:
        before, start = counted(), counted()
        inv("provision", "--inventory", lab.inventory, "--host", converged, "--yes")
        end = counted()
        return end[0] - start[0], end[1] - start[1] - (start[1] - before[1])

    received, started = zip(*(cost() for _ in range(3)), strict=True)  # the host has other work too
    assert min(received) <= MOST_BYTES
    assert min(started) <= MOST_PROCESSES


def test_plan_of_a_converged_host_has_no_changes(lab: Lab, converged: str) -> None:
    """A plan of a converged host exits 0, and its JSON counts no change."""
    answer = inv("plan", "--inventory", lab.inventory, "--host", converged, "--format", "json")
    host = json.loads(answer.stdout)["hosts"][converged]
    assert answer.status == 0
    assert (host["changes"], host["may_change"], host["error"]) == (0, 0, "")


def test_docker_knows_the_nvidia_runtime_and_hands_out_gpus(lab: Lab, converged: str) -> None:
    """Docker lists the nvidia runtime and accepts --gpus all and a compose file's driver: nvidia."""
    with lab.tiny_image().open("rb") as image:
        container = lab.host(converged).container
        script = "cat >/tmp/tiny.tar && docker import /tmp/tiny.tar tiny"
        command = lab.engine.command("exec", "--interactive", container, "sh", "-c", script)
        subprocess.run(command, stdin=image, check=True, capture_output=True)
    assert "nvidia" in lab.exec(converged, "docker info -f '{{json .Runtimes}}'").stdout
    for flags in ("--gpus all", "--runtime nvidia --gpus all", "--device nvidia.com/gpu=all"):
        done = lab.exec(converged, f"docker run --rm {flags} tiny /bin/true")
        assert done.returncode == 0, f"{flags}: {done.stderr}"
    up = "mkdir -p /tmp/c && cat >/tmp/c/compose.yaml && docker compose -f /tmp/c/compose.yaml up"
    done = lab.exec(converged, up, input=COMPOSE)
    lab.exec(converged, "docker compose -f /tmp/c/compose.yaml down; docker rmi tiny")
    assert done.returncode == 0, done.stderr


def test_docker_restarts_at_most_once_in_a_whole_run(first_run: dict[str, str]) -> None:
    """From bare to done, dockerd starts once with its package and restarts once for the toolkit."""
    assert first_run["starts"] == "2"


def test_first_start_of_docker_already_reads_daemon_json(first_run: dict[str, str]) -> None:
    """daemon.json stands before dockerd starts for the first time."""
    assert len(first_run["files"].splitlines()) == 2
    assert first_run["live_restore"] == "true"


def test_foreign_keys_of_daemon_json_stay(lab: Lab, converged: str) -> None:
    """Keys that are not ours stay in daemon.json, whatever is merged into it."""
    path = "/etc/docker/daemon.json"
    merge = f"sed -i '1s/{{/{{\"max-concurrent-downloads\": 7,/; s/nvidia-container-runtime/gone/' {path}"
    assert lab.exec(converged, merge).returncode == 0
    answer = inv("provision", "--inventory", lab.inventory, "--host", converged, "--yes")
    document = json.loads(lab.exec(converged, f"cat {path}").stdout)
    assert answer.status == 0, answer.text
    assert "then once: restart docker" in answer.stdout
    assert document["max-concurrent-downloads"] == 7
    assert document["runtimes"]["nvidia"]["path"] == "nvidia-container-runtime"


def test_nothing_is_applied_without_a_terminal_and_without_yes(lab: Lab, bare: str) -> None:
    """Without a terminal to ask on and without --yes nothing is applied, and the exit says so."""
    answer = inv("provision", "--inventory", lab.inventory, "--host", bare)
    assert answer.status == 2
    assert "pass --yes" in answer.stderr
    assert lab.exec(bare, "test -e /etc/docker").returncode == 1


@pytest.mark.parametrize("words", [("--dry-run", "--yes"), ("--dry", "--yes"), ("-R", "--yes")])
def test_dry_runs_change_nothing(lab: Lab, bare: str, words: tuple[str, ...]) -> None:
    """--dry-run and Invoke's own --dry and -R show the plan and change nothing, even with --yes."""
    answer = inv("provision", "--inventory", lab.inventory, "--host", bare, *words)
    assert answer.status == 2, answer.text
    assert lab.exec(bare, "test -e /etc/docker").returncode == 1


def test_host_without_gpus_needs_no_driver(
    lab: Lab, bare: str, write_inventory: Callable[..., Path]
) -> None:
    """A host declared with gpus: 0 is planned without driver and without the toolkit."""
    lab.gpu(bare, "none")
    path = write_inventory(gpu01={"gpus": 0})
    answer = inv("plan", "--inventory", path, "--host", bare)
    assert answer.status == 2, answer.text
    assert "nvidia-container-toolkit" not in answer.stdout


def test_older_source_of_the_same_repository_is_disabled(lab: Lab, bare: str) -> None:
    """An older line with another keyring, which apt would refuse beside ours, is commented out."""
    keyring = "[signed-by=/etc/apt/keyrings/docker.asc]"
    line = f"deb {keyring} https://download.docker.com/linux/debian trixie stable"
    other = "deb [trusted=yes] https://nvidia.github.io/elsewhere /"
    lab.exec(bare, f"printf '%s\\n' '{line}' '# {other}' >/etc/apt/sources.list.d/all.list")
    answer = inv("provision", "--inventory", lab.inventory, "--host", bare, "--yes")
    left = lab.exec(bare, "cat /etc/apt/sources.list.d/all.list").stdout
    assert answer.status == 0, answer.text
    assert "disables the older source in /etc/apt/sources.list.d/all.list" in answer.stdout
    assert left == f"# {line}\n# {other}\n"


def test_repository_that_does_not_answer_is_not_entered(lab: Lab, bare: str) -> None:
    """After a failure at the repository apt works on the host as it did before."""
    lab.tamper("docker-ce")
    try:
        answer = inv("provision", "--inventory", lab.inventory, "--host", bare, "--yes")
    finally:
        lab.untamper("docker-ce")
    assert answer.status == 1
    assert lab.exec(bare, "ls /etc/apt/sources.list.d | grep docker").stdout == ""
    assert lab.exec(bare, "apt-get update").returncode == 0


def test_run_that_died_half_way_is_finished_by_the_next(lab: Lab, bare: str) -> None:
    """A source that was written but never fetched, and half-installed packages, are made good."""
    assert inv("provision", "--inventory", lab.inventory, "--host", bare, "--yes").status == 0
    lab.exec(bare, "rm -f /var/lib/apt/lists/*docker-ce*; rm /usr/bin/docker-init")
    lab.exec(bare, "dpkg --force-all -r docker-compose-plugin")
    answer = inv("provision", "--inventory", lab.inventory, "--host", bare, "--yes")
    assert answer.status == 0, answer.text
    assert lab.exec(bare, "docker compose version").returncode == 0


def test_bookworm_is_provisioned_like_trixie() -> None:
    """A Debian 12 host reaches the same end, and its second run changes nothing."""
    name = f"{NAME}-12"
    labs.down(name)
    try:
        older = labs.up(hosts=1, distro="bookworm", name=name, roles=ROLES)
        first = inv("provision", "--inventory", older.inventory, "--yes")
        second = inv("provision", "--inventory", older.inventory, "--yes")
        assert first.status == 0, first.text
        assert second.status == 0, second.text
        assert "0 changes" in second.stdout
    finally:
        labs.down(name)
