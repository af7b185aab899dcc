"""Quantisation methods of vLLM: by release, and by the compute capability that they need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Method(NamedTuple):
    """A method, as `--quantization` and config.json name it."""

    first: str = "0.6.2"
    last: str = ""
    """Last release with it; empty: the newest has it."""
    least: tuple[tuple[str, str], ...] = ()
    """From which release on which compute capability is the least."""


_MARLIN: Final = (("0.6.2", "8.0"), ("0.14.0", "7.5"))
METHODS: Final[Mapping[str, Method]] = {
    # Source: QuantizationMethods in vllm/model_executor/layers/quantization/__init__.py and
    # get_min_capability beside it, of the releases 0.6.6 to 0.33.0 on PyPI, read 2026-11-21.
    "aqlm": Method(last="0.10.0", least=(("0.6.2", "6.0"),)),
    "auto-round": Method("0.9.0", "0.14.1", (("0.9.0", "6.0"),)),
    "auto_awq": Method("0.24.0", least=(("0.24.0", "7.5"),)),
    "auto_gptq": Method("0.22.0", least=(("0.22.0", "6.0"),)),
    "awq": Method(least=(("0.6.2", "7.5"),)),
    "awq_marlin": Method(least=_MARLIN),
    "bitblas": Method("0.8.5", "0.14.1", (("0.8.5", "7.0"),)),
    "bitsandbytes": Method(last="0.27.1", least=(("0.6.2", "7.0"),)),
    "compressed-tensors": Method(least=(("0.6.2", "7.0"),)),
    "deepseek_v4_fp8": Method("0.20.0"),
    "deepspeedfp": Method(last="0.14.1", least=(("0.6.2", "6.0"),)),
    "experts_int8": Method(least=(("0.6.2", "8.0"),)),
    "fbgemm_fp8": Method(least=(("0.6.2", "8.0"),)),
    # 8.0 to 8.8 unpack the weights as they go (Marlin, W8A16).
    "fp8": Method(least=_MARLIN),
    "fp8_per_block": Method("0.20.0", least=(("0.20.0", "7.5"),)),
    "fp8_per_channel": Method("0.24.0", least=(("0.24.0", "7.5"),)),
    "fp8_per_tensor": Method("0.20.0", least=(("0.20.0", "7.5"),)),
    "fp_quant": Method("0.11.1", least=(("0.11.1", "10.0"),)),
    "gguf": Method(last="0.23.0", least=(("0.6.2", "6.0"),)),
    "gpt_oss_mxfp4": Method("0.20.0", least=(("0.20.0", "8.0"),)),
    "gptq": Method(least=(("0.6.2", "6.0"),)),
    "gptq_bitblas": Method("0.8.5", "0.14.1", (("0.8.5", "7.0"),)),
    "gptq_marlin": Method(least=_MARLIN),
    "gptq_marlin_24": Method(last="0.14.1", least=(("0.6.2", "8.0"),)),
    "hqq": Method(last="0.14.1", least=(("0.6.2", "8.0"),)),
    "humming": Method("0.20.0", least=(("0.20.0", "7.5"),)),
    "inc": Method("0.10.0", least=(("0.16.0", "6.0"),)),
    "int8_per_channel_weight_only": Method("0.20.0", least=(("0.20.0", "7.5"),)),
    "ipex": Method(last="0.14.1"),
    "marlin": Method(last="0.10.1", least=(("0.6.2", "8.0"),)),
    "modelopt": Method(least=(("0.6.2", "8.9"), ("0.27.0", "8.0"))),
    "modelopt_fp4": Method("0.9.0", least=(("0.9.0", "8.0"), ("0.14.0", "7.5"))),
    "modelopt_mixed": Method("0.17.0", least=(("0.17.0", "8.9"), ("0.24.0", "8.0"))),
    "modelopt_mxfp8": Method("0.16.0", least=(("0.16.0", "10.0"), ("0.20.0", "8.0"))),
    "moe_wna16": Method("0.7.3", least=(("0.7.3", "7.0"),)),
    "mxfp4": Method("0.10.1", least=(("0.10.1", "8.0"),)),
    "mxfp8": Method("0.19.0", least=(("0.19.0", "7.5"),)),
    "neuron_quant": Method(last="0.10.1"),
    "nvfp4": Method("0.8.0", "0.8.5", (("0.8.0", "10.0"),)),
    "nvfp4_per_token": Method("0.26.0"),
    "online": Method("0.20.0", least=(("0.20.0", "7.5"),)),
    "petit_nvfp4": Method("0.10.2", "0.19.1"),
    "ptpc_fp8": Method("0.7.3", "0.18.1"),
    "qqq": Method(last="0.10.1", least=(("0.6.2", "8.0"),)),
    "quark": Method("0.7.0", least=(("0.7.0", "7.0"),)),
    "rtn": Method("0.9.2", "0.14.1", (("0.9.2", "8.0"),)),
    "torchao": Method("0.8.5", least=(("0.8.5", "7.5"),)),
    "tpu_int8": Method(last="0.13.0"),
}
SUCCESSORS: Final[Mapping[str, str]] = {
    # vLLM reads such a configuration with another method from the release after the last one.
    "auto-round": "inc",
    "nvfp4": "modelopt_fp4",
}
INT8_MOST: Final = "9.9"
"""INT8 W8A8 has kernels for Turing to Hopper (docs/features/quantization), none for Blackwell."""
BACKENDS: Final[Mapping[str, tuple[str, ...]]] = {
    # Source: supports_compute_capability in vllm/v1/attention/backends, 0.26.0: a number with a
    # plus is the least; others are major numbers.
    "FLASH_ATTN": ("8.0+",),
    "FLASHINFER": ("7.5+",),
    "FLASHMLA": ("9", "10"),
    "FLASHMLA_SPARSE": ("9", "10"),
    "FLASH_ATTN_MLA": ("9",),
    "CUTLASS_MLA": ("10",),
    "FLASHINFER_MLA": ("10",),
    "FLASHINFER_MLA_SPARSE": ("10", "12"),
}
