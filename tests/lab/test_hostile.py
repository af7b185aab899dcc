"""The laws of hostile answers: a host that lies costs itself, and neither terminal nor memory."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
import yaml
from keyboard import INV, PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.lab import Lab

pytestmark = pytest.mark.lab
PROGRAMS: Final = Path(__file__).parent / "hostile"
LIAR, HONEST = "gpu01", "gpu02"
OBEYED: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""What a terminal obeys, but new lines and tabs."""
LEAST_MEMORY, MOST_MEMORY = 20 << 10, 400 << 10  # KiB; an honest run takes a quarter of the most
MOST_OUTPUT: Final = 100_000  # characters
PATIENCE: Final = 60  # seconds
SILENCE: Final = 120  # seconds; a host that says nothing is waited for until its time is up
NAMES: Final = "nvidia-smi docker uname df dpkg-query systemctl nvidia-ctk apt-config ss"
SHELLS: Final = (
    *("endless", "errors", "line", "gigabyte", "escapes", "frames", "flood", "forged"),
)
LIES: Final = ("programs-escape", "programs-endless", "programs-line", "programs-hang")
TASKS: Final = ("facts", "plan", "verify")


class Run(NamedTuple):
    """What a run left, how long it took, and how much memory."""

    status: int
    stdout: str
    stderr: str
    seconds: float
    memory_kib: int

    @property
    def text(self) -> str:
        """Return all of its output."""
        return self.stdout + self.stderr


def measured(folder: Path, *words: str | Path, timeout: float) -> Run:
    """Run `inv` and measure what it takes; one that does not end in time is killed, and has failed."""
    paths = folder / "stdout", folder / "stderr"
    begun, memory = time.monotonic(), 0
    with paths[0].open("wb") as out, paths[1].open("wb") as err:
        child = subprocess.Popen(
            [INV, *map(str, words)], cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=out, stderr=err
        )
        while child.poll() is None:
            memory = max(memory, _most_memory(child.pid))
            if time.monotonic() - begun > timeout:
                child.kill()
                child.wait()
                pytest.fail(f"no end within {timeout} s: {paths[1].read_text(errors='replace')}")
            time.sleep(0.02)
    said = (path.read_bytes().decode("utf-8", "surrogateescape") for path in paths)
    return Run(child.returncode, *said, time.monotonic() - begun, memory)


def _most_memory(pid: int) -> int:
    """Return the most that a process has held in its memory so far, in KiB; 0 when it has ended.

    Not `ru_maxrss` of wait4: that begins with what the test itself held when it forked.
    """
    found = re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{pid}/status").read_text("utf-8"))
    return int(found[1]) if found else 0


@pytest.fixture(scope="module")
def liar(lab: Lab) -> Iterator[Lab]:
    """Give the first host a login shell and programs that lie once they are told how."""
    lab.reset(LIAR)
    lab.exec(LIAR, "rm -f /etc/update-motd.d/*")  # what greets by `uname` would fill /run
    for name in ("shell", "program"):
        text = (PROGRAMS / f"{name}.sh").read_text(encoding="utf-8")
        place = f"/usr/local/bin/hostile-{name}"
        lab.exec(LIAR, f"cat >{place} && chmod 755 {place}", input=text)
    yield lab
    lab.reset(LIAR)


@pytest.fixture
def told(liar: Lab, request: pytest.FixtureRequest) -> Iterator[str]:
    """Tell the host how to lie, by its shell or by its programs, and let it be honest again."""
    how: str = request.param
    places = " ".join(f"/usr/local/sbin/{name}" for name in NAMES.split())
    lies = (
        f"for each in {places}; do ln -sf /usr/local/bin/hostile-program $each; done"
        if how.startswith("programs-")
        else "usermod --shell /usr/local/bin/hostile-shell ops"
    )
    liar.exec(LIAR, f"echo {how} >/etc/hostile; {lies}")
    yield how
    liar.exec(LIAR, f"usermod --shell /bin/bash ops; rm -f {places}; pkill -u ops -x sleep")


def asked(lab: Lab, folder: Path, task: str, *words: str) -> Run:
    """Run a task on both hosts, and see that it is within all bounds."""
    return within_bounds(
        measured(folder, task, "--inventory", lab.inventory, *words, timeout=PATIENCE)
    )


def within_bounds(run: Run) -> Run:
    """See that a run took little memory, and that its output is one for a terminal."""
    assert LEAST_MEMORY < run.memory_kib < MOST_MEMORY, f"{run.memory_kib >> 10} MiB"
    assert len(run.text) < MOST_OUTPUT
    assert not OBEYED.search(run.text), OBEYED.findall(run.text)[:20]
    assert not re.search("[\udc80-\udcff]", run.text), "an undecodable byte"
    assert "Traceback" not in run.text
    assert "unexpected " not in run.text, run.text
    return run


@pytest.mark.matrix
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("told", [*SHELLS, *LIES], indirect=True)
def test_a_host_that_lies_costs_itself(liar: Lab, told: str, task: str, tmp_path: Path) -> None:
    """Each kind of lie, each task: a bounded run, a clean terminal, and the other host as ever."""
    run = asked(liar, tmp_path, task)
    assert run.status in {1, 2} if task != "facts" else run.status in {0, 1}, (told, run.text)
    assert HONEST in run.text


@pytest.mark.parametrize("told", ["endless", "forged", "escapes", "programs-escape"], indirect=True)
def test_programs_read_of_the_other_host_what_they_read_as_ever(
    liar: Lab, told: str, tmp_path: Path
) -> None:
    """JSON stays JSON, and has the honest host in full."""
    run = asked(liar, tmp_path, "facts", "--format", "json")
    hosts = json.loads(run.stdout)["hosts"]
    assert hosts[HONEST]["error"] == ""
    assert hosts[HONEST]["facts"]["os"]["id"] == "debian"
    assert hosts[LIAR]["error"] or told in {"forged", "programs-escape"}
    for form in ("junit", "html", "prometheus", "json"):
        asked(liar, tmp_path, "verify", "--format", form)


def test_a_host_that_never_ends_is_left_when_its_time_is_up(liar: Lab, tmp_path: Path) -> None:
    """Half an answer and then silence; an output that ends while the command does not; a trickle."""
    document = yaml.safe_load(liar.inventory.read_text("utf-8"))
    for lie in (lies := ("half", "mute", "slow")):
        document["hosts"][lie] = {"ssh": {"address": liar.host(LIAR).address, "user": lie}}
        key = (
            f"install -D -m 600 -o {lie} /etc/lab/authorized_keys /home/{lie}/.ssh/authorized_keys"
        )
        user = f"useradd --create-home --shell /usr/local/bin/hostile-shell {lie}"
        liar.exec(
            LIAR, f"{user} && {key} && chown {lie} ~{lie}/.ssh; echo {lie} >/etc/hostile-{lie}"
        )
    path = tmp_path / "fleet.yaml"
    path.write_text(yaml.safe_dump(document), "utf-8")
    run = within_bounds(measured(tmp_path, "facts", "--inventory", path, timeout=SILENCE))
    liar.exec(LIAR, "; ".join(f"pkill -u {lie}" for lie in lies))
    assert (run.status, run.text.count("did not end in time")) == (1, len(lies)), run.text
    assert f"\n{HONEST} " in f"\n{run.stdout}"


@pytest.mark.parametrize("told", ["endless", "escapes", "forged"], indirect=True)
def test_a_traceback_for_whoever_asks_is_clean_too(liar: Lab, told: str, tmp_path: Path) -> None:
    """`--debug` quotes what the host said."""
    run = measured(tmp_path, "plan", "--inventory", liar.inventory, "--debug", timeout=PATIENCE)
    assert not OBEYED.search(run.text), told
    assert len(run.text) < MOST_OUTPUT
