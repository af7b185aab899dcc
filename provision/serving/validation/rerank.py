"""What reranking must do: the relevant document first, by finite scores that lie apart."""

from __future__ import annotations

from typing import Any, Final

from provision.serving.validation.questions import DOCUMENTS, QUERY, RELEVANT
from provision.serving.validation.talk import Talk, Trouble, dig, objects, wrong_shape

_SPREAD: Final = 0.1
"""Between the best and the worst; a model that was loaded wrongly gives 0.5 to everything."""
_MOST: Final = 1e38
"""No score is larger in single precision."""
_TEI: Final = "tei"
Ranked = list[tuple[int, float]]


def check_rerank(talk: Talk) -> str:
    """Rank documents, and ask for the best one alone."""
    ranked = _rank(talk, {})
    if {index for index, _ in ranked} != set(range(len(DOCUMENTS))) or len(ranked) != len(
        DOCUMENTS
    ):
        raise wrong_shape(f"not every one of {len(DOCUMENTS)} documents is ranked once")
    if talk.dialect.rerank_shape != _TEI:
        _refuse_more_than_one(_rank(talk, {"top_n": 1}))
    scores = [score for _, score in ranked]
    said = f"scores {scores[0]:.3f} to {scores[-1]:.3f}"
    if scores[0] - scores[-1] <= _SPREAD:
        raise Trouble(
            f"all documents come out alike: {said}",
            "The model was loaded without its scoring head: a Qwen3-Reranker needs its "
            "hf-overrides and template, others a model made to rerank.",
            concern="quality",
        )
    if ranked[0][0] != RELEVANT:
        raise Trouble(
            f"document {ranked[0][0]} comes first, {RELEVANT} is the relevant one: {said}",
            "Check that it is a model made to rerank, and its template.",
            concern="quality",
        )
    return f"the relevant document first, {said}"


def _rank(talk: Talk, more: dict[str, Any]) -> Ranked:
    """Return index and score, the best first as the engine has them."""
    if talk.dialect.rerank_shape == _TEI:
        body = {"query": QUERY, "texts": list(DOCUMENTS)}
        rows, score = objects(talk.ask_json(talk.dialect.rerank, body)), "score"
    else:
        asked = {"query": QUERY, "documents": list(DOCUMENTS), **more}
        body = {"model": talk.service.served_name, **asked}
        rows = objects(talk.ask_json(talk.dialect.rerank, body), "results")
        score = "relevance_score"
    return _in_order([(_index(dig(row, "index")), _finite(dig(row, score))) for row in rows])


def _index(value: Any) -> int:
    if not isinstance(value, int):
        raise wrong_shape("an index is no number")
    return value


def _finite(score: Any) -> float:
    if not isinstance(score, int | float) or not -_MOST < score < _MOST:
        raise Trouble(
            "a score is not a finite number",
            "The numbers overflow: set dtype to float32, or bfloat16 where the GPU has it.",
        )
    return float(score)


def _in_order(ranked: Ranked) -> Ranked:
    scores = [score for _, score in ranked]
    if scores != sorted(scores, reverse=True):
        raise Trouble("the results are not sorted by their scores")
    return ranked


def _refuse_more_than_one(ranked: Ranked) -> None:
    if len(ranked) != 1:
        raise Trouble(f"{len(ranked)} documents come back where top_n asked for 1")
