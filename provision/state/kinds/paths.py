"""What the kinds that stand for a path share: `probe_path`'s answer and how a file is written."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Final, NamedTuple

from pydantic import AfterValidator, Field, StringConstraints

from provision.state.resource import Command
from provision.state.shell import literal, quote

SHOWN_BYTES: Final = 65536
"""Files up to this size travel with the probe, so that a diff can be shown."""

OctalMode = Annotated[str, StringConstraints(pattern=r"^[0-7]{4}$")]


# a blank at the end is lost where sh reads lists of paths
_ABSOLUTE: Final = r"^(?:/[^/\x00-\x1f\x7f\ud800-\udfff]+)+(?<! )$"


def _absolute(path: str) -> str:
    if not re.fullmatch(_ABSOLUTE, path):
        raise ValueError("expected an absolute path without a slash or a blank at its end")
    if {".", ".."} & set(path.split("/")):
        raise ValueError("expected a path without . and ..")
    return path


AbsolutePath = Annotated[
    str, AfterValidator(_absolute), Field(json_schema_extra={"pattern": _ABSOLUTE})
]
"""An absolute path of a host, without a slash at its end."""
_FIELDS: Final = 5
_WANTED: Final = "|wanted"
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


class Stat(NamedTuple):
    """What `probe_path` says of a path."""

    type: str
    mode: str
    owner: str
    group: str
    size: int
    wanted: bool
    """The digest is the one that was asked for, and neither it nor the text stands behind it."""


def parse_stat(output: str) -> tuple[Stat, str]:
    """Split `probe_path`'s answer into the stat line and the text (or its sha256) behind it."""
    line, _, rest = output.partition("\n")
    fields = line.removesuffix(_WANTED).split("|")
    if len(fields) != _FIELDS:
        raise ValueError(f"unexpected answer {line!r}")
    kind, mode, owner, group, size = fields
    kind = kind.replace("regular empty file", "regular file")
    return Stat(kind, f"{mode:0>4}", owner, group, int(size), line.endswith(_WANTED)), rest


def content_or_digest(stat: Stat, rest: str, limit: int) -> str:
    """Return a file's text, or `sha256:…` where it is larger than `limit` bytes."""
    if stat.type != "regular file":
        raise ValueError(f"a {stat.type} is in the way of the file")
    if stat.size <= limit:
        if len(rest) > limit:
            raise ValueError(f"the file is longer than its {stat.size} bytes")
        return rest
    found = f"sha256:{rest.partition(' ')[0]}"
    if not _DIGEST.fullmatch(found):
        raise ValueError(f"unexpected answer {rest[:80]!r}")
    return found


def digest(content: str) -> str:
    """Return the sha256 that stands for `content`, or the one that it already is."""
    if _DIGEST.fullmatch(content):
        return content.removeprefix("sha256:")
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()


class Rights(NamedTuple):
    """Who may do what with a file."""

    mode: str = "0644"
    owner: str = "root"
    group: str = "root"


def write(
    path: str,
    content: str,
    probed: str,
    rights: Rights = Rights(),  # noqa: B008  immutable
    check: str = "",
) -> Command:
    """Return the command that replaces a file in one step, if its sha256 still is `probed`.

    `check` is sh that judges the new file `$1` before it takes the old one's place.
    """
    data = content.encode("utf-8", "surrogateescape")
    target = f"write_file {quote(path)} {' '.join(map(quote, rights))} {quote(probed)}"
    return Command(
        title=f"write {path}",
        script=f"{literal(data)} | {target} {hashlib.sha256(data).hexdigest()}"
        + (f" {quote(check)}" if check else ""),
        shown=f"{target}   # {len(data)} bytes on stdin",
    )
