"""What this machine must bring along: Debian tools, installed when missing, and a Debian mirror."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from provision.errors import LabError
from provision.lab.names import cache, locked
from provision.lab.process import Say, as_root, run, step

_PATIENCE = 600  # seconds for whoever else installs packages
PUBLIC_NAME = "deb.debian.org"
POLICY = Path("/usr/sbin/policy-rc.d")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "apt-ftparchive": "apt-utils",
    "dpkg-deb": "dpkg",
    "gpg": "gnupg",
    "openssl": "openssl",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "ip": "iproute2",
    "zstd": "zstd",
}


def install(packages: list[str], say: Say) -> None:
    """Install Debian packages on this machine, starting no service that systemd does not run."""
    if shutil.which("apt-get") is None:
        raise LabError(
            f"{', '.join(packages)} missing, and this machine has no apt-get",
            remedy="Build the lab on Debian or Ubuntu.",
        )
    with step(say, f"installing {', '.join(packages)} on this machine (apt-get)"):
        run(as_root(["apt-get", "update", "-q"]), check=False)
        # a fresh machine may be at its own upgrades: wait for these
        options = ["-y", "-q", "--no-install-recommends", f"-oDPkg::Lock::Timeout={_PATIENCE}"]
        with_environment = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install"]
        with _no_service_starts():
            run(as_root([*with_environment, *options, *packages]))


def ensure_tools(say: Say) -> None:
    """Install the tools that building a lab takes, those that are missing."""
    if _missing():
        with locked(cache()):  # who else makes a lab here may just have done so
            if missing := _missing():
                install(missing, say)


def _missing() -> list[str]:
    packages = {package for tool, package in TOOLS.items() if shutil.which(tool) is None}
    return sorted(packages if KEYRING.exists() else {*packages, "debian-archive-keyring"})


@functools.cache
def debian_mirror() -> str:
    """Return the Debian mirror that this machine's own apt uses, else Debian's public name."""
    own = os.environ.get("PROVISION_LAB_DEBIAN_MIRROR")
    if own:
        return own.rstrip("/")
    wanted = "$(LABEL)|$(REPO_URI)"
    listed = run(["apt-get", "indextargets", "--format", wanted, "Created-By: Packages"])
    for line in listed.stdout.splitlines():
        label, _, uri = line.partition("|")
        if label == "Debian" or (not label and uri.rstrip("/").endswith("/debian")):
            return uri.rstrip("/")
    return f"http://{PUBLIC_NAME}/debian"


@functools.cache
def architecture() -> str:
    """Return Debian's name of this machine's architecture."""
    return run(["dpkg", "--print-architecture"]).stdout.strip()


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Keep package scripts from starting a daemon by hand where systemd is not pid 1."""
    if Path("/run/systemd/system").exists() or POLICY.exists():
        yield
        return
    write = f"printf '#!/bin/sh\\nexit 101\\n' > {POLICY} && chmod 755 {POLICY}"
    run(as_root(["sh", "-c", write]))
    try:
        yield
    finally:
        run(as_root(["rm", "-f", str(POLICY)]))
