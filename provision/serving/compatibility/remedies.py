"""What would fit where a service does not: each remedy is tried before it is proposed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from provision.serving.compatibility.memory import Device, Fit, fit
from provision.serving.compatibility.model_config import ModelConfig, model_config
from provision.serving.compatibility.settings import GIB, Settings


class Case(NamedTuple):
    """A service that can be tried with other settings."""

    config: Mapping[str, Any]
    files: Mapping[str, int]
    settings: Settings
    device: Device
    most_gpus: int
    """GPUs of the host that are no smaller than the service's."""

    def fit(self, settings: Settings | None = None, share: float = 1.0) -> Fit:
        """Return how it fits, with weights of which a share is left."""
        files = {path: int(size * share) for path, size in self.files.items()}
        return fit(self.config, files, settings or self.settings, self.device)


def remedies(case: Case, found: Fit) -> Iterator[str]:
    """Yield what would work, the least first, each by itself."""
    if found.missing_bytes > 0:
        yield from _free(case, found)
        yield from _less(case, found)
        return
    shorter = round_length(found.longest)
    if shorter:
        yield f"set max-model-len to {shorter}"
    yield from _wider(case)
    settings = case.settings
    if case.device.capability >= _HAS_FP8 and settings.cache_dtype == "auto":
        narrow = settings._replace(cache_dtype="fp8")
        if case.fit(narrow).fits:
            yield "set kv-cache-dtype to fp8"
    yield from _smaller(case, found)


def _free(case: Case, found: Fit) -> Iterator[str]:
    """Yield how the engine would take no more than there is."""
    if found.in_use_bytes:
        yield f"free the {gib(found.in_use_bytes)} that others have taken of the GPU"
    left = found.cache_bytes - found.missing_bytes
    if case.settings.cache_bytes and left >= found.request_bytes:
        yield f"set kv-cache-memory-bytes to {left // GIB * GIB}"


def _less(case: Case, found: Fit) -> Iterator[str]:
    """Yield the share that is free, where that is enough."""
    share = share_beside(found)
    if share > 0 and case.fit(case.settings._replace(utilisation=share)).fits:
        yield f"set gpu-memory-utilization to {share:g}"


def share_beside(found: Fit) -> float:
    """Return the share of a GPU that is left beside CUDA and others, in whole percent."""
    free = found.usable_bytes - found.beyond_bytes - found.in_use_bytes
    return int(free / found.usable_bytes * 100) / 100


def _wider(case: Case) -> Iterator[str]:
    """Yield the smallest number of GPUs that does, that heads spread over, and that the host has."""
    settings = case.settings
    shape = model_config({**case.config, **settings.overrides})
    for tensor in range(settings.tensor + 1, case.most_gpus + 1):
        wider = settings._replace(tensor=tensor)
        if wider.gpus > case.most_gpus:
            return
        if _spreads(shape, tensor) and case.fit(wider).fits:
            yield f"give it {wider.gpus} GPUs"
            return


def _spreads(shape: ModelConfig, size: int) -> bool:
    """Say whether heads divide, and those of keys and values too, unless they are repeated."""
    if shape.heads % size:
        return False
    return shape.latent is not None or not shape.kv_heads % size or not size % shape.kv_heads


def _smaller(case: Case, found: Fit) -> Iterator[str]:
    shape = model_config({**case.config, **case.settings.overrides})
    if shape.quantization:
        return
    ways = (("FP8", 0.55),) if case.device.capability >= _HAS_FP8 else ()
    for name, share in (*ways, ("AWQ or GPTQ", 0.32)):
        saved = int(found.weights_bytes * (1 - share))
        if found.cache_bytes + saved >= found.request_bytes:
            yield f"take the model quantised to {name}"
            return


def round_length(tokens: int) -> int:
    """Return a round number of tokens that is not more; 0 where so few make no sense."""
    step = 4096 if tokens >= 8192 else 1024 if tokens >= 2048 else 256  # noqa: PLR2004  see steps
    return tokens // step * step if tokens >= _LEAST_LENGTH else 0


def gib(size: int) -> str:
    """Return bytes as an operator reads them."""
    found = size / GIB
    return f"{found:.0f} GiB" if found >= 10 else f"{found:.1f} GiB"  # noqa: PLR2004  two digits


_HAS_FP8: Final = (8, 9)
_LEAST_LENGTH: Final = 512
