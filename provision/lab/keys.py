"""The lab's own keys: a certificate authority for its mirrors and one signing key a repository."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from provision.errors import LabError
from provision.lab.names import cache
from provision.lab.process import run

MIRROR_NAMES = (
    "mirrors.tuna.tsinghua.edu.cn",
    "mirrors.ustc.edu.cn",
    "download.docker.com",
    "nvidia.github.io",
    "deb.debian.org",
    "pypi.tuna.tsinghua.edu.cn",
)
REGISTRY_NAME = "registry.lab"
SIGNERS = {
    "docker-ce": "Docker Release (LAB) <docker@lab.invalid>",
    "nvidia": "NVIDIA CORPORATION (LAB) <nvidia@lab.invalid>",
    "debian": "Debian Archive (LAB) <debian@lab.invalid>",
}
YEARS = "3650"  # days


@dataclass(frozen=True)
class Keys:
    """The keys of one cache folder, made once and used by every lab on it."""

    folder: Path

    @property
    def authority(self) -> Path:
        """The certificate of the authority that lab hosts trust."""
        return self.folder / "ca.crt"

    def public(self, repository: str) -> Path:
        """Return the armoured public key that signs `repository`."""
        return self.folder / f"{repository}.asc"

    def fingerprint(self, repository: str) -> str:
        """Return the 40 hexadecimal digits of the key that signs `repository`."""
        return (self.folder / f"{repository}.fingerprint").read_text().strip()

    def sign(self, repository: str, release: Path) -> None:
        """Write InRelease and Release.gpg beside a Release file."""
        folder = release.parent
        outputs = {"--clearsign": folder / "InRelease", "--detach-sign": folder / "Release.gpg"}
        for mode, output in outputs.items():
            armour = ["--armor", "--digest-algo", "SHA256", "--output", str(output), mode]
            self._gpg(repository, *armour, str(release))
        self._stop_agent(repository)

    def _gpg(self, repository: str, *arguments: str) -> str:
        home = self.folder / f"gnupg-{repository}"
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        quiet = ("--batch", "--yes", "--quiet", "--no-tty", "--pinentry-mode", "loopback")
        return run(["gpg", "--homedir", str(home), *quiet, "--passphrase", "", *arguments]).stdout

    def _stop_agent(self, repository: str) -> None:
        home = str(self.folder / f"gnupg-{repository}")
        run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"], check=False)

    def make_signer(self, repository: str) -> None:
        """Make the signing key of `repository`."""
        shutil.rmtree(self.folder / f"gnupg-{repository}", ignore_errors=True)
        self._gpg(repository, "--quick-generate-key", SIGNERS[repository], "rsa3072", "sign", "0")
        listed = self._gpg(repository, "--with-colons", "--list-keys")
        found = [line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:")]
        if not found:
            raise LabError("gpg made no key", where=repository)
        self.public(repository).write_text(self._gpg(repository, "--armor", "--export"))
        (self.folder / f"{repository}.fingerprint").write_text(found[0] + "\n")
        self._stop_agent(repository)


def ensure_keys() -> Keys:
    """Return the cache's keys, making them the first time."""
    keys = Keys(cache() / "keys")
    keys.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (keys.folder / "ca.crt").exists():
        _make_authority(keys.folder)
    if not _is_certified(keys.folder):
        _certify(keys.folder)
    for repository in SIGNERS:
        if not (keys.folder / f"{repository}.fingerprint").exists():
            keys.make_signer(repository)
    return keys


def _make_authority(folder: Path) -> None:
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    subject = ("-subj", "/CN=provision lab CA", "-keyout", "ca.key", "-out", "ca.crt.new")
    usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    run(["openssl", "req", "-x509", *curve, "-days", YEARS, *subject, *usage], cwd=folder)
    (folder / "ca.crt.new").rename(folder / "ca.crt")


def _extensions() -> str:
    names = ",".join(f"DNS:{name}" for name in (*MIRROR_NAMES, REGISTRY_NAME))
    return f"subjectAltName={names}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n"


def _is_certified(folder: Path) -> bool:
    """Say whether there is a certificate, and for the names of today."""
    told = folder / "tls.ext"
    return (folder / "tls.crt").exists() and told.exists() and told.read_text() == _extensions()


def _certify(folder: Path) -> None:
    """Make the certificate of mirrors and registry; the authority stays, since hosts' images hold it."""
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    (folder / "tls.crt").unlink(missing_ok=True)
    request = ("-subj", "/CN=provision lab mirror", "-keyout", "tls.key", "-out", "tls.csr")
    run(["openssl", "req", *curve, *request], cwd=folder)
    (folder / "tls.ext").write_text(_extensions())
    signer = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", YEARS)
    certify = ("-req", "-in", "tls.csr", "-extfile", "tls.ext", "-out", "tls.crt.new")
    run(["openssl", "x509", *certify, *signer], cwd=folder)
    (folder / "tls.crt.new").rename(folder / "tls.crt")
