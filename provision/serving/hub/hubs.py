"""Which hub answers for which source; its library is imported when it is first asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from provision.serving.hub.listing import Listing, RemoteFile
from provision.serving.hub.wanted import Hub, Source, Wanted

# Each library takes a quarter of a second to import: only who asks a hub pays for it.
# ruff: noqa: PLC0415


def list_files(wanted: Wanted, hub: Hub, tell: Callable[[int, int], None] | None = None) -> Listing:
    """Return the files of a model, as its hub lists them now.

    `tell` gets (done, total) bytes while a folder on the controller is read, which can take long.
    """
    if wanted.source == "modelscope":
        from provision.serving.hub import modelscope

        return modelscope.list_files(wanted, hub)
    if wanted.source == "huggingface":
        from provision.serving.hub import huggingface

        return huggingface.list_files(wanted, hub)
    from provision.serving.hub import controller

    return controller.list_files(wanted, hub, tell)


def endpoint(source: Source, hub: Hub) -> str:
    """Return the base URL that is asked for a source; empty for the controller's own folders."""
    if source == "modelscope":
        from provision.serving.hub import modelscope

        return modelscope.endpoint(hub)
    if source == "huggingface":
        from provision.serving.hub import huggingface

        return huggingface.endpoint(hub)
    return ""


def fetcher(listing: Listing, hub: Hub, folder: Path) -> Callable[[RemoteFile], None] | None:
    """Return what fetches one file into `folder`; None where there is nothing to fetch from."""
    if listing.source == "modelscope":
        from provision.serving.hub import modelscope

        return modelscope.fetcher(listing, hub, folder)
    if listing.source == "huggingface":
        from provision.serving.hub import huggingface

        return huggingface.fetcher(listing, hub, folder)
    return None
