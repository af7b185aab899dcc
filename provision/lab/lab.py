"""A lab that is up: its hosts, the files that lead to them, and what tests may do to them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from provision.errors import LabError, nearest
from provision.lab import profiles
from provision.lab.engine import Engine
from provision.lab.host import LabHost, boot, wait_up
from provision.lab.hub_container import Hub
from provision.lab.keys import Keys
from provision.lab.mirror import Mirror, ensure_tiny_image
from provision.lab.names import ASSETS, Space, cache
from provision.lab.process import Result, pipe, run, say_on_stderr
from provision.lab.registry import Registry
from provision.lab.serving_models import publish
from provision.lab.vllm_image import VllmImage

PIP_INDEX = "https://pypi.tuna.tsinghua.edu.cn/simple/"
GPU_PROFILES = (
    *("h200-x1", "h200-x2", "none", "absent", "not-loaded", "nouveau", "mismatch", "hang"),
)
RECORDINGS = ASSETS / "host" / "gpu"
"""A folder a profile with what nvidia-smi said on real hosts."""
GPU_FOLDER = "/usr/share/lab-gpu"
"""The same on a host."""
_PATIENCE = 600  # seconds for a script in a host


@dataclass(frozen=True)
class Lab:
    """A lab that is up."""

    engine: Engine
    space: Space
    distro: str
    image: str
    subnet: str
    mirror: Mirror
    hub: Hub
    registry: Registry
    hosts: tuple[LabHost, ...]

    @property
    def name(self) -> str:
        """The lab's name."""
        return self.space.name

    @property
    def inventory(self) -> Path:
        """The inventory that lists the hosts."""
        return self.space.inventory

    @property
    def known_hosts(self) -> Path:
        """The exact host keys."""
        return self.space.folder / "known_hosts"

    @property
    def key(self) -> Path:
        """The private key that the hosts' users let in."""
        return self.space.folder / "id_ed25519"

    @property
    def gateway(self) -> str:
        """The address under which the hosts reach this machine; they reach nothing beyond it."""
        return str(IPv4Network(self.subnet)[1])

    @property
    def docker_fingerprint(self) -> str:
        """The fingerprint of the key that signs docker-ce."""
        return Keys(cache() / "keys").fingerprint("docker-ce")

    @property
    def nvidia_fingerprint(self) -> str:
        """The fingerprint of the key that signs the NVIDIA Container Toolkit."""
        return Keys(cache() / "keys").fingerprint("nvidia")

    @property
    def pip_index(self) -> str:
        """The PyPI mirror that hosts reach, with the packages that roles install."""
        return PIP_INDEX

    def host(self, host: str | LabHost) -> LabHost:
        """Return a host by name."""
        if isinstance(host, LabHost):
            return host
        for known in self.hosts:
            if known.name == host:
                return known
        names = {known.name for known in self.hosts}
        raise LabError(f"no host '{host}'", where=self.name, remedy=nearest(host, names))

    def exec(self, host: str | LabHost, script: str, input: str | None = None) -> Result:  # noqa: A002  subprocess's own word
        """Run a shell script as root in a host, not over SSH; its exit status is the caller's."""
        exec_in = ("exec", "--interactive", self.host(host).container, "/bin/sh", "-c", script)
        return self.engine(*exec_in, check=False, text=input or "", timeout=_PATIENCE)

    def ssh(self, host: str | LabHost, command: str, user: str = "ops") -> Result:
        """Run a command over SSH with OpenSSH, trusting only the written host keys."""
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self.known_hosts,
            "IdentityFile": self.key,
            "GlobalKnownHostsFile": "/dev/null",
            "ConnectTimeout": 5,
        }
        flags = [f"-o{name}={value}" for name, value in options.items()]
        address = f"{user}@{self.host(host).address}"
        return run(["ssh", "-F", "/dev/null", *flags, address, command], check=False)

    def reset(self, host: str | LabHost) -> None:
        """Throw a host away and boot it bare again, with the same address and host keys."""
        fresh = self.host(host)
        boot(self.engine, self.space, fresh, self.image)
        wait_up(self.engine, fresh)

    def dress(self, host: str | LabHost, *names: str) -> dict[str, Any]:
        """Give a host these profiles, in order; return what the inventory must say of it."""
        return profiles.dress(self, self.host(host), names)

    def kill(self, host: str | LabHost) -> None:
        """Cut a host's power."""
        self.engine("kill", self.host(host).container)

    def start(self, host: str | LabHost) -> None:
        """Boot a host that was killed, or that rebooted itself, with its disk as it was."""
        self.engine("start", self.host(host).container)
        wait_up(self.engine, self.host(host))

    def logs(self, host: str | LabHost) -> str:
        """Return what sshd said, a line for each login and each session it started."""
        identifiers = "-t sshd -t sshd-session -t sshd-auth"
        return self.exec(
            host, f"journalctl --sync; journalctl --no-pager -o cat {identifiers}"
        ).stdout

    def gpu(self, host: str | LabHost, profile: str) -> None:
        """Let a host look as if it had the GPUs, or the fault, of a profile."""
        if profile not in GPU_PROFILES:
            remedy = nearest(profile, set(GPU_PROFILES))
            raise LabError(f"no GPU profile '{profile}'", where=self.name, remedy=remedy)
        done = self.exec(host, f"{GPU_FOLDER}/set-profile {profile}")
        if done.returncode != 0:
            raise LabError(done.stderr.strip(), where=f"{self.host(host).name}: set-profile")

    def gpu_says(self, host: str | LabHost, file: str, text: str) -> None:
        """Let a host's nvidia-smi say another text than the recording `file`, until `gpu` again."""
        edited = f"{GPU_FOLDER}/edited"
        self.exec(host, f"mkdir -p {edited} && cat >{edited}/{file}", input=text)

    def mirror_down(self) -> None:
        """Make every mirror unreachable."""
        self.mirror.stop()

    def mirror_up(self) -> None:
        """Make the mirrors reachable again."""
        self.mirror.start()

    def tamper(self, repository: str) -> None:
        """Change the signed index of 'docker-ce', 'nvidia' or 'debian' after its signing."""
        self.mirror.tamper(repository, lie=True)

    def untamper(self, repository: str) -> None:
        """Serve the honest index again."""
        self.mirror.tamper(repository, lie=False)

    def mirror_log(self) -> str:
        """Return the mirrors' access log."""
        return self.mirror.log()

    def tiny_image(self) -> Path:
        """Return a tar for `docker import` with a static busybox."""
        return ensure_tiny_image(say_on_stderr)

    @property
    def vllm_archive(self) -> Path:
        """The archive of vLLM's image, as `docker save` made it, compressed with zstd."""
        return VllmImage(self.engine).archive(say_on_stderr)

    def load(self, host: str | LabHost, archive: Path) -> None:
        """Load an image's archive into the Docker Engine of a host, not over SSH."""
        docker_load = ("exec", "--interactive", self.host(host).container, "docker", "load")
        log = self.space.folder / "load.log"
        pipe(["cat", str(archive)], self.engine.command(*docker_load), log)

    def publish_serving_models(self) -> None:
        """Let the hub have the models that services run; the first time they are trained."""
        publish(self.hub, VllmImage(self.engine), say_on_stderr)

    def save(self) -> None:
        """Remember what `find` cannot ask the engine."""
        hosts = [asdict(host) for host in self.hosts]
        state = {"distro": self.distro, "image": self.image, "subnet": self.subnet, "hosts": hosts}
        state["mirror"] = self.mirror.address
        (self.space.folder / "state.json").write_text(json.dumps(state, indent=2) + "\n")


def load(engine: Engine, space: Space) -> Lab | None:
    """Return the lab of a name space as it was saved, whether its hosts still run or not."""
    file = space.folder / "state.json"
    if not file.exists():
        return None
    state = json.loads(file.read_text())
    hosts = tuple(LabHost(**host) for host in state["hosts"])
    mirror = Mirror(engine, space, state["mirror"])
    hub = Hub.of(engine, space, hub_address(IPv4Network(state["subnet"])))
    registry = Registry(engine, space, registry_address(IPv4Network(state["subnet"])))
    about = (state["distro"], state["image"], state["subnet"])
    return Lab(engine, space, *about, mirror, hub, registry, hosts)


def hub_address(subnet: IPv4Network) -> str:
    """Return the address of a lab's model hub."""
    return str(subnet[3])


def registry_address(subnet: IPv4Network) -> str:
    """Return the address of a lab's image registry."""
    return str(subnet[4])
