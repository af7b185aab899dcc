"""What a kind's commands do, its own probe confirms: the second plan is empty."""

from __future__ import annotations

import grp
import json
import os
import pwd
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from provision.errors import ProbeError
from provision.state.kinds.apt_repository import AptRepository
from provision.state.kinds.directory import Directory
from provision.state.kinds.file import File
from provision.state.kinds.guarded_command import GuardedCommand
from provision.state.kinds.json_file import JsonFile
from provision.state.kinds.package import Package
from provision.state.probe import parse_states, probe_script
from provision.state.resource import Resource, State, diff
from provision.state.shell import framed

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Shell = Callable[..., subprocess.CompletedProcess[bytes]]

ME: Final = {
    "owner": pwd.getpwuid(os.geteuid()).pw_name,
    "group": grp.getgrgid(os.getegid()).gr_name,
}
STATUS: Final = """\
Package: {}
Status: {}
Architecture: {}
Multi-Arch: same
Maintainer: Nobody <nobody@example.org>
Version: {}
Description: x

"""


def _look(shell: Shell, resource: Resource, moved: dict[str, str] | None = None) -> State | None:
    script = _moved(probe_script([resource], "@w"), moved)
    done = shell(script)
    texts = [
        _back(part.decode("utf-8", "surrogateescape"), moved) for part in (done.stdout, done.stderr)
    ]
    return parse_states([resource], *texts, "@w")[0]


def _moved(script: str, moved: dict[str, str] | None) -> str:
    for name, place in (moved or {}).items():
        script = script.replace(name, place)
    return script


def _back(text: str, moved: dict[str, str] | None) -> str:
    for name, place in (moved or {}).items():
        text = text.replace(place, name)
    return text


def _apply(shell: Shell, resource: Resource) -> frozenset[str]:
    """Apply what differs and return what differs then."""
    actual = _look(shell, resource)
    changed = diff(actual, resource.expected())
    for command in resource.apply(actual, changed) if changed else []:
        done = shell(framed(f"set -e\n{command.script}"))
        assert done.returncode == 0, done.stderr
    return diff(_look(shell, resource), resource.expected())


@pytest.mark.parametrize("before", [None, 0o700, 0o2755, 0o1777, 0o6711], ids=str)
def test_a_directory_converges(shell: Shell, folder: Path, before: int | None) -> None:
    """Also one that somebody gave setgid or a sticky bit, which GNU keeps unless told."""
    path = folder / "a" / "it's b"
    if before is not None:
        path.mkdir(parents=True)
        path.chmod(before)
    assert _apply(shell, Directory(name=str(path), **ME)) == frozenset()
    assert path.stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("before", [None, "old\n", "x" * 70000], ids=["absent", "small", "large"])
@pytest.mark.parametrize(
    "more",
    [
        {"content": "new\n"},
        {"content": ""},
        {"content": "sha256:" + "0" * 64},
        {"content": "y" * 70000},
        {"content": "hunter2", "sensitive": True, "mode": "0600"},
        {"present": False},
    ],
    ids=["text", "empty", "like a digest", "large", "sensitive", "removed"],
)
def test_a_file_converges(
    shell: Shell, folder: Path, before: str | None, more: dict[str, Any]
) -> None:
    """From every state to every other, and a second time nothing is left to do."""
    path = folder / "file"
    if before is not None:
        path.write_text(before, encoding="utf-8")
    resource = File(name=str(path), **ME, **more)
    assert _apply(shell, resource) == frozenset()
    if resource.present:
        assert path.read_text(encoding="utf-8") == resource.content


def test_a_sensitive_file_never_travels(shell: Shell, folder: Path) -> None:
    """The probe brings its digest, whatever its size, and an unreadable one brings nothing."""
    path = folder / "key"
    path.write_text("hunter2", encoding="utf-8")
    resource = File(name=str(path), sensitive=True, **ME)
    assert b"hunter2" not in shell(probe_script([resource], "@w")).stdout
    path.chmod(0o600)
    denied = shell(probe_script([resource], "@w"), unprivileged=True)
    if os.geteuid() == 0:
        with pytest.raises(ProbeError, match="Permission denied"):
            parse_states([resource], denied.stdout.decode(), denied.stderr.decode(), "@w")


_keys = st.sampled_from(["a", "b", "a.b", "mode", "", "(text)x"])
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text("ab.é\"\\\n'", max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_keys, inner, max_size=3),
    max_leaves=6,
)
_objects = st.dictionaries(_keys, _json, max_size=3)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(before=st.none() | _objects, merge=_objects)
def test_a_json_file_converges(shell: Shell, before: Any, merge: dict[str, Any]) -> None:
    """Whatever stood there and whatever is merged; keys that are not ours stay as they are."""
    assume(before is not None or os.geteuid() == 0)  # a new file belongs to root
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "file.json")
        if before is not None:
            path.write_text(json.dumps(before), encoding="utf-8")
        assert _apply(shell, JsonFile(name=str(path), merge=merge)) == frozenset()
        if path.exists():
            after = json.loads(path.read_text(encoding="utf-8"))
            assert {key: after[key] for key in (before or {}) if key not in merge} == {
                key: value for key, value in (before or {}).items() if key not in merge
            }


def test_a_guarded_command_converges(shell: Shell, folder: Path) -> None:
    """The script runs when the guard fails, and not again."""
    mark = folder / "mark"
    resource = GuardedCommand(name="x", done_when=f"[ -e {mark} ]", script=f"echo x >>{mark}")
    assert _apply(shell, resource) == frozenset()
    assert _apply(shell, resource) == frozenset()
    assert mark.read_text(encoding="utf-8") == "x\n"


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([("install ok installed", "amd64", "1.0-1")], (True, "1.0-1", False)),
        ([("hold ok installed", "amd64", "1.0-1")], (True, "1.0-1", True)),
        ([("deinstall ok config-files", "amd64", "1.0-1")], None),
        ([("install reinstreq half-installed", "amd64", "1.0-1")], (False, "1.0-1", False)),
        ([("install ok half-configured", "amd64", "1.0-1")], (False, "1.0-1", False)),
        (
            [
                ("deinstall ok config-files", "amd64", "0.9"),
                ("install ok installed", "i386", "1.0-1"),
            ],
            (True, "1.0-1", False),
        ),
        ([], None),
    ],
)
def test_dpkg_itself_says_what_is_installed(
    shell: Shell,
    folder: Path,
    entries: list[tuple[str, str, str]],
    expected: tuple[bool, str, bool] | None,
) -> None:
    """The real dpkg-query on a database of its own, in every state that a package can be in."""
    text = "".join(STATUS.format("thing", *entry) for entry in entries)
    (folder / "status").write_text(
        text + STATUS.format("other", "install ok installed", "amd64", "1")
    )
    (folder / "available").touch()
    (folder / "arch").write_text("amd64\ni386\n", encoding="utf-8")
    (folder / "info").mkdir()
    moved = {"export LC_ALL=C": f"export DPKG_ADMINDIR={folder} LC_ALL=C"}
    state = _look(shell, Package(name="thing"), moved)
    found = (state["installed"], state["version"], state["hold"]) if state else None
    assert found == expected


def test_a_broken_dpkg_is_not_an_absent_package(shell: Shell, folder: Path) -> None:
    """A database that cannot be read is an error that says why."""
    (folder / "status").write_text("this is no database\n", encoding="utf-8")
    moved = {"export LC_ALL=C": f"export DPKG_ADMINDIR={folder} LC_ALL=C"}
    with pytest.raises(ProbeError, match=r"package:thing: the state cannot be read: .*colon"):
        _look(shell, Package(name="thing"), moved)


REPOSITORY: Final = AptRepository(
    name="docker-ce",
    uri="https://mirrors.tuna.tsinghua.edu.cn/docker-ce/linux/debian",
    suite="bookworm",
    key_url="https://x/gpg",
    fingerprint="9DC858229FC7DD38854AE2D88D81803C0EBFCD88",
    replaces=("download.docker.com/linux/",),
)
OLDER: Final = "deb [signed-by=/x.asc] https://download.docker.com/linux/debian bookworm stable\n"


@pytest.fixture
def apt(folder: Path) -> dict[str, str]:
    """Return where apt's folders are for a test."""
    moved = {"/etc/apt": f"{folder}/etc-apt", "/var/lib/apt": f"{folder}/var-apt"}
    for name in ("etc-apt/sources.list.d", "etc-apt/keyrings", "var-apt/lists"):
        (folder / name).mkdir(parents=True)
    return moved


def test_an_untouched_apt_has_no_repository(shell: Shell, apt: dict[str, str]) -> None:
    """No source, no key, no older source and no lists are an absent repository."""
    assert _look(shell, REPOSITORY, apt) is None


def test_an_older_source_is_found_and_stays_disabled(
    shell: Shell, folder: Path, apt: dict[str, str]
) -> None:
    """It is found in sources.list and beside it, retired, kept as text, and not found again."""
    etc = folder / "etc-apt"
    debian = "deb http://deb.debian.org/debian bookworm main\n"
    (etc / "sources.list").write_text(debian + OLDER, encoding="utf-8")
    (etc / "sources.list.d" / "docker.list").write_text(OLDER, encoding="utf-8")
    (etc / "sources.list.d" / "note.list").write_text(f"# {OLDER}", encoding="utf-8")
    state = _look(shell, REPOSITORY, apt)
    assert state is not None
    assert state["older_sources"] == "/etc/apt/sources.list /etc/apt/sources.list.d/docker.list"
    for command in REPOSITORY.apply(state, frozenset({"older_sources"}))[
        1:
    ]:  # the first asks the mirror
        done = shell(_moved(framed(f"set -e\n{command.script}"), apt))
        assert done.returncode == 0, done.stderr
    assert (etc / "sources.list").read_text(encoding="utf-8") == f"{debian}# {OLDER}"
    lists = etc / "sources.list.d"
    assert (lists / "docker.list").read_text(encoding="utf-8") == f"# {OLDER}"
    assert (lists / "docker.list.save").read_text(encoding="utf-8") == OLDER
    after = _look(shell, REPOSITORY, apt)
    assert after is None or after["older_sources"] == ""


def test_an_older_source_beside_others_in_one_file_is_refused(
    shell: Shell, folder: Path, apt: dict[str, str]
) -> None:
    """A deb822 file goes as a whole: one with other repositories in it is left to its owner."""
    file = folder / "etc-apt/sources.list.d/all.sources"
    ours = "Types: deb\nURIs: https://download.docker.com/linux/debian\nSuites: trixie\n"
    file.write_text(ours, encoding="utf-8")
    state = _look(shell, REPOSITORY, apt)
    assert state is not None
    assert state["older_sources"] == "/etc/apt/sources.list.d/all.sources"
    file.write_text(f"{ours}\nTypes: deb\nuris: https://site.invalid/debian\n", encoding="utf-8")
    with pytest.raises(ProbeError, match=r"all\.sources holds an older source .* take it out"):
        _look(shell, REPOSITORY, apt)


def test_a_key_that_is_no_key_is_fetched_again(
    shell: Shell, folder: Path, apt: dict[str, str]
) -> None:
    """A keyring with an error page in it reads as another key, not as the pinned one."""
    (folder / "etc-apt/keyrings/docker-ce.gpg").write_text("<html>", encoding="utf-8")
    (folder / "etc-apt/sources.list.d/docker-ce.sources").write_text(
        "Types: deb\n\nURIs: x", encoding="utf-8"
    )
    state = _look(shell, REPOSITORY, apt)
    assert state is not None
    assert (state["key"], state["source"]) == ("", "Types: deb\n\nURIs: x\n")
