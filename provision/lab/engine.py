"""The outer Docker Engine that runs the lab's hosts: the machine's own, or a private one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from provision.errors import LabError
from provision.lab.machine import install
from provision.lab.names import cache, locked
from provision.lab.process import Result, Say, as_root, run, step

START_TIMEOUT = 30.0  # seconds
STOP_TIMEOUT = 15.0  # seconds
_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
_WATCHES = 1024


@dataclass(frozen=True)
class Engine:
    """A Docker Engine that answers, and the command that talks to it."""

    argv: tuple[str, ...]
    private: bool

    def __call__(
        self,
        *arguments: str,
        check: bool = True,
        text: str | None = None,
        timeout: float | None = None,
    ) -> Result:
        """Run one docker command on this engine, for at most `timeout` seconds."""
        return run(self.command(*arguments), check=check, text=text, timeout=timeout)

    def command(self, *arguments: str) -> list[str]:
        """Return the docker command line without running it."""
        return [*self.argv, *arguments]

    def lines(self, *arguments: str) -> list[str]:
        """Run one docker command and return the non-empty lines of its answer."""
        return [line for line in self(*arguments).stdout.splitlines() if line]


def ensure_watches(say: Say) -> None:
    """Let this machine's root watch files in enough places for all hosts, who share that limit.

    Where nothing is left dockerd 26 panics in the start of a container with a CDI device, and
    whoever asked for it waits for ever.
    """
    if int(_INSTANCES.read_text(encoding="ascii")) < _WATCHES:
        done = run(as_root(["sh", "-c", f"echo {_WATCHES} >{_INSTANCES}"]), check=False)
        what = "raised" if done.returncode == 0 else "could not raise"
        say(f"{what} fs.inotify.max_user_instances to {_WATCHES}, for the hosts share it")


def ensure_engine(say: Say) -> Engine:
    """Return an engine that answers: a running one, else the private one, started now."""
    running = find_engine()
    if running is not None:
        return running
    with locked(cache()):
        if shutil.which("dockerd") is None:
            install(_engine_packages(), say)
        running = find_engine()  # a package's own service, or one that another run started
        if running is not None:
            return running
        with step(say, "starting a private Docker Engine"):
            _start()
    return _private()


def find_engine() -> Engine | None:
    """Return the private engine or the machine's own, whichever answers, without starting any."""
    if shutil.which("docker") is None:
        return None
    own = [Engine(("docker",), private=False)]
    if os.geteuid() != 0:
        own.append(Engine(("sudo", "-n", "docker"), private=False))
    candidates = [_private(), *own] if _socket().exists() else own
    answering = (each for each in candidates if each("version", check=False).returncode == 0)
    return next(answering, None)


def stop_engine(say: Say) -> None:
    """Stop the private engine, if it runs; the machine's own is never touched."""
    pid = _daemon_pid()
    if pid is None:
        _unmount_data()
        return
    with step(say, "stopping the private Docker Engine"):
        run(as_root(["kill", f"-{signal.SIGTERM.value}", str(pid)]), check=False)
        ends = time.monotonic() + STOP_TIMEOUT
        while _daemon_pid() is not None:
            if time.monotonic() > ends:
                raise LabError(f"dockerd {pid} does not stop", where=str(_folder()))
            time.sleep(0.1)
    _unmount_data()


def _unmount_data() -> None:
    """Undo the mount that a Docker Engine leaves on its data when it dies."""
    data = str(_folder() / "data")
    while run(["mountpoint", "-q", data], check=False).returncode == 0:
        run(as_root(["umount", "--lazy", data]))


def _folder() -> Path:
    return cache() / "engine"


def _socket() -> Path:
    return _folder() / "docker.sock"


def _private() -> Engine:
    docker = as_root(["docker", "-H", f"unix://{_socket()}"])
    return Engine(tuple(docker), private=True)


def _engine_packages() -> list[str]:
    packages = ["docker.io", "iptables"]
    split = run(["apt-cache", "show", "docker-cli"], check=False).returncode == 0
    if split and shutil.which("docker") is None:
        packages.append("docker-cli")  # Debian 13 and later keep the client apart
    return packages


def _start() -> None:
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    _forget_dead_daemons()
    argv = [
        "dockerd",
        *("--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")),
        *("--host", f"unix://{_socket()}", "--pidfile", str(folder / "dockerd.pid")),
        *("--bridge", "none", "--ip-forward=true"),
    ]
    with (folder / "dockerd.log").open("ab") as log:
        daemon = subprocess.Popen(  # detached: it outlives the command that started it
            as_root(argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    _await(daemon, folder / "dockerd.log")


def _await(daemon: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + START_TIMEOUT
    while _private()("version", check=False).returncode != 0:
        if daemon.poll() is not None or time.monotonic() > ends:
            raise LabError(_last_words(log), where="dockerd", remedy=f"Read {log}.")
        time.sleep(0.1)


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return f"does not start: {lines[-1] if lines else 'no output'}"


def _forget_dead_daemons() -> None:
    """Remove pid files whose process is gone: after a reboot the number may be someone else's."""
    folder = _folder()
    for file, name in (
        (folder / "dockerd.pid", "dockerd"),
        (folder / "exec" / "containerd" / "containerd.pid", "containerd"),
    ):
        if _pid_of(file, name) is None:
            run(as_root(["rm", "-f", str(file)]))


def _daemon_pid() -> int | None:
    return _pid_of(_folder() / "dockerd.pid", "dockerd")


def _pid_of(file: Path, name: str) -> int | None:
    text = run(as_root(["cat", str(file)]), check=False).stdout.strip() if file.exists() else ""
    if not text.isdigit():
        return None
    process = Path("/proc") / text
    try:
        alive = (process / "comm").read_text().strip() == name
        state = (process / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None
    return int(text) if alive and state != "Z" else None


def remove_tree(path: Path) -> None:
    """Remove a folder of ours, as root where the engine wrote it as root."""
    if os.path.lexists(path):
        run(as_root(["rm", "-rf", "--one-file-system", str(path)]))
