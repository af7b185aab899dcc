"""The files of a model that lies in a folder on the controller."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from provision.errors import HubError
from provision.serving.hub.digest import digest_file
from provision.serving.hub.listing import (
    MANIFEST,
    Listing,
    digest_of,
    is_clutter,
    make_listing,
    remote_files,
)
from provision.serving.hub.wanted import Hub, Wanted

# What ModelScope's client leaves beside a model's files.
_LEFTOVERS: Final = frozenset({MANIFEST, ".lock", ".mdl", ".msc", ".mv", "._____temp"})


def list_files(wanted: Wanted, hub: Hub, tell: Callable[[int, int], None] | None = None) -> Listing:
    """Return the files of a folder; `tell` gets the bytes read so far and in all."""
    del hub
    root = _root(wanted)
    try:
        found = sorted(_walk(root, wanted.key))
        total = sum(size for _, size in found)
        files = remote_files(_digests(root, found, total, tell), wanted.key)
    except OSError as error:
        raise HubError(
            f"cannot read {error.filename}: {error.strerror}",
            where=wanted.key,
            remedy="Check the path and its permissions.",
        ) from error
    revision = digest_of(files)[:12]
    return make_listing(
        wanted.key,
        source=wanted.source,
        id=wanted.id,
        asked=wanted.revision,
        revision=revision,
        fetch_revision=revision,
        files=files,
    )


def _root(wanted: Wanted) -> Path:
    root = wanted.path
    if root is None or not root.is_dir():
        raise HubError(f"{root} is not a folder", where=wanted.key, remedy="Correct its path.")
    return root.resolve()


def _walk(root: Path, where: str) -> Iterator[tuple[str, int]]:
    """Yield path and size of every file; what is neither file nor folder is an error."""
    for folder, folders, names in os.walk(root, onerror=_raise):
        here = Path(folder)
        folders[:] = [name for name in folders if not _skipped(here / name, root)]
        for name in folders:
            if (here / name).is_symlink():
                raise _linked(here / name, where)
        for name in names:
            path = here / name
            if not _skipped(path, root):
                yield path.relative_to(root).as_posix(), _size(path, root, where)


def _size(path: Path, root: Path, where: str) -> int:
    if path.is_symlink() and not path.resolve().is_relative_to(root):
        raise _linked(path, where)
    if path.suffix == ".incomplete":
        raise HubError(
            f"{path} is half a file", where=where, remedy="Finish the download of the model first."
        )
    info = path.stat()
    if not stat.S_ISREG(info.st_mode):
        raise HubError(f"{path} is not a file", where=where, remedy="Remove it.")
    return info.st_size


def _digests(
    root: Path,
    found: list[tuple[str, int]],
    total: int,
    tell: Callable[[int, int], None] | None,
) -> Iterator[tuple[str, int, str]]:
    done = 0

    def count(read: int) -> None:
        nonlocal done
        done += read
        if tell is not None:
            tell(done, total)

    for path, size in found:
        before = done
        digest = digest_file(root / path, "sha256", count)
        if done - before != size:
            raise HubError(f"{root / path} changes", remedy="Wait until it is complete.")
        yield path, size, digest


def _skipped(path: Path, root: Path) -> bool:
    return path.name in _LEFTOVERS or is_clutter(path.relative_to(root).as_posix())


def _linked(path: Path, where: str) -> HubError:
    return HubError(
        f"{path} is a link out of the model's folder or to a folder",
        where=where,
        remedy="Copy the model with `cp -rL` and name the copy.",
    )


def _raise(error: OSError) -> None:
    raise error
