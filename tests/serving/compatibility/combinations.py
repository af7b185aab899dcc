"""Combinations of GPU, driver, image, model and flags, and what must be said of each: data only.

A row that names nothing is one that works: nothing at all may be said of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from subjects import config


class Said(NamedTuple):
    """A finding that must be there, by words in it."""

    check: str
    verdict: str
    what: str
    remedy: str = ""


class Row(NamedTuple):
    """One combination."""

    card: str
    driver: str
    image: str
    more: Mapping[str, Any] = {}
    said: tuple[Said, ...] = ()


def _fail(check: str, what: str, remedy: str) -> tuple[Said, ...]:
    return (Said(f"fit.{check}", "fail", what, remedy),)


def _warn(check: str, what: str, remedy: str = "") -> tuple[Said, ...]:
    return (Said(f"fit.{check}", "warn", what, remedy),)


_TEI: Final = "ghcr.io/huggingface/text-embeddings-inference"
_EMBED: Final = {
    "engine": "tei",
    "task": "embed",
    "model": config("BertModel", torch_dtype="float32"),
}
_HALF: Final = {"arguments": {"dtype": "half"}}
_COMPAT: Final = {"environment": {"VLLM_ENABLE_CUDA_COMPATIBILITY": "1"}}
_MINOR: Final = _warn("driver", "minor version compatibility", "driver 5")
_MLA: Final = config(
    "DeepseekV3ForCausalLM", num_attention_heads=128, num_key_value_heads=128, kv_lora_rank=512
)
_FP8: Final = {"quant_method": "fp8", "weight_block_size": [128, 128]}
_MOE_FP8: Final = config(
    "Qwen3MoeForCausalLM",
    num_attention_heads=64,
    num_key_value_heads=4,
    moe_intermediate_size=1536,
    quantization_config=_FP8,
)
_INT8: Final = {
    "quant_method": "compressed-tensors",
    "config_groups": {
        "group_0": {
            "weights": {"num_bits": 8, "type": "int"},
            "input_activations": {"num_bits": 8, "type": "int"},
        }
    },
}
_REMOTE: Final = {"AutoConfig": "configuration_x.X", "AutoModel": "modeling_x.X"}

ROWS: Final[Mapping[str, Row]] = {
    # Driver and image, natively.
    "h200_new_driver": Row("H200", "580.159.04", "v0.32.0"),
    "h100_newer_driver": Row("H100", "595.71.05", "v0.33.0"),
    "h100_unknown_newer_driver": Row("H100", "700.10", "v0.33.0"),
    "h20_cu129_on_575": Row("H20", "575.57.08", "v0.32.0-cu129"),
    "a800_old_image_on_550": Row("A800", "550.54.15", "v0.8.5"),
    "4090_native": Row("4090", "580.65.06", "v0.32.0"),
    "4090_old_image_on_new_driver": Row("4090", "580.65.06", "v0.11.0"),
    "5090_native": Row("5090", "580.65.06", "v0.20.0"),
    "pro6000_native": Row("PRO6000", "580.95.05", "v0.33.0"),
    "b200_native": Row("B200", "580.95.05", "v0.27.0"),
    "spark_by_the_code_of_12_0": Row("SPARK", "580.95.05", "v0.27.0"),
    # Minor version compatibility, where the image lets the branch start.
    "a100_cu129_on_550": Row("A100", "550.54.15", "v0.32.0-cu129", said=_MINOR),
    "h100_cu129_on_535": Row("H100", "535.183.01", "v0.26.0-cu129", said=_MINOR),
    "h100_12_8_on_550": Row("H100", "550.90.07", "v0.11.0", said=_MINOR),
    "4090_12_4_on_535": Row("4090", "535.183.01", "v0.8.5", said=_MINOR),
    "a6000_cu129_on_570": Row("A6000", "570.124.06", "v0.20.0-cu129", said=_MINOR),
    # The same compatibility, but the image does not let the branch or the brand start.
    "4090_cu129_on_570": Row(
        "4090",
        "570.124.06",
        "v0.32.0-cu129",
        said=_fail("image", "unsatisfied condition: cuda>=12.9", "v0.11.0"),
    ),
    "4090_12_8_on_550": Row(
        "4090",
        "550.54.15",
        "v0.11.0",
        said=_fail("image", "unsatisfied condition: cuda>=12.8", "v0.8.5"),
    ),
    "a100_12_4_on_545": Row(
        "A100",
        "545.23.08",
        "v0.8.5",
        said=_fail("image", "unsatisfied condition: cuda>=12.4", "driver 550.54.14"),
    ),
    "a100_12_9_by_cuda_12_6_of_560_is_admitted": Row("A100", "560.35.05", "v0.12.0", said=_MINOR),
    "requirement_switched_off": Row(
        "4090",
        "570.124.06",
        "v0.32.0-cu129",
        {"environment": {"NVIDIA_DISABLE_REQUIRE": "1"}},
        _MINOR,
    ),
    # Too old.
    "h100_cuda_13_on_550": Row(
        "H100", "550.54.15", "v0.32.0", said=_fail("driver", "550.54.15", "v0.32.0-cu129")
    ),
    "h100_cuda_13_without_cu129": Row(
        "H100", "550.54.15", "v0.33.0", said=_fail("driver", "580.65.06", "v0.32.0-cu129")
    ),
    "4090_cuda_13_on_570": Row(
        "4090", "570.124.06", "v0.32.0", said=_fail("driver", "570.124.06", "v0.11.0")
    ),
    "4090_cuda_13_on_570_new_model": Row(
        "4090",
        "570.124.06",
        "v0.32.0",
        {"model": config("Qwen3_5ForConditionalGeneration")},
        _fail("driver", "570.124.06", "Install driver 580.65.06"),
    ),
    "470_is_too_old_for_12": Row(
        "4090", "470.256.02", "v0.8.5", said=_fail("driver", "470.256.02", "Install driver 550")
    ),
    # Forward compatibility.
    "a100_by_compat": Row(
        "A100", "575.57.08", "v0.32.0", _COMPAT, _warn("driver", "by cuda-compat", "driver 580")
    ),
    "a100_compat_not_asked_for": Row(
        "A100",
        "570.124.06",
        "v0.32.0",
        said=_fail("driver", "570.124.06", "VLLM_ENABLE_CUDA_COMPATIBILITY"),
    ),
    "4090_compat_never": Row(
        "4090", "570.124.06", "v0.32.0", _COMPAT, _fail("driver", "570.124.06", "v0.11.0")
    ),
    "a100_compat_not_of_560": Row(
        "A100", "560.35.05", "v0.32.0", _COMPAT, _fail("driver", "560.35.05", "v0.32.0-cu129")
    ),
    # What an image that is there says itself counts.
    "inspected_image_wins": Row(
        "4090",
        "570.124.06",
        "registry.lan/own/vllm:1",
        {"version": "0.32.0", "inspected": {"CUDA_VERSION": "12.8.1"}},
    ),
    "inspected_requirement": Row(
        "A10",
        "580.65.06",
        "v0.32.0",
        {"inspected": {"CUDA_VERSION": "13.0.2", "NVIDIA_REQUIRE_ARCH": "arch>=9.0"}},
        _fail("image", "unsatisfied condition: arch>=9.0", ""),
    ),
    "inspected_says_nothing": Row(
        "H200", "580.65.06", "v0.32.0", {"inspected": {}}, _warn("driver", "unknown: on which CUDA")
    ),
    "unknown_image": Row(
        "H200",
        "580.65.06",
        "registry.lan/own/vllm:1",
        {"version": "0.32.0"},
        _warn("driver", "unknown: on which CUDA version registry.lan/own/vllm:1"),
    ),
    "future_cuda_on_a_future_driver": Row(
        "H200",
        "700.10",
        "v0.33.0",
        {"inspected": {"CUDA_VERSION": "14.0.1"}},
        _warn("driver", "unknown: whether driver 700.10 supports CUDA 14.0"),
    ),
    "future_cuda_on_a_known_driver": Row(
        "H200",
        "580.65.06",
        "v0.33.0",
        {"inspected": {"CUDA_VERSION": "14.0.1"}},
        _fail("driver", "needs a driver for CUDA 14.0", "v0.32.0, or install"),
    ),
    # The code in the image.
    "thor_on_cuda_13": Row("THOR", "580.95.05", "v0.32.0"),
    "thor_has_no_code_on_12_9": Row(
        "THOR", "580.95.05", "v0.32.0-cu129", said=_fail("gpu", "11.0", "v0.32.0.")
    ),
    "v100_last_image": Row("V100", "580.65.06", "v0.19.1", _HALF),
    "v100_dropped": Row(
        "V100", "580.65.06", "v0.20.0", _HALF, _fail("gpu", "compute capability 7.0", "v0.19.1")
    ),
    "5090_before_its_time": Row(
        "5090", "580.65.06", "v0.8.5", said=_fail("gpu", "compute capability 12.0", "v0.9.2")
    ),
    "b200_before_its_time": Row(
        "B200",
        "580.65.06",
        "v0.7.3",
        said=(
            *_fail("gpu", "compute capability 10.0", "v0.9.0"),
            *_fail("model", "Qwen3ForCausalLM came with vLLM 0.8.4", "v0.8.4"),
        ),
    ),
    "future_gpu": Row("FUTURE", "700.10", "v0.33.0", said=_warn("gpu", "unknown: whether")),
    "odd_gpu": Row("ODD", "580.65.06", "v0.33.0", said=_warn("gpu", "unknown: which compute")),
    # Tags.
    "cu130_after_the_turn": Row(
        "H100", "580.65.06", "v0.20.0-cu130", said=_fail("image", "no tag cu130", "openai:v0.20.0,")
    ),
    "cu129_gone": Row(
        "H100", "580.65.06", "v0.33.0-cu129", said=_fail("image", "no tag cu129", "v0.32.0-cu129")
    ),
    "future_release": Row(
        "H100",
        "610.43.02",
        "v0.40.0",
        said=(
            *_warn("image", "unknown: on which CUDA version"),
            *_fail("flags", "the flags of vLLM 0.40.0 are not known", "version: 0.33.0"),
        ),
    ),
    "future_release_stated_as_known": Row(
        "H100",
        "610.43.02",
        "v0.40.0",
        {"version": "0.33.0"},
        (
            *_warn("image", "unknown: on which CUDA version"),
            *_warn("flags", "unknown: whether vLLM v0.40.0 takes the flags of 0.33.0"),
        ),
    ),
    "arm_image_on_amd": Row(
        "H100", "580.65.06", "v0.32.0-aarch64", said=_fail("image", "is for arm64", "v0.32.0,")
    ),
    # TEI.
    "tei_right": Row("L20", "580.65.06", f"{_TEI}:89-1.9", _EMBED),
    "tei_for_all": Row("H100", "580.65.06", f"{_TEI}:cuda-1.9", _EMBED),
    "tei_80_runs_on_89": Row("4090", "580.65.06", f"{_TEI}:1.9", _EMBED),
    "tei_hopper_on_ada": Row(
        "L40S", "580.65.06", f"{_TEI}:hopper-1.9", _EMBED, _fail("gpu", "8.9", ":89-1.9")
    ),
    "tei_turing": Row("T4", "580.65.06", f"{_TEI}:86-1.9", _EMBED, _fail("gpu", "7.5", ":turing-")),
    "tei_volta": Row(
        "V100", "535.183.01", f"{_TEI}:1.8", _EMBED, _fail("gpu", "7.0", "another GPU")
    ),
    "tei_1_9_on_geforce_535": Row(
        "4090", "535.183.01", f"{_TEI}:89-1.9", _EMBED, _fail("image", "cuda>=12.9", ":89-1.8")
    ),
    # Number formats.
    "t4_bfloat16_by_old_vllm": Row(
        "T4", "550.54.15", "v0.8.5", said=_fail("dtype", "bfloat16, which needs", "dtype: half")
    ),
    "t4_falls_back": Row(
        "T4", "580.65.06", "v0.20.0", said=_warn("dtype", "float16", "dtype: half")
    ),
    "t4_rest_of_a_quantised_model": Row(
        "T4",
        "580.65.06",
        "v0.32.0",
        {"model": config(quantization_config={"quant_method": "modelopt", "quant_algo": "NVFP4"})},
        _warn("dtype", "what is not quantised of the model is made for bfloat16", "dtype: half"),
    ),
    "t4_half": Row("T4", "580.65.06", "v0.20.0", _HALF),
    "t4_bfloat16_stated": Row(
        "T4",
        "580.65.06",
        "v0.20.0",
        {"arguments": {"dtype": "bfloat16"}},
        _fail("dtype", "bfloat16 needs", "half"),
    ),
    "fp8_cache_on_ampere": Row(
        "A100",
        "580.65.06",
        "v0.32.0",
        {"arguments": {"kv-cache-dtype": "fp8"}},
        _warn("dtype", "unknown: whether a KV cache in fp8", "kv-cache-dtype"),
    ),
    "fp8_cache_on_hopper": Row(
        "H20", "580.65.06", "v0.32.0", {"arguments": {"kv-cache-dtype": "fp8"}}
    ),
    "flash_attention_on_turing": Row(
        "T4",
        "580.65.06",
        "v0.32.0",
        {"arguments": {"dtype": "half", "attention-backend": "FLASH_ATTN"}},
        _fail("dtype", "FLASH_ATTN does not run here", "FLASHINFER"),
    ),
    "mla_kernels_of_hopper_on_ampere": Row(
        "A100",
        "580.65.06",
        "v0.32.0",
        {"arguments": {"attention-backend": "FLASHMLA"}},
        _fail("dtype", "FLASHMLA does not run here", "TRITON_MLA"),
    ),
    # Quantisation.
    "fp8_on_turing_before": Row(
        "T4",
        "550.54.15",
        "v0.11.0",
        {**_HALF, "model": config(quantization_config=_FP8)},
        (
            *_fail("quantisation", "fp8 needs compute capability 8.0", "0.14.0"),
            *_MINOR,
        ),
    ),
    "fp8_on_hopper": Row(
        "H20", "580.65.06", "v0.32.0", {"model": config(quantization_config=_FP8)}
    ),
    "awq_on_volta": Row(
        "V100",
        "580.65.06",
        "v0.19.0",
        {**_HALF, "model": config(quantization_config={"quant_method": "awq", "bits": 4})},
        _fail("quantisation", "awq needs compute capability 7.5", "GPTQ"),
    ),
    "gptq_on_volta": Row(
        "V100",
        "580.65.06",
        "v0.19.0",
        {**_HALF, "model": config(quantization_config={"quant_method": "gptq", "bits": 4})},
    ),
    "mxfp4_on_turing": Row(
        "T4",
        "580.65.06",
        "v0.20.0",
        {**_HALF, "model": config(quantization_config={"quant_method": "mxfp4"})},
        _fail("quantisation", "mxfp4 needs compute capability 8.0", "another form"),
    ),
    "bitsandbytes_gone": Row(
        "H100",
        "580.65.06",
        "v0.32.0",
        {"arguments": {"quantization": "bitsandbytes"}},
        _fail("quantisation", "0.27.1 is the last", "v0.27.1"),
    ),
    "gguf_gone": Row(
        "A10",
        "580.65.06",
        "v0.27.0",
        {"arguments": {"quantization": "gguf"}},
        _fail("quantisation", "0.23.0 is the last", "v0.23.0"),
    ),
    "int8_on_blackwell": Row(
        "B200",
        "580.65.06",
        "v0.32.0",
        {"model": config(quantization_config=_INT8)},
        _fail("quantisation", "no kernels", "FP8"),
    ),
    "nvfp4_on_b300_needs_cuda_13": Row(
        "B300",
        "580.65.06",
        "v0.32.0-cu129",
        {"model": config(quantization_config={"quant_method": "modelopt", "quant_algo": "NVFP4"})},
        _fail("quantisation", "CUDA 13", "without -cu129"),
    ),
    "unknown_method": Row(
        "H100",
        "580.65.06",
        "v0.32.0",
        {"model": config(quantization_config={"quant_method": "qubit"})},
        (
            *_warn("quantisation", "unknown: whether vLLM 0.32.0 can quantise by qubit"),
            *_warn("memory", "unknown: config.json: quantisation by 'qubit'"),
        ),
    ),
    # Several GPUs.
    "tp_4": Row("H100", "580.65.06", "v0.32.0", {"count": 4}),
    "tp_3": Row(
        "H100",
        "580.65.06",
        "v0.32.0",
        {"count": 3},
        _fail("parallel", "32 attention heads", "1, 2"),
    ),
    "mla_at_8": Row("H200", "580.65.06", "v0.32.0", {"count": 8, "model": _MLA}),
    "mla_divides_no_key_value_heads": Row(
        "H200", "580.65.06", "v0.32.0", {"count": 4, "model": {**_MLA, "num_key_value_heads": 6}}
    ),
    "key_value_heads_that_neither_divide_nor_repeat": Row(
        "H200",
        "580.65.06",
        "v0.32.0",
        {"count": 4, "model": config(num_key_value_heads=6)},
        _fail("parallel", "6 key-value heads", "1, 2"),
    ),
    "fp8_blocks_at_8": Row(
        "H20",
        "580.65.06",
        "v0.32.0",
        {"count": 8, "model": _MOE_FP8},
        _fail("parallel", "FP8 blocks of 128", "1, 2, 4"),
    ),
    "fp8_blocks_whole_experts": Row(
        "H20",
        "580.65.06",
        "v0.32.0",
        {"count": 8, "model": _MOE_FP8, "arguments": {"enable-expert-parallel": True}},
    ),
    "idle_gpus": Row(
        "H100",
        "580.65.06",
        "v0.32.0",
        {"count": 4, "arguments": {"tensor-parallel-size": 2}},
        _warn("parallel", "2 of its 4 GPUs stay idle", "2 `gpus`"),
    ),
    "too_few_gpus": Row(
        "H100",
        "580.65.06",
        "v0.32.0",
        {"count": 2, "arguments": {"tensor-parallel-size": 4}},
        _fail("parallel", "4 GPUs", "smaller"),
    ),
    # Flags and parsers.
    "flag_typo": Row(
        "H100",
        "580.65.06",
        "v0.32.0",
        {"arguments": {"max-model-lenn": 1}},
        _fail("flags", "no flag --max-model-lenn", "max-model-len"),
    ),
    "flag_too_new": Row(
        "H100",
        "580.65.06",
        "v0.11.0",
        {"arguments": {"attention-backend": "FLASH_ATTN"}},
        _fail("flags", "the first release with it is 0.13.0", "newer image"),
    ),
    "flag_translated": Row("H100", "580.65.06", "v0.32.0", {"arguments": {"swap-space": 4}}),
    "parser_too_new": Row(
        "H100",
        "580.65.06",
        "v0.11.0",
        {"tool_parser": "gemma4"},
        _fail("parser", "gemma4", "newer image"),
    ),
    "auto_length_too_new": Row(
        "H100",
        "580.65.06",
        "v0.11.0",
        {"arguments": {"max-model-len": "auto"}},
        _fail("flags", "came with vLLM 0.14.0", "number of tokens"),
    ),
    "ray_for_data_parallelism": Row(
        "H100",
        "580.65.06",
        "v0.32.0",
        {
            "count": 2,
            "arguments": {"data-parallel-size": 2, "data-parallel-backend": "ray"},
        },
        _fail("flags", "carry no Ray", "image of your own"),
    ),
    "tei_on_two_gpus": Row(
        "L20",
        "580.65.06",
        f"{_TEI}:89-1.9",
        {**_EMBED, "count": 2},
        _warn("parallel", "TEI uses one GPU", "1 of `gpus`"),
    ),
    # The model.
    "model_too_new": Row(
        "H100",
        "580.65.06",
        "v0.10.0",
        {"model": config("Qwen3NextForCausalLM")},
        _fail("model", "came with vLLM 0.10.2", "v0.10.2"),
    ),
    "model_dropped": Row(
        "H100",
        "580.65.06",
        "v0.32.0",
        {"model": config("Phi4FlashForCausalLM")},
        _fail("model", "the last vLLM with it is 0.10.2", "v0.10.2"),
    ),
    "model_unknown": Row(
        "H100",
        "580.65.06",
        "v0.32.0",
        {"model": config("Qwen9ForCausalLM")},
        _warn("model", "unknown: whether vLLM 0.32.0 can load Qwen9ForCausalLM"),
    ),
    "model_brings_code": Row(
        "H100",
        "580.65.06",
        "v0.32.0",
        {"model": config("MiniCPMV", auto_map=_REMOTE)},
        _fail("model", "code of its own", "trust-remote-code: true"),
    ),
    "model_brings_code_that_is_not_needed": Row(
        "H100",
        "580.65.06",
        "v0.32.0",
        {"model": config("DeepseekV3ForCausalLM", auto_map=_REMOTE)},
    ),
    "too_long": Row(
        "H100",
        "580.65.06",
        "v0.32.0",
        {"arguments": {"max-model-len": "64k"}},
        _fail("model", "64000 is more than the 40960", "max-model-len: 40960"),
    ),
    "long_by_yarn": Row(
        "H100",
        "580.65.06",
        "v0.32.0",
        {
            "arguments": {
                "max-model-len": 131072,
                "hf-overrides": {
                    "rope_parameters": {
                        "rope_type": "yarn",
                        "factor": 4.0,
                        "original_max_position_embeddings": 32768,
                    }
                },
            }
        },
    ),
    "longer_than_yarn": Row(
        "H100",
        "580.65.06",
        "v0.32.0",
        {
            "arguments": {"max-model-len": 150000},
            "model": config(
                rope_scaling={
                    "rope_type": "yarn",
                    "factor": 4.0,
                    "original_max_position_embeddings": 32768,
                }
            ),
        },
        _fail("model", "more than the 131072", "max-model-len: 131072"),
    ),
    "embeddings_that_score_by_cosine": Row(
        "H100", "580.65.06", "v0.32.0", {"task": "score", "model_name": "Qwen/Qwen3-Embedding-8B"}
    ),
    "reranker_as_it_stands": Row(
        "H100",
        "580.65.06",
        "v0.32.0",
        {"task": "score", "model": config(), "model_name": "own/reranker"},
        _fail("model", "its scores are random", "classifier_from_token"),
    ),
    # Room.
    "no_tokenizer": Row(
        "H100",
        "580.65.06",
        "v0.32.0",
        {"files": {"config.json": 1, "model.safetensors": 1}},
        _fail("model", "lacks a tokenizer", "inv provision"),
    ),
}
