"""The dnf repository: a .repo file whose key is fetched and pinned by its fingerprint."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Self

from pydantic import StringConstraints, model_validator

from provision.state.kinds.paths import write
from provision.state.resource import Command, Resource, State
from provision.state.shell import literal, quote

Fingerprint = Annotated[str, StringConstraints(pattern=r"^[0-9A-F]{40}$")]
"""40 upper-case hexadecimal digits of an OpenPGP primary key."""

_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
_Uri = Annotated[str, StringConstraints(pattern=r"^https?://[!-~]+$")]

_FOLDER: Final = "/etc/yum.repos.d"
_KEYS: Final = "/etc/pki/rpm-gpg"
_DIGEST: Final = "(sha256)"
"""State key of the .repo file as probed: carried for the write, never compared."""


class DnfRepository(Resource):
    """One repository in `/etc/yum.repos.d/<name>.repo` with a key file of its own.

    Repositories that older instructions left behind (`replaces` names what their addresses
    contain) are disabled: dnf would take packages from both.
    """

    kind: ClassVar[str] = "dnf_repository"

    name: _Name
    uri: _Uri
    """Folder above `repodata`, with the release and the architecture written out."""
    key_url: _Uri
    """An armored key."""
    fingerprint: Fingerprint
    gpgcheck: bool = True
    """Its packages are signed."""
    repo_gpgcheck: bool = False
    """Its index is signed (`repodata/repomd.xml.asc`)."""
    module_hotfixes: bool = False
    """Its packages win over a module of EL 8 that has packages of the same names."""
    replaces: tuple[str, ...] = ()
    """Texts that mark an older entry of the same repository, e.g. `download.docker.com`."""
    lock_timeout: int = 300
    """Seconds to wait for another dnf to finish."""

    def probe(self) -> str:
        """Read the .repo file, the key's fingerprints, and older entries."""
        marks = " ".join(map(quote, (self._bare_uri, *self.replaces)))
        return (
            f"if [ -e {self._source} ]; then\n"
            f"sed 's/^/source /' {self._source}; echo; sha256sum <{self._source} | sed 's/^/digest /'\n"
            "fi\n"
            f"[ ! -r {self._key} ] ||"
            f" openpgp_armored_fingerprints {self._key} | sed 's/^/key /'\n"
            f"dnf_older {self._source} {marks} | sed 's/^/older /'"
        )

    def actual(self, output: str) -> State | None:
        """Parse those lines; nothing at all is an absent repository."""
        lines = [line.partition(" ")[::2] for line in output.splitlines() if line]
        if not lines:
            return None
        return {
            "source": "".join(f"{text}\n" for word, text in lines if word == "source"),
            "key": " ".join(text for word, text in lines if word == "key"),
            "older_sources": " ".join(text for word, text in lines if word == "older"),
            _DIGEST: next((text.partition(" ")[0] for word, text in lines if word == "digest"), ""),
        }

    def expected(self) -> State | None:
        """Want exactly our file, exactly the pinned key and no older entry."""
        return {"source": self._text, "key": self.fingerprint, "older_sources": ""}

    def apply(self, actual: State | None, changed: frozenset[str]) -> list[Command]:
        """Fetch and judge the key and the index first: only what answers is entered."""
        everything = "present" in changed
        commands = [self._fetch_key()] if everything or "key" in changed else []
        commands.append(self._try())
        older = str((actual or {}).get("older_sources", "")).split()
        commands += [_disable(*entry.rpartition(":")[::2]) for entry in older]
        if everything or "source" in changed:
            probed = str((actual or {}).get(_DIGEST, "")) or "absent"
            commands.append(write(self._source, self._text, probed))
        return commands

    def fears(self, actual: State | None, changed: frozenset[str]) -> tuple[str, ...]:
        """Name the older entries that go out of use."""
        if actual and actual["older_sources"] and "older_sources" in changed:
            return (f"disables the older repository {actual['older_sources']}",)
        return ()

    @model_validator(mode="after")
    def _is_signed(self) -> Self:
        if not (self.gpgcheck or self.repo_gpgcheck):
            raise ValueError("either the packages or the index must be signed")
        return self

    @property
    def _source(self) -> str:
        return f"{_FOLDER}/{self.name}.repo"

    @property
    def _key(self) -> str:
        return f"{_KEYS}/RPM-GPG-KEY-{self.name}"

    @property
    def _bare_uri(self) -> str:
        return self.uri.partition("://")[2].rstrip("/")

    @property
    def _text(self) -> str:
        lines = [f"[{self.name}]", f"name={self.name}", f"baseurl={self.uri}", "enabled=1"]
        lines += [f"gpgcheck={self.gpgcheck:d}", f"repo_gpgcheck={self.repo_gpgcheck:d}"]
        if self.module_hotfixes:
            lines.append("module_hotfixes=1")
        return "\n".join([*lines, f"gpgkey=file://{self._key}"]) + "\n"

    def _fetch_key(self) -> Command:
        return Command(
            title=f"fetch the key of {self.name}",
            script=f"dnf_key {quote(self.key_url)} {self.fingerprint} {self._key}",
            shown=f"fetch {self.key_url} into {self._key} if it is {self.fingerprint}",
        )

    def _try(self) -> Command:
        return Command(
            title=f"fetch the package lists of {self.name}",
            script=f"LOCK_TIMEOUT={self.lock_timeout}\n"
            f"{literal(self._text.encode())} | dnf_try {self.name}",
            shown=f"dnf makecache --refresh   # of {self.uri} alone",
            timeout=600 + self.lock_timeout,
        )


def _disable(path: str, section: str) -> Command:
    probed = f'"$(sha256sum <{quote(path)} | cut -d" " -f1)"'
    return Command(
        title=f"disable the older repository {section} in {path}",
        script=f"dnf_set {quote(path)} {probed} {quote(section)} enabled 0",
    )
