"""A small hub in a thread, and wishes and listings to try the rooms of `serving.hub` with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from provision.serving.hub.listing import Listing, RemoteFile, make_listing
from provision.serving.hub.wanted import Hub, Wanted

sys.path.insert(0, str(Path(__file__).parent))
import hub_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def _patient_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the libraries from waiting between attempts, and proxies and logins out of the way."""
    monkeypatch.setattr("modelscope_hub._legacy_api.REPO_TREE_PAGE_MAX_ATTEMPTS", 1)
    monkeypatch.setattr("modelscope_hub._download.DOWNLOAD_RETRY_TIMES", 0)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fake() -> Iterator[hub_server.FakeHub]:
    """Run a hub with one small model."""
    yield from hub_server.serving()


@pytest.fixture
def hub(fake: hub_server.FakeHub) -> Hub:
    """Say how to reach it."""
    return Hub(endpoint=fake.url)


@pytest.fixture
def listing() -> Callable[..., Listing]:
    """Make listings of paths, each file of one byte."""

    def make(*paths: str, revision: str = "c1", digit: str = "0", id: str = "org/m") -> Listing:  # noqa: A002
        wish = Wanted(source="modelscope", id=id)
        files = [
            RemoteFile(path=path, size_bytes=1, digest=f"sha256:{digit * 64}") for path in paths
        ]
        return make_listing(
            wish.key, source=wish.source, id=wish.id, asked=wish.revision,
            revision=revision, fetch_revision=revision, files=files,
        )  # fmt: skip

    return make
