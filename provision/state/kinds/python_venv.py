"""The Python virtual environment: an interpreter and pinned packages, every file checked by hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

from pydantic import StringConstraints

from provision.state.kinds.paths import AbsolutePath
from provision.state.resource import Command, Resource, State
from provision.state.shell import literal, quote

Interpreter = Annotated[str, StringConstraints(pattern=r"^(?:/[A-Za-z0-9._+/-]+|python[0-9.]*)$")]
"""A Python by its name or its absolute path; as a command word, so no assignment and no keyword."""
_STAMP: Final = ".provision-requirements"


class PythonVenv(Resource):
    """A virtual environment at the absolute path `name`; it is made anew when anything differs."""

    kind: ClassVar[str] = "python_venv"

    name: AbsolutePath
    requirements: str
    """Text of a requirements file with hashes: a mirror can then deliver nothing else."""
    index_url: str
    """Simple index of a PyPI mirror."""
    python: Interpreter = "python3"
    """The interpreter to make it with."""
    environment: Mapping[str, str] = {}
    """Variables for pip, such as proxies."""
    timeout: int = 1800
    """Seconds."""

    def probe(self) -> str:
        """Ask the interpreter whether it works, and for the digest of what was installed."""
        python, stamp = quote(f"{self.name}/bin/python"), quote(f"{self.name}/{_STAMP}")
        return (
            f"[ -e {quote(self.name)} ] || exit 1\n"
            # an upgrade of the distribution takes the interpreter away under a virtual environment
            f"if {python} -c '' 2>/dev/null; then echo works; else echo broken; fi\n"
            f"[ ! -f {stamp} ] || cat -- {stamp}"
        )

    def actual(self, output: str) -> State | None:
        """Parse both."""
        works, _, stamp = output.partition("\n")
        if works not in {"works", "broken"}:
            raise ValueError(f"unexpected answer {works!r}")
        return {"works": works == "works", "(requirements)": stamp.strip()}

    def expected(self) -> State | None:
        """Want it to work, with these requirements."""
        return {"works": True, "(requirements)": self._digest}

    def apply(self, actual: State | None, changed: frozenset[str]) -> list[Command]:
        """Make it anew and install; the stamp comes last, so that half of one is no whole one."""
        del actual, changed
        variables = "".join(
            f"export {key}={quote(text)}\n" for key, text in self.environment.items()
        )
        name, requirements = quote(self.name), quote(f"{self.name}/requirements.txt")
        pip = (
            f"{quote(f'{self.name}/bin/python')} -m pip --disable-pip-version-check --no-input"
            f" --retries 3 --timeout 30 install --quiet --no-cache-dir --only-binary=:all:"
            f" --require-hashes --index-url {quote(self.index_url)} --requirement {requirements}"
        )
        script = (
            f"{variables}export PIP_CONFIG_FILE=/dev/null\n"
            "[ ! -f /etc/ssl/certs/ca-certificates.crt ] ||"
            " export PIP_CERT=/etc/ssl/certs/ca-certificates.crt\n"
            f"rm -rf -- {name}\nmkdir -p -- {name}\n{quote(self.python)} -m venv -- {name}\n"
            f"{literal(self.requirements.encode())} >{requirements}\n{pip}\n"
            f"echo {self._digest} >{quote(f'{self.name}/{_STAMP}')}"
        )
        return [
            Command(
                title=f"make the virtual environment {self.name}",
                script=script,
                shown=f"{self.python} -m venv {self.name}\n{pip}",
                timeout=self.timeout,
            )
        ]

    def note(self, actual: State | None, changed: frozenset[str]) -> str:
        """Say how much is installed, from where."""
        del actual, changed
        count = sum("==" in line for line in self.requirements.splitlines())
        noun = "package" if count == 1 else "packages"
        return f"{count} pinned {noun} from {self.index_url}"

    @property
    def _digest(self) -> str:
        return hashlib.sha256(self.requirements.encode()).hexdigest()
