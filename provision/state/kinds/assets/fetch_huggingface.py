# ruff: noqa: INP001  runs alone, on a host, in the virtual environment of the hub's client
"""Fetches files of a Hugging Face model through huggingface_hub, each resumed where it stopped.

The library's own command (2.4.0) gives a partial file a name that no later run finds again, so this
calls the same download with a partial file `<file>.incomplete`. Arguments: ID REVISION FOLDER
WORKERS FILE… ; endpoint and token come from HF_ENDPOINT and HF_TOKEN.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.file_download import http_get
from huggingface_hub.utils._headers import build_hf_headers

CHUNK = 1 << 20  # bytes; what a broken connection costs at most


def fetch(identity: str, revision: str, folder: Path, path: str) -> None:
    """Fetch one file, going on at the end of what is there."""
    target = folder / path
    partial = target.with_name(f"{target.name}.incomplete")
    partial.parent.mkdir(parents=True, exist_ok=True)
    url = hf_hub_url(identity, path, revision=revision)
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    size = get_hf_file_metadata(url, headers=headers).size
    with partial.open("ab") as file:
        if size is not None and file.tell() > size:
            file.truncate(0)
        http_get(url, file, resume_size=file.tell(), headers=headers, expected_size=size)
    partial.replace(target)


def main(identity: str, revision: str, folder: str, workers: str, *paths: str) -> int:
    """Fetch all files; print one line a failure, with the HTTP status where there is one."""
    constants.DOWNLOAD_CHUNK_SIZE = CHUNK
    constants.MAX_HTTP_DOWNLOAD_SIZE = sys.maxsize  # what is too large for a mirror, it says itself

    def one(path: str) -> bool:
        try:
            fetch(identity, revision, Path(folder), path)
        except HfHubHTTPError as error:
            print(f"error: [{error.response.status_code}] {path}: {error}", file=sys.stderr)  # noqa: T201
        except Exception as error:  # noqa: BLE001  whatever it is, the other files go on
            print(f"error: {path}: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        else:
            return True
        return False

    with ThreadPoolExecutor(int(workers)) as pool:
        return 0 if all(list(pool.map(one, paths))) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
