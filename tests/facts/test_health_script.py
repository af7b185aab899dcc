"""Health: the real script under real shells, whatever is missing, hangs or is broken there."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Final

import pytest

from provision.facts import Ask, health_script, parse_facts, parse_health, sweep_script

SHELLS: Final = {"sh": ["sh"], "dash": ["dash"], "busybox": ["busybox", "sh"]}
shells = pytest.mark.parametrize("shell", SHELLS)
GPU_ASSETS: Final = Path(__file__).parents[2] / "provision" / "lab" / "assets" / "host" / "gpu"
X2: Final = Path(__file__).parents[1] / "recordings" / "h200-x2"
LINKS: Final = (
    "GPU 0: NVIDIA H200 (UUID: GPU-8dfe4d19-1004-3586-8bc1-dba3369af561)\n"
    "\t Link 0: 26.562 GB/s\n\t Link 1: 26.562 GB/s\n"
    "GPU 1: NVIDIA H200 (UUID: GPU-ed08cdd6-69d4-bb56-abb5-9d3bbd970a57)\n"
    "\t Link 0: 26.562 GB/s\n\t Link 1: <inactive>\n"
)

Machine = Any


def _smi(machine: Machine, xml: str, links: str = "", status: int = 0) -> None:
    machine.file("/q.xml", xml)
    machine.file("/links", links)
    machine.program(
        "nvidia-smi",
        f"case $* in\n'-q -x') cat {machine.root}/q.xml; exit {status} ;;\n"
        f"'nvlink -s') cat {machine.root}/links ;;\nesac",
    )


def _h200() -> str:
    return (GPU_ASSETS / "h200-x2" / "q.xml").read_text("utf-8")


@shells
def test_recorded_links_are_counted(machine: Machine, shell: str) -> None:
    """Two H200s with 18 links each, all up, and their fabric, as recorded on 2026-11-21."""
    recorded = {name: (X2 / name).read_text("utf-8") for name in ("nvidia-smi.xml", "nvlink-s.txt")}
    _smi(machine, recorded["nvidia-smi.xml"], recorded["nvlink-s.txt"])
    health = machine.health(shell)
    assert [(gpu.nvlinks_up, gpu.nvlinks_down) for gpu in health.gpu_health] == [(18, 0)] * 2
    assert {gpu.fabric_state for gpu in health.gpu_health} == {"Completed"}


@shells
def test_links_that_are_all_down_are_not_unknown(machine: Machine, shell: str) -> None:
    """Of such a GPU nvidia-smi has one line for all of its links."""
    first, _, second = LINKS.rpartition("GPU 1")
    uuid = second.partition("\n")[0]
    said = "NVML: Unable to retrieve NVLink information as all links are inActive"
    _smi(machine, _h200(), f"{first}GPU 1{uuid}\n{said}\n")
    health = machine.health(shell)
    assert [(gpu.nvlinks_up, gpu.nvlinks_down) for gpu in health.gpu_health] == [(2, 0), (0, 1)]


@shells
def test_a_bare_machine_is_read(machine: Machine, shell: str) -> None:
    """With a shell and coreutils alone nothing is unknown: what is not there is empty."""
    health = machine.health(shell)
    assert health.unknown == {}
    assert health.gpu_health == ()
    assert health.upgrades.driver == ()
    assert (health.fabric.switches, health.fabric.unit) == (0, "")
    assert (health.engine.containers, health.engine.units) == ((), {})
    assert [disk.path for disk in health.file_systems][:1] == ["/"]
    assert health.file_systems[0].size_bytes >= health.file_systems[0].free_bytes > 0
    assert abs(health.clock.now - time.time()) < 60
    assert health.clock.synchronised is None
    assert (health.kernel.readable, health.kernel.secure_boot) == (False, False)
    assert (health.network.unresolved, health.network.listeners) == ((), ())


@shells
def test_recorded_gpus_are_read(machine: Machine, shell: str) -> None:
    """Two real H200s: what is judged comes through, what nobody judges is cut on the host."""
    _smi(machine, _h200(), LINKS)
    health = machine.health(shell)
    assert health.unknown == {}
    first, second = health.gpu_health
    assert first.model_dump() == {
        "bus_id": "00000000:00:06.0",
        "uuid": "GPU-8dfe4d19-1004-3586-8bc1-dba3369af561",
        "name": "NVIDIA H200",
        "brand": "NVIDIA",
        "architecture": "Hopper",
        "persistence": True,
        "mig": False,
        "ecc": True,
        "ecc_pending": True,
        "corrected": 0,
        "uncorrected": 0,
        "uncorrected_ever": 0,
        "remap_pending": False,
        "remap_failure": False,
        "retirement_pending": None,
        "temperature_c": 37,
        "slowdowns": (),
        "power_limit_w": 700.0,
        "default_power_limit_w": 700.0,
        "sm_clock_mhz": 345,
        "max_sm_clock_mhz": 1980,
        "utilisation_percent": 0,
        "pcie_generation": 5,
        "max_pcie_generation": 5,
        "pcie_width": 16,
        "max_pcie_width": 16,
        "memory_mib": 143771,
        "memory_free_mib": 143156,
        "fabric_state": "Completed",
        "fabric_status": "Success",
        "recovery_action": "None",
        "processes": (),
        "nvlinks_up": 2,
        "nvlinks_down": 0,
    }
    assert (second.bus_id, second.nvlinks_up, second.nvlinks_down) == ("00000000:00:07.0", 1, 1)
    assert len(machine.answer(shell)) < len(_h200()) / 4


@shells
def test_a_broken_driver_is_an_answer(machine: Machine, shell: str) -> None:
    """A mismatch is told by the facts; the health of GPUs is then none and not unknown."""
    _smi(machine, "Failed to initialize NVML: Driver/library version mismatch\n", status=18)
    health = machine.health(shell)
    assert (health.gpu_health, health.unknown) == ((), {})


@shells
def test_a_hang_costs_its_own_section(machine: Machine, shell: str) -> None:
    """Programs that never answer: the other sections are read, and in time."""
    machine.program("nvidia-smi", "exec sleep 600")
    machine.program("dmesg", "exec sleep 600")
    started = time.monotonic()
    health = machine.health(shell, timeout=2)
    assert time.monotonic() - started < 6
    assert health.unknown == {
        "gpu_health": "no answer within 2 s",
        "kernel": "no answer within 2 s",
    }
    assert (health.gpu_health, health.kernel) == (None, None)
    assert health.clock
    assert health.file_systems


@shells
def test_what_no_signal_ends_costs_its_own_section(machine: Machine, shell: str) -> None:
    """A process that outlives its time-out with an open output, as one stuck in the kernel does."""
    (machine.root / "bin" / "setsid").symlink_to("/usr/bin/setsid")
    for name in ("nvidia-smi", "date"):  # the one writes into a pipe, the other straight out
        number = machine.root / f"stuck-{name}"
        machine.program(name, f"exec setsid sh -c 'echo $$ >{number}; exec sleep 30'")
    started = time.monotonic()
    try:
        health = machine.health(shell, timeout=2)
        assert time.monotonic() - started < 8
    finally:
        for number in machine.root.glob("stuck-*"):
            os.kill(int(number.read_text()), signal.SIGKILL)
    assert set(health.unknown) == {"gpu_health", "clock"}


@shells
def test_an_endless_answer_is_cut_on_the_host(machine: Machine, shell: str) -> None:
    """A program that never stops talking costs its section; no megabytes travel."""
    over = machine.root / "over"  # busybox's time-out leaves the children of what it ends
    for name, line in {
        "nvidia-smi": "GPU 0: <tag> Link 0: noise",
        "dmesg": "NVRM: Xid (PCI:0000:01:00): 79, x",
        "df": "a line that is one of very many, of thousands",
    }.items():
        machine.program(name, f"until [ -e {over} ]; do echo '{line}'; done")
    try:
        answer = machine.answer(shell, timeout=2)
    finally:
        over.touch()
    assert len(answer) < 1_000_000
    assert "@word file_systems 141" in answer
    assert "@word brief 0" in answer


@shells
def test_unresolved_names_are_named(machine: Machine, shell: str) -> None:
    """All names are asked at the same time; only those without an address are told."""
    machine.program(
        "getent", "case $2 in good*) echo 10.0.0.1 ;; slow*) sleep 1 ;; *) exit 2 ;; esac"
    )
    started = time.monotonic()
    names = ("good.example", "bad.example", "slow1.example", "slow2.example", "$(touch x)")
    health = machine.health(shell, Ask(names=names))
    assert time.monotonic() - started < 5
    assert health.network.unresolved == ("$(touch x)", "bad.example")


def test_names_without_a_getent_are_unknown(machine: Machine) -> None:
    """What cannot be asked is unknown and not resolved."""
    health = machine.health(ask=Ask(names=("a.example",)))
    assert set(health.unknown) == {"network"}


@shells
def test_listeners_are_known_with_and_without_ss(machine: Machine, shell: str) -> None:
    """From ss with the process, from /proc/net/tcp without; nobody's connections count."""
    head = "  sl  local_address rem_address   st tx_queue\n"
    machine.file(
        "/proc/net/tcp",
        f"{head}   0: 0100007F:1F40 00000000:0000 0A 00000000\n"
        "   1: 0100007F:0016 00000000:0000 01 00000000\n",
    )
    machine.file(
        "/proc/net/tcp6", f"{head}   0: {'0' * 24}01000000:0016 {'0' * 32}:0000 0A 00000000\n"
    )
    found = machine.health(shell).network.listeners
    assert [(item.address, item.port, item.process) for item in found] == [
        ("127.0.0.1", 8000, ""),
        ("::1", 22, ""),
    ]
    machine.file(
        "/ss",
        "State  Recv-Q Send-Q Local Address:Port Peer Address:Port Process\n"
        'LISTEN 0      4096   127.0.0.53%lo:53      0.0.0.0:*  users:(("resolved",pid=1,fd=3))\n'
        'LISTEN 0      128             [::]:8000       [::]:*  users:(("docker-proxy",pid=2,fd=4))\n'
        "LISTEN 0      128                *:9100          *:*\n",
    )
    machine.program("ss", f"cat {machine.root}/ss")
    found = machine.health(shell).network.listeners
    assert [(item.address, item.port, item.process) for item in found] == [
        ("127.0.0.53", 53, "resolved"),
        ("::", 8000, "docker-proxy"),
        ("*", 9100, ""),
    ]


@shells
def test_the_kernel_log_is_condensed(machine: Machine, shell: str) -> None:
    """A storm of one Xid drowns no other; the last line of each code and GPU stays."""
    lines = [
        "[   10.000000] NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', GPU has fallen off the bus.",
        *(
            f"[   {n}.0] NVRM: Xid (PCI:0000:02:00 GPU-I:05): 31, pid={n}, name=x"
            for n in range(20, 920)
        ),
        "[  921.0] Memory cgroup out of memory: Killed process 123 (python3) total-vm:1kB",
        "[  922.0] Out of memory: Killed process 9 (vllm) total-vm:1kB, anon-rss:1kB",
        "[  923.0] Buffer I/O error on dev sr0, logical block 0",
        "[  924.0] blk_update_request: I/O error, dev sda, sector 12 op 0x0",
        "[  925.0] EXT4-fs (sda1): Remounting filesystem read-only",
    ]
    machine.file("/log", "\n".join(lines) + "\n")
    machine.program("dmesg", f"cat {machine.root}/log")
    machine.file("/sys/module/nvidia/version", "580.95.05\n")
    machine.program("modinfo", "[ $* = '-F version nvidia' ] || echo 580.159.04")
    machine.file("/sys/firmware/efi/x", "")
    machine.program("mokutil", "echo 'SecureBoot enabled'")
    kernel = machine.health(shell).kernel
    assert kernel.readable
    assert {(xid.code, xid.bus_id) for xid in kernel.xids} == {
        (79, "00000000:01:00.0"),
        (31, "00000000:02:00.0"),
    }
    assert "pid=919," in next(xid.text for xid in kernel.xids if xid.code == 31)
    assert kernel.oom_kills == ("python3", "vllm")
    assert [line.split("] ")[1] for line in kernel.disk_errors] == [
        "blk_update_request: I/O error, dev sda, sector 12 op 0x0",
        "EXT4-fs (sda1): Remounting filesystem read-only",
    ]
    assert (kernel.nvidia_on_disk, kernel.secure_boot) == ("580.159.04", True)


def test_the_journal_stands_in_for_dmesg(machine: Machine) -> None:
    """Where dmesg is not allowed the journal of this boot is read; where both fail nobody knows."""
    machine.program("dmesg", "echo 'NVRM: Xid (PCI:0000:01:00): 48, no'; exit 1")
    assert not machine.health().kernel.readable
    machine.program("journalctl", "[ \"$1$2\" = -k-b ] && echo 'x NVRM: Xid (0000:65:00): 13, y'")
    kernel = machine.health().kernel
    assert kernel.readable
    assert [(xid.code, xid.bus_id) for xid in kernel.xids] == [(13, "00000000:65:00.0")]


@pytest.mark.parametrize(("last", "expected"), [(b"\x01", True), (b"\x00", False)])
def test_secure_boot_is_read_from_the_firmware(
    machine: Machine, last: bytes, *, expected: bool
) -> None:
    """The variable's last byte says it, without mokutil."""
    folder = machine.root / "sys/firmware/efi/efivars"
    folder.mkdir(parents=True)
    name = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    (folder / name).write_bytes(b"\x06\x00\x00\x00" + last)
    assert machine.health().kernel.secure_boot is expected


@shells
def test_driver_packages_on_offer_are_named(machine: Machine, shell: str) -> None:
    """Of installed packages of the driver those with a newer candidate; what is held stays."""
    machine.program("unattended-upgrade", "exit 9")
    machine.program("apt-config", "echo 'APT::Periodic::Unattended-Upgrade \"1\";'")
    machine.program(
        "dpkg-query",
        "printf 'ii  nvidia-driver-580\\nhi  nvidia-dkms-580\\nrc  nvidia-driver-570\\n"
        "ii  libnvidia-container1\\nii  libnvidia-compute-580\\n'",
    )
    machine.program(
        "apt-cache",
        "case $* in *nvidia-dkms*|*container*|*570*) exit 1 ;; *srcpkgcache=\\ policy*) ;; esac\n"
        "printf 'nvidia-driver-580:\\n  Installed: 580.95.05-0ubuntu1\\n"
        "  Candidate: 580.126.20-0ubuntu1\\n  Version table:\\n'\n"
        "printf 'libnvidia-compute-580:\\n  Installed: 1:580.95.05-1\\n  Candidate: 1:580.95.05-1\\n'",
    )
    upgrades = machine.health(shell).upgrades
    assert upgrades.unattended
    assert upgrades.driver == ("nvidia-driver-580 580.95.05 → 580.126.20",)


@shells
@pytest.mark.parametrize(
    ("kept", "left"),
    [
        (("^nvidia-",), ("libnvidia-compute-580",)),
        (("^nvidia-", "libnvidia-.*"), ()),
        (("nvidia-driver", "linux-image"), ("libnvidia-compute-580",)),
        (("^compute",), ("libnvidia-compute-580", "nvidia-driver-580")),
        (("^nvidia(?!-driver)",), ("libnvidia-compute-580", "nvidia-driver-580")),
    ],
    ids=str,
)
def test_what_unattended_upgrades_leave_alone_is_not_on_offer(
    machine: Machine, shell: str, kept: tuple[str, ...], left: tuple[str, ...]
) -> None:
    """Their list holds patterns for the beginning of a name; one that grep refuses keeps nothing."""
    machine.program("unattended-upgrade", "exit 9")
    patterns = "\n".join(f'Unattended-Upgrade::Package-Blacklist:: "{one}";' for one in kept)
    machine.program(
        "apt-config",
        f"[ $2 = Unattended-Upgrade::Package-Blacklist ] || exit 0\ncat <<'.'\n{patterns}\n.",
    )
    machine.program("dpkg-query", "printf 'ii  nvidia-driver-580\\nii  libnvidia-compute-580\\n'")
    machine.program(
        "apt-cache",
        "for name; do case $name in *nvidia*) "
        "printf '%s:\\n  Installed: 580.1\\n  Candidate: 580.2\\n' $name ;; esac; done",
    )
    names = [line.split()[0] for line in machine.health(shell).upgrades.driver]
    assert sorted(names) == sorted(left)


def test_unattended_upgrades_need_their_program(machine: Machine) -> None:
    """A configuration that outlived its package upgrades nothing."""
    machine.program("apt-config", "echo 'APT::Periodic::Unattended-Upgrade \"1\";'")
    machine.program("dpkg-query", "exit 1")
    machine.program("apt-cache", "exit 1")
    assert not machine.health().upgrades.unattended
    machine.program("unattended-upgrade", "exit 9")
    assert machine.health().upgrades.unattended


@shells
def test_the_fabric_is_read(machine: Machine, shell: str) -> None:
    """Switches on the bus, the manager's state and version."""
    for number, (vendor, kind) in enumerate(
        [
            ("0x10de", "0x068000"),
            ("0x10de", "0x068000"),
            ("0x10de", "0x030200"),
            ("0x1", "0x068000"),
        ]
    ):
        machine.file(f"/sys/bus/pci/devices/{number}/vendor", f"{vendor}\n")
        machine.file(f"/sys/bus/pci/devices/{number}/class", f"{kind}\n")
    machine.file("/run/systemd/system/x", "")
    machine.program("systemctl", "printf 'LoadState=loaded\\nActiveState=failed\\n'")
    machine.program("nv-fabricmanager", "echo 'Fabric Manager version is : 580.95.05'")
    fabric = machine.health(shell).fabric
    assert (fabric.switches, fabric.unit, fabric.version) == (2, "failed", "580.95.05")
    machine.program("systemctl", "printf 'LoadState=not-found\\nActiveState=inactive\\n'")
    assert machine.health(shell).fabric.unit == ""


@shells
def test_a_read_only_file_system_is_found(machine: Machine, shell: str) -> None:
    """One that fstab wants read-only is as it should be; the last mount on a folder counts."""
    row = "/dev/x 1000 900 20 98% {}"
    machine.program(
        "df",
        f"echo '{row.format('/')}'; case $* in */srv*) echo '{row.format('/srv')}' ;; esac",
    )
    machine.file("/proc/mounts", "/dev/x / ext4 rw 0 0\n/dev/x / ext4 ro,relatime 0 0\n")
    machine.file("/etc/fstab", "# / is rw\nUUID=1 / ext4 defaults 0 1\n")
    found = machine.health(shell, Ask(paths=("/srv",))).file_systems
    assert [(disk.path, disk.read_only) for disk in found] == [("/", True), ("/srv", False)]
    assert (found[0].size_bytes, found[0].free_bytes) == (1024000, 20480)
    assert (found[0].inodes, found[0].inodes_free) == (1000, 20)
    machine.file("/etc/fstab", "UUID=1 / ext4 ro 0 1\n")
    assert not machine.health(shell).file_systems[0].read_only


def test_the_root_of_docker_counts(machine: Machine) -> None:
    """Its file system is looked at wherever it lies, without being asked for."""
    folder = machine.root / "docker-root"
    folder.mkdir()
    machine.program("docker", f"[ $1 = info ] && echo {folder}")
    machine.program(
        "df",
        f'case $* in *{folder}*) echo "/dev/x 1000 900 20 98% /far" ;; esac; echo "/dev/y 1 1 1 9% /"',
    )
    assert [disk.path for disk in machine.health().file_systems] == ["/", "/far"]


@shells
def test_a_sweep_reads_facts_and_health_at_once(machine: Machine, shell: str) -> None:
    """One script and one answer serve both parsers; it takes as long as its slowest section."""
    machine.program("nvidia-smi", "exec sleep 600")
    script = sweep_script("@word", Ask(), timeout=3)
    script = script.replace("PATH=/usr/local/sbin", f"PATH={machine.root}/bin:/usr/local/sbin", 1)
    started = time.monotonic()
    done = subprocess.run(
        [*SHELLS[shell], "-s"], input=script, capture_output=True, text=True, check=True
    )
    assert time.monotonic() - started < 8
    assert parse_facts(done.stdout, "@word").unknown == ("driver", "gpus")
    assert set(parse_health(done.stdout, "@word").unknown) == {"gpu_health"}


@shells
def test_a_clock_says_whether_it_is_kept(machine: Machine, shell: str) -> None:
    """The word of timedatectl is taken; a date without fractions is one, too."""
    machine.file("/run/systemd/system/x", "")
    machine.program("systemctl", "exit 1")
    machine.program("date", "echo 1790000000.%N")
    machine.program("timedatectl", "echo NTPSynchronized=no")
    clock = machine.health(shell).clock
    assert (clock.now, clock.synchronised) == (1790000000.0, False)


@shells
def test_a_truncated_script_reads_nothing(shell: str) -> None:
    """Cut at any 400th byte of its body the script prints no frame."""
    script = health_script("@word", Ask()).encode()
    for end in range(400, len(script) - len("provision_main </dev/null\n"), 400):
        done = subprocess.run(
            [*SHELLS[shell], "-s"], input=script[:end], capture_output=True, check=False
        )
        assert done.stdout == b""


def test_the_nonce_is_in_no_list_of_processes(machine: Machine) -> None:
    """No argument of any program shows the word that the answer is cut by."""
    machine.program("nvidia-smi", f"cat /proc/[0-9]*/cmdline >>{machine.root}/seen 2>/dev/null")
    script = health_script("@0123456789abcdef", Ask())
    tools = f"PATH={machine.root}/bin:"
    script = script.replace("PATH=/usr/local/sbin:", tools, 1)
    subprocess.run(["sh", "-s"], input=script.encode(), capture_output=True, check=True)
    seen = (machine.root / "seen").read_bytes()
    assert b"@01234567" in seen
    assert b"@0123456789abcdef" not in seen
