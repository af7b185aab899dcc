# ruff: noqa: INP001  runs alone, in a container of the lab's vLLM image
"""Trains the lab's two tiny models until they answer rightly: `train.py TEXTS TEMPLATE FOLDER`.

The chat model (Qwen3) and the reranker (BERT) are made from nothing but the texts, with fixed
seeds, and are written in the form that vLLM loads. What does not learn its texts fails.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch  # type: ignore[import-not-found]

# Both lie beside this program; mypy checks them by themselves.
from chat import CONTEXT, ENDS, IGNORED, PADS, Lessons  # type: ignore[import-not-found]
from reranker import Pairs  # type: ignore[import-not-found]
from transformers import (  # type: ignore[import-not-found]
    BertConfig,
    BertForSequenceClassification,
    Qwen3Config,
    Qwen3ForCausalLM,
)

ROUND, ROUNDS = 60, 30  # steps between two examinations, and examinations at most
MARGIN = 0.2  # between a score and what it should be, 0 or 1
SIZE = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2}
Model = Any


def main(texts: Path, template: Path, folder: Path) -> None:
    """Train both models and write each into a folder of its own."""
    torch.set_num_threads(1)  # small sums: threads would mostly wait for each other
    known = json.loads(texts.read_text(encoding="utf-8"))
    train_chat(Lessons(known, template.read_text(encoding="utf-8")), folder / "chat")
    train_reranker(Pairs(known["rank"]), folder / "reranker")


def train_chat(lessons: Any, folder: Path) -> None:
    """Train the chat model on every lesson, and examine it on every lesson."""
    torch.manual_seed(0)
    source = random.Random(0)  # noqa: S311  the same lessons every time
    tokenizer = lessons.tokenizer
    ends, pads = tokenizer.convert_tokens_to_ids([ENDS, PADS])
    vocabulary = -(-len(tokenizer) // 64) * 64  # engines want a multiple of 64
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32}
    about = {"eos_token_id": ends, "pad_token_id": pads, "bos_token_id": None}
    shape = {**SIZE, **heads, "vocab_size": vocabulary, "max_position_embeddings": CONTEXT}
    model = Qwen3ForCausalLM(Qwen3Config(**shape, **about, tie_word_embeddings=True))

    def lesson() -> Any:
        return _loss(model, lessons.draw(source, 28, strange=6), pads)

    def wrong() -> list[str]:
        return [asked for asked, row in lessons.known.items() if not _knows(model, row)]

    _train(model, lesson, wrong, rate=2e-3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    generation = {"do_sample": False, "eos_token_id": [ends, pads], "pad_token_id": pads}
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")


def train_reranker(pairs: Any, folder: Path) -> None:
    """Train the reranker on every pair of a query and a document, and examine it on every pair."""
    torch.manual_seed(0)
    source = random.Random(0)  # noqa: S311  the same lessons every time
    about: dict[str, float] = {"num_attention_heads": 4, "num_labels": 1, "pad_token_id": 0}
    about |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    shape = {**SIZE, "vocab_size": len(pairs.tokenizer), "max_position_embeddings": 512}
    model = BertForSequenceClassification(BertConfig(**shape, **about))
    judge = torch.nn.functional.binary_cross_entropy_with_logits

    def lesson() -> Any:
        drawn = pairs.draw(source, related=24, any_=64)
        return judge(_logits(model, pairs, drawn), torch.tensor([label for *_, label in drawn]))

    def wrong() -> list[str]:
        scores = torch.sigmoid(_logits(model, pairs, pairs.known)).tolist()
        judged = zip(pairs.known, scores, strict=True)
        return [" ".join(pair[:2]) for pair, score in judged if abs(score - pair[2]) > MARGIN]

    _train(model, lesson, wrong, rate=7e-4)
    model.save_pretrained(folder)
    pairs.tokenizer.save_pretrained(folder)


def _train(
    model: Model, lesson: Callable[[], Any], wrong: Callable[[], list[str]], rate: float
) -> None:
    """Give lessons until nothing is wrong any more."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    say = partial(print, flush=True)
    for number in range(1, ROUNDS + 1):
        model.train()
        for _ in range(ROUND):
            optimizer.zero_grad()
            loss = lesson()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        model.eval()
        with torch.no_grad():
            failed = wrong()
        say(f"{type(model).__name__}, round {number}: loss {loss:.4f}, wrong {len(failed)}")
        if not failed:
            return
        for group in optimizer.param_groups:
            group["lr"] *= 0.9
    sys.exit(f"not learnt: {failed[:3]}")


def _loss(model: Model, drawn: list[tuple[list[int], list[int]]], pads: int) -> Any:
    longest = max(len(tokens) for tokens, _ in drawn)
    tokens = torch.tensor([row + [pads] * (longest - len(row)) for row, _ in drawn])
    labels = torch.tensor([row + [IGNORED] * (longest - len(row)) for _, row in drawn])
    return model(input_ids=tokens, labels=labels).loss


def _knows(model: Model, row: tuple[list[int], list[int]]) -> bool:
    """Say whether the likeliest token is the right one all along the answer, and its end."""
    tokens, labels = row
    likeliest = model(input_ids=torch.tensor([tokens])).logits[0].argmax(-1).tolist()
    pairs = zip(likeliest[:-1], labels[1:], strict=True)
    return all(guess == wanted for guess, wanted in pairs if wanted != IGNORED)


def _logits(model: Model, pairs: Any, drawn: list[tuple[str, str, float]]) -> Any:
    queries, documents, _ = zip(*drawn, strict=True)
    batch = pairs.tokenizer(list(queries), list(documents), padding=True, return_tensors="pt")
    return model(**batch).logits[:, 0]


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
