"""What a model's family needs: its parsers, its chat template, and how it is made to rerank."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from provision.serving.engines.arguments import Flags


class Rerank(NamedTuple):
    """How models of a family are made to score pairs of texts."""

    flags: Flags
    """What vLLM is told beside its task."""
    since: str = ""
    """First release of vLLM that can do it so; empty: every one."""
    template: str = ""
    """Chat template in vLLM's image, without which the scores are wrong."""


class Family(NamedTuple):
    """Models that are served alike."""

    name: str
    """As it stands in notes."""
    pattern: str
    """Found in the lower-case name of the model, without its organisation."""
    tools: tuple[str, ...] = ()
    """vLLM's tool-call parsers for it, the best first; a release takes the first that it has."""
    reasoning: tuple[str, ...] = ()
    """vLLM's reasoning parsers for it, likewise."""
    template: str = ""
    """Chat template in vLLM's image with which it calls tools; empty: the model's own."""
    rerank: Rerank | None = None


def family_of(model: str) -> Family | None:
    """Return the family of `<organisation>/<name>`; None for a model that no rule is about."""
    name = model.rpartition("/")[2].lower().replace("___", ".")
    return next((family for family in _FAMILIES if re.search(family.pattern, name)), None)


def _overridden(architecture: str, **more: object) -> Mapping[str, dict[str, object]]:
    return MappingProxyType({"hf-overrides": {"architectures": [architecture], **more}})


_TEMPLATES: Final = "pooling/score/template"
_NATIVE: Final = Rerank({})
"""A cross-encoder as it is: nothing needs to be converted."""
_COSINE: Final = Rerank({}, since="0.11.0")
"""An embedding model: it scores by how close the embeddings are."""
_QWEN3_RERANKER: Final = Rerank(
    _overridden(
        "Qwen3ForSequenceClassification",
        classifier_from_token=["no", "yes"],
        is_original_qwen3_reranker=True,
    ),
    since="0.9.2",
    template=f"{_TEMPLATES}/qwen3_reranker.jinja",
)
_GEMMA_RERANKER: Final = Rerank(
    _overridden(
        "GemmaForSequenceClassification",
        classifier_from_token=["Yes"],
        method="no_post_processing",
    ),
    since="0.10.0",
    template=f"{_TEMPLATES}/bge-reranker-v2-gemma.jinja",
)
_MXBAI_RERANKER: Final = Rerank(
    _overridden(
        "Qwen2ForSequenceClassification",
        classifier_from_token=["0", "1"],
        method="from_2_way_softmax",
    ),
    since="0.10.0",
    template=f"{_TEMPLATES}/mxbai_rerank_v2.jinja",
)
_GLM45: Final = ("glm45", "glm4_moe")
# The first that matches is taken: the narrower stands before the wider.
_FAMILIES: Final = (
    Family("Qwen3-Reranker", r"^qwen3-reranker", rerank=_QWEN3_RERANKER),
    Family("bge-reranker-v2-gemma", r"^bge-reranker-v2-gemma", rerank=_GEMMA_RERANKER),
    Family("bge-reranker", r"^bge-reranker-(base|large|v2-m3)", rerank=_NATIVE),
    Family("gte-reranker-modernbert", r"^gte-reranker-modernbert", rerank=_NATIVE),
    Family("mxbai-rerank-v2", r"^mxbai-rerank-\w+-v2", rerank=_MXBAI_RERANKER),
    Family("embedding model", r"embedding|^(bge|gte|e5|m3e)-(?!rerank)|minilm", rerank=_COSINE),
    Family("DeepSeek-R1-Distill", r"^deepseek-r1-distill", reasoning=("deepseek_r1",)),
    Family(
        "DeepSeek-R1-0528",
        r"^deepseek-r1-0528(?!-qwen)",
        tools=("deepseek_v3",),
        reasoning=("deepseek_r1",),
        template="tool_chat_template_deepseekr1.jinja",
    ),
    Family("DeepSeek-R1", r"^deepseek-r1", reasoning=("deepseek_r1",)),
    Family(
        "DeepSeek-V3.1",
        r"^deepseek-v3\.1",
        tools=("deepseek_v31",),
        template="tool_chat_template_deepseekv31.jinja",
    ),
    Family(
        "DeepSeek-V3-0324",
        r"^deepseek-v3-0324",
        tools=("deepseek_v3",),
        template="tool_chat_template_deepseekv3.jinja",
    ),
    Family("QwQ", r"^qwq", tools=("hermes",), reasoning=("deepseek_r1",)),
    Family("Qwen3-Coder", r"^qwen3-coder", tools=("qwen3_xml", "qwen3_coder")),
    Family("Qwen3.5", r"^qwen3\.[56]", tools=("qwen3_coder",), reasoning=("qwen3",)),
    # Their template opens the reasoning itself: only its end is to be seen.
    Family("Qwen3 Thinking", r"^qwen3.*-thinking", tools=("hermes",), reasoning=("deepseek_r1",)),
    Family("Qwen3 Instruct", r"^qwen3-.*-instruct", tools=("hermes",)),
    # Before 0.9 there was no parser of its own, and that of DeepSeek R1 did for it.
    Family("Qwen3", r"^qwen3-\d", tools=("hermes",), reasoning=("qwen3", "deepseek_r1")),
    Family("Qwen2.5", r"^qwen2\.5", tools=("hermes",)),
    Family("GLM-4.5", r"^glm-4\.[56]", tools=_GLM45, reasoning=_GLM45),
    Family("GLM-4.7", r"^glm-4\.7", tools=("glm47",), reasoning=("glm47", "glm45")),
    Family("gpt-oss", r"^gpt-oss", tools=("openai",), reasoning=("openai_gptoss", "GptOss")),
    Family("Kimi-K2-Thinking", r"^kimi-k2-thinking", tools=("kimi_k2",), reasoning=("kimi_k2",)),
    Family("Kimi-K2", r"^kimi-k2", tools=("kimi_k2",)),
    Family(
        "Llama 4",
        r"^(meta-)?llama-4",
        tools=("llama4_pythonic",),
        template="tool_chat_template_llama4_pythonic.jinja",
    ),
    Family(
        "Llama 3.2",
        r"^(meta-)?llama-3\.2",
        tools=("llama3_json",),
        template="tool_chat_template_llama3.2_json.jinja",
    ),
    Family(
        "Llama 3",
        r"^(meta-)?llama-3\.[13]",
        tools=("llama3_json",),
        template="tool_chat_template_llama3.1_json.jinja",
    ),
    Family("Mistral", r"^(mistral|ministral)-.*instruct", tools=("mistral",)),
    Family("Hunyuan-A13B", r"^hunyuan-a13b", ("hunyuan_a13b",), ("hunyuan_a13b",)),
    Family("MiniMax-M2", r"^minimax-m2", ("minimax_m2",), ("minimax_m2_append_think",)),
    Family("InternLM2.5", r"^internlm2[._]5", tools=("internlm",)),
    Family("Granite 4", r"^granite-4", tools=("granite4",)),
    Family("Gemma 4", r"^gemma-4", tools=("gemma4",), reasoning=("gemma4",)),
    Family("ERNIE 4.5 Thinking", r"^ernie-4\.5-.*thinking", ("ernie45",), ("ernie45",)),
    Family("Seed-OSS", r"^seed-oss", tools=("seed_oss",), reasoning=("seed_oss",)),
    Family("Step-3.5", r"^step-?3\.5", tools=("step3p5",), reasoning=("step3p5",)),
    Family("MiMo", r"^mimo-v2", tools=("mimo",), reasoning=("mimo",)),
    Family("LongCat", r"^longcat", tools=("longcat",)),
)
