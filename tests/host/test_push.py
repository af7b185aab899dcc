"""What a push brings is what was there, whatever the names are and however often it is cut."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from provision.errors import ApplyError, ConnectError
from provision.host import push as module
from provision.host.push import push
from provision.inventory.schema import SSH, Host
from provision.state.resource import Bulk, Transfer

MIB = 1 << 20
HOST = Host(name="gpu01", ssh=SSH(address="10.0.0.11", user="ops"))
NAMES = ["a b.json", 'it\'s "q".txt', "-dash", "$HOME;`id`", "子目录/权重.bin", "empty", "x/y/z"]
LOCAL = 'for last; do :; done; echo x >>"$LOG"'  # a stand-in for ssh that stays on this machine


@dataclass
class Bench:
    """A controller, and a host that is a folder beside it."""

    root: Path
    log: Path
    told: list[tuple[int, int]] = field(default_factory=list)

    @property
    def origin(self) -> Path:
        """The controller's folder."""
        return self.root / "here"

    @property
    def target(self) -> Path:
        """The host's folder."""
        return self.root / "the host's 模型"

    def file(self, path: str, content: bytes) -> None:
        """Write a file on the controller."""
        file = self.origin / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def transfer(self) -> Transfer:
        """Return the transfer of all files."""
        paths = sorted(path for path in self.origin.rglob("*") if path.is_file())
        files = tuple((str(path.relative_to(self.origin)), path.stat().st_size) for path in paths)
        bulk = Bulk(key="model", folder=str(self.target), files=files)
        return Transfer(way="push", bulk=bulk, origin=str(self.origin))

    def push(self, transfer: Transfer | None = None) -> None:
        """Push all files."""

        def tell(done: int, total: int) -> None:
            self.told.append((done, total))

        push(HOST, transfer or self.transfer(), tell, lambda: False)

    def ssh(self, text: str) -> None:
        """Set what ssh does."""
        program(self.root / "bin/ssh", text)

    @property
    def logins(self) -> int:
        """How often ssh was run."""
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0

    def arrived(self) -> dict[str, bytes]:
        """Return all files of the host's folder."""
        files = [path for path in self.target.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.target)): path.read_bytes() for path in files}


def program(path: Path, text: str) -> None:
    """Write a program."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Return a controller whose ssh runs the command right here, as the user that we are."""
    made = Bench(tmp_path, tmp_path / "log")
    made.origin.mkdir()
    program(tmp_path / "bin/id", "echo 0")
    made.ssh(f'{LOCAL}; exec sh -c "$last"')
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("LOG", str(made.log))
    monkeypatch.setattr(module, "_PAUSES", (0,) * 5)
    return made


def test_odd_names_arrive_as_they_are(bench: Bench) -> None:
    """Blanks, quotes, dollars, dashes, Chinese and empty files; nothing else is left behind."""
    for index, name in enumerate(NAMES):
        bench.file(name, b"" if name == "empty" else bytes([index]) * (index + 1))
    bench.file("it's big 大.bin", os.urandom(5 * MIB))
    bench.push()
    assert bench.arrived() == {
        path: (bench.origin / path).read_bytes() for path, _ in bench.transfer().bulk.files
    }
    assert list(bench.target.glob(".pushing*")) == []


def test_small_files_share_one_login(bench: Bench) -> None:
    """Asking, sending a hundred small files and asking again are three logins, not hundreds."""
    for index in range(100):
        bench.file(f"{index}.json", b"x" * index)
    bench.push()
    assert bench.logins == 3


def test_what_is_there_is_left(bench: Bench) -> None:
    """A second push asks once and sends nothing."""
    bench.file("big", os.urandom(5 * MIB))
    bench.file("small", b"x")
    bench.push()
    before = {path: path.stat().st_mtime_ns for path in bench.target.iterdir()}
    logins = bench.logins
    bench.push()
    assert bench.logins == logins + 1
    assert {path: path.stat().st_mtime_ns for path in bench.target.iterdir()} == before


def test_links_arrive_as_what_they_lead_to(bench: Bench) -> None:
    """A hub's cache is made of links; the host gets files."""
    bench.file("blob", b"content")
    (bench.origin / "link").symlink_to("blob")
    bench.push()
    assert not (bench.target / "link").is_symlink()
    assert bench.arrived()["link"] == b"content"


def test_progress_begins_with_what_is_there_and_ends_with_all(bench: Bench) -> None:
    """The figures never fall and end at the size of all files."""
    bench.file("a", os.urandom(5 * MIB))
    bench.file("b", b"x" * 10)
    bench.push()
    assert bench.told == sorted(bench.told)
    assert bench.told[0] == (0, 5 * MIB + 10)
    assert bench.told[-1] == (5 * MIB + 10, 5 * MIB + 10)


@pytest.mark.parametrize("there", [1, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 6 * MIB])
def test_a_part_is_continued_and_too_much_is_begun_anew(bench: Bench, there: int) -> None:
    """Whatever a push before left under the temporary name, the file comes out whole."""
    content = os.urandom(5 * MIB)
    bench.file("big", content)
    bench.target.mkdir()
    (bench.target / "big.pushing").write_bytes(content[:there].ljust(there, b"?"))
    bench.push()
    assert bench.arrived() == {"big": content}
    assert bench.told[0][0] == (there if there <= 5 * MIB else 0)


def test_a_cut_connection_goes_on_at_the_new_size(bench: Bench) -> None:
    """Each try keeps what came over; as long as each gains, there are as many as it takes."""
    content = os.urandom(9 * MIB)
    bench.file("big", content)
    bench.ssh(
        f"{LOCAL}\n"
        'case $last in *seek=*) head -c 1000000 | sh -c "$last"; exit 255 ;; esac\nexec sh -c "$last"'
    )
    bench.push()
    assert bench.arrived() == {"big": content}
    starts = sorted({done for done, _ in bench.told})
    assert starts[:3] == [0, 1000000, 2000000]


def test_a_connection_that_gains_nothing_is_given_up(bench: Bench) -> None:
    """After five tries without a byte more the error is the connection's."""
    bench.file("big", os.urandom(5 * MIB))
    bench.ssh(
        f"{LOCAL}\ncase $last in *seek=*) echo 'Connection reset' >&2; exit 255 ;; esac\n"
        'exec sh -c "$last"'
    )
    with pytest.raises(ConnectError, match=r"gpu01 \(ops@10.0.0.11:22\): .*Connection reset"):
        bench.push()
    assert bench.logins == 2 * 6


def test_a_host_that_lets_nobody_in_is_asked_once(bench: Bench) -> None:
    """A refused login is no lost connection."""
    bench.file("a", b"x")
    bench.ssh(f"{LOCAL}; echo 'ops@h: Permission denied (publickey).' >&2; exit 255")
    with pytest.raises(ConnectError, match="the login was refused"):
        bench.push()
    assert bench.logins == 1


def test_a_full_disk_is_named(bench: Bench) -> None:
    """The error names host and folder, and where to make room."""
    bench.file("big", os.urandom(5 * MIB))
    said = "dd: error writing: No space left on device"
    bench.ssh(
        f"{LOCAL}\ncase $last in *seek=*) echo '{said}' >&2; exit 1 ;; esac\nexec sh -c \"$last\""
    )
    with pytest.raises(ApplyError, match=r"gpu01: .*模型: the disk is full. Free space there"):
        bench.push()


def test_what_cannot_fit_is_not_begun(bench: Bench) -> None:
    """A file larger than what is free costs one login."""
    with (bench.origin / "huge").open("wb") as file:
        file.truncate(15 << 40)  # no disk of a controller has that either, but a hole costs nothing
    with pytest.raises(ApplyError, match="the disk is full: 16492674416640 bytes to come"):
        bench.push()
    assert bench.logins == 1


def test_a_file_that_is_not_as_planned_stops_before_the_host(bench: Bench) -> None:
    """A missing or changed file is found here; the host is not asked."""
    bench.file("a", b"123")
    planned = bench.transfer()
    bench.file("a", b"1234")
    with pytest.raises(ApplyError, match=r"here/a: has 4 bytes now, but 3 when it was planned"):
        bench.push(planned)
    (bench.origin / "a").unlink()
    with pytest.raises(ApplyError, match="No such file"):
        bench.push(planned)
    assert bench.logins == 0


def test_a_file_that_grows_meanwhile_is_not_renamed(bench: Bench) -> None:
    """What was sent of it keeps its temporary name, and the error names the file."""
    bench.file("big", os.urandom(5 * MIB))
    big = bench.origin / "big"
    bench.ssh(f"{LOCAL}\ncase $last in *seek=*) echo more >>'{big}' ;; esac\nexec sh -c \"$last\"")
    with pytest.raises(ApplyError, match=r"here/big: has \d+ bytes now"):
        bench.push()
    assert "big" not in bench.arrived()


def test_a_tar_that_fails_is_told(bench: Bench) -> None:
    """What tar says is said of the folder on this machine."""
    bench.file("a", b"x")
    program(
        bench.root / "bin/tar", 'case $1 in -c) echo "tar: a: broken" >&2; exit 2 ;; esac\nexit 0'
    )
    with pytest.raises(ApplyError, match=r"here: cannot be read on this machine: tar: a: broken"):
        bench.push()


def test_stop_ends_the_child_at_once(bench: Bench) -> None:
    """An operator who stops does not wait for ssh, and is told that a new run goes on."""
    bench.file("a", b"x")
    bench.ssh("exec sleep 600")
    answers: Callable[[], bool] = iter([True]).__next__
    with pytest.raises(ApplyError, match=r"stopped by the operator. Run again to go on"):
        push(HOST, bench.transfer(), lambda _done, _total: None, answers)
