"""The models that services of the lab run: two tiny ones, trained once, and a real embedding model."""

from __future__ import annotations

import os
from pathlib import Path

from provision.lab.archive import finish
from provision.lab.hub import ModelHub
from provision.lab.models import MINILM
from provision.lab.names import ASSETS, assets, cache, locked, recipe
from provision.lab.process import Say, step
from provision.lab.vllm_image import VllmImage

CHAT = "lab/tiny-chat-tools"  # answers what stands in texts.json; calls tools as Hermes models do
EMBEDDING = MINILM  # every lab's hub has it
RERANKER = "lab/tiny-reranker"  # a cross-encoder for the topics of texts.json
FOLDERS = {CHAT: "chat", RERANKER: "reranker"}


def publish(hub: ModelHub, image: VllmImage, say: Say) -> None:
    """Let a hub have the trained models too, once for each recipe."""
    root = ensure_serving_models(image, say)
    mark = hub.folder / "serving-models"
    if mark.exists() and mark.read_text() == root.name:
        return
    for model, folder in FOLDERS.items():
        hub.publish(model, root / folder, tags=["v1"])
    mark.write_text(root.name)


def ensure_serving_models(image: VllmImage, say: Say) -> Path:
    """Return the folder of the trained models, made once with the torch of vLLM's own image."""
    root = cache() / "vllm" / f"models-{recipe(image.recipe, files=assets('serving'))}"
    if root.exists():
        return root
    tag = image.ensure(say)
    with locked(cache() / "vllm"):
        if not root.exists():
            with step(say, "training the lab's chat model and reranker"):
                finish(root, lambda folder: _train(image, tag, folder))
    return root


def _train(image: VllmImage, tag: str, folder: Path) -> None:
    owner = ("--user", f"{os.getuid()}:{os.getgid()}", "--env", "HOME=/tmp")
    alone = ("--env", "OMP_NUM_THREADS=1", "--env", "HF_HUB_OFFLINE=1", "--network", "none")
    volumes = ("--volume", f"{ASSETS / 'serving'}:/lessons:ro", "--volume", f"{folder}:/models")
    lessons = ("/lessons/train.py", "/lessons/texts.json", "/lessons/chat_template.jinja")
    run = ("run", "--rm", *owner, *alone, *volumes, "--entrypoint", "/usr/bin/python3")
    image.engine(*run, tag, *lessons, "/models")
