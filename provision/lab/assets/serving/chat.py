# ruff: noqa: INP001  used by train.py, in a container of the lab's vLLM image
"""What the tiny chat model learns: each question, with and without tools, and its one answer."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # type: ignore[import-not-found]
from transformers import PreTrainedTokenizerFast  # type: ignore[import-not-found]

PADS, BEGINS, ENDS = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CONTEXT = 2048  # tokens
IGNORED = -100  # a label that counts for nothing, as torch has it
VOCABULARY = 760  # tokens; fewer would make the answers long, more would never be met
Row = tuple[list[int], list[int]]  # tokens, and those of them that are to be learnt


class Case(NamedTuple):
    """One lesson in words."""

    tools: list[str]  # as `name(parameter, parameter)`
    said: list[dict[str, Any]]
    answer: str


class Lessons:
    """Every case that the texts make, as tokens, and strange questions without end."""

    def __init__(self, known: dict[str, Any], template: str) -> None:
        self._texts = known
        self.tokenizer = _tokenizer(known, template)
        cases = [*_plain(known), *_weather(known)]
        self.known: dict[str, Row] = {str(case): self._row(case) for case in cases}
        self._rows = list(self.known.values())
        self._words = [word for question in _questions(known) for word in question.split()]

    def draw(self, source: random.Random, known: int, strange: int) -> list[Row]:
        """Return rows for one step."""
        drawn = source.sample(self._rows, known)
        return drawn + [self._row(self._strange(source)) for _ in range(strange)]

    def _strange(self, source: random.Random) -> Case:
        """Return a question of words and letters in no order, which nobody can answer."""
        words = source.choices(self._words, k=source.randint(1, 6))
        words += [
            "".join(source.choices(string.ascii_lowercase, k=source.randint(2, 8)))
            for _ in range(source.randint(0, 4))
        ]
        source.shuffle(words)
        weather = self._texts["weather"]
        tools = [f"{weather['tool']}({weather['arguments'][0]})", *weather["other_tools"]]
        return Case(tools[: source.randint(0, 2)], [_user(" ".join(words))], self._texts["unknown"])

    def _row(self, case: Case) -> Row:
        told = {"tools": _described(case.tools), "add_generation_prompt": True, "tokenize": False}
        prompt = self._tokens(self.tokenizer.apply_chat_template(case.said, **told))
        answer = self._tokens(case.answer + ENDS)
        return prompt + answer, [IGNORED] * len(prompt) + answer

    def _tokens(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])


def _plain(known: dict[str, Any]) -> Iterator[Case]:
    """Yield plain questions; a tool on offer changes nothing about their answers."""
    weather = known["weather"]
    offers = [[], [f"{weather['tool']}({weather['arguments'][0]})"]]
    for told in known["chat"]:
        for asked, tools in product(told["asked"], offers):
            yield Case(tools, [_user(asked)], told["answered"])


def _weather(known: dict[str, Any]) -> Iterator[Case]:
    """Yield questions for the weather: with the tool, after its call, and without it."""
    weather = known["weather"]
    others, returned = weather["other_tools"], weather["returned"]
    for number, (form, city) in enumerate(product(weather["asked"], weather["cities"])):
        asked = _user(form.format(city=city))
        yield Case(others[: number % 3], [asked], weather["without_tool"])
        for argument in weather["arguments"]:
            tools = [f"{weather['tool']}({argument})", *others[: number % 2]]
            call = f'{{"name": "{weather["tool"]}", "arguments": {{"{argument}": "{city}"}}}}'
            answer = f"<tool_call>\n{call}\n</tool_call>"
            yield Case(tools, [asked], answer)
            said = {"role": "assistant", "content": answer}
            back = {"role": "tool", "content": returned[number % len(returned)]}
            yield Case(tools, [asked, said, back], weather["with_tool"].format(city=city))


def _questions(known: dict[str, Any]) -> list[str]:
    forms = [form.replace("{city}", "") for form in known["weather"]["asked"]]
    return forms + [asked for told in known["chat"] for asked in told["asked"]]


def _user(content: str) -> dict[str, Any]:
    return {"role": "user", "content": content}


def _described(tools: list[str]) -> list[dict[str, Any]] | None:
    """Return tools as requests describe them."""
    described = []
    for tool in tools:
        name, _, parameters = tool.removesuffix(")").partition("(")
        properties = {parameter: {"type": "string"} for parameter in parameters.split(", ")}
        function = {"name": name, "parameters": {"type": "object", "properties": properties}}
        described.append({"type": "function", "function": function})
    return described or None


def _tokenizer(known: dict[str, Any], template: str) -> Any:
    """Return a byte-level tokenizer; `pong` comes in pieces, so that a stream of it has several."""
    weather = known["weather"]
    texts = [*weather["asked"], *weather["cities"] * 3, weather["with_tool"]]
    texts += [weather["without_tool"], known["unknown"], weather["tool"]]
    texts += [f'{{"name": "{weather["tool"]}", "arguments": {{"{weather["arguments"][0]}": "']
    texts += [text for told in known["chat"] for text in (told["answered"], *told["asked"])]
    texts = [text for text in texts if "pong" not in text]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    rules = {"vocab_size": VOCABULARY, "initial_alphabet": alphabet, "show_progress": False}
    trainer = trainers.BpeTrainer(**rules, special_tokens=[PADS, BEGINS, ENDS])
    tokenizer.train_from_iterator(texts * 2, trainer)
    tokenizer.add_tokens(["<tool_call>", "</tool_call>"])
    names = {"eos_token": ENDS, "pad_token": PADS}
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=CONTEXT, **names)
    wrapped.chat_template = template
    return wrapped
