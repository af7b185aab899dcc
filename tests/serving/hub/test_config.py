"""What a lock keeps of a model's config.json."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hub_server import MODEL

from provision.serving.hub.lock import Lock, read, write
from provision.serving.hub.update import update
from provision.serving.hub.wanted import Hub, Wanted

if TYPE_CHECKING:
    from pathlib import Path

    import hub_server

    from provision.serving.hub.wanted import Source


def locked(fake: hub_server.FakeHub, source: Source, wish: Wanted | None = None) -> Lock:
    """Return the lock that asks for the one model."""
    wish = wish or Wanted(source=source, id=MODEL)
    lock, _ = update(Lock(), [wish], {source: Hub(endpoint=fake.url)})
    return lock


@pytest.mark.parametrize("source", ["modelscope", "huggingface"])
def test_a_hub_is_asked_for_it_once(
    fake: hub_server.FakeHub, source: Source, tmp_path: Path
) -> None:
    """It is read with the listing, kept in the file, and needs no hub afterwards."""
    fake.files["config.json"] = json.dumps({"model_type": "qwen3", "n": 1}).encode()
    write(tmp_path / "lock.json", locked(fake, source))
    wish = Wanted(source=source, id=MODEL)
    assert read(tmp_path / "lock.json").config(wish) == {"model_type": "qwen3", "n": 1}
    assert not [path for path in fake.seen if "safetensors" in path and "GET" in path]


def test_a_folder_of_the_controller_is_read(fake: hub_server.FakeHub, tmp_path: Path) -> None:
    """Nothing is copied for it."""
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    wish = Wanted(source="controller", id=MODEL, path=tmp_path)
    assert locked(fake, "controller", wish).config(wish) == {"model_type": "bert"}


def test_names_of_classes_are_counted_not_kept(fake: hub_server.FakeHub) -> None:
    """A classifier of a thousand classes does not fill the lock file."""
    labels = {str(number): f"LABEL_{number}" for number in range(1000)}
    config = {"id2label": labels, "label2id": {}, "model_type": "bert"}
    fake.files["config.json"] = json.dumps(config).encode()
    wish = Wanted(source="modelscope", id=MODEL)
    kept = locked(fake, "modelscope").config(wish)
    assert kept == {"model_type": "bert", "num_labels": 1000}


@pytest.mark.parametrize("text", [b"[]", b"{", b"\xff", b'{"a":' * 3000, b'"' * 2_000_000])
def test_one_that_is_none_is_unknown(fake: hub_server.FakeHub, text: bytes) -> None:
    """The model is locked all the same: its files have errors of their own."""
    fake.files["config.json"] = text
    wish = Wanted(source="modelscope", id=MODEL)
    lock = locked(fake, "modelscope")
    assert lock.get(wish) is not None
    assert lock.config(wish) is None


@pytest.mark.parametrize("source", ["modelscope", "controller"])
def test_a_quantisation_that_stands_beside_it_is_in_it(
    fake: hub_server.FakeHub, source: Source, tmp_path: Path
) -> None:
    """As newer models of NVIDIA's tool have it themselves; layer by layer it is not kept."""
    stated = {"quant_algo": "NVFP4", "group_size": 16, "exclude_modules": ["lm_head"]}
    beside = {"producer": {}, "quantization": {**stated, "quantized_layers": {"a": 1}}}
    for name, document in (("config.json", {"n": 1}), ("hf_quant_config.json", beside)):
        text = json.dumps(document)
        fake.files[name] = text.encode()
        (tmp_path / name).write_text(text, encoding="utf-8")
    path = tmp_path if source == "controller" else None
    wish = Wanted(source=source, id=MODEL, path=path)
    wanted = {"n": 1, "quantization_config": {"quant_method": "modelopt", **stated}}
    assert locked(fake, source, wish).config(wish) == wanted


@pytest.mark.parametrize("beside", [b"{", b"[]", b'{"quantization": []}', b'{"quantization": {}}'])
def test_its_own_quantisation_counts_and_nonsense_beside_it_does_not(
    fake: hub_server.FakeHub, beside: bytes
) -> None:
    """Nothing is made up."""
    own = {"quantization_config": {"quant_method": "fp8"}}
    fake.files |= {"config.json": json.dumps(own).encode(), "hf_quant_config.json": beside}
    wish = Wanted(source="modelscope", id=MODEL)
    assert locked(fake, "modelscope").config(wish) == own
