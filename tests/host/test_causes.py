"""What a failed step said, and the cause that is read off it: real outputs of the tools."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.host.causes import cause_of

# Produced on Debian 12 with apt 2.6.1 against a local repository, unless said otherwise.
NOT_FOUND = """\
Ign:1 http://127.0.0.1:18765/nothing bookworm InRelease
Err:2 http://127.0.0.1:18765/nothing bookworm Release
  404  File not found [IP: 127.0.0.1 18765]
Reading package lists...
E: The repository 'http://127.0.0.1:18765/nothing bookworm Release' does not have a Release file.
"""
REFUSED = """\
Err:1 http://127.0.0.1:18766/nothing bookworm InRelease
  Could not connect to 127.0.0.1:18766 (127.0.0.1). - connect (111: Connection refused)
Reading package lists...
W: Failed to fetch http://127.0.0.1:18766/nothing/dists/bookworm/InRelease  Could not connect to 127.0.0.1:18766 (127.0.0.1). - connect (111: Connection refused)
W: Some index files failed to download. They have been ignored, or old ones used instead.
"""
NO_NAME = """\
Err:1 http://no-such-name.invalid/debian bookworm InRelease
  Could not resolve 'no-such-name.invalid'
Reading package lists...
W: Failed to fetch http://no-such-name.invalid/debian/dists/bookworm/InRelease  Could not resolve 'no-such-name.invalid'
"""
NO_NAME_NOW = """\
Err:1 https://mirrors.tuna.tsinghua.edu.cn/debian bookworm InRelease
  Temporary failure resolving 'mirrors.tuna.tsinghua.edu.cn'
"""
UNSIGNED = """\
Ign:3 http://127.0.0.1:18765/u bookworm Release.gpg
Reading package lists...
E: The repository 'http://127.0.0.1:18765/u bookworm Release' is not signed.
"""
NO_KEY = """\
Err:1 http://127.0.0.1:18765/u bookworm InRelease
  The following signatures couldn't be verified because the public key is not available: NO_PUBKEY 62C03928D9E71DC0
Reading package lists...
W: GPG error: http://127.0.0.1:18765/u bookworm InRelease: The following signatures couldn't be verified because the public key is not available: NO_PUBKEY 62C03928D9E71DC0
E: The repository 'http://127.0.0.1:18765/u bookworm InRelease' is not signed.
"""
BAD_SIGNATURE = """\
Err:1 http://127.0.0.1:18765/u bookworm InRelease
  The following signatures were invalid: BADSIG 62C03928D9E71DC0 Docker Release (CE deb) <docker@docker.com>
Reading package lists...
"""
HASH_SUM = """\
Get:2 http://127.0.0.1:18765/u bookworm/main amd64 Packages [1 B]
Err:2 http://127.0.0.1:18765/u bookworm/main amd64 Packages
  Hash Sum mismatch
  Hashes of expected file:
   - Filesize:1 [weak]
   - SHA256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
"""
SYNC = (  # apt on a mirror in the middle of its synchronisation
    "E: Failed to fetch https://mirrors.ustc.edu.cn/ubuntu/dists/noble-updates/main/binary-amd64/"
    "Packages.xz  File has unexpected size (1102584 != 1102364). Mirror sync in progress?"
    " [IP: 202.141.160.110 443]"
)
CLOCK = (
    "E: Release file for http://deb.debian.org/debian/dists/bookworm-updates/InRelease is not valid"
    " yet (invalid for another 3h 12min 5s). Updates for this repository will not be applied."
)
SIGNED_BY = (  # docker.list and docker.sources side by side
    "E: Conflicting values set for option Signed-By regarding source"
    " https://download.docker.com/linux/debian/ bookworm: /etc/apt/keyrings/docker.asc !="
    " /etc/apt/keyrings/docker-ce.gpg\nE: The list of sources could not be read."
)
CERTIFICATE = """\
Err:1 https://mirrors.tuna.tsinghua.edu.cn/docker-ce/linux/debian bookworm InRelease
  Certificate verification failed: The certificate is NOT trusted. The certificate issuer is unknown.  Could not handshake: Error in the certificate verification. [IP: 101.6.15.130 443]
"""
LOCK = """\
Reading package lists...
E: Could not get lock /var/lib/apt/lists/lock. It is held by process 16212 (python3)
E: Unable to lock directory /var/lib/apt/lists/
"""
FRONTEND = """\
Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (unattended-upgr)...
E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (unattended-upgr)
E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?
"""
DPKG_LOCK = "dpkg: error: dpkg frontend lock was locked by another process with pid 4711"
VERSION = "E: Version '9.9' for 'ca-certificates' was not found"
NO_PACKAGE = "Reading package lists...\nE: Unable to locate package docker-cee"
NO_CANDIDATE = "E: Package 'docker-compose-plugin' has no installation candidate"
UNMET = """\
The following packages have unmet dependencies:
 nvidia-container-toolkit : Depends: nvidia-container-toolkit-base (= 1.20.0-1) but 1.19.0-1 is to be installed
E: Unable to correct problems, you have held broken packages.
"""
FULL = """\
dpkg: error processing archive /var/cache/apt/archives/docker-ce_28.deb (--unpack):
 cannot copy extracted data for './usr/bin/dockerd' to '/usr/bin/dockerd.dpkg-new': failed to write (No space left on device)
"""
FULL_BEFORE = "E: You don't have enough free space in /var/cache/apt/archives/."
FLAG = (
    "unable to configure the Docker daemon with file /etc/docker/daemon.json: the following"
    " directives are specified both as a flag and in the configuration file: hosts: (from flag:"
    " [fd://], from file: [unix:///var/run/docker.sock])"
)
UNKNOWN_KEY = (
    "unable to configure the Docker daemon with file /etc/docker/daemon.json: the following"
    " directives don't match any configuration option: no-such-key"
)
DOCKER_JSON = (
    "unable to configure the Docker daemon with file /etc/docker/daemon.json: invalid character '}'"
    " looking for beginning of object key string"
)
WRONG_KEY = "provision: wrong key: expected 9DC858, got EEF346 "
MOVED = "provision: /etc/docker/daemon.json is no longer what was probed"


@pytest.mark.parametrize(
    ("output", "what", "remedy"),
    [
        (NOT_FOUND, "the mirror does not carry this repository", "mirror's URL"),
        (REFUSED, "the mirror 127.0.0.1:18766 cannot be reached", "proxies.apt"),
        (NO_NAME, "the mirror's name cannot be resolved: no-such-name.invalid", "DNS"),
        (NO_NAME_NOW, "cannot be resolved: mirrors.tuna.tsinghua.edu.cn", "DNS"),
        (UNSIGNED, "signature or checksums do not fit", "another mirror"),
        (NO_KEY, "signature or checksums do not fit", "another mirror"),
        (BAD_SIGNATURE, "signature or checksums do not fit", "another mirror"),
        (HASH_SUM, "signature or checksums do not fit", "synchronised"),
        (SYNC, "signature or checksums do not fit", "synchronised"),
        (CERTIFICATE, "the mirror's certificate is not trusted", "ca-certificates"),
        (LOCK, "another program holds /var/lib/apt/lists/lock: python3 (process 16212)", "Wait"),
        (FRONTEND, "lock-frontend: unattended-upgr (process 812)", "lock_timeout"),
        (DPKG_LOCK, "another apt or dpkg holds the lock", "lock_timeout"),
        (VERSION, "the package ca-certificates has no version 9.9", "apt-cache madison ca-cert"),
        (NO_PACKAGE, "there is no package docker-cee", "apt-cache policy docker-cee"),
        (UNMET, "apt cannot install these packages together", "--dry-run"),
        (FULL, "the disk is full", "df -h"),
        (FULL_BEFORE, "the disk is full", "df -h"),
        (FLAG, "dockerd has options both in its unit and in daemon.json: hosts", "ExecStart"),
        (UNKNOWN_KEY, "dockerd refuses /etc/docker/daemon.json: the following", "--validate"),
        (
            DOCKER_JSON,
            "dockerd refuses /etc/docker/daemon.json: invalid char",
            "--config-file=/etc",
        ),
        (WRONG_KEY, "signing key is not the pinned one: expected 9DC858, got EEF346", "Do not go"),
        (MOVED, "/etc/docker/daemon.json was changed by somebody else", "Plan again"),
    ],
)
def test_real_output_has_its_cause_and_remedy(output: str, what: str, remedy: str) -> None:
    """What the tool said in ten lines is one sentence with the names in it and a next step."""
    cause = cause_of(output)
    assert cause is not None
    assert what in cause.what
    assert remedy in cause.remedy


@pytest.mark.parametrize(
    "output",
    [
        "",
        "E: The package broken needs to be reinstalled, but I can't find an archive for it.",
        "Job for docker.service failed because the control process exited with error code.",
        "install: invalid user 'ops'",
        "chown: invalid user: 'no-such-user:root'",
        "Reading package lists...\nBuilding dependency tree...\n0 upgraded, 0 newly installed",
        "Setting up docker-ce (5:28.2.2-1~debian.12~bookworm) ...",
    ],
)
def test_what_is_not_known_has_no_cause(output: str) -> None:
    """An unknown output is shown as it is instead of being guessed at."""
    assert cause_of(output) is None


# What ModelScope's client 0.5.1 and our program with huggingface_hub 2.4.0 said to each fault of a
# hub, each file with the worker's last line.
HUB_OUTPUTS: Final = Path(__file__).with_name("hub_outputs")
HUB: Final = {
    "401": "without a token",
    "403": "the hub's token may not read this model",
    "404": "the hub no longer has what the lock file lists",
    "404-file": "the hub no longer has what the lock file lists",
    "404-model": "the hub no longer has what the lock file lists",
    "404-revision": "the hub no longer has what the lock file lists",
    "429": "the hub wants fewer requests (429)",
    "429-files-only": "the hub wants fewer requests (429)",
    "503": "the hub is out of order (503)",
    "503-files-only": "the hub is out of order (503)",
    "cut": "breaks off again and again at model.bin",
    "cut-forever": "breaks off again and again at model.bin",
    "cut-forever-at-0": "breaks off again and again at model.bin",
    "gated-no-token": "without a token",
    "gated-wrong-token": "the hub's token may not read this model",
    "refused": "the hub cannot be reached",
    "unreachable": "the hub cannot be reached",
    "unresolved": "the hub's name cannot be resolved",
    "wrong-hash": "model.bin came with other bytes than the hub lists",
}


@pytest.mark.parametrize("name", sorted(path.stem for path in HUB_OUTPUTS.glob("*.txt")))
def test_every_fault_of_a_hub_has_its_cause(name: str) -> None:
    """What the hubs' clients really say leads to what happened, and to a remedy."""
    cause = cause_of((HUB_OUTPUTS / f"{name}.txt").read_text(encoding="utf-8"))
    assert cause
    assert HUB[name.partition("-")[2]] in cause.what
    assert cause.remedy


@pytest.mark.parametrize(
    ("output", "what"),
    [
        ("provision: wrong bytes: a b.bin", "a b.bin came with other bytes than the hub lists"),
        ("provision: damaged files: a, b", "no longer as the hub lists them: a, b"),
        ("provision: the worker was killed: provision-model-1", "unit provision-model-1"),
        (
            "provision: s/x.index.json names w 2.bin, which is not among the files",
            "lacks a part of its weights: s/x.index.json names w 2.bin",
        ),
        ("provision: cannot write to /data/my models", "cannot write to /data/my models"),
        (
            (
                "cp: error writing '/data/x': No space left on device\n"
                "provision: cannot write to /data"
            ),
            "the disk is full",
        ),
        (
            (
                "Error: No space left on device (os error 28)\n"
                "provision: modelscope does not deliver model.bin (exit status 1)"
            ),
            "the disk is full",
        ),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            "the PyPI mirror delivers other files than the pinned ones",
        ),
        (
            "ERROR: No matching distribution found for idna==3.11",
            "the PyPI mirror has no idna==3.11 for the host's Python",
        ),
    ],
)
def test_what_the_worker_and_pip_say_has_its_cause(output: str, what: str) -> None:
    """Names with blanks are whole, and a full disk is told before all that follows from it."""
    cause = cause_of(output)
    assert cause
    assert what in cause.what


@pytest.mark.parametrize("words", ["[401]", "[404]", "Connection refused", "timed out", "[503]"])
def test_only_a_hub_is_blamed_for_a_hub(words: str) -> None:
    """Such words in the output of anything else say nothing about a hub."""
    cause = cause_of(f"docker: {words}")
    assert cause is None or "hub" not in cause.what


@pytest.mark.parametrize(
    "output",
    [
        (
            "System has not been booted with systemd as init system (PID 1). Can't operate.\n"
            "Failed to connect to bus: Host is down"
        ),
        "failed to dial /run/containerd/containerd.sock: connect: connection refused",
        "curl: (7) Failed to connect to localhost port 8000 after 0 ms: Couldn't connect to server",
    ],
)
def test_only_a_mirror_is_blamed_for_a_mirror(output: str) -> None:
    """A bus, a socket or a local port that does not answer is no mirror."""
    cause = cause_of(output)
    assert cause is None or "mirror" not in cause.what


@pytest.mark.parametrize("output", [CLOCK, SIGNED_BY, NO_CANDIDATE])
def test_more_real_output_has_a_cause(output: str) -> None:
    """A wrong clock, a second source with another keyring, a package without a candidate."""
    assert cause_of(output) is not None


@given(st.text(max_size=200))
def test_no_output_crashes_the_search(output: str) -> None:
    """Braces, percent signs and any other text are only text."""
    cause = cause_of(f"E: Unable to locate package {output}")
    assert cause is None or cause.what
