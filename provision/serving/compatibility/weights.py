"""What a model's weights take on one GPU: by its files, or counted from its config.json."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import ceil
from pathlib import PurePosixPath
from typing import Final, NamedTuple

from provision.serving.compatibility import parameters
from provision.serving.compatibility.model_config import ModelConfig
from provision.serving.compatibility.parameters import Weights
from provision.serving.compatibility.quantization import Quantization


class Size(NamedTuple):
    """The weights on the GPU that has most of them."""

    gpu_bytes: int
    estimated: bool
    """Counted from config.json, for no file of weights is known."""


class Part(NamedTuple):
    """What of a model is on one GPU."""

    tensor: int = 1
    """GPUs that each layer is cut for."""
    pipeline: int = 1
    """Stages that the layers are spread over."""
    pooling: bool = False
    """It embeds or reranks, and has no use for a table that scores words."""


WHOLE: Final = Part()


def weights(
    model: ModelConfig, method: Quantization, files: Mapping[str, int], part: Part = WHOLE
) -> Size:
    """Return the weights a GPU; files count for more than config.json does."""
    taken = loaded_bytes(model, method, part)
    on_disk = file_bytes(files)
    if not on_disk:
        return Size(taken, estimated=True)
    whole = counted_bytes(model, method, Part(pooling=part.pooling))
    # Some parts are on every GPU in full, and what is loaded is more than what is stored.
    return Size(int(_loaded(model, method, on_disk, whole) * taken / whole), estimated=False)


def file_bytes(files: Mapping[str, int]) -> int:
    """Return the bytes of the files that an engine loads: not what repeats the same weights."""
    kept = {path: size for path, size in files.items() if not _repeats(PurePosixPath(path))}
    for suffix in (".safetensors", ".gguf", ".bin", ".pt", ".pth"):
        found = [size for path, size in kept.items() if path.endswith(suffix)]
        if found:
            # Of several GGUF files each is the whole model, or a numbered part of it.
            parts = suffix != ".gguf" or any("-of-" in path for path in kept)
            return sum(found) if parts else max(found)
    return 0


def counted_bytes(model: ModelConfig, method: Quantization, part: Part = WHOLE) -> int:
    """Return the bytes that are stored for the fullest GPU, by config.json alone."""

    def count(parts: Iterable[Weights]) -> int:
        return sum(sum(_sizes(each, method, loaded=False)) for each in parts)

    return _fullest(model, part, count)


def loaded_bytes(model: ModelConfig, method: Quantization, part: Part = WHOLE) -> int:
    """Return the bytes that are taken of the fullest GPU: padded, rounded, with what is made."""

    def count(parts: Iterable[Weights]) -> int:
        return sum(_taken(size) for each in parts for size in _sizes(each, method, loaded=True))

    return _fullest(model, part, count) + count([parameters.positions(model)])


def _fullest(model: ModelConfig, part: Part, count: Callable[[Iterable[Weights]], int]) -> int:
    """Return the bytes on the GPU that has most of the layers and what is at both ends."""
    tensor = part.tensor
    each = [count(parameters.layer(model, index, tensor)) for index in range(model.layers)]
    first = [parameters.embedding(model, tensor), parameters.vision(model)]
    last = [parameters.head(model, tensor, pooling=part.pooling)]
    if part.pipeline == 1:
        return sum(each) + count(first) + count(last)
    if model.tied:
        last.append(parameters.embedding(model, tensor))
    stages = list(_stages(each, part.pipeline))
    stages[0] += count(first)
    stages[-1] += count(last)
    return max(stages)


def _sizes(part: Weights, method: Quantization, *, loaded: bool) -> Iterable[int]:
    """Yield the bytes of each tensor."""
    for fused in part.tensors:
        sizes = (method.bytes_of(matrix, loaded=loaded) for matrix in fused)
        yield from (part.copies * sum(of_all) for of_all in zip(*sizes, strict=True))
    yield part.copies * part.plain * method.element_bytes


def _taken(size: int) -> int:
    """Return what PyTorch takes of a GPU for a tensor: large ones begin a segment of their own."""
    return ceil(size / _SEGMENT) * _SEGMENT if size >= _LARGE else size


def _stages(each: list[int], cuts: int) -> Iterable[int]:
    """Yield the layers of each stage: those left over go to the later ones but the last."""
    counts = [len(each) // cuts] * cuts
    for index in range(len(each) % cuts):
        counts[max(0, cuts - 2 - index)] += 1
    begin = 0
    for count in counts:
        yield sum(each[begin : begin + count])
        begin += count


def _loaded(model: ModelConfig, method: Quantization, on_disk: int, whole: int) -> float:
    """Return what becomes of the files' bytes once they are loaded."""
    if not method.method and model.dtype in _WIDE:
        return on_disk * method.element_bytes / 4
    spare = model.text.get("num_nextn_predict_layers")
    if isinstance(spare, int) and not isinstance(spare, bool) and spare > 0:
        # Layers that guess the next tokens are in the files, and not loaded unless asked for.
        parts = parameters.layer(model, model.layers - 1, 1)
        last = sum(sum(_sizes(part, method, loaded=False)) for part in parts)
        return on_disk * whole / (whole + spare * last)
    return on_disk


def _repeats(path: PurePosixPath) -> bool:
    first = path.parts[0] if len(path.parts) > 1 else ""
    return (
        first in _OTHER_FOLDERS
        or path.name.startswith(("consolidated", "training_args", "optimizer", "adapter_"))
        or path.name in {"scheduler.pt", "rng_state.pth"}
    )


_LARGE: Final = 10 * 2**20
_SEGMENT: Final = 2 * 2**20
_WIDE: Final = frozenset({"float32", "float"})
_OTHER_FOLDERS: Final = frozenset({"original", "onnx", "openvino", "metal", "coreml", ".cache"})
