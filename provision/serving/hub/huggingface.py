"""What Hugging Face, or a mirror of it, says about a model, through huggingface_hub.

Read in huggingface_hub 2.4.0: `model_info` names the commit of a branch, `list_repo_tree` lists
that commit page by page, with a sha256 for LFS files and a git blob id for all others. Both are
what the library's own downloads ask, so mirrors answer them. `list_repo_tree` waits for ever
unless the client says otherwise, hence the hook below.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import httpx2
import stamina
from huggingface_hub import HfApi, constants, set_client_factory
from huggingface_hub.errors import (
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils.tqdm import disable_progress_bars
from stamina.instrumentation import set_on_retry_hooks

from provision.errors import HubError
from provision.serving.hub.listing import Listing, RemoteFile, make_listing, remote_files
from provision.serving.hub.problems import Asked, is_disk
from provision.serving.hub.wanted import Hub, Wanted

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_CONNECT: Final = 10.0  # seconds
_READ: Final = 60.0  # seconds
_TIMEOUT: Final = httpx2.Timeout(_READ, connect=_CONNECT)


def _limit(request: httpx2.Request) -> None:
    """Give a time-out to a request that has none; this hook stands in the library's own place."""
    if constants.is_offline_mode():
        raise OfflineModeIsEnabled
    timeouts = request.extensions.get("timeout") or {}
    if all(value is None for value in timeouts.values()):
        request.extensions["timeout"] = _TIMEOUT.as_dict()


def _client() -> httpx2.Client:
    return httpx2.Client(
        event_hooks={"request": [_limit]},
        follow_redirects=True,
        timeout=_TIMEOUT,
    )


set_on_retry_hooks([])  # a file that comes at the second try is no news
logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL + 1)
disable_progress_bars()
set_client_factory(_client)
# Mirrors relay plain HTTP only, and Xet keeps a cache of its own in the home folder.
constants.HF_HUB_DISABLE_XET = True


def list_files(wanted: Wanted, hub: Hub) -> Listing:
    """Return the files of a model at the commit that its revision names now."""
    api, asked = _api(hub), _asked(wanted.key, hub)
    with _explained(asked, api, wanted):
        info = api.model_info(wanted.id, revision=wanted.revision, timeout=_READ)
        commit = info.sha or ""
        if not _COMMIT.fullmatch(commit):
            raise asked.junk()
        tree = list(api.list_repo_tree(wanted.id, recursive=True, revision=commit))
    entries = [entry for entry in tree if isinstance(entry, RepoFile)]
    return make_listing(
        wanted.key,
        source=wanted.source,
        id=wanted.id,
        asked=wanted.revision,
        revision=commit,
        fetch_revision=commit,
        files=remote_files(((e.path, e.size, _digest(e)) for e in entries), wanted.key),
    )


def endpoint(hub: Hub) -> str:
    """Return the base URL that is asked."""
    return hub.endpoint or constants.ENDPOINT


def fetcher(listing: Listing, hub: Hub, folder: Path) -> Callable[[RemoteFile], None]:
    """Return a function that fetches one file into `folder`, resuming what is there."""
    api, asked = _api(hub), _asked(listing.key, hub)

    def fetch(file: RemoteFile) -> None:
        with _explained(asked):
            again = stamina.retry_context(
                on=_was_closed, attempts=10, wait_initial=0.05, timeout=60
            )
            for attempt in again:
                with attempt:
                    api.hf_hub_download(
                        listing.id,
                        file.path,
                        revision=listing.fetch_revision,
                        cache_dir=folder / ".cache" / "huggingface" / "hub",  # not the one at home
                        local_dir=folder,
                    )

    return fetch


def _api(hub: Hub) -> HfApi:
    # False means none; otherwise the library would send a login of this machine.
    return HfApi(endpoint=endpoint(hub), token=hub.token.reveal() if hub.token else False)


def _asked(key: str, hub: Hub) -> Asked:
    return Asked(key, "huggingface", endpoint(hub), has_token=hub.token is not None)


def _digest(entry: RepoFile) -> str:
    if entry.lfs is not None:
        return f"sha256:{entry.lfs.sha256.lower()}"
    return f"git-sha1:{entry.blob_id.lower()}"


def _was_closed(error: Exception) -> bool:
    """Tell that another thread, which could not connect, has just closed the client that all share."""
    gone = r"'NoneType' object has no attribute '(re|stream)"  # its `request`, `stream` and pools
    if isinstance(error, AttributeError):
        return re.search(gone, str(error)) is not None
    return isinstance(error, RuntimeError) and "client has been closed" in str(error)


@contextmanager
def _explained(
    asked: Asked, api: HfApi | None = None, wanted: Wanted | None = None
) -> Iterator[None]:
    try:
        yield
    except RevisionNotFoundError as error:
        revision = wanted.revision if wanted else asked.key.rpartition("@")[2]
        raise asked.no_revision(revision, _revisions(api, wanted)) from error
    except (httpx2.HTTPError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise asked.unreachable(error) if _was_closed(error) else _explain(error, asked) from error
    except RuntimeError as error:
        raise asked.unreachable(error) from error


def _revisions(api: HfApi | None, wanted: Wanted | None) -> list[str]:
    if api is None or wanted is None:
        return []
    with suppress(Exception):  # it only would have made the remedy better
        refs = api.list_repo_refs(wanted.id)
        return [ref.name for ref in (*refs.branches, *refs.tags)]
    return []


def _explain(error: Exception, asked: Asked) -> HubError:  # noqa: PLR0911  one a cause
    if isinstance(error, LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        return _explain(error.__cause__, asked)
    if isinstance(error, RepositoryNotFoundError):  # a gated one is one of these, too
        return asked.denied(gated=True) if isinstance(error, GatedRepoError) else asked.absent()
    if isinstance(error, HfHubHTTPError):
        return asked.by_status(error.response.status_code)
    if isinstance(error, OfflineModeIsEnabled):
        return asked.offline()
    if isinstance(error, OSError) and is_disk(error):
        return asked.disk(error)
    if isinstance(error, httpx2.HTTPError | OSError) and not isinstance(error, FileMetadataError):
        return asked.unreachable(error)
    return asked.junk()
