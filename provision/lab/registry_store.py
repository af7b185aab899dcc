"""What a registry's folder holds: blobs by digest, and the repositories and tags that link to them."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from provision.lab.process import failure

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


@dataclass(frozen=True)
class Store:
    """The folder that Debian's docker-registry serves, filled without a registry that runs."""

    folder: Path

    def add(self, image: Path, name: str) -> None:
        """Keep the image of a `docker save` under `repository:tag`.

        Its configuration is kept to the byte, so that an image that is pulled has the same id as
        one that is loaded.
        """
        repository, _, tag = name.partition(":")
        self.folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self.folder) as scratch, tarfile.open(image) as saved:
            self._tag(repository, tag, self._manifest(saved, repository, Path(scratch)))

    def _manifest(self, saved: tarfile.TarFile, repository: str, scratch: Path) -> bytes:
        told = json.load(_member(saved, "manifest.json"))[0]
        config = scratch / "config"
        config.write_bytes(_member(saved, told["Config"]).read())
        layers = []
        for layer in told["Layers"]:
            packed = scratch / "layer"
            _gzip(_member(saved, layer), packed)
            layers.append(self._keep(packed, repository, LAYER))
        about = {"schemaVersion": 2, "mediaType": MANIFEST}
        about["config"] = self._keep(config, repository, CONFIG)
        return json.dumps({**about, "layers": layers}, indent=3).encode()

    def _keep(self, file: Path, repository: str, kind: str) -> dict[str, Any]:
        """Move a file to its digest's place, and return what a manifest says of it."""
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        size = file.stat().st_size
        blob = self._blob(digest)
        blob.parent.mkdir(parents=True, exist_ok=True)
        file.rename(blob)
        _link(self._repository(repository) / "_layers" / "sha256" / digest, digest)
        return {"mediaType": kind, "size": size, "digest": f"sha256:{digest}"}

    def _tag(self, repository: str, tag: str, manifest: bytes) -> None:
        digest = hashlib.sha256(manifest).hexdigest()
        blob = self._blob(digest)
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(manifest)
        manifests = self._repository(repository) / "_manifests"
        for place in (
            manifests / "revisions" / "sha256" / digest,
            manifests / "tags" / tag / "index" / "sha256" / digest,
            manifests / "tags" / tag / "current",
        ):
            _link(place, digest)

    def _blob(self, digest: str) -> Path:
        return self._root / "blobs" / "sha256" / digest[:2] / digest / "data"

    def _repository(self, name: str) -> Path:
        return self._root / "repositories" / name

    @property
    def _root(self) -> Path:
        return self.folder / "docker" / "registry" / "v2"


def _link(folder: Path, digest: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "link").write_text(f"sha256:{digest}")


def _member(saved: tarfile.TarFile, name: str) -> IO[bytes]:
    content = saved.extractfile(name)
    if content is None:
        raise KeyError(name)
    return content


def _gzip(content: IO[bytes], target: Path) -> None:
    """Compress a layer as registries hold it; gzip itself is twice as fast as Python's."""
    argv = ["gzip", "-1", "-n"]
    with (
        target.open("wb") as packed,
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=packed) as gzip,
    ):
        if gzip.stdin is not None:
            shutil.copyfileobj(content, gzip.stdin, 1 << 20)
            gzip.stdin.close()
    if gzip.returncode != 0:
        raise failure(argv, gzip.returncode, "")
