"""A model is known by its name, whatever hub or mirror it came from."""

from __future__ import annotations

import pytest

from provision.serving.engines.families import family_of


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("Qwen/Qwen2.5-72B-Instruct-GPTQ-Int8", "Qwen2.5"),
        ("qwen/Qwen2___5-72B-Instruct-GPTQ-Int8", "Qwen2.5"),
        ("Qwen/Qwen3-8B", "Qwen3"),
        ("Qwen/Qwen3-235B-A22B-Thinking-2507", "Qwen3 Thinking"),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", "Qwen3 Instruct"),
        ("Qwen/Qwen3-Coder-30B-A3B-Instruct", "Qwen3-Coder"),
        ("Qwen/Qwen3-Reranker-8B", "Qwen3-Reranker"),
        ("Qwen/Qwen3-Embedding-8B", "embedding model"),
        ("Qwen/QwQ-32B", "QwQ"),
        ("deepseek-ai/DeepSeek-R1", "DeepSeek-R1"),
        ("deepseek-ai/DeepSeek-R1-0528", "DeepSeek-R1-0528"),
        ("deepseek-ai/DeepSeek-R1-0528-Qwen3-8B", "DeepSeek-R1"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", "DeepSeek-R1-Distill"),
        ("LLM-Research/Meta-Llama-3.1-8B-Instruct", "Llama 3"),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", "Llama 4"),
        ("BAAI/bge-reranker-base", "bge-reranker"),
        ("BAAI/bge-reranker-v2-gemma", "bge-reranker-v2-gemma"),
        ("BAAI/bge-m3", "embedding model"),
        ("maple77/gte-large-zh", "embedding model"),
        ("openai/gpt-oss-120b", "gpt-oss"),
        ("ZhipuAI/GLM-4.6", "GLM-4.5"),
    ],
)
def test_the_narrowest_family_is_found(model: str, name: str) -> None:
    """The wider rule does not hide the narrower."""
    family = family_of(model)
    assert family is not None
    assert family.name == name


def test_an_unknown_model_has_no_family() -> None:
    """Nothing is guessed for it."""
    assert family_of("some/model") is None
