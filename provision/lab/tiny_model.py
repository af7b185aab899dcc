"""The lab's tiny chat model: a Qwen3 of 2 MB with random weights, which real loaders accept."""

from __future__ import annotations

import json
import random
from array import array
from math import prod
from pathlib import Path
from typing import Any

LAYERS, HIDDEN, INNER, HEADS, KV_HEADS, HEAD, VOCABULARY = 2, 64, 128, 4, 2, 16, 4096
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONFIG = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "attention_bias": False,
    "bos_token_id": 256,
    "eos_token_id": 258,
    "head_dim": HEAD,
    "hidden_act": "silu",
    "hidden_size": HIDDEN,
    "initializer_range": 0.02,
    "intermediate_size": INNER,
    "max_position_embeddings": 2048,
    "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS,
    "num_key_value_heads": KV_HEADS,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
    "vocab_size": VOCABULARY,
}


def write_tiny_chat(folder: Path, revision: int = 1) -> None:
    """Write the model into `folder`; revision 2 has one other small file and one other shard."""
    folder.mkdir(parents=True, exist_ok=True)
    temperature = {1: 0.7, 2: 0.6}[revision]
    generation = {"bos_token_id": 256, "eos_token_id": 258, "do_sample": True}
    texts = {
        "config.json": CONFIG,
        "generation_config.json": {**generation, "temperature": temperature},
        "tokenizer.json": _tokenizer(),
        "tokenizer_config.json": {
            "tokenizer_class": "Qwen2Tokenizer",
            "eos_token": SPECIAL[2],
            "pad_token": SPECIAL[0],
            "chat_template": TEMPLATE,
        },
        "model.safetensors.index.json": _index(),
    }
    for name, value in texts.items():
        (folder / name).write_text(json.dumps(value, indent=2) + "\n")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n\n# A tiny chat model\n")
    for number, (shard, shapes) in enumerate(_shards().items()):
        seed = 100 * revision if number == 1 else 0  # the second revision has another second shard
        _write_safetensors(folder / shard, shapes, seed + number)


def _shards() -> dict[str, dict[str, list[int]]]:
    """Return the tensors of each shard with their shapes."""
    layers: dict[str, list[int]] = {}
    for layer in range(LAYERS):
        base = f"model.layers.{layer}"
        layers |= {
            f"{base}.input_layernorm.weight": [HIDDEN],
            f"{base}.post_attention_layernorm.weight": [HIDDEN],
            f"{base}.self_attn.q_proj.weight": [HEADS * HEAD, HIDDEN],
            f"{base}.self_attn.k_proj.weight": [KV_HEADS * HEAD, HIDDEN],
            f"{base}.self_attn.v_proj.weight": [KV_HEADS * HEAD, HIDDEN],
            f"{base}.self_attn.o_proj.weight": [HIDDEN, HEADS * HEAD],
            f"{base}.self_attn.q_norm.weight": [HEAD],
            f"{base}.self_attn.k_norm.weight": [HEAD],
            f"{base}.mlp.gate_proj.weight": [INNER, HIDDEN],
            f"{base}.mlp.up_proj.weight": [INNER, HIDDEN],
            f"{base}.mlp.down_proj.weight": [HIDDEN, INNER],
        }
    first = {"model.embed_tokens.weight": [VOCABULARY, HIDDEN], **layers}
    last = {"model.norm.weight": [HIDDEN], "lm_head.weight": [VOCABULARY, HIDDEN]}
    return dict(zip(SHARDS, (first, last), strict=True))


def _index() -> dict[str, Any]:
    shards = _shards()
    size = sum(4 * prod(shape) for shapes in shards.values() for shape in shapes.values())
    where = {name: shard for shard, shapes in shards.items() for name in shapes}
    return {"metadata": {"total_size": size}, "weight_map": dict(sorted(where.items()))}


def _write_safetensors(file: Path, shapes: dict[str, list[int]], seed: int) -> None:
    """Write tensors of 32-bit floats: 8 bytes of length, a JSON header, the numbers."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        begin, end = end, end + 4 * prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the numbers begin at a multiple of 8
    source = random.Random(seed)  # noqa: S311  the same weights every time
    numbers = array("f", (source.uniform(-0.04, 0.04) for _ in range(end // 4)))
    file.write_bytes(len(text).to_bytes(8, "little") + text + numbers.tobytes())


def _tokenizer() -> dict[str, Any]:
    """Return a byte-level BPE without merges: every byte is a token, and three are special."""
    vocabulary = {character: number for number, character in enumerate(_byte_characters())}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    special = [
        {"id": 256 + number, "content": content, **flags, "special": True}
        for number, content in enumerate(SPECIAL)
    ]
    bytes_only = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False}
    return {
        "version": "1.0",
        "added_tokens": special,
        "normalizer": None,
        "pre_tokenizer": {**bytes_only, "use_regex": False},
        "post_processor": None,
        "decoder": {**bytes_only, "use_regex": False},
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    }


def _byte_characters() -> list[str]:
    """Return GPT-2's printable character for each byte."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]
