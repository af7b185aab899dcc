"""What makes many fragments one sh script: the prelude, one function, frames around each part."""

from __future__ import annotations

import base64
import secrets
from functools import cache
from importlib.resources import files
from shlex import quote

__all__ = ["framed", "functions", "literal", "nonce", "prelude", "quote"]


@cache
def prelude() -> str:
    """Return the functions that probes and commands share."""
    text = files("provision.state").joinpath("prelude.sh").read_text(encoding="utf-8")
    return "".join(
        line for line in text.splitlines(keepends=True) if not line.startswith("#")
    ).strip()


@cache
def functions(name: str, package: str = "provision.state.kinds") -> str:
    """Return the sh functions of `<package>/<name>.sh`, without the lines that are comments."""
    text = files(package).joinpath(f"{name}.sh").read_text(encoding="utf-8")
    kept = (line for line in text.splitlines() if not line.lstrip().startswith("# "))
    return "\n".join(kept).strip()


def nonce() -> str:
    """Return a word that no output can contain by chance or by guessing."""
    return f"@{secrets.token_hex(12)}"


def framed(body: str, *, environment: str = "", talks: bool = False) -> str:
    """Wrap `body` into one function called on the last line.

    Locale, PATH and umask are the same on every host, whatever sudo and PAM hand on.
    A script that arrives only in part then runs nothing, and no child can read the rest of it; one
    that `talks` goes on to read what comes after it.
    """
    return (
        "provision_main() {\numask 022\n"
        "export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
        f"{environment}{prelude()}\n{body}\n}}\n"
        f"provision_main{'' if talks else ' </dev/null'}\n"
    )


def literal(content: bytes) -> str:
    """Return sh that prints `content` exactly; only the shell itself ever holds it."""
    encoded = base64.b64encode(content).decode()
    return f"printf %s {encoded or repr('')} | base64 -d"
