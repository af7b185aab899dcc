"""The files of a model as a hub lists them: safe paths, sizes, digests, and whether all are there."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Annotated, Final

from pydantic import AfterValidator, Field, ValidationError, field_validator

from provision.errors import HubError
from provision.serving.hub.complete import missing
from provision.serving.hub.wanted import Model, Source, key_of

MANIFEST: Final = ".provision-manifest"  # ours, beside a model's files on a host
MAX_SIZE_BYTES: Final = 1 << 43  # 8 TiB: no file of a model is larger, a lie may be
_MAX_NAME_BYTES: Final = 255  # NAME_MAX of Linux
_MAX_PATH_BYTES: Final = 1024
_SHOWN: Final = 5
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}|git-sha1:[0-9a-f]{40}")
_REVISION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z._/-]*")


def checked_path(path: str) -> str:
    """Return `path` if it stays below a model's folder on any host, else say why not."""
    parts = path.split("/")
    if any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in path):
        raise ValueError("it has a control character")
    if "\\" in path:
        raise ValueError("it has a backslash")
    if path != path.strip():
        raise ValueError("it begins or ends with a blank")
    if any(part in {"", ".", ".."} for part in parts):
        raise ValueError("it leaves the model's folder or has an empty part")
    if any(part.startswith("-") for part in parts):
        raise ValueError("it starts with a dash and would be read as an option")
    if MANIFEST in parts:
        raise ValueError(f"{MANIFEST} is our own")
    if max(len(part.encode()) for part in parts) > _MAX_NAME_BYTES:
        raise ValueError(f"a name in it is longer than {_MAX_NAME_BYTES} bytes")
    if len(path.encode()) > _MAX_PATH_BYTES:
        raise ValueError(f"it is longer than {_MAX_PATH_BYTES} bytes")
    return path


def _checked_digest(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise ValueError("it is neither a sha256 nor a git id")
    return digest


def _checked_revision(revision: str) -> str:
    if not _REVISION.fullmatch(revision):
        raise ValueError("it is no commit, branch or tag")
    return revision


class RemoteFile(Model):
    """One file of a model."""

    path: Annotated[str, AfterValidator(checked_path)]
    """Path below the model's folder, with slashes."""
    size_bytes: Annotated[int, Field(strict=True, ge=0, le=MAX_SIZE_BYTES)]
    """Size in bytes."""
    digest: Annotated[str, AfterValidator(_checked_digest)]
    """`sha256:…`, or `git-sha1:…` (a git blob id) where the hub knows no other."""


class Listing(Model):
    """The files of one model at one revision."""

    source: Source
    """The hub that was asked."""
    id: str
    """Organisation and name of the model."""
    asked: str
    """The revision that was asked for: a branch, a tag or a commit."""
    revision: Annotated[str, AfterValidator(_checked_revision)]
    """The revision that the files have: it names one state of them, for ever."""
    fetch_revision: str
    """What to hand to the hub's client to get them: a commit, or a branch if it knows no better."""
    files: tuple[RemoteFile, ...]
    """All files, sorted by path."""

    @field_validator("files")
    @classmethod
    def _consistent(cls, files: tuple[RemoteFile, ...]) -> tuple[RemoteFile, ...]:
        if not files:
            raise ValueError("there is no file in it")
        seen: set[str] = set()
        for file in files:
            if file.path in seen:
                raise ValueError(f"'{file.path}' is listed twice")
            seen.add(file.path)
        for path in sorted(seen):
            for parent in PurePosixPath(path).parents:
                if str(parent) in seen:
                    raise ValueError(f"'{parent}' is both a file and a folder")
        return tuple(sorted(files, key=lambda file: file.path))

    @property
    def key(self) -> str:
        """Return the key of the wish that this answers: `modelscope:Qwen/Qwen3-0.6B@master`."""
        return key_of(self.source, self.id, self.asked)

    @property
    def size_bytes(self) -> int:
        """Return the size of all files together."""
        return sum(file.size_bytes for file in self.files)

    def narrowed(self, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> Listing:
        """Return the files that any of `include` (none = all) and none of `exclude` matches.

        Patterns match as in the hubs' own clients: against the whole path, where `*` crosses
        slashes, letter case counts and `folder/` means all below it. A bare `config.json` is thus
        the one at the top, `*config.json` any. A pattern that matches nothing is an error.
        """
        included = [self._matching(pattern) for pattern in include]
        kept = set().union(*included) if included else {file.path for file in self.files}
        kept = kept.difference(*(self._matching(pattern) for pattern in exclude))
        if not kept:
            raise HubError(
                "include and exclude leave no file",
                where=self.key,
                remedy="Drop a pattern of exclude.",
            )
        return self.model_copy(
            update={"files": tuple(file for file in self.files if file.path in kept)}
        )

    def _matching(self, pattern: str) -> set[str]:
        glob = f"{pattern}*" if pattern.endswith("/") else pattern
        paths = {file.path for file in self.files if fnmatchcase(file.path, glob)}
        if paths:
            return paths
        known = [file.path for file in self.files]
        globs = sorted({f"*{PurePosixPath(path).suffix}" for path in known} - {"*"})
        close = get_close_matches(pattern, [*globs, *known], n=1, cutoff=0.6)
        remedy = f"Did you mean '{close[0]}'?" if close else f"There are {', '.join(globs)}."
        raise HubError(f"no file matches '{pattern}'", where=self.key, remedy=remedy)


def check_complete(listing: Listing) -> None:
    """Raise `HubError` that names what is missing, if an engine could not load these files."""
    absent = missing([file.path for file in listing.files])
    if not absent:
        return
    more = f" and {len(absent) - _SHOWN} more" if len(absent) > _SHOWN else ""
    raise HubError(
        f"the model is not complete: missing {', '.join(absent[:_SHOWN])}{more}",
        where=listing.key,
        remedy="Check include, exclude and revision, or choose a model that is complete.",
    )


def remote_files(
    entries: Iterable[tuple[object, object, object]], where: str
) -> tuple[RemoteFile, ...]:
    """Return a hub's (path, size, digest) as files; refuse what is not safe.

    Git's own files, and a client's `.cache` that was uploaded by mistake, are left out.
    """
    files = []
    for path, size, digest in entries:
        if isinstance(path, str) and is_clutter(path):
            continue
        try:
            files.append(
                RemoteFile.model_validate({"path": path, "size_bytes": size, "digest": digest})
            )
        except ValidationError as error:
            raise _refused(f"the file {path!r}", error, where) from error
    return tuple(files)


def is_clutter(path: str) -> bool:
    """Say whether `path` belongs to git or to a hub's client and not to the model."""
    parts = path.split("/")
    return parts[0] == ".cache" or any(part.startswith(".git") for part in parts)


def make_listing(where: str, **values: object) -> Listing:
    """Return the listing, or say in one line what is wrong with what the hub answered."""
    try:
        return Listing.model_validate(values)
    except ValidationError as error:
        raise _refused("the list of files", error, where) from error


def digest_of(files: Iterable[RemoteFile]) -> str:
    """Return the sha256 that names this state of files, in hex."""
    lines = sorted(f"{file.digest}  {file.path}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _refused(what: str, error: ValidationError, where: str) -> HubError:
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    reason = first["msg"].removeprefix("Value error, ")
    return HubError(
        f"{what} is refused: {field}: {reason}",
        where=where,
        remedy="Do not use this model before its publisher has explained it.",
    )
