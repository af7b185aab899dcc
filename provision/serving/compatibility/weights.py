"""What a model's weights take on one GPU: by its files, or counted from its config.json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


def weights(
    model: ModelConfig,
    method: Quantization,
    files: Mapping[str, int],
    tensor: int = 1,
    pipeline: int = 1,
) -> Size:
    """Return the weights a GPU; files count for more than config.json does."""
    counted = counted_bytes(model, method, tensor, pipeline)
    on_disk = file_bytes(files)
    if not on_disk:
        return Size(counted, estimated=True)
    whole = counted_bytes(model, method)
    # Some parts are on every GPU in full, so its share is more than one in so many.
    share = counted / whole if whole else 1 / (tensor * pipeline)
    return Size(int(_loaded(model, method, on_disk, whole) * share), estimated=False)


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


def counted_bytes(model: ModelConfig, method: Quantization, tensor: int = 1, cuts: int = 1) -> int:
    """Return the bytes on the fullest GPU, by config.json alone."""
    each = [_bytes(parameters.layer(model, index, tensor), method) for index in range(model.layers)]
    ends = [
        _bytes([parameters.embedding(model, tensor), parameters.vision(model)], method),
        _bytes([parameters.head(model, tensor)], method),
    ]
    if cuts == 1:
        return sum(each) + sum(ends)
    if model.tied:
        ends[1] += _bytes([parameters.embedding(model, tensor)], method)
    stages = list(_stages(each, cuts))
    stages[0] += ends[0]
    stages[-1] += ends[1]
    return max(stages)


def _bytes(parts: Iterable[Weights], method: Quantization) -> int:
    return sum(
        part.copies * (sum(map(method.bytes_of, part.matrices)) + part.plain * method.element_bytes)
        for part in parts
    )


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
        last = _bytes(parameters.layer(model, model.layers - 1, 1), method)
        return on_disk * whole / (whole + spare * last)
    return on_disk


def _repeats(path: PurePosixPath) -> bool:
    first = path.parts[0] if len(path.parts) > 1 else ""
    return (
        first in _OTHER_FOLDERS
        or path.name.startswith(("consolidated", "training_args", "optimizer", "adapter_"))
        or path.name in {"scheduler.pt", "rng_state.pth"}
    )


_WIDE: Final = frozenset({"float32", "float"})
_OTHER_FOLDERS: Final = frozenset({"original", "onnx", "openvino", "metal", "coreml", ".cache"})
