"""One host of the lab: its keys, how it boots, and when it is up."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from provision.errors import LabError
from provision.lab.engine import Engine
from provision.lab.keys import MIRROR_NAMES, REGISTRY_NAME
from provision.lab.names import LABEL, Space
from provision.lab.process import run
from provision.lab.profiles import undress

KEY_TYPES = {"ed25519": (), "ecdsa": ("-b", "256"), "rsa": ("-b", "2048")}
BOOT_TIMEOUT = 60.0  # seconds
# As near to a machine of its own as a container gets; --privileged would ask for capabilities that
# some machines withhold. The nested Docker Engine needs folders that are no overlay.
FLAGS = (
    *("--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE", "--cap-drop", "SYS_TIME"),
    *("--cap-drop", "SYS_MODULE", "--security-opt", "seccomp=unconfined"),
    *("--security-opt", "apparmor=unconfined", "--security-opt", "systempaths=unconfined"),
    *("--device-cgroup-rule", "a *:* rwm", "--cgroupns", "private"),
    *("--stop-signal", "SIGRTMIN+3", "--tmpfs", "/run:exec,mode=755", "--tmpfs", "/run/lock"),
    *("--tmpfs", "/tmp:exec,mode=1777", "--volume", "/var/lib/docker"),  # noqa: S108  the host\'s own /tmp
    *("--volume", "/var/lib/containerd"),
)


@dataclass(frozen=True)
class LabHost:
    """A host of the lab: its name, its address, and the container that it is."""

    name: str
    address: str
    container: str


def prepare(space: Space, host: LabHost, mirror: str, registry: str) -> None:
    """Make what the host is born with: host keys, the users' key, names. Made once, then kept."""
    etc = space.folder / "seed" / host.name / "etc"
    (etc / "ssh").mkdir(parents=True, exist_ok=True)
    (etc / "lab").mkdir(exist_ok=True)
    with ThreadPoolExecutor(len(KEY_TYPES)) as pool:
        list(pool.map(lambda kind: _host_key(etc / "ssh", kind, host.name), KEY_TYPES))
    shutil.copy(space.folder / "id_ed25519.pub", etc / "lab" / "authorized_keys")
    (etc / "hosts").write_text(
        f"127.0.0.1 localhost\n{host.address} {host.name}\n"
        f"{mirror} {' '.join(MIRROR_NAMES)}\n{registry} {REGISTRY_NAME}\n"
    )


def known_hosts(space: Space, host: LabHost) -> str:
    """Return the known_hosts lines of a host, exact before its first boot."""
    ssh = space.folder / "seed" / host.name / "etc" / "ssh"
    publics = sorted(ssh.glob("ssh_host_*_key.pub"))
    names = f"{host.name},{host.address},[{host.address}]:2222"  # the last by the profile port-2222
    return "".join(f"{names} {' '.join(file.read_text().split()[:2])}\n" for file in publics)


def boot(engine: Engine, space: Space, host: LabHost, image: str) -> None:
    """Start the host, bare, and return at once."""
    undress(space, host)
    engine("rm", "--force", "--volumes", host.container, check=False)
    labels = ("--label", space.label, "--label", f"{LABEL}.host={host.name}")
    seed = ("--volume", f"{space.folder / 'seed' / host.name}:/lab-seed:ro")
    names = ("--name", host.container, "--hostname", host.name)
    place = ("--network", space.id, "--ip", host.address)
    engine("run", "--detach", *labels, *names, *place, *FLAGS, *seed, image)


def wait_up(engine: Engine, host: LabHost, timeout: float = BOOT_TIMEOUT) -> None:
    """Wait until systemd has done booting, sshd with it; a knock at sshd would stand in its log."""
    ends = time.monotonic() + timeout
    script = "timeout 10 systemctl is-system-running --wait; systemctl is-active ssh >&2"
    while True:
        seen = engine("exec", host.container, "/bin/sh", "-c", script, check=False)
        if seen.stdout.strip() in {"running", "degraded"} and seen.stderr.strip() == "active":
            return
        if time.monotonic() > ends:
            said = engine("logs", "--tail", "3", host.container, check=False)
            what = (said.stdout + said.stderr + seen.stdout + seen.stderr).strip()
            raise LabError(f"not up after {timeout:.0f} s: {what}", where=host.name)
        time.sleep(0.1)


def _host_key(folder: Path, kind: str, name: str) -> None:
    file = folder / f"ssh_host_{kind}_key"
    if not file.exists():
        run(
            [
                "ssh-keygen",
                "-q",
                "-t",
                kind,
                *KEY_TYPES[kind],
                "-N",
                "",
                "-C",
                name,
                "-f",
                str(file),
            ]
        )
