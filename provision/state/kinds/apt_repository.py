"""The apt repository: a deb822 source whose key is fetched and pinned by its fingerprint."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Final

from pydantic import StringConstraints

from provision.state.kinds.paths import write
from provision.state.resource import Command, Resource, State
from provision.state.shell import literal, quote

Fingerprint = Annotated[str, StringConstraints(pattern=r"^[0-9A-F]{40}$")]
"""40 upper-case hexadecimal digits of an OpenPGP primary key."""
Component = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._~+/-]*$")]
"""A component of a repository, one word: more would be more components, or another field."""
_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
_Suite = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9./][A-Za-z0-9._~+/-]*$")]
_Uri = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9+.-]*:/[!-Z\[-~]+$")]

_SOURCES: Final = "/etc/apt/sources.list.d"
_KEYRINGS: Final = "/etc/apt/keyrings"
_QUOTED: Final = frozenset('\\|{}[]<>"^~_=!@#$%^&*')
_DIGEST: Final = "(sha256)"
"""State key of the source file as probed: carried for the write, never compared."""


class AptRepository(Resource):
    """One repository in `/etc/apt/sources.list.d/<name>.sources` with a keyring of its own.

    Sources of the same repository that older instructions left behind (`replaces` names what their
    lines contain) are removed: apt refuses two that name different keyrings.
    """

    kind: ClassVar[str] = "apt_repository"

    name: _Name
    uri: _Uri
    suite: _Suite
    """A code name, or a path that ends in `/` for a flat repository."""
    components: tuple[Component, ...] = ()
    key_url: str
    fingerprint: Fingerprint
    replaces: tuple[str, ...] = ()
    """Texts that mark an older source of the same repository, e.g. `download.docker.com`."""
    lock_timeout: int = 300
    """Seconds to wait for another apt to finish."""

    def probe(self) -> str:
        """Read the source, the key's fingerprints, older sources, and whether lists were fetched."""
        marks = " ".join(f"-e {quote(mark)}" for mark in (self._bare_uri, *self.replaces))
        return (
            f"if [ -e {self._source} ]; then\n"
            f"sed 's/^/source /' {self._source}; echo; sha256sum <{self._source} | sed 's/^/digest /'\n"
            "fi\n"
            f"[ ! -r {self._keyring} ] ||"
            f" openpgp_fingerprints {self._keyring} | sed 's/^/key /'\n"
            f"grep -HF {marks} /etc/apt/sources.list {_SOURCES}/*.list {_SOURCES}/*.sources"
            " 2>/dev/null | grep -v ':[[:space:]]*#' | cut -d: -f1 | uniq"
            f" | grep -vxF {self._source} | while read -r file; do\n"
            'echo "older $file"\n'
            "case $file in *.sources)\n"
            f'! grep -i \'^URIs:\' "$file" | grep -qvF {marks} || echo "mixed $file" ;;\n'
            "esac\n"
            "done\n"
            f'[ -z "$(find /var/lib/apt/lists -maxdepth 1 -name {quote(self._lists)} 2>/dev/null)" ]'
            " || echo indexed"
        )

    def actual(self, output: str) -> State | None:
        """Parse those lines; nothing at all is an absent repository."""
        lines = [line.partition(" ")[::2] for line in output.splitlines() if line]
        if not lines:
            return None
        mixed = [text for word, text in lines if word == "mixed"]
        if mixed:
            raise ValueError(
                f"{mixed[0]} holds an older source of this repository beside others; take it out"
            )
        return {
            "source": "".join(f"{text}\n" for word, text in lines if word == "source"),
            "key": " ".join(text for word, text in lines if word == "key"),
            "older_sources": " ".join(text for word, text in lines if word == "older"),
            "indexed": ("indexed", "") in lines,
            _DIGEST: next((text.partition(" ")[0] for word, text in lines if word == "digest"), ""),
        }

    def expected(self) -> State | None:
        """Want exactly our source, exactly the pinned key, no older source and fetched lists."""
        return {
            "source": self._text,
            "key": self.fingerprint,
            "older_sources": "",
            "indexed": True,
        }

    def apply(self, actual: State | None, changed: frozenset[str]) -> list[Command]:
        """Fetch and judge the key and the lists first: only a repository that answers is entered."""
        everything = "present" in changed
        commands = []
        if everything or "key" in changed:
            commands.append(self._fetch_key())
        commands.append(self._update())
        older = str((actual or {}).get("older_sources", "")).split()
        commands += [_retire(path, (self._bare_uri, *self.replaces)) for path in older]
        if everything or "source" in changed:
            probed = str((actual or {}).get(_DIGEST, "")) or "absent"
            commands.append(write(self._source, self._text, probed))
        return commands

    def fears(self, actual: State | None, changed: frozenset[str]) -> tuple[str, ...]:
        """Name the older sources that go."""
        if actual and "older_sources" in changed:
            return (f"disables the older source in {actual['older_sources']}",)
        return ()

    @property
    def _source(self) -> str:
        return f"{_SOURCES}/{self.name}.sources"

    @property
    def _keyring(self) -> str:
        return f"{_KEYRINGS}/{self.name}.gpg"

    @property
    def _bare_uri(self) -> str:
        return self.uri.partition("://")[2].rstrip("/")

    @property
    def _lists(self) -> str:
        """Return the name apt gives to this repository's list, as a pattern."""
        flat = self.suite.endswith("/")
        path = self.suite.strip("/") if flat else f"dists/{self.suite}"
        uri = f"{self._bare_uri.rpartition('@')[2]}/{path}".rstrip("/")
        # as apt's URItoFileName does: no user, some characters as %hex, slashes as underscores
        name = "".join(f"%{ord(c):02x}" if c in _QUOTED else c for c in uri).replace("/", "_")
        return f"{name}_*Release"

    @property
    def _text(self) -> str:
        lines = ["Types: deb", f"URIs: {self.uri}", f"Suites: {self.suite}"]
        if self.components:
            lines.append(f"Components: {' '.join(self.components)}")
        return "\n".join([*lines, f"Signed-By: {self._keyring}"]) + "\n"

    def _fetch_key(self) -> Command:
        # apt-helper fetches as apt does (proxies, certificates) and is there wherever apt is.
        script = (
            f"install -d -m 0755 {_KEYRINGS}\n"
            f"new={self._keyring}.provision-new\n"
            f"timeout -k 10 120 /usr/lib/apt/apt-helper -o Acquire::Retries=2"
            f' download-file {quote(self.key_url)} "$new.download"\n'
            'openpgp_dearmor "$new.download" >"$new"; rm -f "$new.download"\n'
            'found=$(openpgp_fingerprints "$new" | tr "\\n" " ")\n'
            f'if [ "$found" != "{self.fingerprint} " ]; then\n'
            '    rm -f "$new"\n'
            f'    echo "provision: wrong key: expected {self.fingerprint}, got $found" >&2\n'
            "    exit 1\n"
            "fi\n"
            f'chmod 0644 "$new" && sync "$new" && mv -f "$new" {self._keyring}'
        )
        shown = f"fetch {self.key_url} into {self._keyring} if it is {self.fingerprint}"
        return Command(title=f"fetch the key of {self.name}", script=script, shown=shown)

    def _update(self) -> Command:
        staged = f"/run/provision-{self.name}.sources"
        script = (
            f"LOCK_TIMEOUT={self.lock_timeout}\n"
            f"{literal(self._text.encode())} >{staged}\n"
            f"if apt_update {staged}; then rm -f {staged}; else rm -f {staged}; exit 1; fi"
        )
        return Command(
            title=f"fetch the package lists of {self.name}",
            script=script,
            shown=f"apt-get update   # of {self.uri} {self.suite} alone",
            timeout=600,
        )


def _retire(path: str, marks: tuple[str, ...]) -> Command:
    """Return the command that takes an older source out of apt's sight and keeps its text.

    Lines of a list are commented out. A deb822 file, which holds nothing else, goes as a whole.
    """
    title = f"disable the older source {path}"
    if path.endswith(".list"):
        edits = " ".join(
            "-e " + quote(rf"\|{_literally(mark)}|s/^[[:space:]]*deb/# &/") for mark in marks
        )
        script = f"cp -p {quote(path)} {quote(path + '.save')} && sed -i {edits} {quote(path)}"
        return Command(title=title, script=script)
    script = f"mv -f {quote(path)} {quote(path + '.disabled')}"
    return Command(title=title, script=script)


def _literally(mark: str) -> str:
    """Return the regular expression of sed that is `mark` and nothing else, between two `|`."""
    inside = re.sub(r"[\\^|]", r"\\\g<0>", mark)
    return re.sub(r"[.*$\[]", r"[\g<0>]", inside)
