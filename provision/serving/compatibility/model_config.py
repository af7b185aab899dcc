"""The model's config.json: what of it decides how much memory the model needs, typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from provision.serving.compatibility.json_fields import Fields
from provision.serving.compatibility.layer_kinds import LayerKind, layer_kinds

ENCODERS: Final = frozenset(
    {"bert", "camembert", "distilbert", "modernbert", "roberta", "xlm-roberta"}
)
"""Model types that read their input once, and keep no cache."""
CAUSAL: Final = frozenset(
    {
        *("llama", "mistral", "mistral3", "ministral3", "mixtral", "phi3", "granite", "exaone"),
        *("qwen2", "qwen2_moe", "qwen2_vl", "qwen2_5_vl", "qwen3", "qwen3_moe", "qwen3_vl"),
        *("qwen3_vl_moe", "qwen3_next", "qwen3_5", "qwen3_5_moe", "qwen3_5_text"),
        *("qwen3_5_moe_text", "gemma", "gemma2", "gemma3", "gemma3_text", "gpt_oss"),
        *("deepseek_v2", "deepseek_v3", "deepseek_v32", "kimi_k2", "glm4", "glm4_moe"),
        *("glm4_moe_lite", "seed_oss", "ernie4_5", "ernie4_5_moe", "olmo2", "olmo3", "cohere"),
        *("cohere2", "starcoder2", "internlm3", "minimax_m2", "llava"),
    }
)
"""Model types whose cache is counted as written here; of any other it is not known."""
_GEMMA3: Final = {
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "sliding_window": 4096,
    "max_position_embeddings": 131072,
    "vocab_size": 262208,
}
_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    # What their files leave out, and the classes that read them fill in.
    "gemma": {"head_dim": 256},
    "gemma2": {"head_dim": 256, "sliding_window": 4096},
    "gemma3_text": _GEMMA3,
    "gemma3": _GEMMA3,
}
_NO_FACTOR: Final = frozenset({"su", "longrope", "llama3", "default", "mrope"})


class Latent(NamedTuple):
    """Multi-head latent attention: one compressed vector a token, whatever the heads."""

    rank: int
    rope_dim: int
    query_rank: int
    """0 = the queries are not compressed."""
    nope_dim: int
    value_dim: int


class LinearState(NamedTuple):
    """Gated delta net: the constant state of a layer of linear attention."""

    key_heads: int
    value_heads: int
    key_dim: int
    value_dim: int
    kernel: int
    dtype: str


class Experts(NamedTuple):
    """The mixture of experts of a layer."""

    number: int
    active: int
    intermediate: int
    shared: int
    """Intermediate size of what all tokens pass; 0 = none."""
    layers: tuple[int, ...]
    """Indices of the layers that have them; the others are dense."""


class ModelConfig(NamedTuple):
    """A model's shape; sizes in elements."""

    model_type: str
    architecture: str
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    value_dim: int
    kinds: tuple[LayerKind, ...]
    """One for each layer."""
    window: int
    """Tokens that a sliding layer sees; 0 = there is none."""
    latent: Latent | None
    indexer_dim: int
    """Size of a key of the sparse attention's index; 0 = attention is not sparse."""
    state: LinearState | None
    experts: Experts | None
    intermediate: int
    vocab: int
    longest: int
    """Tokens of the longest context it was made for; 0 = it does not say."""
    dtype: str
    tied: bool
    quantization: Mapping[str, Any]
    """As it stands there; empty = none."""
    text: Mapping[str, Any]
    """What is about the language model."""
    vision: Mapping[str, Any]

    @property
    def layers(self) -> int:
        """Return the number of layers."""
        return len(self.kinds)

    @property
    def encoder(self) -> bool:
        """Say whether it reads its input once and keeps no cache."""
        return self.model_type in ENCODERS

    @property
    def known(self) -> bool:
        """Say whether its cache is counted as engines count it."""
        known = self.model_type in CAUSAL | ENCODERS
        return known and ("linear" not in self.kinds or self.state is not None)


def model_config(config: Mapping[str, Any]) -> ModelConfig:
    """Read a config.json; `ServiceError` where it lacks what a model has, or holds something odd."""
    whole = Fields(config, "config.json")
    text = whole.part("text_config", "llm_config", "language_config") or whole
    model_type = text.text("model_type") or whole.text("model_type")
    text = text._replace(values={**_DEFAULTS.get(model_type, {}), **text.values})
    hidden, heads = text.need("hidden_size", "n_embd", "d_model"), _heads(text)
    head_dim = text.number("head_dim") or max(1, hidden // heads)
    kinds = layer_kinds(text, model_type)
    state = _state(text) if "linear" in kinds else None
    architectures = whole.texts("architectures") or text.texts("architectures")
    return ModelConfig(
        model_type=model_type,
        architecture=architectures[0] if architectures else "",
        hidden=hidden,
        heads=heads,
        kv_heads=text.number("num_key_value_heads", "num_kv_heads", "multi_query_group_num")
        or heads,
        head_dim=head_dim,
        value_dim=text.number("v_head_dim") or head_dim,
        kinds=kinds,
        window=text.number("sliding_window") or 0,
        latent=_latent(text),
        indexer_dim=(text.number("index_head_dim") or 0) if text.number("index_topk") else 0,
        state=state,
        experts=_experts(text, model_type, len(kinds)),
        intermediate=text.number("intermediate_size", "n_inner", "ffn_hidden_size") or 4 * hidden,
        vocab=text.number("vocab_size") or whole.number("vocab_size") or 0,
        longest=_longest(text, model_type),
        dtype=text.text("dtype", "torch_dtype") or whole.text("dtype", "torch_dtype"),
        tied=_tied(whole, text, model_type),
        quantization=_values(whole.part("quantization_config", "compression_config"))
        or _values(text.part("quantization_config", "compression_config")),
        text=text.values,
        vision=_values(whole.part("vision_config")),
    )


def _heads(text: Fields) -> int:
    return text.need("num_attention_heads", "n_head", "n_heads")


def _values(fields: Fields | None) -> Mapping[str, Any]:
    return fields.values if fields else {}


def _tied(whole: Fields, text: Fields, model_type: str) -> bool:
    found = whole.flag("tie_word_embeddings")
    if found is None:
        found = text.flag("tie_word_embeddings")
    return model_type.startswith(("gemma", "cohere")) if found is None else found


def _latent(text: Fields) -> Latent | None:
    rank = text.number("kv_lora_rank")
    if not rank:
        return None
    return Latent(
        rank=rank,
        rope_dim=text.number("qk_rope_head_dim") or 0,
        query_rank=text.number("q_lora_rank") or 0,
        nope_dim=text.number("qk_nope_head_dim") or 0,
        value_dim=text.number("v_head_dim") or 0,
    )


def _state(text: Fields) -> LinearState | None:
    if not all(text.number(f"linear_{name}") for name in _STATE):
        return None
    sizes = [text.need(f"linear_{name}") for name in _STATE]
    key_heads, value_heads, key_dim, value_dim, kernel = sizes
    dtype = text.text("mamba_ssm_dtype")
    return LinearState(key_heads, value_heads, key_dim, value_dim, kernel, dtype)


def _experts(text: Fields, model_type: str, layers: int) -> Experts | None:
    number = text.number("n_routed_experts", "num_experts", "num_local_experts", "moe_num_experts")
    if not number:
        return None
    size = text.number("moe_intermediate_size", "intermediate_size") or 0
    shared = text.number("shared_expert_intermediate_size") or size * (
        text.number("n_shared_experts", "moe_num_shared_experts") or 0
    )
    dense = text.number("first_k_dense_replace") or 0
    step = text.number("decoder_sparse_step", "moe_layer_freq") or 1
    # The two families count from different ends.
    offset = 0 if model_type.startswith(("deepseek", "kimi")) else 1
    left_out = set(text.numbers("mlp_only_layers"))
    return Experts(
        number=number,
        active=text.number("num_experts_per_tok", "experts_per_token", "moe_k") or 1,
        intermediate=size,
        shared=shared,
        layers=tuple(
            index
            for index in range(layers)
            if index >= dense and (index + offset) % step == 0 and index not in left_out
        ),
    )


def _longest(text: Fields, model_type: str) -> int:
    found = text.number(
        *("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"),
        *("model_max_length", "max_sequence_length"),
    )
    length: float = found or 0
    if model_type in {"roberta", "xlm-roberta", "camembert"} and length:
        # Their positions begin after the padding's.
        return int(length) - (text.number("pad_token_id") or 1) - 1
    rope = text.part("rope_parameters", "rope_scaling")
    kind = (rope.text("rope_type", "type") if rope else "") or "default"
    if not rope or kind in _NO_FACTOR or "gemma3" in model_type:
        return int(length)
    if kind == "yarn":
        length = rope.number("original_max_position_embeddings") or length
    return int(length * rope.ratio("factor"))


_STATE: Final = (
    *("num_key_heads", "num_value_heads", "key_head_dim", "value_head_dim"),
    "conv_kernel_dim",
)
