"""Host keys: which are known under which name, and how one is recorded."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import paramiko
import pytest

from provision.errors import ConnectError
from provision.host import known_hosts
from provision.host.known_hosts import (
    StrictPolicy,
    UnknownKeyError,
    fingerprint,
    known_keys,
    trust,
)

if TYPE_CHECKING:
    from pathlib import Path

KEY, OTHER = (paramiko.ECDSAKey.generate() for _ in range(2))


def _line(name: str, key: paramiko.PKey = KEY) -> str:
    return f"{name} {key.get_name()} {key.get_base64()}\n"


def _names(path: Path, name: str) -> list[paramiko.PKey]:
    known_hosts._read.cache_clear()  # noqa: SLF001  each test writes files of its own
    return [key for _, key in known_keys([path], name)]


def test_trust_writes_a_file_that_only_its_owner_may_write(tmp_path: Path) -> None:
    """A new file is 0600 in a folder 0700, and holds the line that OpenSSH would write."""
    path = trust(tmp_path / "ssh" / "known_hosts", "[10.0.0.11]:2222", KEY)
    assert path.read_text(encoding="utf-8") == _line("[10.0.0.11]:2222")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert _names(path, "[10.0.0.11]:2222") == [KEY]


@pytest.mark.parametrize(
    "before", ["", "# mine\n", _line("gpu00", OTHER), _line("gpu00", OTHER)[:-1]]
)
def test_trust_appends(tmp_path: Path, before: str) -> None:
    """What stood there stays, also without a newline at its end; the new key is known at once."""
    path = tmp_path / "known_hosts"
    path.write_text(before, encoding="utf-8")
    assert _names(path, "gpu01") == []
    trust(path, "gpu01", KEY)
    text = path.read_text(encoding="utf-8")
    assert text == (f"{before.rstrip()}\n" if before else "") + _line("gpu01")
    assert [key for _, key in known_keys([path], "gpu01")] == [KEY]


def test_ssh_keygen_finds_what_was_recorded(tmp_path: Path) -> None:
    """The file is OpenSSH's own format."""
    path = trust(tmp_path / "known_hosts", "[10.0.0.11]:2222", KEY)
    found = subprocess.run(
        ["ssh-keygen", "-lf", path, "-F", "[10.0.0.11]:2222"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert fingerprint(KEY).split()[1] in found


def test_hashed_names_are_found(tmp_path: Path) -> None:
    """`HashKnownHosts yes`, Debian's default, hides the names but not from us."""
    path = tmp_path / "known_hosts"
    path.write_text(_line("gpu01") + _line("[10.0.0.11]:2222", OTHER), encoding="utf-8")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", path], check=True, capture_output=True)
    assert "gpu01" not in path.read_text(encoding="utf-8")
    assert _names(path, "gpu01") == [KEY]
    assert _names(path, "[10.0.0.11]:2222") == [OTHER]
    assert _names(path, "10.0.0.11") == _names(path, "gpu02") == []


def test_lists_of_names_and_foreign_lines_are_read(tmp_path: Path) -> None:
    """Several names on one line are known; comments and lines of other programs are passed over."""
    path = tmp_path / "known_hosts"
    path.write_text(f"# comment\n\nnonsense\n{_line('gpu01,10.0.0.11')}", encoding="utf-8")
    assert _names(path, "gpu01") == _names(path, "10.0.0.11") == [KEY]


def test_no_file_is_no_key(tmp_path: Path) -> None:
    """A file that is not there knows nobody; one that cannot be read is an error with its path."""
    assert _names(tmp_path / "missing", "gpu01") == []
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConnectError, match=f"{tmp_path / 'folder'}: cannot be read"):
        _names(tmp_path / "folder", "gpu01")


def test_fingerprints_are_those_of_ssh_keygen(tmp_path: Path) -> None:
    """What the operator compares is what `ssh-keygen -l` shows on the host."""
    path = tmp_path / "key.pub"
    path.write_text(f"{KEY.get_name()} {KEY.get_base64()}\n", encoding="utf-8")
    shown = subprocess.run(
        ["ssh-keygen", "-lf", path], capture_output=True, text=True, check=True
    ).stdout
    assert fingerprint(KEY) == f"{KEY.get_name()} {shown.split()[1]}"


def test_an_unknown_key_is_refused() -> None:
    """The strict policy never adds a key by itself."""
    with pytest.raises(UnknownKeyError) as raised:
        StrictPolicy().missing_host_key(paramiko.SSHClient(), "gpu01", KEY)
    assert (raised.value.name, raised.value.key) == ("gpu01", KEY)
