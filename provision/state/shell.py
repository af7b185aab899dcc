"""What makes many fragments one sh script: the prelude, one function, frames around each part."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from shlex import quote
from typing import Final

__all__ = ["framed", "functions", "literal", "nonce", "prelude", "quote"]
_FUNCTION: Final = re.compile(r"^(\w+)\(\) \{.*?^\}$", re.MULTILINE | re.DOTALL)


def prelude(body: str) -> str:
    """Return those of the shared functions that `body` calls, and that these call in their turn."""
    shared, word = _shared()
    wanted: dict[str, None] = {}
    texts = [body]
    while texts:
        new = dict.fromkeys(word.findall(texts.pop())).keys() - wanted.keys()
        wanted |= dict.fromkeys(new)
        texts += [shared[name] for name in new]
    return "\n".join(text for name, text in shared.items() if name in wanted)


@cache
def _shared() -> tuple[Mapping[str, str], re.Pattern[str]]:
    """Return the functions of `prelude.sh` by their names, and what finds these in a script."""
    text = files("provision.state").joinpath("prelude.sh").read_text(encoding="utf-8")
    found = {match[1]: match[0] for match in _FUNCTION.finditer(text)}
    return found, re.compile(rf"\b(?:{'|'.join(found)})\b")


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
        "newline='\n'\n"
        f"{environment}{prelude(environment + body)}\n{body}\n}}\n"
        f"provision_main{'' if talks else ' </dev/null'}\n"
    )


def literal(content: bytes) -> str:
    """Return sh that prints `content` exactly; only the shell itself ever holds it."""
    encoded = base64.b64encode(content).decode()
    return f"printf %s {encoded or repr('')} | base64 -d"
