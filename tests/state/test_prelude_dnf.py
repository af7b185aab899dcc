"""The functions of prelude.sh for dnf, under every shell, on files and answers as dnf writes them."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision.state.shell import framed, quote

if TYPE_CHECKING:
    from collections.abc import Callable

    Shell = Callable[..., subprocess.CompletedProcess[bytes]]

CONF: Final = """\
# their comment
[main]
gpgcheck=1
excludepkgs = kernel*,
  openssl
#proxy=http://commented.out
best=True

[other]
proxy=http://not.this.section
"""
# What `dnf --assumeno --allowerasing install docker-ce` of dnf 4.23 said.
TABLE: Final = """\
Last metadata expiration check: 0:00:01 ago on Sat Nov 21 13:26:17 2026.
Dependencies resolved.
================================================================================
 Package               Architecture   Version                Repository    Size
================================================================================
Installing:
 docker-ce             x86_64         3:28.2.0-1.el9         lab          6.1 k
     replacing  docker-engine.x86_64 18.09-1
Installing dependencies:
 containerd.io         x86_64         1.7.28-1.el9           lab          6.1 k
     replacing  runc.x86_64 4:1.1.0-1.el9
Removing dependent packages:
 podman-docker         x86_64         4.9-1                  @lab          18
 a-package-whose-name-is-longer-than-its-column
                       noarch         1.0-1                  @lab          18
Downgrading:
 docker-ce-cli         x86_64         1:28.2.0-1.el9         lab          6.1 k

Transaction Summary
================================================================================
Install  2 Packages
Remove   2 Packages

Total size: 12 k
Operation aborted.
"""


def _say(shell: Shell, body: str) -> str:
    done = shell(framed(body))
    assert not done.stderr, done.stderr
    return done.stdout.decode()


def _file(folder: Path, text: str = CONF) -> Path:
    path = folder / "dnf.conf"
    path.write_text(text, encoding="utf-8")
    return path


def _set(shell: Shell, path: Path, section: str, option: str, value: str = "") -> str:
    probed = hashlib.sha256(path.read_bytes()).hexdigest()
    words = " ".join(map(quote, [str(path), probed, section, option, *([value] if value else [])]))
    _say(shell, f"set -e\ndnf_set {words}")
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("section", "option", "value"),
    [
        ("main", "gpgcheck", "1\n"),
        ("main", "excludepkgs", "kernel*, openssl\n"),
        ("main", "proxy", ""),
        ("other", "proxy", "http://not.this.section\n"),
        ("nowhere", "proxy", ""),
        ("main", "best", "True\n"),
    ],
)
def test_an_option_is_read_where_it_stands(
    shell: Shell, tmp_path: Path, section: str, option: str, value: str
) -> None:
    """Lines that go on are joined; comments and other sections do not count."""
    assert _say(shell, f"dnf_setting {_file(tmp_path)} {section} {option} || :") == value


def test_a_new_option_comes_with_our_mark_and_goes_with_it(shell: Shell, tmp_path: Path) -> None:
    """Nothing else of the file changes, and taking it back leaves the file as it was."""
    path = _file(tmp_path)
    after = _set(shell, path, "main", "proxy", "http://10.0.0.1:3128")
    ours = "# provision: proxy\nproxy=http://10.0.0.1:3128\n"
    assert after == CONF.replace("[other]", f"{ours}[other]")
    assert _set(shell, path, "main", "proxy") == CONF


def test_an_option_is_replaced_in_its_place_with_all_its_lines(
    shell: Shell, tmp_path: Path
) -> None:
    """The lines that it went on over go too."""
    after = _set(shell, _file(tmp_path), "main", "excludepkgs", "kernel* openssl docker-ce")
    old = "excludepkgs = kernel*,\n  openssl\n"
    new = "# provision: excludepkgs\nexcludepkgs=kernel* openssl docker-ce\n"
    assert after == CONF.replace(old, new)


def test_a_section_that_is_missing_is_added(shell: Shell, tmp_path: Path) -> None:
    """At the end, and once."""
    path = _file(tmp_path, "[main]\ngpgcheck=1\n")
    after = _set(shell, path, "base", "excludepkgs", "nvidia-driver*")
    ours = "[base]\n# provision: excludepkgs\nexcludepkgs=nvidia-driver*\n"
    assert after == f"[main]\ngpgcheck=1\n{ours}"
    assert _set(shell, path, "base", "excludepkgs", "nvidia-driver*") == after


def test_a_file_that_somebody_changed_is_not_written(shell: Shell, tmp_path: Path) -> None:
    """What was probed is what is changed."""
    path = _file(tmp_path)
    done = shell(framed(f"dnf_set {path} {'0' * 64} main proxy x"))
    assert done.returncode == 1
    assert b"no longer what was probed" in done.stderr
    assert path.read_text(encoding="utf-8") == CONF


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40))
def test_any_value_is_written_as_it_is(shell: Shell, tmp_path: Path, value: str) -> None:
    """Backslashes, quotes, ampersands and dollars are letters like others, and are read back."""
    path = _file(tmp_path)
    _set(shell, path, "main", "proxy", value)
    assert _say(shell, f"dnf_setting {path} main proxy") == f"{value}\n"


def test_what_goes_is_read_from_dnfs_table(shell: Shell) -> None:
    """Removed and obsoleted packages, also where a long name breaks the line; nothing else."""
    said = _say(shell, f"dnf_plan={quote(TABLE)}\ndnf_removed")
    assert said.split() == [
        *(
            "docker-engine",
            "runc",
            "podman-docker",
            "a-package-whose-name-is-longer-than-its-column",
        )
    ]


def test_a_transaction_without_removals_takes_nothing(shell: Shell) -> None:
    """The heading of the table is no package, and an empty plan removes nothing."""
    quiet = TABLE.partition("Removing")[0].replace("     replacing", "     for")
    assert _say(shell, f"dnf_plan={quote(quiet)}\ndnf_removed") == ""
    assert _say(shell, "dnf_plan=\ndnf_removed") == ""


def _key(folder: Path, *keys: str) -> tuple[Path, list[str]]:
    """Return a file with real keys (`name algorithm`) and their fingerprints as gpg tells them."""
    home = folder / "gnupg"
    home.mkdir(mode=0o700, exist_ok=True)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback"]
    for name in keys:
        make = ["--passphrase", "", "--quick-generate-key", *name.split(), "sign", "0"]
        subprocess.run([*gpg, *make], check=True, capture_output=True)
    armored = subprocess.run([*gpg, "--armor", "--export"], check=True, capture_output=True)
    listed = subprocess.run(
        [*gpg, "--with-colons", "--list-keys"], check=True, capture_output=True, text=True
    )
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"], check=True)
    found = [line.split(":")[9] for line in listed.stdout.splitlines() if line.startswith("fpr:")]
    path = folder / "key.asc"
    path.write_bytes(armored.stdout)
    return path, found


def test_every_key_of_a_file_is_told(shell: Shell, tmp_path: Path) -> None:
    """A second key beside the right one, and a second block behind it, cannot hide."""
    path, (one, other) = _key(tmp_path, "one rsa2048", "other ed25519")
    assert _say(shell, f"openpgp_armored_fingerprints {path}").split() == [one, other]
    path.write_bytes(path.read_bytes() * 2)
    told = _say(shell, f"openpgp_armored_fingerprints {path}").split()
    assert told == ["several-blocks", one, other]


@pytest.mark.parametrize("text", ["", "no key at all\n", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"])
def test_no_key_has_no_fingerprint(shell: Shell, tmp_path: Path, text: str) -> None:
    """What is none never reads as the right one."""
    path = tmp_path / "key.asc"
    path.write_text(text, encoding="utf-8")
    told = _say(shell, f"openpgp_armored_fingerprints {path}")
    assert not [word for word in told.split() if len(word) == 40 and word.isalnum()]
