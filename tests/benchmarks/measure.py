"""One run of a contestant: how long it took, what it cost here, and what the hosts saw of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from contestants import Call, Work
from machines import position, seen
from places import BASE
from workload import drift, seed, wrong


class Run(NamedTuple):
    """What one run took."""

    seconds: float
    cpu: float
    """Seconds of the controller's processes, those detached left out."""
    memory_mib: float
    """The most that all its processes held at once, looked at ten times a second."""
    connections: float
    """A host, on average."""
    sessions: float
    wrong: str = ""
    """Why it does not count."""


def run(call: Call, work: Work, count: int, cap: float) -> Run:
    """Run it, at most `cap` seconds, and see that all hosts are as they should be after it."""
    numbers = range(1, count + 1)
    if work == "change":
        for number in numbers:
            drift(number)
    starts = {number: position(number) for number in numbers}
    found = _timed(call, cap)
    time.sleep(0.1)  # sshd writes its log
    bad = found.wrong or next(filter(None, map(wrong, numbers)), "")
    if bad:
        for number in numbers:
            seed(number)
    counts = [seen(number, start) for number, start in starts.items()]
    return found._replace(
        connections=sum(each.connections for each in counts) / count,
        sessions=sum(each.sessions for each in counts) / count,
        wrong=bad,
    )


def _timed(call: Call, cap: float) -> Run:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(BASE / "home"),
        "LANG": "C.UTF-8",
        "XDG_CACHE_HOME": str(BASE.parent),
        **call.environment,
    }
    (BASE / "home").mkdir(exist_ok=True)
    output, most, over = BASE / "output", [0.0], threading.Event()
    with output.open("wb") as file:
        begun = time.perf_counter()
        child = subprocess.Popen(
            call.argv,
            cwd=call.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        timer = threading.Timer(cap, lambda: os.killpg(child.pid, signal.SIGKILL))
        watch = threading.Thread(target=_watch, args=(child.pid, most, over))
        timer.start()
        watch.start()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - begun
    child.returncode = os.waitstatus_to_exitcode(status)
    timer.cancel()
    over.set()
    watch.join()
    with suppress(ProcessLookupError):  # connections that a tool keeps would make the next run warm
        os.killpg(child.pid, signal.SIGTERM)
    failed = f"exit status {child.returncode}: {output.read_text(errors='replace')[-500:]}"
    bad = "" if child.returncode in call.good else failed
    return Run(seconds, usage.ru_utime + usage.ru_stime, most[0], 0, 0, bad)


def _watch(pid: int, most: list[float], over: threading.Event) -> None:
    """Note the most memory that a process and all its descendants hold."""
    while not over.wait(0.1):
        most[0] = max(most[0], sum(map(_held, _tree(pid))) / 1024)


def _tree(pid: int) -> list[int]:
    """Return a process and its descendants."""
    found = [pid]
    for each in found:
        for path in Path(f"/proc/{each}/task").glob("*/children"):
            with suppress(OSError):
                found += map(int, path.read_text().split())
    return found


def _held(pid: int) -> int:
    """Return what a process holds in memory for itself, in KiB."""
    with suppress(OSError):
        size = re.search(
            r"^RssAnon:\s*(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE
        )
        return int(size[1]) if size else 0
    return 0
