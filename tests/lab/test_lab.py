"""The laws of the lab: its hosts are real, bare, reachable as written, and nobody else's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from keyboard import ROLES

from provision import lab as labs
from provision.errors import LabError

if TYPE_CHECKING:
    from provision.lab import Lab

pytestmark = pytest.mark.lab
DOCKER_SOURCE = (
    "deb [signed-by=/etc/apt/keyrings/docker.asc] "
    "https://mirrors.tuna.tsinghua.edu.cn/docker-ce/linux/debian trixie stable"
)
NVIDIA_SOURCE = (
    "deb [signed-by=/etc/apt/keyrings/nvidia.asc] "
    "https://mirrors.ustc.edu.cn/libnvidia-container/stable/deb/$(ARCH) /"
)
ADD_REPOSITORIES = f"""
set -e
apt-get update -qq
apt-get install -y -qq curl >/dev/null 2>&1
curl -fsS -o /etc/apt/keyrings/docker.asc \\
    https://mirrors.tuna.tsinghua.edu.cn/docker-ce/linux/debian/gpg
curl -fsS -o /etc/apt/keyrings/nvidia.asc https://nvidia.github.io/libnvidia-container/gpgkey
echo '{DOCKER_SOURCE}' >/etc/apt/sources.list.d/docker.list
echo '{NVIDIA_SOURCE}' >/etc/apt/sources.list.d/nvidia.list
"""


def root(lab: Lab, host: str, script: str) -> str:
    """Run a script as root that must succeed, and return what it said."""
    done = lab.exec(host, script)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_host_is_a_booted_systemd_without_failed_units(lab: Lab) -> None:
    """Systemd is pid 1 of a host and none of its units has failed."""
    for host in lab.hosts:
        assert root(lab, host.name, "cat /proc/1/comm") == "systemd"
        assert root(lab, host.name, "systemctl --failed --no-legend --plain") == ""


def test_host_is_bare(lab: Lab, bare: str) -> None:
    """A host has neither Docker nor curl nor gpg until somebody provisions it."""
    assert root(lab, bare, "for c in docker curl gpg; do command -v $c; done; true") == ""


def test_host_keys_are_known_before_the_first_connection(lab: Lab) -> None:
    """OpenSSH that trusts only the written host keys logs in as ops, who is root by sudo."""
    done = lab.ssh("gpu01", "sudo -n id -un")
    assert (done.returncode, done.stdout.strip()) == (0, "root"), done.stderr


def test_nosudo_logs_in_and_is_never_root(lab: Lab) -> None:
    """The user nosudo logs in with the same key and may not use sudo."""
    assert lab.ssh("gpu01", "id -un", user="nosudo").stdout.strip() == "nosudo"
    assert lab.ssh("gpu01", "sudo -n true", user="nosudo").returncode != 0


def test_sessions_can_be_counted(lab: Lab) -> None:
    """Sshd's log has one line for each login and one for each command it started."""
    before = lab.logs("gpu02")
    lab.ssh("gpu02", "true")
    said = lab.logs("gpu02").removeprefix(before)
    assert said.count("Accepted publickey for ops") == 1
    assert said.count("Starting session: command for ops") == 1


def test_inventory_says_how_to_reach_every_host(lab: Lab) -> None:
    """The written inventory names each host's address, the key and the exact host keys."""
    inventory = yaml.safe_load(lab.inventory.read_text())
    addresses = {name: host["ssh"]["address"] for name, host in inventory["hosts"].items()}
    assert addresses == {host.name: host.address for host in lab.hosts}
    assert Path(inventory["vars"]["ssh"]["key"]) == lab.key
    assert Path(inventory["vars"]["ssh"]["known_hosts"]) == lab.known_hosts
    assert len(lab.docker_fingerprint) == len(lab.nvidia_fingerprint) == 40
    assert inventory["vars"]["docker"]["fingerprint"] == lab.docker_fingerprint


def test_mirrors_serve_signed_repositories_in_two_versions(lab: Lab, bare: str) -> None:
    """Over HTTPS and under the real names, apt finds two versions of Docker and of the toolkit."""
    root(lab, bare, ADD_REPOSITORIES)
    root(lab, bare, "apt-get update 2>&1 | tee /tmp/out; ! grep -E '^(W|E):' /tmp/out")
    for package in ("docker-ce", "nvidia-container-toolkit"):
        assert len(root(lab, bare, f"apt-cache madison {package}").splitlines()) == 2
    assert "mirrors.tuna.tsinghua.edu.cn GET /docker-ce/linux/debian/dists/" in lab.mirror_log()


@pytest.mark.parametrize("repository", ["docker-ce", "nvidia"])
def test_a_tampered_repository_fails_apt(lab: Lab, bare: str, repository: str) -> None:
    """Apt refuses an index that was changed after it was signed."""
    root(lab, bare, ADD_REPOSITORIES)
    lab.tamper(repository)
    try:
        assert lab.exec(bare, "apt-get update").returncode != 0
    finally:
        lab.untamper(repository)
    root(lab, bare, "apt-get update")


def test_a_mirror_can_be_down_and_up_again(lab: Lab) -> None:
    """With the mirrors down apt fetches nothing, and with them up it does again."""
    fetch = "apt-get -o Acquire::Retries=0 -o APT::Update::Error-Mode=any update"
    lab.mirror_down()
    try:
        assert lab.exec("gpu02", fetch).returncode != 0
    finally:
        lab.mirror_up()
    root(lab, "gpu02", fetch)


def test_docker_and_the_toolkit_run_a_container_with_a_gpu(lab: Lab, bare: str) -> None:
    """A host with Docker and the toolkit from the mirrors shows its GPU inside a container."""
    root(lab, bare, ADD_REPOSITORIES)
    packages = "docker-ce docker-compose-plugin nvidia-container-toolkit"
    root(lab, bare, f"apt-get update -qq && apt-get install -y -qq {packages}")
    root(lab, bare, "nvidia-ctk runtime configure --runtime=docker && systemctl restart docker")
    copy = lab.engine.command("cp", str(lab.tiny_image()), f"{lab.host(bare).container}:/root/")
    subprocess.run(copy, check=True, capture_output=True)
    root(lab, bare, "docker import /root/tiny.tar tiny")
    inside = root(lab, bare, "docker run --rm --gpus all --ulimit memlock=-1 tiny nvidia-smi -L")
    assert inside == root(lab, bare, "nvidia-smi -L")


def test_reset_is_bare_again_with_the_same_host_key(lab: Lab) -> None:
    """A reset host has lost what was done to it, and the written host keys still hold."""
    root(lab, "gpu01", "touch /root/mark /var/lib/docker/mark")
    lab.reset("gpu01")
    assert root(lab, "gpu01", "ls /root /var/lib/docker | grep mark || true") == ""
    assert lab.ssh("gpu01", "true").returncode == 0


def test_a_killed_host_comes_back_with_its_disk_and_a_new_boot(lab: Lab, bare: str) -> None:
    """A host whose power was cut starts again with its files and another boot id."""
    boot_id = "cat /proc/sys/kernel/random/boot_id"
    before = root(lab, bare, f"touch /root/mark; sync; {boot_id}")
    lab.kill(bare)
    lab.start(bare)
    assert root(lab, bare, f"test -e /root/mark; {boot_id}") != before
    assert lab.ssh(bare, "true").returncode == 0


def test_up_again_keeps_the_hosts_that_run(lab: Lab) -> None:
    """A second up of the same lab boots nothing anew."""
    root(lab, "gpu02", "touch /root/mark")
    again = labs.up(hosts=2, name=lab.name, roles=ROLES)
    assert again.hosts == lab.hosts
    assert root(lab, "gpu02", "rm /root/mark && echo kept") == "kept"


def test_up_never_mixes_distributions(lab: Lab) -> None:
    """A lab that runs one distribution is not brought up with another."""
    with pytest.raises(LabError, match="runs trixie, not bookworm"):
        labs.up(hosts=1, distro="bookworm", name=lab.name)


def test_two_name_spaces_do_not_collide(lab: Lab, tmp_path: Path) -> None:
    """A lab of the same name in another checkout is another lab, on another subnet."""
    other = labs.up(hosts=1, name=lab.name, directory=tmp_path)
    try:
        assert other.subnet != lab.subnet
        assert other.ssh("gpu01", "true").returncode == 0
    finally:
        labs.down(lab.name, tmp_path)
    assert labs.find(lab.name, tmp_path) is None
    assert lab.ssh("gpu01", "true").returncode == 0


@pytest.mark.parametrize(
    ("profile", "status", "says"),
    [
        ("h200-x1", 0, "GPU 0: NVIDIA H200 (UUID: GPU-09bb74d5-58e6-f73f-189a-40dac86da728)"),
        ("h200-x2", 0, "GPU 1: NVIDIA H200 (UUID: GPU-ed08cdd6-69d4-bb56-abb5-9d3bbd970a57)"),
        ("none", 127, ""),
        ("mismatch", 18, "NVML library version: 580.159"),
        ("hang", 124, ""),
    ],
)
def test_gpu_profile_decides_what_nvidia_smi_says(
    lab: Lab, bare: str, profile: str, status: int, says: str
) -> None:
    """nvidia-smi on a host answers, or fails, as its profile was recorded."""
    lab.gpu(bare, profile)
    done = lab.exec(bare, "timeout 1 nvidia-smi -L")
    assert done.returncode == status
    assert done.stdout.strip().endswith(says)


def test_nvidia_smi_answers_any_fields_in_any_order(lab: Lab) -> None:
    """A query prints the recorded values of the fields asked for, with or without units."""
    query = "nvidia-smi --query-gpu=memory.total,name,temperature.gpu,compute_cap --format=csv"
    assert root(lab, "gpu02", query).splitlines() == [
        "memory.total [MiB], name, temperature.gpu, compute_cap",
        "143771 MiB, NVIDIA H200, 38, 9.0",
    ]
    assert root(lab, "gpu02", f"{query},noheader,nounits") == "143771, NVIDIA H200, 38, 9.0"
    unknown = lab.exec("gpu02", "nvidia-smi --query-gpu=nonsense --format=csv")
    assert unknown.returncode != 0
    assert unknown.stdout == 'Field "nonsense" is not a valid field to query.\n\n'


def test_the_driver_of_the_profile_stands_in_proc_and_sys(lab: Lab) -> None:
    """The kernel's own files name the driver version that nvidia-smi reports."""
    version = root(lab, "gpu02", "cat /sys/module/nvidia/version")
    asked = "nvidia-smi --query-gpu=driver_version --format=csv,noheader"
    assert version == root(lab, "gpu02", asked)
    assert version in root(lab, "gpu02", "cat /proc/driver/nvidia/version")


def test_a_wrong_name_is_an_error_with_a_remedy(lab: Lab) -> None:
    """A host or profile that does not exist is refused, naming what does."""
    with pytest.raises(LabError, match="gpu01"):
        lab.exec("gpu1", "true")
    with pytest.raises(LabError, match="mismatch"):
        lab.gpu("gpu01", "mismach")


def test_importing_the_tasks_imports_nothing_of_the_lab() -> None:
    """The command line pays for the lab only when a lab task runs."""
    script = "import json, sys, provision.cli.lab; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not [name for name in json.loads(done.stdout) if name.startswith("provision.lab")]
