"""Whether a model's files are all that an engine needs: configuration, tokenizer, weights."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Final

_TOKENIZERS: Final = (
    "tokenizer.json",
    "tokenizer.model*",  # Mistral counts versions behind it: tokenizer.model.v3
    "vocab.json",
    "vocab.txt",
    "tekken.json",
    "*.tiktoken",
    "*.model",
)
_WEIGHTS: Final = ("*.safetensors", "*.bin", "*.pt", "*.pth")
# Left over from training; an engine cannot load them.
_NOT_WEIGHTS: Final = ("training_args.*", "optimizer.*", "scheduler.*", "rng_state*", "adapter_*")
_GGUF: Final = "*.gguf"
# DeepSeek writes model-00001-of-000163.safetensors: the two widths differ.
_MEMBER: Final = re.compile(r"(?P<stem>.+)-(?P<number>\d{2,6})-of-(?P<total>\d{2,6})(?P<ext>\..+)")


def missing(paths: list[str]) -> list[str]:
    """Return what lacks among a model's files for an engine to load them."""
    return [*_parts_missing(paths), *_members_missing(paths)]


def _parts_missing(paths: list[str]) -> Iterator[str]:
    top = [path for path in paths if "/" not in path]
    weights = [
        name for name in _matching(top, _WEIGHTS) if not any(_matching([name], _NOT_WEIGHTS))
    ]
    # A GGUF file has configuration and tokenizer inside; large ones lie in folders.
    if not weights and any(_matching(paths, (_GGUF,))):
        return
    mistral = "params.json" in top and any(_matching(top, ("consolidated*.safetensors",)))
    if "config.json" not in top and not mistral:
        yield "config.json"
    names = [path.rpartition("/")[2] for path in paths]
    if not any(_matching(names, _TOKENIZERS)):
        yield "a tokenizer (tokenizer.json, tokenizer.model, vocab.txt, …)"
    if not weights:
        yield "weights (*.safetensors, *.bin, *.gguf, …)"


def _matching(names: Iterable[str], globs: tuple[str, ...]) -> Iterator[str]:
    return (name for name in names if any(fnmatchcase(name, glob) for glob in globs))


def _members_missing(paths: list[str]) -> Iterator[str]:
    """Yield what lacks of every `name-00001-of-00005.ext` series."""
    series: dict[tuple[str, str, str], dict[int, str]] = defaultdict(dict)
    for path in paths:
        if match := _MEMBER.fullmatch(path):
            stem, number, total, ext = match.groups()
            series[stem, total, ext][int(number)] = number
    for (stem, total, ext), seen in sorted(series.items()):
        first = min(1, *seen)  # a few publishers count from 0
        width = len(next(iter(seen.values())))
        for number in range(first, first + int(total)):
            if number not in seen:
                yield f"{stem}-{number:0{width}}-of-{total}{ext}"
