"""Quantisation: how many bytes a weight takes on the GPU, by what config.json says of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import ceil
from typing import Any, Final, NamedTuple

from provision.errors import ServiceError
from provision.serving.compatibility.json_fields import Fields

BYTES: Final = {"float32": 4, "float": 4, "float16": 2, "half": 2, "bfloat16": 2, "auto": 2}


class Matrix(NamedTuple):
    """A weight of a linear layer, as one GPU has it."""

    name: str
    """As the layer is called: `model.layers.0.mlp.down_proj`."""
    rows: int
    """Outputs."""
    columns: int
    """Inputs."""
    expert: bool = False


class Quantization(NamedTuple):
    """What a linear layer's weight becomes; 16 bits = nothing is quantised."""

    method: str
    bits: int
    group: int = 0
    """Inputs that share a scale; 0: all of a row."""
    zeros: bool = False
    """Whether each group has a zero point too."""
    block_rows: int = 1
    """Outputs that share a scale: 128 for blocks of fp8."""
    scale_bytes: int = 2
    left_out: tuple[str, ...] = ()
    """Patterns of names of layers that stay as they were."""
    experts_only: bool = False
    element_bytes: int = 2
    """Of weights that are not quantised."""
    tile: int = 1
    """Inputs of which kernels want a multiple: what is loaded is padded to it."""

    def bytes_of(self, matrix: Matrix, *, loaded: bool = False) -> tuple[int, int, int]:
        """Return the bytes of a weight, its scales and its zero points: in files, or as loaded."""
        if self.bits >= _WHOLE or self._keeps(matrix):
            return matrix.rows * matrix.columns * self.element_bytes, 0, 0
        columns = ceil(matrix.columns / self.tile) * self.tile if loaded else matrix.columns
        groups = ceil(columns / self.group) if self.group else 1
        scales = ceil(matrix.rows / self.block_rows) * groups
        # Hopper's kernel wants zero points in the format of the scales.
        zeros = scales * self.scale_bytes if loaded else scales * self.bits // 8
        weight = matrix.rows * columns * self.bits // 8
        return weight, scales * self.scale_bytes, zeros if self.zeros else 0

    def _keeps(self, matrix: Matrix) -> bool:
        if self.experts_only and not matrix.expert:
            return True
        return any(_is_about(pattern, matrix.name) for pattern in self.left_out)


def quantization(stated: Mapping[str, Any], element_bytes: int) -> Quantization:
    """Return what a `quantization_config` says; `ServiceError` for one that is not known."""
    if not stated:
        return Quantization("", _WHOLE, element_bytes=element_bytes)
    fields = Fields(stated, "config.json: quantization_config")
    method = fields.text("quant_method")
    left_out = tuple(
        pattern
        for name in ("modules_to_not_convert", "ignore", "ignored_layers", "exclude_modules")
        for pattern in fields.texts(name)
    )
    found = _of(method, fields)
    return found._replace(method=method, left_out=left_out, element_bytes=element_bytes)


def fp8() -> Quantization:
    """Return what vLLM makes of a model that it quantises itself with `quantization: fp8`."""
    return Quantization("fp8", 8, block_rows=_ALL, scale_bytes=4)


def cache_is_fp8(stated: Mapping[str, Any]) -> bool:
    """Say whether the checkpoint itself asks for a KV cache of fp8."""
    scheme = stated.get("kv_cache_scheme")
    if isinstance(scheme, Mapping):
        return scheme.get("num_bits") == _BYTE
    inner = stated.get("quantization", stated)
    return isinstance(inner, Mapping) and inner.get("kv_cache_quant_algo") == "FP8"


def _of(method: str, fields: Fields) -> Quantization:
    group = fields.number("group_size") if fields.values.get("group_size") != -1 else 0
    if method in {"gptq", "gptq_marlin", "auto-round", "auto_round"}:
        bits = fields.need("bits")
        return Quantization(method, bits, group or 0, zeros=fields.flag("sym") is False)
    if method in {"awq", "awq_marlin"}:
        bits = fields.need("bits", "w_bit")
        return Quantization(method, bits, group or 0, zeros=fields.flag("zero_point") is not False)
    if method in {"mxfp4", "gpt_oss_mxfp4"}:
        return Quantization(method, 4, 32, scale_bytes=1, experts_only=True, tile=64)
    if method == "bitsandbytes" and fields.flag("load_in_4bit"):
        return Quantization(method, 4, 64, scale_bytes=4)
    if method in _READERS:
        return _READERS[method](fields)
    raise ServiceError(f"config.json: quantisation by '{method}' is not known")


def _fp8(fields: Fields) -> Quantization:
    block = fields.numbers("weight_block_size")
    if len(block) == 2:  # noqa: PLR2004  rows and columns
        return Quantization("", 8, max(1, block[1]), block_rows=max(1, block[0]), scale_bytes=4)
    return Quantization("", 8, block_rows=_ALL, scale_bytes=4)


def _compressed(fields: Fields) -> Quantization:
    """Return the weights' part of the first group of `compressed-tensors`."""
    groups = fields.part("config_groups")
    first = next(iter(groups.values), None) if groups else None
    weights = groups.part(first) if groups and first else None
    weights = weights.part("weights") if weights else None
    if weights is None:
        raise ServiceError("config.json: quantization_config has no config_groups with weights")
    bits, scale_bytes = weights.need("num_bits"), 2
    if weights.text("strategy") == "block":
        rows, columns = (*weights.numbers("block_structure"), 128, 128)[:2]
        return Quantization("", bits, max(1, columns), block_rows=max(1, rows), scale_bytes=4)
    if bits == _BYTE and weights.text("type") == "float":
        scale_bytes = 4
    if bits == _NIBBLE and weights.text("type") == "float":
        scale_bytes = 1
    return Quantization(
        "",
        bits,
        weights.number("group_size") or 0,
        zeros=weights.flag("symmetric") is False,
        block_rows=_ALL if weights.text("strategy") == "tensor" else 1,
        scale_bytes=scale_bytes,
    )


def _modelopt(fields: Fields) -> Quantization:
    inner = fields.part("quantization") or fields
    algorithm = inner.text("quant_algo").upper()
    if algorithm == "FP8":
        return fp8()
    if algorithm == "NVFP4":
        return Quantization("", 4, inner.number("group_size") or 16, scale_bytes=1)
    raise ServiceError(f"config.json: quantisation by modelopt's '{algorithm}' is not known")


def _is_about(pattern: str, name: str) -> bool:
    """Say whether a pattern, as files have them in three ways, is about a layer."""
    if pattern.startswith("re:"):
        try:
            return re.search(pattern[3:], name) is not None
        except re.error:
            return False
    if "*" in pattern:
        return re.search(re.escape(pattern).replace(r"\*", ".*"), name) is not None
    return f".{pattern.strip('.')}." in f".{name}."


_WHOLE: Final = 16
_BYTE: Final = 8
_NIBBLE: Final = 4
_ALL: Final = 2**40
_READERS: Final[Mapping[str, Callable[[Fields], Quantization]]] = {
    "fp8": _fp8,
    "fbgemm_fp8": _fp8,
    "compressed-tensors": _compressed,
    "modelopt": _modelopt,
}
