"""What a model takes of a GPU's memory beside its weights, and what is left for its KV cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from provision.errors import ServiceError
from provision.serving.compatibility.kv_cache import Cut, KvCache, kv_cache
from provision.serving.compatibility.model_config import ModelConfig, model_config
from provision.serving.compatibility.overhead import CONTEXT, beyond_bytes, overhead_bytes
from provision.serving.compatibility.quantization import (
    BYTES,
    Quantization,
    cache_is_fp8,
    fp8,
    quantization,
)
from provision.serving.compatibility.settings import GIB, Settings
from provision.serving.compatibility.weights import Part, weights


class Device(NamedTuple):
    """The smallest of the GPUs that a service is given."""

    memory_bytes: int
    """As nvidia-smi has it."""
    capability: tuple[int, int] = (0, 0)
    """Compute capability; (0, 0) = unknown."""
    name: str = ""
    in_use_bytes: int = 0
    """What others have taken of it."""

    @property
    def usable_bytes(self) -> int:
        """Return what programs see of it: the driver keeps some for itself."""
        return self.memory_bytes - max(_KEPT_BYTES, int(self.memory_bytes * _KEPT_SHARE))


class Fit(NamedTuple):
    """How a model fits on a GPU; everything is for the GPU that has most to hold."""

    gpus: int
    usable_bytes: int
    budget_bytes: int
    """What the engine may take."""
    beyond_bytes: int
    """What the engine takes before it begins to count: it must be free beside the budget."""
    in_use_bytes: int
    weights_bytes: int
    estimated: bool
    """The weights are counted from config.json, not from files."""
    overhead_bytes: int
    """Activations, CUDA graphs, and what libraries keep."""
    cache_bytes: int
    """What is left for the KV cache; below 0: the weights alone do not fit."""
    cache: KvCache
    length: int
    """Tokens of the longest request that it must be able to serve."""

    @property
    def bytes_per_token(self) -> int:
        """Return what a token takes of the KV cache."""
        return self.cache.bytes_per_token

    @property
    def tokens(self) -> int:
        """Return how many tokens the KV cache holds."""
        return self.cache.tokens(self.cache_bytes, self.length)

    @property
    def concurrency(self) -> float:
        """Return how many requests of full length fit at once."""
        return self.cache.concurrency(self.cache_bytes, self.length)

    @property
    def longest(self) -> int:
        """Return the longest context that fits, up to `length`; 0: none does."""
        return self.cache.longest(self.cache_bytes, self.length)

    @property
    def request_bytes(self) -> int:
        """Return what one request of full length takes."""
        return self.cache.request_bytes(self.length)

    @property
    def needed_bytes(self) -> int:
        """Return what weights, overhead and one request take."""
        return self.weights_bytes + self.overhead_bytes + self.request_bytes

    @property
    def fits(self) -> bool:
        """Say whether it starts, as far as memory goes."""
        return self.missing_bytes <= 0 < self.cache_bytes >= self.request_bytes

    @property
    def missing_bytes(self) -> int:
        """Return by how much the engine may take more than others leave; 0 or less: not at all."""
        return self.budget_bytes + CONTEXT + self.in_use_bytes - self.usable_bytes

    @property
    def crowded(self) -> bool:
        """Say whether what GPUs talk to each other by may be too much beside the engine's share."""
        return self.missing_bytes - CONTEXT + self.beyond_bytes > 0


def fit(
    config: Mapping[str, Any], files: Mapping[str, int], settings: Settings, device: Device
) -> Fit:
    """Return how a model fits; `ServiceError` where its config.json does not say enough."""
    model = model_config({**config, **settings.overrides})
    method = _method(model, settings)
    size = weights(model, method, files, Part(settings.tensor, settings.pipeline, settings.pooling))
    length = settings.max_model_len or model.longest or _NO_LENGTH
    batched, sequences = batch(model, settings, device, length)
    overhead = overhead_bytes(model, settings, batched, sequences)
    budget = int(device.usable_bytes * settings.utilisation)
    left = budget - size.gpu_bytes - overhead
    if settings.cache_bytes:
        # It is taken as stated, and the share of the GPU does not count.
        budget = size.gpu_bytes + overhead + settings.cache_bytes
        left = settings.cache_bytes
    cache = kv_cache(model, cut(model, settings, device, batched))
    if settings.max_model_len == 0:
        length = max(1, cache.longest(left, length))
    return Fit(
        gpus=settings.gpus,
        usable_bytes=device.usable_bytes,
        budget_bytes=budget,
        beyond_bytes=beyond_bytes(model, settings),
        in_use_bytes=device.in_use_bytes,
        weights_bytes=size.gpu_bytes,
        estimated=size.estimated,
        overhead_bytes=overhead,
        cache_bytes=left,
        cache=cache,
        length=length,
    )


def batch(model: ModelConfig, settings: Settings, device: Device, length: int) -> tuple[int, int]:
    """Return tokens and sequences of the largest batch, which vLLM tries out before it starts."""
    large = device.usable_bytes >= _LARGE_GPU and "a100" not in device.name.lower()
    tokens, sequences = (8192, 1024) if large else (2048, 256)
    sequences = settings.sequences or sequences
    if model.encoder:
        # Their input cannot be cut.
        tokens = max(tokens, length)
    tokens = settings.batched_tokens or min(tokens, sequences * length)
    return tokens, min(sequences, tokens)


def cut(model: ModelConfig, settings: Settings, device: Device, batched: int) -> Cut:
    """Return what the cache is told."""
    element, head = _element(model, settings)
    batches = settings.pipeline + (0 if settings.pooling else 1)
    return Cut(
        tensor=settings.tensor,
        pipeline=settings.pipeline,
        element_bytes=element,
        head_bytes=head,
        block=settings.block or _block(model, device, element),
        in_flight=batched * batches,
        hybrid=settings.hybrid,
    )


def _method(model: ModelConfig, settings: Settings) -> Quantization:
    element = 4 if settings.dtype in {"float32", "float"} else 2
    stated = model.quantization
    if settings.quantization.startswith("fp8") and not stated:
        return fp8()
    if settings.dummy and "gptq" in str(stated.get("quant_method")):
        # Which layers are quantised vLLM reads from the files of weights: without them, none.
        stated = stated if stated.get("modules_in_block_to_quantize") else {}
    return quantization(stated, element)


def _element(model: ModelConfig, settings: Settings) -> tuple[int, int]:
    """Return the bytes of an element of the cache, and of the scale of a head."""
    stated = settings.cache_dtype
    if stated == "auto":
        if cache_is_fp8(model.quantization):
            return 1, 0
        return (4 if settings.dtype in {"float32", "float"} else 2), 0
    if stated.endswith("per_token_head") and stated.startswith(("int8", "fp8")):
        return 1, 4
    if stated.startswith("fp8"):
        return 1, 0
    if stated in BYTES:
        return BYTES[stated], 0
    raise ServiceError(f"how large a KV cache of {stated} is, is not known")


def _block(model: ModelConfig, device: Device, element: int) -> int:
    """Return the tokens of a block, as the kernels of a GPU want them."""
    if not model.latent:
        return 16
    major = device.capability[0]
    if major == _BLACKWELL:
        return 32
    return 64 if major == _HOPPER and element == 1 else 16


_HOPPER: Final = 9
_BLACKWELL: Final = 10
_NO_LENGTH: Final = 2048
_LARGE_GPU: Final = 70 * GIB
_KEPT_BYTES: Final = 400 * 2**20
_KEPT_SHARE: Final = 0.0043
