"""What ModelScope says about a model, through modelscope-hub.

Read in modelscope-hub 0.5.1, and in answers of the hub that others keep as test data:

- `HubApi.legacy.list_repo_files` returns the raw entries, each with Path, Size, Sha256, Revision
  (the last commit that touched it) and CommittedDate; `HubApi.list_repo_files` drops the last two.
  It walks folder by folder when the server's cap of 3000 entries is met, and only logs when even
  that left something out, hence the look at `listing_incomplete`.
- Nothing names the commit of a branch for sure: the listing's `LatestCommitter` has an empty Id
  and 8 digits, and the library drops it; `revisions` has a CommitId in some answers only. So we
  take that one, else the commit of the newest entry, ask for the listing at that commit, and pin
  to it only if every file is the same. Otherwise (the last commit only deleted something, or a
  mirror takes no commits) the digests themselves name the state, and the branch is what is
  fetched; the digests then tell if it moved.
- A revision that does not exist answers 200 with no files.
- Time-outs are the library's: 10 s to connect, 15 s for a page of the list, 4 attempts.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from modelscope_hub import HubApi, HubConfig, _download
from modelscope_hub.errors import (
    APIError,
    AuthenticationError,
    FileIntegrityError,
    NetworkError,
    NotExistError,
    PermissionDeniedError,
    RateLimitError,
)

from provision.errors import HubError
from provision.serving.hub.listing import (
    Listing,
    RemoteFile,
    digest_of,
    make_listing,
    remote_files,
)
from provision.serving.hub.problems import Asked, is_disk
from provision.serving.hub.wanted import Hub, Wanted, key_of

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
# Nothing can be written below it: no session id, no login of this machine is read or left behind.
_NOWHERE: Final = Path("/dev/null")

logging.getLogger("modelscope_hub").setLevel(logging.CRITICAL + 1)
# The library draws a bar for every file and has no switch for it.
vars(_download)["tqdm"] = functools.partial(vars(_download)["tqdm"], disable=True)


def list_files(wanted: Wanted, hub: Hub) -> Listing:
    """Return the files of a model, pinned to a commit where the hub lets us."""
    api, asked = _api(hub), _asked(wanted.key, hub)
    with _explained(asked):
        entries = _entries(api, wanted.id, wanted.revision)
    if not entries:
        raise _no_files(api, wanted, asked)
    files = remote_files(_facts(entries), wanted.key)
    pinned = _pinned(api, wanted, entries, files)
    return make_listing(
        wanted.key,
        source=wanted.source,
        id=wanted.id,
        asked=wanted.revision,
        revision=pinned or f"{wanted.revision}-{digest_of(files)[:12]}",
        fetch_revision=pinned or wanted.revision,
        files=files,
    )


def endpoint(hub: Hub) -> str:
    """Return the base URL that is asked."""
    config = HubConfig(endpoint=hub.endpoint, cache_dir=_NOWHERE, config_dir=_NOWHERE, token="")
    return str(config.endpoint)


def fetcher(listing: Listing, hub: Hub, folder: Path) -> Callable[[RemoteFile], None]:
    """Return a function that fetches one file into `folder`, resuming what is there."""
    api, asked = _api(hub), _asked(listing.key, hub)

    def fetch(file: RemoteFile) -> None:
        # A wrong digest is judged, and tried again, by who asked for the file.
        with _explained(asked), suppress(FileIntegrityError):
            api.downloader.download_file(
                listing.id,
                "model",
                file.path,
                revision=listing.fetch_revision,
                local_dir=folder,
                cache_dir=folder / ".cache" / "modelscope",  # its locks
                file_size=file.size_bytes,
            )

    return fetch


def _api(hub: Hub) -> HubApi:
    # An empty token means none; without it the library would look for a login of this machine.
    token = hub.token.reveal() if hub.token else ""
    return HubApi(
        HubConfig(endpoint=hub.endpoint, cache_dir=_NOWHERE, config_dir=_NOWHERE, token=token)
    )


def _asked(key: str, hub: Hub) -> Asked:
    return Asked(key, "modelscope", endpoint(hub), has_token=hub.token is not None)


def _entries(api: HubApi, identity: str, revision: str) -> list[dict[str, Any]]:
    entries = api.legacy.list_repo_files(identity, "model", revision=revision)
    if getattr(getattr(api.legacy, "_read_state", None), "listing_incomplete", False):
        raise HubError(
            "the hub does not list all files of this model",
            where=key_of("modelscope", identity, revision),
            remedy="Take the model from another source.",
        )
    return [dict(entry) for entry in entries]


def _facts(entries: list[dict[str, Any]]) -> Iterator[tuple[object, object, object]]:
    for entry in entries:
        if entry.get("Type") != "tree":
            digest = f"sha256:{str(entry.get('Sha256') or '').lower()}"
            yield entry.get("Path"), entry.get("Size"), digest


def _pinned(
    api: HubApi, wanted: Wanted, entries: list[dict[str, Any]], files: tuple[RemoteFile, ...]
) -> str | None:
    """Return the commit at which the hub has exactly these files."""
    if _COMMIT.fullmatch(wanted.revision):
        return wanted.revision
    for commit in _candidates(api, wanted, entries):
        # Whatever goes wrong here only costs the pin.
        with suppress(HubError, *_FAILURES):
            again = remote_files(_facts(_entries(api, wanted.id, commit)), wanted.key)
            if digest_of(again) == digest_of(files):
                return commit
    return None


def _candidates(api: HubApi, wanted: Wanted, entries: list[dict[str, Any]]) -> Iterator[str]:
    found: list[object] = []
    with suppress(*_FAILURES):
        revisions = api.list_repo_revisions(wanted.id, "model")
        found += [item.get("CommitId") for item in revisions if item["Revision"] == wanted.revision]
    newest = max(entries, key=lambda entry: _number(entry.get("CommittedDate")))
    found.append(newest.get("Revision"))
    for commit in dict.fromkeys(str(commit) for commit in found):
        if _COMMIT.fullmatch(commit):
            yield commit


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _no_files(api: HubApi, wanted: Wanted, asked: Asked) -> HubError:
    """Tell a missing revision from a model without files."""
    names: set[str] = set()
    with _explained(asked):
        revisions = api.list_repo_revisions(wanted.id, "model")
        names = {str(entry.get("Revision")) for entry in revisions}
    if wanted.revision in names:
        return HubError("the model has no files", where=wanted.key, remedy="Check its id.")
    return asked.no_revision(wanted.revision, names)


# The library's own, then what it stumbles over when the answer is no answer of a hub.
_FAILURES: Final = (
    APIError,
    NetworkError,
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
)


@contextmanager
def _explained(asked: Asked) -> Iterator[None]:
    try:
        yield
    except _FAILURES as error:
        raise _explain(error, asked) from error


def _explain(error: Exception, asked: Asked) -> HubError:  # noqa: PLR0911  one a cause
    # By class before status: 400 and 200 carry codes of their own, which the library reads.
    if isinstance(error, AuthenticationError | PermissionDeniedError):
        return asked.denied()
    if isinstance(error, NotExistError):
        return asked.absent()
    if isinstance(error, RateLimitError):
        return asked.busy()
    if isinstance(error, APIError):
        return asked.by_status(error.status_code)
    if isinstance(error, OSError) and is_disk(error):
        return asked.disk(error)
    # An undecodable answer is an OSError too, to requests.
    if isinstance(error, OSError) and not isinstance(error, ValueError):
        return asked.unreachable(error)
    return asked.junk()
