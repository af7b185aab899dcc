"""config.json: what it says of a model's shape, and how many weights that makes."""

from __future__ import annotations

from typing import Any

import pytest
from memory_log import config_of

from provision.errors import ServiceError
from provision.serving.compatibility.json_fields import Fields
from provision.serving.compatibility.layer_kinds import layer_kinds
from provision.serving.compatibility.model_config import ModelConfig, model_config
from provision.serving.compatibility.parameters import positions
from provision.serving.compatibility.quantization import (
    Matrix,
    Quantization,
    cache_is_fp8,
    quantization,
)
from provision.serving.compatibility.weights import (
    Part,
    counted_bytes,
    file_bytes,
    loaded_bytes,
    weights,
)

GIB = 2**30
ONE_BYTE = Quantization("", 16, element_bytes=1)


def _model(name: str, **changed: Any) -> ModelConfig:
    return model_config(config_of(name) | changed)


def _method(name: str) -> Quantization:
    return quantization(_model(name).quantization, 2)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # As the hubs state them, of the files' own headers.
        ("deepseek-v2-lite", 15_706_484_224),
        ("deepseek-v3", 671_026_419_200),
        ("gemma-2-9b", 9_241_705_984),
        ("gemma-3-27b", 27_432_406_640),
        ("gpt-oss-20b", 20_914_757_184),
        ("llama-3.1-8b", 8_030_261_248),
        ("llama-3.1-70b", 70_553_706_496),
        ("mistral-7b-v0.1", 7_241_732_096),
        ("mixtral-8x7b", 46_702_792_704),
        ("qwen2.5-7b", 7_615_616_512),
        ("qwen2.5-32b", 32_763_876_352),
        ("qwen3-0.6b", 596_049_920),
        ("qwen3-8b", 8_190_735_360),
        ("qwen3-30b-a3b", 30_532_122_624),
        ("qwen3-next-80b-a3b", 79_674_391_296),
        # Its vocabulary of 250002 is padded to a multiple of 64.
        ("bge-m3", 567_754_752 + 46 * 1024),
    ],
)
def test_parameters_are_counted_exactly(name: str, parameters: int) -> None:
    """From config.json alone, to the last one."""
    assert counted_bytes(_model(name), ONE_BYTE) == parameters


@pytest.mark.parametrize(
    ("name", "gib"),
    [
        ("qwen3-8b", 15.26),
        # Four bits, scales of 128 inputs each, and 16 bits for vocabulary and norms.
        ("qwen3-8b-awq", 5.68),
        ("qwen2.5-32b-gptq-int4", 17.89),
        # Eight bits, a scale for each block of 128 by 128.
        ("deepseek-v3", 626.9),
        # Four bits and a byte for each 32, of the experts only.
        ("gpt-oss-20b", 12.82),
    ],
)
def test_quantised_weights(name: str, gib: float) -> None:
    """What is quantised shrinks, with its scales, and nothing else does."""
    assert counted_bytes(_model(name), _method(name)) / GIB == pytest.approx(gib, rel=2e-3)


@pytest.mark.parametrize(
    ("stated", "bits"),
    [
        ({"quant_method": "gptq", "bits": 8, "group_size": -1, "sym": True}, 8.0),
        ({"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": False}, 4 + 16 / 128),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, 4 + 20 / 128),
        ({"quant_method": "fp8", "activation_scheme": "static"}, 8.0),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, 8 + 32 / 128**2),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {
                    "group_0": {
                        "weights": {
                            "num_bits": 4,
                            "group_size": 32,
                            "strategy": "group",
                            "symmetric": True,
                            "type": "int",
                        }
                    }
                },
            },
            4.5,
        ),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16}, 4.5),
        ({}, 16.0),
    ],
)
def test_bits_of_a_weight(stated: dict[str, Any], bits: float) -> None:
    """With its share of scales and zero points."""
    model = _model("llama-3.1-8b", vocab_size=64, quantization_config=stated)
    count = counted_bytes(model, ONE_BYTE)
    found = counted_bytes(model, quantization(stated, 2)) * 8 / count
    assert found == pytest.approx(bits, abs=5e-3)


@pytest.mark.parametrize(
    "pattern",
    ["self_attn", "model.layers.*.self_attn", "re:.*self_attn.*", "model.layers.3.self_attn"],
)
def test_layers_that_are_left_out_keep_their_size(pattern: str) -> None:
    """Files name them in four ways."""
    fp8 = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    plain = quantization(fp8, 2)
    less = quantization(fp8 | {"ignored_layers": [pattern, "re:(", "nothing"]}, 2)
    model = _model("qwen3-8b")
    attention = 4096 * 128 * (32 + 8 + 8 + 32)
    layers = 1 if pattern.endswith("3.self_attn") else 36
    saved = counted_bytes(model, less) - counted_bytes(model, plain)
    assert saved == pytest.approx(layers * attention, rel=1e-3)


def test_unknown_quantisation_is_an_error() -> None:
    """And not counted as none."""
    with pytest.raises(ServiceError, match="'qubit' is not known"):
        quantization({"quant_method": "qubit"}, 2)


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        ({"kv_cache_scheme": {"num_bits": 8, "type": "float"}}, True),
        ({"quantization": {"kv_cache_quant_algo": "FP8"}}, True),
        ({"kv_cache_scheme": None}, False),
        ({"quantization": "odd"}, False),
    ],
)
def test_checkpoint_may_ask_for_a_small_cache(stated: dict[str, Any], *, found: bool) -> None:
    """Two tools write it in two ways."""
    assert cache_is_fp8(stated) is found


@pytest.mark.parametrize(
    ("name", "longest"),
    [
        ("llama-3.1-8b", 131072),
        ("deepseek-v3", 163840),
        ("gpt-oss-20b", 131072),
        # The first positions are the padding's.
        ("bge-m3", 8192),
        ("gemma-3-27b", 131072),
    ],
)
def test_longest_context(name: str, longest: int) -> None:
    """With what stretches the positions, where that is not in the figure yet."""
    assert _model(name).longest == longest


@pytest.mark.parametrize(
    ("rope", "longest"),
    [
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}, 131072),
        ({"type": "linear", "factor": 2}, 81920),
        ({"type": "dynamic"}, 40960),
        ({"rope_type": "default", "rope_theta": 1000000}, 40960),
    ],
)
def test_stretched_positions(rope: dict[str, Any], longest: int) -> None:
    """Yarn counts from what the model was trained with."""
    assert _model("qwen3-8b", rope_scaling=rope).longest == longest


@pytest.mark.parametrize(
    ("changed", "sliding"),
    [
        ({}, 0),
        ({"use_sliding_window": True, "max_window_layers": 20}, 8),
        ({"use_sliding_window": True, "max_window_layers": 20, "sliding_window": None}, 0),
        ({"layer_types": ["sliding_attention"] * 7 + ["full_attention"] * 21}, 7),
    ],
)
def test_window_is_used_where_the_file_says_so(changed: dict[str, Any], sliding: int) -> None:
    """A size of a window alone is none."""
    assert _model("qwen2.5-7b", **changed).kinds.count("sliding") == sliding


@pytest.mark.parametrize(
    ("name", "sliding"), [("gemma-3-27b", 52), ("gemma-2-9b", 21), ("mistral-7b-v0.1", 32)]
)
def test_window_that_the_model_type_implies(name: str, sliding: int) -> None:
    """Their files do not list the layers."""
    assert _model(name).kinds.count("sliding") == sliding


@pytest.mark.parametrize(
    ("model_type", "full"),
    [
        ("gemma2", 6),
        ("gemma3", 2),
        ("gemma3_text", 2),
        ("gpt_oss", 6),
        ("cohere2", 3),
        ("llama", 0),
    ],
)
def test_every_so_many_layers_see_everything(model_type: str, full: int) -> None:
    """As often as the code of the type has it; any other type's window is for all layers."""
    fields = Fields({"num_hidden_layers": 12, "sliding_window": 9}, "config.json")
    assert layer_kinds(fields, model_type).count("full") == full


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"num_hidden_layers": "many"}, "num_hidden_layers is 'many', expected a whole number"),
        ({"num_hidden_layers": True}, "num_hidden_layers is True"),
        ({"hidden_size": -1}, "hidden_size is -1"),
        ({"hidden_size": None}, "hidden_size is not there"),
        ({"num_hidden_layers": 10**9}, "which no model has"),
        ({"layer_types": ["full_attention"]}, "1 entries for 36 layers"),
        ({"layer_types": "all"}, "layer_types is 'all', expected a list of texts"),
        ({"layer_types": ["crystal"] * 36}, "'crystal', which is not known"),
        ({"rope_scaling": [4]}, r"rope_scaling is \[4\], expected an object"),
        ({"rope_scaling": {"type": "yarn", "factor": "x"}}, "rope_scaling: factor is 'x'"),
        ({"torch_dtype": 16}, "torch_dtype is 16, expected a text"),
        ({"tie_word_embeddings": "no"}, "tie_word_embeddings is 'no', expected true or false"),
        ({"text_config": "none"}, "text_config is 'none', expected an object"),
    ],
)
def test_garbage_names_its_field(changed: dict[str, Any], error: str) -> None:
    """What is there, and what was expected."""
    with pytest.raises(ServiceError, match=error):
        _model("qwen3-8b", **changed)


def test_null_counts_as_left_out() -> None:
    """Files are full of them."""
    changed = dict.fromkeys(("head_dim", "rope_scaling", "text_config", "quantization_config"))
    assert _model("qwen3-8b", **changed).head_dim == 128
    assert _model("qwen3-8b", num_key_value_heads=None).kv_heads == 32


@pytest.mark.parametrize(
    ("files", "loaded"),
    [
        ({"a-00001-of-00002.safetensors": 5, "a-00002-of-00002.safetensors": 6}, 11),
        ({"model.safetensors": 5, "pytorch_model.bin": 5, "consolidated.safetensors": 5}, 5),
        ({"model.safetensors": 5, "original/model.safetensors": 5, "metal/model.bin": 5}, 5),
        ({"model.safetensors": 5, "original/consolidated.00.pth": 5}, 5),
        ({"pytorch_model.bin": 5, "training_args.bin": 1, "onnx/model.onnx": 9}, 5),
        ({"m-q4.gguf": 4, "m-q8.gguf": 8}, 8),
        ({"m-00001-of-00002.gguf": 4, "m-00002-of-00002.gguf": 3}, 7),
        ({"config.json": 1, "tokenizer.json": 9}, 0),
    ],
)
def test_files_that_are_loaded(files: dict[str, int], loaded: int) -> None:
    """The same weights in another format are not loaded twice."""
    assert file_bytes(files) == loaded


def test_file_of_full_precision_is_loaded_in_half() -> None:
    """As engines do unless they are told otherwise."""
    model, files = _model("bge-m3"), {"model.safetensors": 2_271_000_000}
    half, whole = (weights(model, quantization({}, size), files).gpu_bytes for size in (2, 4))
    assert half == pytest.approx(1_135_500_000, rel=2e-3)
    assert whole == pytest.approx(2_271_000_000, rel=2e-3)


def test_layers_that_guess_ahead_are_not_loaded() -> None:
    """They lie in the files of DeepSeek-V3, and 688 GB become 674."""
    model = _model("deepseek-v3")
    found = weights(model, _method("deepseek-v3"), {"model.safetensors": 688_586_727_753})
    assert found.gpu_bytes / GIB == pytest.approx(630, rel=2e-3)


def test_what_is_on_every_gpu_in_full_is_not_divided() -> None:
    """Norms, routers and what compresses; all else is cut in as many parts as there are GPUs."""
    model, method = _model("deepseek-v3"), _method("deepseek-v3")
    whole, part = (counted_bytes(model, method, Part(tensor)) for tensor in (1, 8))
    assert 1.0 < part * 8 / whole < 1.05
    half = weights(model, method, {"model.safetensors": 16 * GIB}, Part(2))
    assert half.gpu_bytes > 7.8 * GIB


def test_stages_of_a_pipeline() -> None:
    """The fullest has its layers, and the vocabulary at one of its ends."""
    model, method = _model("qwen3-8b"), quantization({}, 2)
    whole = counted_bytes(model, method)
    vocabulary = 151936 * 4096 * 2
    layers = (whole - 2 * vocabulary) / 36
    assert counted_bytes(model, method, Part(1, 4)) == pytest.approx(
        9 * layers + vocabulary, rel=1e-3
    )
    assert counted_bytes(model, method, Part(1, 5)) == pytest.approx(
        7 * layers + vocabulary, rel=2e-2
    )


def test_shared_vocabulary_is_at_both_ends_of_a_pipeline() -> None:
    """The last stage scores words with a table of its own."""
    model, method = _model("qwen3-0.6b"), quantization({}, 2)
    whole, vocabulary = counted_bytes(model, method), 151936 * 1024 * 2
    layers = (whole - vocabulary) / 28
    found = counted_bytes(model, method, Part(1, 4))
    assert found == pytest.approx(7 * layers + vocabulary, rel=1e-3)
    # Two stages of three layers: the first has one more than the last.
    assert counted_bytes(
        _model("qwen3-0.6b", num_hidden_layers=3), method, Part(1, 2)
    ) == pytest.approx(2 * layers + vocabulary, rel=1e-3)


def test_large_tensors_take_whole_segments_of_a_gpu() -> None:
    """PyTorch gives each of 10 MiB or more a multiple of 2 MiB, and the smaller ones share."""
    model, method = _model("qwen2.5-7b"), quantization({}, 2)
    mib = 2**20
    # Of each layer: queries, keys and values 31.5, outputs 24.5, gate and up 259, down 129.5.
    rounded = 28 * (0.5 + 1.5 + 1 + 0.5) + 2 * (1040 - 1039.5)
    turned = 32768 * 128 * 2 / mib
    more = (loaded_bytes(model, method) - counted_bytes(model, method)) / mib
    assert more == pytest.approx(rounded + turned, abs=0.1)


@pytest.mark.parametrize(
    ("name", "changed", "elements"),
    [
        ("qwen3-8b", {}, 40960 * 128),
        ("qwen3-8b", {"partial_rotary_factor": 0.5}, 40960 * 64),
        ("deepseek-v2-lite", {}, 163840 * 64),
        # One for the layers that see a window, and one for the others.
        ("gemma-3-27b", {}, 2 * 131072 * 128),
        ("bge-m3", {}, 0),
    ],
)
def test_table_of_positions_is_made_and_stands_in_no_file(
    name: str, changed: dict[str, Any], elements: int
) -> None:
    """As long as the longest context, and as wide as what is turned of a head."""
    assert positions(_model(name, **changed)).plain == elements


def test_what_pools_has_no_table_that_scores_words() -> None:
    """It is left out where a model that generates embeds or reranks."""
    model, method = _model("qwen3-8b"), quantization({}, 2)
    left_out = counted_bytes(model, method) - counted_bytes(model, method, Part(pooling=True))
    assert left_out == 151936 * 4096 * 2


@pytest.mark.parametrize(
    ("stated", "stored", "loaded"),
    [
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, (2880000, 92000, 23000), 92000),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, (2880000, 92000, 0), 0),
    ],
)
def test_zero_points_become_as_large_as_scales(
    stated: dict[str, Any], stored: tuple[int, int, int], loaded: int
) -> None:
    """Files pack them as they pack weights, and the kernel wants them wide."""
    method, matrix = quantization(stated, 2), Matrix("x", 2000, 2880)
    assert method.bytes_of(matrix) == stored
    assert method.bytes_of(matrix, loaded=True) == (*stored[:2], loaded)


def test_experts_in_4_bits_are_padded_to_what_kernels_want() -> None:
    """720 inputs become 768: their weights and their scales."""
    method = quantization({"quant_method": "mxfp4"}, 2)
    matrix = Matrix("x", 100, 720, expert=True)
    assert method.bytes_of(matrix) == (36000, 2300, 0)
    assert method.bytes_of(matrix, loaded=True) == (38400, 2400, 0)


@pytest.mark.parametrize(
    ("weights", "sizes"),
    [
        ({"num_bits": 8, "type": "float", "strategy": "channel"}, (25600, 400, 0)),
        ({"num_bits": 8, "type": "int", "strategy": "channel"}, (25600, 200, 0)),
        ({"num_bits": 8, "type": "float", "strategy": "tensor"}, (25600, 4, 0)),
        ({"num_bits": 4, "type": "float", "group_size": 16}, (12800, 1600, 0)),
        ({"num_bits": 4, "type": "int", "group_size": 128, "symmetric": False}, (12800, 400, 100)),
        ({"num_bits": 8, "type": "float", "strategy": "block"}, (25600, 8, 0)),
    ],
)
def test_scales_have_the_size_of_their_format(
    weights: dict[str, Any], sizes: tuple[int, int, int]
) -> None:
    """Four bytes beside FP8, two beside whole numbers, one beside FP4."""
    stated = {"quant_method": "compressed-tensors", "config_groups": {"one": {"weights": weights}}}
    assert quantization(stated, 2).bytes_of(Matrix("x", 100, 256)) == sizes


def test_model_that_classifies_has_no_table_that_scores_words() -> None:
    """Its first architecture says so."""
    changed = {"architectures": ["Qwen3ForSequenceClassification", "Qwen3ForCausalLM"]}
    method = quantization({}, 2)
    found = counted_bytes(_model("qwen3-8b", **changed), method)
    assert found == counted_bytes(_model("qwen3-8b"), method, Part(pooling=True))
