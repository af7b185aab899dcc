"""What embeddings must do: be finite and in order, the same for the same, near for the related."""

from __future__ import annotations

import math
from operator import mul
from typing import Any, Final

from provision.serving.validation.questions import TRIPLES, Triple
from provision.serving.validation.talk import Talk, Trouble, dig, objects, wrong_shape

Vector = list[float]
_MOST: Final = 1e38
"""No number is larger in single precision, and none beyond can be reckoned with."""
_SAME: Final = 0.99
"""Cosine of one text embedded twice: half precision and batching move it a little."""
_TEXTS: Final = tuple(text for triple in TRIPLES for text in triple[1:])


def check_embeddings(talk: Talk) -> str:
    """Embed texts together and alone."""
    *batch, again = _embed(talk, [*_TEXTS, _TEXTS[0]])
    if cosine(batch[0], again) < _SAME:
        raise Trouble("one text twice in a list comes out as two different embeddings")
    for index in (0, len(_TEXTS) - 1):
        (alone,) = _embed(talk, [_TEXTS[index]])
        _refuse_difference(index, alone, batch)
    return f"{len(batch[0])} dimensions, {_related(batch)}"


def cosine(a: Vector, b: Vector) -> float:
    """Return how near two vectors are, 1 at most."""
    return float(sum(map(mul, a, b))) / (math.hypot(*a) * math.hypot(*b))


def _embed(talk: Talk, texts: list[str]) -> list[Vector]:
    body = {"model": talk.service.served_name, "input": texts}
    rows = objects(talk.ask_json(talk.dialect.embeddings, body), "data")
    if len(rows) != len(texts):
        raise wrong_shape(f"{len(rows)} embeddings for {len(texts)} texts")
    if [dig(row, "index") for row in rows] != list(range(len(texts))):
        raise Trouble("the embeddings are not in the order of their texts")
    vectors = [_vector(dig(row, "embedding")) for row in rows]
    lengths = {len(vector) for vector in vectors}
    if len(lengths) > 1:
        raise wrong_shape(f"embeddings of {' and '.join(map(str, sorted(lengths)))} dimensions")
    return vectors


def _vector(value: Any) -> Vector:
    if not isinstance(value, list) or not value:
        raise wrong_shape("an embedding is no list of numbers")
    if not all(_is_finite(number) for number in value):
        raise Trouble(
            "an embedding holds numbers that are not finite",
            "The numbers overflow: set dtype to float32, or bfloat16 where the GPU has it.",
        )
    if not any(value):
        raise Trouble("an embedding is nothing but zeros")
    return [float(number) for number in value]


def _is_finite(number: Any) -> bool:
    """Say whether it is a finite number; some engines write null for one that is not."""
    return isinstance(number, int | float) and -_MOST < number < _MOST


def _refuse_difference(index: int, alone: Vector, batch: list[Vector]) -> None:
    if len(alone) != len(batch[0]):
        raise wrong_shape(f"{len(batch[0])} dimensions in a list, {len(alone)} alone")
    if cosine(alone, batch[index]) >= _SAME:
        return
    if any(cosine(alone, other) >= _SAME for other in batch):
        raise Trouble("the embeddings are not in the order of their texts")
    near = cosine(alone, batch[index])
    raise Trouble(
        f"a text embedded in a list is not what it is alone: cosine {near:.2f}",
        "Padding or the batch spoils it: try another version of the image, or dtype float32.",
    )


def _related(batch: list[Vector]) -> str:
    """Tell how near the related texts are; `Trouble` where no language comes out right."""
    told = []
    right = False
    for number, triple in enumerate(TRIPLES):
        near, far = _distances(batch[3 * number : 3 * number + 3])
        right = right or near > far
        told.append(_told(triple, near, far))
    if not right:
        raise Trouble(
            f"unrelated texts come out nearer than related ones: {', '.join(told)}",
            "Check that it is an embedding model, and its pooling.",
            concern="quality",
        )
    return f"related over unrelated: {', '.join(told)}"


def _distances(vectors: list[Vector]) -> tuple[float, float]:
    text, related, unrelated = vectors
    return cosine(text, related), cosine(text, unrelated)


def _told(triple: Triple, near: float, far: float) -> str:
    return f"{triple.language} {near:.2f} over {far:.2f}"
