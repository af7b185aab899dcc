"""What a service tells vLLM about memory: its arguments, and the release's defaults for the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from provision.errors import ServiceError
from provision.serving.compatibility.options import mapping, number
from provision.serving.compatibility.subject import Subject
from provision.serving.engines import vllm_flags
from provision.serving.engines.arguments import Flags, plain

GIB: Final = 2**30


class Settings(NamedTuple):
    """How vLLM is to use its GPUs."""

    tensor: int = 1
    pipeline: int = 1
    utilisation: float = 0.92
    max_model_len: int | None = None
    """None: as long as the model was made for; 0: as long as fits."""
    batched_tokens: int | None = None
    sequences: int | None = None
    block: int | None = None
    cache_dtype: str = "auto"
    cache_bytes: int | None = None
    """KV cache as stated in bytes: utilisation does not count then."""
    dtype: str = "auto"
    quantization: str = ""
    eager: bool = False
    hybrid: bool = True
    pooling: bool = False
    dummy: bool = False
    """No weights are read: they are made up, to try a model's size."""
    newer_runner: bool = True
    """The release has the second model runner, which most models that generate are run by."""
    overrides: Mapping[str, Any] = {}
    """Fields that win over those of config.json."""

    @property
    def gpus(self) -> int:
        """Return over how many GPUs one copy of the model is spread."""
        return self.tensor * self.pipeline


def settings(subject: Subject) -> Settings:
    """Read a service's arguments; `ServiceError` for a value that is none."""
    service = subject.service
    own = plain(service.arguments, f"service {service.name}")
    spread = [_size(own, f"{name}-parallel-size") for name in ("tensor", "pipeline", "data")]
    # Where no size is stated the model is spread over all of the service's GPUs.
    default = len(service.gpus) or 1
    return Settings(
        tensor=spread[0] or (1 if any(spread) else default),
        pipeline=spread[1] or 1,
        utilisation=_share(own, _release(subject)),
        max_model_len=_length(own),
        batched_tokens=_count(own, "max-num-batched-tokens"),
        sequences=_count(own, "max-num-seqs"),
        block=_count(own, "block-size"),
        cache_dtype=str(own.get("kv-cache-dtype", "auto")),
        cache_bytes=_count(own, "kv-cache-memory-bytes"),
        dtype=str(own.get("dtype", "auto")),
        quantization=str(own.get("quantization") or ""),
        eager=own.get("enforce-eager") is True,
        hybrid=own.get("disable-hybrid-kv-cache-manager") is not True,
        pooling=service.task != "generate" or own.get("runner") == "pooling",
        dummy=own.get("load-format") == "dummy",
        newer_runner=_release(subject) >= _NEWER_RUNNER,
        overrides=_object(own, "hf-overrides"),
    )


def shares(subject: Subject) -> float:
    """Return the share of each of its GPUs that a vLLM service takes."""
    own = plain(subject.service.arguments, f"service {subject.service.name}")
    return _share(own, _release(subject))


def _release(subject: Subject) -> tuple[int, ...]:
    """Return the engine's release; where it is not known, the newest that is."""
    stated = subject.engine.version(subject.service)
    return vllm_flags.number(stated or vllm_flags.releases()[-1])


def _share(own: Flags, release: tuple[int, ...]) -> float:
    stated = own.get("gpu-memory-utilization")
    if stated is None:
        return 0.92 if release >= _RAISED else 0.90
    try:
        share = float(str(stated))
    except ValueError:
        share = 0.0
    if 0 < share <= 1:
        return share
    raise ServiceError(f"gpu-memory-utilization is {stated}, expected a share above 0, up to 1")


def _length(own: Flags) -> int | None:
    stated = own.get("max-model-len")
    return 0 if str(stated) in {"auto", "-1"} else _count(own, "max-model-len")


def _count(own: Flags, name: str) -> int | None:
    """Return a number as vLLM reads them: 32k is 32000, and 32K is 32768."""
    stated = own.get(name)
    found = number(stated)
    if stated is not None and (found is None or found < 0):
        raise ServiceError(f"{name} is {stated}, expected a number")
    return found


def _size(own: Flags, name: str) -> int | None:
    found = _count(own, name)
    if found is not None and not 1 <= found <= _MOST_GPUS:
        raise ServiceError(f"{name} is {found}, expected 1 to {_MOST_GPUS}")
    return found


def _object(own: Flags, name: str) -> Mapping[str, Any]:
    stated = own.get(name)
    if stated and not mapping(stated):
        raise ServiceError(f"{name} is {stated}, expected an object")
    return mapping(stated)


_RAISED: Final = (0, 20, 0)
_NEWER_RUNNER: Final = (0, 26, 0)
_MOST_GPUS: Final = 1024
