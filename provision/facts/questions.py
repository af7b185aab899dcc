"""What is asked of every host for its facts: a section of sh each, cheap where a host is bare.

A process costs a host about a millisecond, so what the shell can do by itself it does, and what is
about a program that is not there is not asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from provision.facts.frame import Section
from provision.facts.sections import text_of

_OURS: Final = "/var/lib/provision"
_DPKG: Final = "docker.io podman-docker containerd kubelet"
_RPM: Final = "docker moby-engine docker-engine podman-docker containerd runc docker-runc kubelet"
_CLUSTERS: Final = "k3s rke2 kubelet"
_PYTHONS: Final = (
    "python3.6 python3.7 python3.8 python3.9 python3.10 python3.11 python3.12 python3.13 python3.14"
)
_SNAP: Final = "/snap/bin/docker /var/lib/snapd/snap/bin/docker"
_HAS_DPKG: Final = "command -v dpkg-query >/dev/null"
_HAS_RPM: Final = "command -v rpm >/dev/null"
_HAS_DOCKER: Final = "command -v docker >/dev/null"
_HAS_SMI: Final = "command -v nvidia-smi >/dev/null"

SECTIONS: Final[Mapping[str, Section]] = {
    "os": Section(
        'while IFS= read -r line || [ -n "$line" ]; do printf \'%s\\n\' "$line"; done </etc/os-release; '
        "read -r kernel </proc/sys/kernel/osrelease; "
        "[ -r /proc/sys/kernel/arch ] && read -r machine </proc/sys/kernel/arch; "
        'echo "$kernel ${machine:-}"',
        takes="nothing",
    ),
    "machine": Section("uname -m", when="[ ! -r /proc/sys/kernel/arch ]", takes="little"),
    "host": Section(
        "read -r name </proc/sys/kernel/hostname; read -r id </proc/sys/kernel/random/boot_id; "
        'echo "$name"; echo "$id"; [ -d /run/systemd/system ] && echo systemd',
        takes="nothing",
    ),
    # read before the lock is looked for, which is put in place before it is written: host/lock.sh
    "last_run": Section(
        f"last=none; [ ! -e {_OURS}/last_run ] || IFS= read -r last <{_OURS}/last_run || last=; "
        f'[ -e {_OURS}/lock ] || echo "$last"',
        takes="nothing",
    ),
    "cpu": Section(
        'read -r online </sys/devices/system/cpu/online && echo "$online"', takes="nothing"
    ),
    "memory": Section(
        "while read -r key value _; do "
        '[ "$key" = MemTotal: ] && echo "$value" && break; done </proc/meminfo',
        takes="nothing",
    ),
    "pci": Section(
        "for device in /sys/bus/pci/devices/*; do "
        '[ -e "$device/vendor" ] && read -r vendor <"$device/vendor" && read -r class <"$device/class"'
        ' && case $vendor$class in 0x10de0x03*) echo "$device" ;; esac; done; '
        "[ -d /sys/module/nouveau ] && echo nouveau",
        takes="nothing",
    ),
    # by their names: to start one takes as long as all the rest; python3 comes first
    "python": Section(
        "for folder in /usr/local/bin /usr/bin; do [ -x $folder/python3 ] && break; done; known=; "
        f"for name in {_PYTHONS}; do [ $folder/python3 -ef $folder/$name ] && known=yes && "
        'echo "python3 Python ${name#python}"; done; '
        "[ -z \"$known\" ] && command -v python3 >/dev/null && printf 'python3 ' && "
        "timeout -k 1 3 python3 --version; "
        f"for name in {_PYTHONS}; do "
        'command -v $name >/dev/null && echo "$name Python ${name#python}"; done',
        takes="nothing",
    ),
    "engines": Section(
        f"{_HAS_DPKG} && dpkg-query -W -f='${{db:Status-Abbrev}} ${{Package}}\\n' {_DPKG}; "
        f"{_HAS_RPM} && rpm -q --qf 'ii %{{NAME}}\\n' {_RPM}; "
        f"for path in {_SNAP}; do [ -e $path ] && echo 'ii docker (snap)'; done; "
        f"for name in {_CLUSTERS}; do command -v $name >/dev/null && echo ii $name; done",
        when=" || ".join(
            (
                *(f"[ -s /var/lib/dpkg/info/{name}.list ]" for name in _DPKG.split()),
                *(f"[ -e {path} ]" for path in _SNAP.split()),
                *(f"command -v {name} >/dev/null" for name in ("rpm", *_CLUSTERS.split())),
            )
        ),
        takes="little",
    ),
    # the last of those that share a time-out: a server that is gone makes it hang
    "disks": Section(
        "set --; for path in / /var /var/lib/docker /data /opt; "
        'do [ -d "$path" ] && set -- "$@" "$path"; done; df -Pk -- "$@"',
        takes="little",
    ),
    "driver": Section(
        "[ -r /proc/driver/nvidia/version ] && cat /proc/driver/nvidia/version; "
        "[ -r /sys/module/nvidia/version ] && echo module $(cat /sys/module/nvidia/version); "
        f"if {_HAS_SMI}; then nvidia-smi --version 2>&1; "
        'nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>&1; echo "status $?"; fi',
        when=f"[ -e /proc/driver/nvidia ] || [ -e /sys/module/nvidia ] || {_HAS_SMI}",
    ),
    # One field that an old nvidia-smi does not know makes it refuse all of them.
    "gpus": Section(
        "for fields in pci.bus_id,compute_cap pci.bus_id; do nvidia-smi --format=csv,noheader,nounits"
        ' --query-gpu=index,uuid,name,memory.total,"$fields" && break; done',
        when=_HAS_SMI,
    ),
    "docker": Section(
        "docker info --format "
        "'engine|{{.ServerVersion}}|{{.DockerRootDir}}|{{.CgroupDriver}}|{{.ContainersRunning}}"
        "{{range $name, $runtime := .Runtimes}}|{{$name}}{{end}}'; "
        f"{_HAS_DPKG} && dpkg-query -W -f='${{db:Status-Abbrev}} ${{Package}}\\n'"
        " docker-ce docker.io; "
        f"{_HAS_RPM} && rpm -q --qf 'ii %{{NAME}}\\n' docker-ce moby-engine docker-engine docker",
        when=_HAS_DOCKER,
    ),
    "toolkit": Section("nvidia-ctk --version", when="command -v nvidia-ctk >/dev/null"),
    "images": Section(text_of("images"), when=_HAS_DOCKER),
}
