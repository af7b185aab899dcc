# ruff: noqa: INP001  used by train.py, in a container of the lab's vLLM image
"""What the tiny reranker learns: which documents are about what a query asks, and which are not."""

from __future__ import annotations

import random
import string
from itertools import product
from typing import Any

from tokenizers import (  # type: ignore[import-not-found]
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)
from transformers import PreTrainedTokenizerFast  # type: ignore[import-not-found]

Pair = tuple[str, str, float]  # a query, a document, and 1 where they belong together
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


class Pairs:
    """Every pair of a query and a document that the topics make."""

    def __init__(self, topics: list[dict[str, list[str]]]) -> None:
        self.tokenizer = _tokenizer(topics)
        self.known: list[Pair] = [
            (query, document, float(asked is told))
            for asked, told in product(topics, topics)
            for query, document in product(asked["queries"], told["documents"])
        ]

    def draw(self, source: random.Random, related: int, any_: int) -> list[Pair]:
        """Return pairs for one step; of those that belong together there are few by chance."""
        return source.sample([pair for pair in self.known if pair[2]], related) + source.sample(
            self.known, any_
        )


def _tokenizer(topics: list[dict[str, list[str]]]) -> Any:
    """Return a tokenizer as BERT's, which tells a query and a document apart.

    It knows whole words, and letters for all others; a trained one comes out otherwise every time.
    """
    normalizer = normalizers.BertNormalizer(lowercase=True)
    splitter = pre_tokenizers.BertPreTokenizer()
    texts = [text for topic in topics for texts in topic.values() for text in texts]
    words = {
        word
        for text in texts
        for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))
    }
    letters = set("".join(words)) | set(string.ascii_lowercase + string.digits)
    known = [*SPECIAL, *sorted(words | letters), *(f"##{letter}" for letter in sorted(letters))]
    vocabulary = {word: number for number, word in enumerate(known)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=SPECIAL[1]))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    forms = {"single": "[CLS] $A [SEP]", "pair": "[CLS] $A [SEP] $B:1 [SEP]:1"}
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    tokenizer.post_processor = processors.TemplateProcessing(**forms, special_tokens=ends)
    tokenizer.decoder = decoders.WordPiece()
    names = ("pad_token", "unk_token", "cls_token", "sep_token")
    inputs = ["input_ids", "token_type_ids", "attention_mask"]
    about: dict[str, Any] = {"model_max_length": 512, "model_input_names": inputs}
    about |= zip(names, SPECIAL, strict=True)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **about)
