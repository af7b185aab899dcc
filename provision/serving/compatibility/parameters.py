"""The weights of a model, one by one, by its config.json alone: as one GPU of several has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from provision.serving.compatibility.json_fields import Fields
from provision.serving.compatibility.model_config import Experts, Latent, ModelConfig
from provision.serving.compatibility.quantization import Matrix


class Weights(NamedTuple):
    """Weights of one part of a model."""

    tensors: tuple[tuple[Matrix, ...], ...] = ()
    """What a quantisation may make smaller; what stands together is loaded as one tensor."""
    copies: int = 1
    plain: int = 0
    """Elements of what no quantisation touches: norms, biases, routers, embeddings."""


def layer(model: ModelConfig, index: int, tensor: int) -> Iterator[Weights]:
    """Yield what a layer has on one of `tensor` GPUs."""
    name = f"model.layers.{index}"
    if model.encoder:
        yield _encoder_layer(model, tensor, name)
        return
    if model.kinds[index] == "linear":
        yield _linear_attention(model, tensor, name)
    elif model.latent:
        yield _compressed(model, model.latent, tensor, name)
    else:
        yield _attention(model, tensor, name)
    yield Weights(plain=_norms(model))
    experts = model.experts
    if experts and index in experts.layers:
        yield from _mixture(model, experts, tensor, name)
    else:
        yield _mlp(model.hidden, model.intermediate // tensor, f"{name}.mlp")


def embedding(model: ModelConfig, tensor: int) -> Weights:
    """Return the table of the vocabulary, and for encoders those of positions and types."""
    plain = _vocabulary(model, tensor) * model.hidden
    if model.encoder:
        text = Fields(model.text, "config.json")
        positions = text.number("max_position_embeddings") or 0
        types = text.number("type_vocab_size") or 0
        plain += (positions + types + 2) * model.hidden
    return Weights(plain=plain)


def head(model: ModelConfig, tensor: int, *, pooling: bool = False) -> Weights:
    """Return what stands after the last layer, but for a table shared with the embedding."""
    if model.encoder:
        return Weights(plain=model.hidden * (model.hidden + 1))
    classes = "Classification" in model.architecture or "Reward" in model.architecture
    # What pools has no use for scores of words, and leaves their table out.
    own = 0 if model.tied or classes or pooling else _vocabulary(model, tensor) * model.hidden
    return Weights(plain=own + model.hidden)


def vision(model: ModelConfig) -> Weights:
    """Return the tower of a model that sees, where it is built as SigLIP's is."""
    seen = Fields(model.vision, "config.json: vision_config")
    size, inner = seen.number("hidden_size") or 0, seen.number("intermediate_size") or 0
    layers = seen.number("num_hidden_layers", "depth") or 0
    patch, image = seen.number("patch_size") or 0, seen.number("image_size") or 0
    each = 4 * size * (size + 1) + 2 * size * inner + inner + size + 4 * size
    patches = (image // patch) ** 2 if patch else 0
    stem = 3 * patch * patch * size + size + patches * size + 2 * size
    return Weights(plain=layers * each + stem + size * model.hidden + size if layers else 0)


def positions(model: ModelConfig) -> Weights:
    """Return the table of rotary positions, which is made when the model is loaded."""
    if model.encoder:
        return Weights()
    turned = model.latent.rope_dim if model.latent else model.head_dim
    share = Fields(model.text, "config.json").ratio("partial_rotary_factor")
    # Models whose sliding layers turn at a pace of their own have two.
    tables = 2 if model.text.get("rope_local_base_freq") or model.model_type in _TWO_PACES else 1
    return Weights(plain=tables * int(model.longest * turned * share))


def _vocabulary(model: ModelConfig, tensor: int) -> int:
    padded = -(-model.vocab // _VOCABULARY_STEP) * _VOCABULARY_STEP
    return padded // tensor


def _norms(model: ModelConfig) -> int:
    return (4 if model.model_type in _FOUR_NORMS else 2) * model.hidden


def _attention(model: ModelConfig, tensor: int, name: str) -> Weights:
    heads = model.heads // tensor
    # Fewer heads than GPUs: each GPU has a copy.
    kv_heads = max(1, model.kv_heads // tensor)
    asked = heads * model.head_dim
    gated = 2 if model.text.get("attn_output_gate") or model.model_type == "qwen3_next" else 1
    keys, values = kv_heads * model.head_dim, kv_heads * model.value_dim
    plain = 0
    if model.text.get("attention_bias") or model.model_type in _QKV_BIAS:
        plain += gated * asked + keys + values
    if (model.text.get("attention_bias") and model.model_type not in _QKV_BIAS) or (
        model.model_type == "gpt_oss"
    ):
        plain += model.hidden
    if model.model_type == "gpt_oss":
        plain += heads
    if model.model_type in _QK_NORM:
        plain += 2 * model.head_dim
    attention = f"{name}.self_attn"
    return Weights(
        (
            (
                Matrix(f"{attention}.q_proj", gated * asked, model.hidden),
                Matrix(f"{attention}.k_proj", keys, model.hidden),
                Matrix(f"{attention}.v_proj", values, model.hidden),
            ),
            (Matrix(f"{attention}.o_proj", model.hidden, heads * model.value_dim),),
        ),
        plain=plain,
    )


def _compressed(model: ModelConfig, latent: Latent, tensor: int, name: str) -> Weights:
    """Return multi-head latent attention: what compresses is on every GPU in full."""
    attention, hidden, heads = f"{name}.self_attn", model.hidden, model.heads // tensor
    asked = heads * (latent.nope_dim + latent.rope_dim)
    own = heads * (latent.nope_dim + latent.value_dim)
    matrices = [
        Matrix(f"{attention}.kv_a_proj_with_mqa", latent.rank + latent.rope_dim, hidden),
        Matrix(f"{attention}.kv_b_proj", own, latent.rank),
        Matrix(f"{attention}.o_proj", hidden, heads * latent.value_dim),
    ]
    if latent.query_rank:
        matrices += [
            Matrix(f"{attention}.q_a_proj", latent.query_rank, hidden),
            Matrix(f"{attention}.q_b_proj", asked, latent.query_rank),
        ]
    else:
        matrices.append(Matrix(f"{attention}.q_proj", asked, hidden))
    return Weights(tuple((matrix,) for matrix in matrices), plain=latent.rank + latent.query_rank)


def _linear_attention(model: ModelConfig, tensor: int, name: str) -> Weights:
    state = model.state
    if state is None:
        return _attention(model, tensor, name)
    keys = state.key_heads // tensor * state.key_dim
    heads = state.value_heads // tensor
    values = heads * state.value_dim
    attention = f"{name}.linear_attn"
    return Weights(
        (
            (Matrix(f"{attention}.in_proj_qkvz", 2 * keys + 2 * values, model.hidden),),
            (Matrix(f"{attention}.in_proj_ba", 2 * heads, model.hidden),),
            (Matrix(f"{attention}.out_proj", model.hidden, values),),
        ),
        plain=(2 * keys + values) * state.kernel + 2 * heads + state.value_dim,
    )


def _mlp(hidden: int, inner: int, name: str, copies: int = 0) -> Weights:
    """Return a dense part, or that of an expert of which there are `copies`."""
    expert = copies > 0
    gate, up = (Matrix(f"{name}.{part}_proj", inner, hidden, expert) for part in ("gate", "up"))
    down = Matrix(f"{name}.down_proj", hidden, inner, expert)
    return Weights(((gate, up), (down,)), copies=copies or 1)


def _mixture(model: ModelConfig, experts: Experts, tensor: int, name: str) -> Iterator[Weights]:
    inner = experts.intermediate // tensor
    bias = 2 * inner + model.hidden if model.model_type == "gpt_oss" else 0
    name_of_one = f"{name}.mlp.experts.0"
    yield _mlp(model.hidden, inner, name_of_one, experts.number)._replace(plain=bias)
    balanced = bias or model.text.get("topk_method") == "noaux_tc"
    yield Weights(plain=experts.number * (model.hidden + (1 if balanced else 0)))
    if experts.shared:
        yield _mlp(model.hidden, experts.shared // tensor, f"{name}.mlp.shared_experts")
        if model.model_type in {"qwen2_moe", "qwen3_next"}:
            yield Weights(plain=model.hidden)


def _encoder_layer(model: ModelConfig, tensor: int, name: str) -> Weights:
    hidden, inner = model.hidden, model.intermediate // tensor
    part = hidden // tensor
    return Weights(
        (
            (Matrix(f"{name}.attention.self.qkv", 3 * part, hidden),),
            (Matrix(f"{name}.attention.output.dense", hidden, part),),
            (Matrix(f"{name}.intermediate.dense", inner, hidden),),
            (Matrix(f"{name}.output.dense", hidden, inner),),
        ),
        plain=3 * part + hidden + inner + hidden + 4 * hidden,
    )


_VOCABULARY_STEP: Final = 64
_FOUR_NORMS: Final = frozenset({"gemma2", "gemma3", "gemma3_text", "glm4"})
_TWO_PACES: Final = frozenset({"gemma3", "gemma3_text"})
_QKV_BIAS: Final = frozenset({"qwen2", "qwen2_moe", "qwen2_vl", "qwen2_5_vl", "gpt_oss"})
_QK_NORM: Final = frozenset(
    {"qwen3", "qwen3_moe", "qwen3_vl", "qwen3_vl_moe", "qwen3_next", "gemma3", "gemma3_text"}
)
