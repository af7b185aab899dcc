"""The apt functions of prelude.sh with the real apt, on a system of packages of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from provision.state.shell import framed

pytestmark = pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt is Debian's")
Shell = Callable[..., subprocess.CompletedProcess[bytes]]
SIZE: Final = 300_000
LIMIT: Final = 100  # kB a second
CONFIG: Final = """
Dir::State "{root}/state"; Dir::State::status "{root}/status"; Dir::Cache "{root}/cache";
Dir::Etc "{root}/etc"; Dir::Log "{root}/log"; Dir::Bin::dpkg "/bin/true"; APT::Sandbox::User "";
Debug::NoLocking "{unlocked}"; APT::Update::Post-Invoke "true"; Acquire::http::Proxy "DIRECT";
Acquire::Languages "none"; Acquire::http::Dl-Limit "{limit}";
"""
HOLD: Final = """
import fcntl, sys
with open(sys.argv[1], "w") as held:
    fcntl.lockf(held, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def system(folder: Path, served: str) -> str:
    """Return sh that gives apt an empty system, whose one source has the package `large`."""
    return prepared(folder, served)


@pytest.fixture
def served(folder: Path) -> Iterator[str]:
    """Serve a repository with one package that does not shrink, and yield its URL."""
    tree = folder / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        "Package: large\nVersion: 1:1\nArchitecture: all\nMaintainer: t <t@t>\nDescription: t\n",
        encoding="utf-8",
    )
    (tree / "noise").write_bytes(os.urandom(SIZE))
    pool = folder / "pool"
    pool.mkdir()
    subprocess.run(["dpkg-deb", "-b", tree, pool / "large_1%3a1_all.deb"], check=True)
    for kind, name in (("packages", "Packages"), ("release", "Release")):
        argv = ["apt-ftparchive", kind, "."]
        told = subprocess.run(argv, cwd=pool, capture_output=True, check=True)
        (pool / name).write_bytes(told.stdout)
    serve = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
    with subprocess.Popen(
        serve, cwd=pool, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        port = re.search(r"port (\d+)", server.stdout.readline())
        assert port
        yield f"http://127.0.0.1:{port[1]}"
        server.terminate()


def prepared(root: Path, url: str, *, unlocked: bool = True, limit: int = LIMIT) -> str:
    """Write apt's configuration for a system below `root`."""
    for name in ("state/lists/partial", "cache/archives/partial", "etc/apt.conf.d", "log"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "status").touch()
    (root / "etc" / "sources.list").write_text(f"deb [trusted=yes] {url} ./\n", encoding="utf-8")
    text = CONFIG.format(root=root, unlocked=str(unlocked).lower(), limit=limit)
    (root / "apt.conf").write_text(text, encoding="utf-8")
    return f"export APT_CONFIG={root}/apt.conf\n"


def test_a_slow_download_says_how_far_it_is(shell: Shell, system: str, folder: Path) -> None:
    """While an archive comes, lines with bytes and their total pass by; then it is there."""
    done = shell(framed("apt_update >/dev/null && apt_fetch large", environment=system))
    assert done.returncode == 0, done
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith(b"progress ")]
    amounts = [(int(come), int(total)) for _, _, come, total in lines]
    assert amounts, done
    assert b"Get:" not in done.stdout  # each would begin the rate anew
    (archive,) = (folder / "cache" / "archives").glob("*.deb")
    assert {total for _, total in amounts} == {archive.stat().st_size}
    assert [come for come, _ in amounts] == sorted(come for come, _ in amounts)
    assert 0 < amounts[0][0] < archive.stat().st_size
    assert b"erminated" not in done.stderr


def test_what_is_there_is_not_fetched_again(shell: Shell, folder: Path, served: str) -> None:
    """A second fetch has nothing to tell."""
    system = prepared(folder, served, limit=0)
    script = "apt_update >/dev/null && apt_fetch large >/dev/null && echo first && apt_fetch large"
    done = shell(framed(script, environment=system))
    assert (done.returncode, done.stdout) == (0, b"first\n"), done


def test_a_download_that_takes_too_long_says_so_and_goes_on_from_there(
    shell: Shell, system: str, folder: Path
) -> None:
    """At the end of its time what has come is kept, and the next run fetches what is missing."""
    hurried = "LOCK_TIMEOUT=-5998\n"  # which leaves two of the seconds that apt has
    script = f"apt_update >/dev/null\n{hurried}apt_fetch large"
    done = shell(framed(script, environment=system))
    (partial,) = (folder / "cache" / "archives" / "partial").glob("*.deb")
    assert done.returncode == 124, done
    assert b"not all archives came in time" in done.stdout
    assert 0 < partial.stat().st_size < SIZE
    assert shell(framed("apt_fetch large", environment=system)).returncode == 0


def test_a_download_that_fails_says_why(shell: Shell, system: str, folder: Path) -> None:
    """Of a failed download apt's own complaint comes through, with its exit status."""
    (folder / "pool" / "large_1%3a1_all.deb").unlink()
    done = shell(framed("apt_update >/dev/null; apt_fetch large", environment=system))
    assert done.returncode == 100, done
    assert b"404" in done.stdout


def test_the_holder_of_a_lock_is_named_while_it_is_waited_for(
    shell: Shell, folder: Path, served: str
) -> None:
    """Waiting for the lock of the lists says so, with the holder; then it goes on."""
    system = prepared(folder, served, unlocked=False)
    lock = folder / "state" / "lists" / "lock"
    argv = [sys.executable, "-c", HOLD, str(lock)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        refused = shell(framed("LOCK_TIMEOUT=0; apt_update", environment=system))
        release = f"(sleep 1; kill {holder.pid}) & apt_update"
        waited = shell(framed(release, environment=system))
    assert refused.returncode == 100
    assert waited.returncode == 0, waited
    said = f"waiting: Could not get lock {lock}. It is held by process {holder.pid} (python"
    assert said.encode() in waited.stderr, waited
    assert b"waiting" not in waited.stdout
