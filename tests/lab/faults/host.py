"""Faults of a host and of its containers, made with the means of the host itself."""

from __future__ import annotations

import json
from typing import Final

from faults.gpu import VERSION
from faults.target import Fault, Target, fault, scripts, stand_in, together, written

DAEMON: Final = "/etc/docker/daemon.json"
KEPT: Final = "/root/kept-by-a-test"
STATE: Final = "docker inspect --format '{{.RestartCount}} {{.State.Status}}'"
TOOLKIT: Final = (
    "libnvidia-container1 libnvidia-container-tools nvidia-container-toolkit-base "
    "nvidia-container-toolkit"
)
UNIT: Final = "nvidia-fabricmanager.service"
RESTART: Final = "systemctl reset-failed docker.service; systemctl restart docker.service"
"""As often as tests want it: systemd starts a unit three times a minute."""
FOLDER: Final = "/var/lib/docker"
"""Has a file system of its own on a lab host."""


def docker_stopped(*units: str) -> Fault:
    """Return the fault of a Docker that is stopped; its containers run on."""
    return scripts(
        f"systemctl stop docker.socket docker.service {' '.join(units)}",
        f"systemctl start containerd.service docker.socket; {RESTART}; docker info >/dev/null",
    )


def kept(path: str, make: str, heal: str = "") -> Fault:
    """Return the fault that a script makes of a file; afterwards the very same file is back."""
    return scripts(f"mv {path} {KEPT}; {make}", f"mv {KEPT} {path}; {heal}")


def daemon_json_broken() -> Fault:
    """Return the fault of a file that lost its second half."""
    return kept(DAEMON, f"head -c 40 {KEPT} >{DAEMON}")


def runtime_lost() -> Fault:
    """Return the fault of a daemon.json without NVIDIA's runtime, with which Docker was started."""

    def make(target: Target) -> None:
        document = json.loads(target.root(f"cat {DAEMON}"))
        del document["runtimes"]["nvidia"]
        target.root(f"mv {DAEMON} {KEPT}; cat >{DAEMON}", json.dumps(document))
        target.root(RESTART)

    return fault(make, lambda target: target.root(f"mv {KEPT} {DAEMON}; {RESTART}"))


def toolkit_removed() -> Fault:
    """Return the fault of removed packages, which come back in the version that they had."""
    apt = "DEBIAN_FRONTEND=noninteractive apt-get"
    versions = f"dpkg-query --show --showformat='${{Package}}=${{Version}} ' {TOOLKIT}"
    return scripts(
        f"{versions} >{KEPT}; {apt} remove -y -qq {TOOLKIT} >/dev/null",
        f"apt-get update -qq; {apt} install -y -qq $(cat {KEPT}) >/dev/null; rm {KEPT}",
    )


def gpus_lost(container: str) -> Fault:
    """Return the fault of a running container whose stand-in nvidia-smi finds no device any more."""
    pid = f"$(docker inspect --format '{{{{.State.Pid}}}}' {container})"
    file = f"/proc/{pid}/root/usr/share/lab-gpu/profile"
    return scripts(f'cp "{file}" {KEPT}; echo lost >"{file}"', f'cat {KEPT} >"{file}"; rm {KEPT}')


def restarted(container: str, times: int) -> Fault:
    """Return the fault of an engine that dies and is started again, several times."""
    kill = f"kill -9 $(docker inspect --format '{{{{.State.Pid}}}}' {container})"
    again = f'until [ "$({STATE} {container})" = "$n running" ]; do sleep 0.1; done'
    make = f"for n in $(seq {times}); do {kill}; {again}; done"
    return scripts(make, f"docker restart {container} >/dev/null; {_well(container)}")


def out_of_memory(container: str) -> Fault:
    """Return the fault of a container of which the kernel kills a process for want of memory."""
    limits = "--memory 64m --memory-swap 64m"
    killed = f"docker inspect --format '{{{{.State.OOMKilled}}}}' {container} | grep -q true"
    return together(
        written(
            "/etc/lab/dmesg", "[9.1] Memory cgroup out of memory: Killed process 7 (python3)\n"
        ),
        scripts(
            f"docker update {limits} {container} >/dev/null; "
            f"docker exec {container} python3 -c 'b\"x\" * (1 << 28)' || true; "
            f"for n in $(seq 50); do {killed} && break; sleep 0.1; done; {killed}",
            _anew(container),
        ),
    )


def stopped(container: str) -> Fault:
    """Return the fault of a service that somebody stopped."""
    heal = f"docker start {container} >/dev/null; {_well(container)}"
    return scripts(f"docker stop --time 1 {container} >/dev/null", heal)


def another_image(container: str, image: str) -> Fault:
    """Return the fault of a service that is healthy with another image than it was validated in."""
    override = json.dumps({"services": {container: {"image": image}}})
    file = "/root/override.yaml"
    up = f"{_compose(container)} --file {file} up --detach --force-recreate --no-deps --wait"

    def make(target: Target) -> None:
        target.root(f"cat >{file}", override)
        target.root(f"{up} {container} 2>&1")

    return fault(make, lambda target: target.root(f"rm {file}; {_anew(container)}"))


def squeezed(size: str, inodes: str, fill: str) -> Fault:
    """Return the fault of Docker's disk that is full: the same files, with no room for others."""
    place = "/run/squeezed"
    layers = f"lowerdir={FOLDER},upperdir={place}/upper,workdir={place}/work"
    return scripts(
        f"mkdir {place}; mount -t tmpfs -o size={size},nr_inodes={inodes} none {place}; "
        f"mkdir {place}/upper {place}/work; mount -t overlay -o {layers} none {FOLDER}; "
        f"cd {place}; {fill}",
        f"umount -l {FOLDER}; umount -l {place}; rmdir {place}",
    )


def read_only() -> Fault:
    """Return the fault of Docker's disk that cannot be written any more."""
    return scripts(
        f"mount --bind {FOLDER} {FOLDER}; mount -o remount,bind,ro {FOLDER}", f"umount -l {FOLDER}"
    )


def fabric_manager(version: str, command: str) -> Fault:
    """Return four NVSwitches, and the unit of a stand-in fabric manager after a `systemctl` word."""
    unit = "[Service]\nExecStart=/bin/sleep infinity\n"
    switches = " ".join(f"/sys/bus/pci/devices/0000:0{n}:00.0" for n in range(1, 5))
    return together(
        scripts(
            f"for device in {switches}; do mkdir $device; echo 0x10de >$device/vendor; "
            "echo 0x068000 >$device/class; done",
            f"rm -r {switches}",
        ),
        stand_in(
            "/usr/local/sbin/nv-fabricmanager",
            "the fabric manager",
            f"echo 'Fabric Manager version is : {version}'",
        ),
        scripts(":", "systemctl daemon-reload"),
        written(f"/run/systemd/system/{UNIT}", unit),
        scripts(f"systemctl daemon-reload; systemctl {command} {UNIT}", f"systemctl stop {UNIT}"),
    )


def upgrade_pending() -> Fault:
    """Return the fault of unattended upgrades with a newer driver on offer, that nobody holds back."""
    repository, name = "/opt/lab-driver", "nvidia-driver-580"
    listed = "/etc/apt/sources.list.d/lab-driver.list"
    about = "Package: {}\\nVersion: {}\\nArchitecture: all\\nMaintainer: lab\\nDescription: lab\\n"
    newer = about.format(name, "580.200.01-1") + "Filename: ./none.deb\\nSize: 1\\n"
    only = (
        f"-o Dir::Etc::sourcelist={listed} -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0"
    )
    settings = 'APT::Periodic::Unattended-Upgrade "1";\n'
    return together(
        kept("/etc/apt/apt.conf.d/52-provision-nvidia", ":"),  # as with keep_driver: false
        written("/etc/apt/apt.conf.d/20auto-upgrades", settings),
        stand_in("/usr/local/sbin/unattended-upgrade", "unattended upgrades", "exit 1"),
        scripts(
            f"mkdir -p {repository}/{name}/DEBIAN; cd {repository}; "
            f"printf '{about.format(name, f'{VERSION}-1')}' >{name}/DEBIAN/control; "
            f"dpkg-deb --build {name} >/dev/null; dpkg --install {name}.deb >/dev/null; "
            f"printf '{newer}' >Packages; echo 'deb [trusted=yes] file:{repository} ./' >{listed}; "
            f"apt-get update -qq {only}",
            f"dpkg --purge {name} >/dev/null; rm -rf {repository} {listed} "
            "/var/lib/apt/lists/*lab-driver*",
        ),
    )


def model_file(make: str) -> Fault:
    """Return the fault that a script makes of the weights of a model, `$file`, kept as `$kept`."""
    find = "file=$(find /data/models -name '*.safetensors' | sort | head -n 1)"
    return scripts(
        f'{find}; echo "$file" >{KEPT}.name; mv "$file" {KEPT}; kept={KEPT}; {make}',
        f'mv {KEPT} "$(cat {KEPT}.name)"; rm {KEPT}.name',
    )


def no_names() -> Fault:
    """Return the fault of names that resolve no more: the hosts of a lab know them by a file."""
    return scripts(
        f"cp /etc/hosts {KEPT}; grep -v mirrors {KEPT} >/etc/hosts",
        f"cat {KEPT} >/etc/hosts; rm {KEPT}",
    )


def half_an_answer(last: str) -> Fault:
    """Return the fault of an answer that ends after a section, and until then comes as it is said."""
    cut = f"/usr/bin/sudo \"$@\" | sed -u '/^@[0-9a-f]* {last} [0-9]*$/q'"
    return stand_in("/usr/local/bin/sudo", "sudo", cut)


def localised() -> Fault:
    """Return the fault of a host that speaks German, and of a df that would do it, too."""
    speaks = (
        'case ${LC_ALL:-${LANG:-C}} in C | C.* | POSIX) exec /bin/df "$@" ;; esac\n'
        "/bin/df \"$@\" | sed 's/\\([0-9]\\)% /\\1 % /; s/^Filesystem/Dateisystem/'"
    )
    settings = "LANG=de_DE.UTF-8\\nLANGUAGE=de\\nLC_ALL=de_DE.UTF-8\\n"
    return together(
        stand_in("/usr/local/sbin/df", "df", speaks),
        scripts(
            f"cp /etc/environment {KEPT} 2>/dev/null || : >{KEPT}; "
            f"printf '{settings}' >>/etc/environment",
            f"cat {KEPT} >/etc/environment; rm {KEPT}",
        ),
    )


def _compose(container: str) -> str:
    folder = f"$(readlink -f /opt/provision/current/{container})"
    return f"docker compose --project-directory {folder} --file {folder}/compose.yaml"


def _anew(container: str) -> str:
    return f"{_compose(container)} up --detach --force-recreate --no-deps --wait {container} 2>&1"


def _well(container: str) -> str:
    asked = f"docker inspect --format '{{{{.State.Health.Status}}}}' {container}"
    return f'until [ "$({asked})" = healthy ]; do sleep 0.2; done'
