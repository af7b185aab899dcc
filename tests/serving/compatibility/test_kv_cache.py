"""The KV cache is counted as vLLM counts it: bytes a token, pages, groups of layers, tokens."""

from __future__ import annotations

from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_log import config_of

from provision.errors import ServiceError
from provision.serving.compatibility.kv_cache import Cut, KvCache, kv_cache
from provision.serving.compatibility.model_config import model_config

GIB = 2**30


def _cache(name: str, cut: Cut | None = None, **changed: Any) -> KvCache:
    return kv_cache(model_config(config_of(name) | changed), cut or Cut())


@pytest.mark.parametrize(
    ("name", "cut", "bytes_per_token"),
    [
        ("qwen3-8b", Cut(), 36 * 2 * 8 * 128 * 2),
        ("qwen3-8b", Cut(tensor=2), 36 * 2 * 4 * 128 * 2),
        ("qwen3-8b", Cut(element_bytes=1), 36 * 2 * 8 * 128),
        ("qwen3-8b", Cut(pipeline=4), 9 * 2 * 8 * 128 * 2),
        ("qwen3-8b", Cut(pipeline=5), 8 * 2 * 8 * 128 * 2),
        ("qwen3-8b", Cut(element_bytes=1, head_bytes=4), 36 * 2 * 8 * (128 + 4)),
        ("llama-3.1-70b", Cut(), 320 * 1024),
        # Fewer heads of keys than GPUs: each GPU has one, and more GPUs save no more.
        ("qwen3-30b-a3b", Cut(tensor=4), 48 * 2 * 1 * 128 * 2),
        ("qwen3-30b-a3b", Cut(tensor=8), 48 * 2 * 1 * 128 * 2),
        # One vector for all heads, on each GPU.
        ("deepseek-v3", Cut(), 61 * 576 * 2),
        ("deepseek-v3", Cut(tensor=8), 61 * 576 * 2),
        ("deepseek-v3", Cut(tensor=8, element_bytes=1, block=64), 61 * 576),
        ("deepseek-v2-lite", Cut(tensor=2), 27 * 576 * 2),
        # Of these only the layers that see everything grow.
        ("gpt-oss-20b", Cut(), 12 * 2 * 8 * 64 * 2),
        ("gemma-3-27b", Cut(), 10 * 2 * 16 * 128 * 2),
        ("qwen3-next-80b-a3b", Cut(), 12 * 2 * 2 * 256 * 2),
        ("mistral-7b-v0.1", Cut(), 0),
        ("bge-m3", Cut(), 0),
    ],
)
def test_bytes_a_token(name: str, cut: Cut, bytes_per_token: int) -> None:
    """By which a long request grows, on one GPU."""
    assert _cache(name, cut).bytes_per_token == bytes_per_token


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("qwen3-8b", [("full", 36)]),
        ("gpt-oss-20b", [("sliding", 12), ("full", 12)]),
        ("gemma-2-9b", [("sliding", 21), ("full", 21)]),
        ("gemma-3-27b", [("sliding", 9)] * 4 + [("sliding", 8)] * 2 + [("full", 10)]),
        ("qwen3-next-80b-a3b", [("linear", 12)] * 3 + [("full", 12)]),
        ("mistral-7b-v0.1", [("sliding", 32)]),
        ("bge-m3", []),
    ],
)
def test_layers_are_grouped_as_by_the_hybrid_manager(
    name: str, groups: list[tuple[str, int]]
) -> None:
    """Groups are as large as the rarer kind; a group that is not full is padded."""
    assert [(group.kind, group.layers) for group in _cache(name).groups] == groups


def test_kinds_of_nearly_equal_number_make_one_group_each() -> None:
    """13 and 12 layers make two groups of up to 13, and not three of 12."""
    kinds = ["full_attention"] * 13 + ["sliding_attention"] * 12
    cache = _cache("gpt-oss-20b", layer_types=kinds, num_hidden_layers=25)
    assert [group.layers for group in cache.groups] == [13, 12]
    page = 16 * 2 * 8 * 64 * 2
    assert cache.block_bytes == 13 * page


def test_request_holds_a_window_and_what_is_in_flight() -> None:
    """A sliding layer keeps its window, the tokens not settled yet, and one block more."""
    cache = _cache("gpt-oss-20b", Cut(in_flight=2 * 8192))
    sliding = ceil((127 + 16384) / 16) + 1
    assert cache.request_blocks(131072) == 131072 // 16 + sliding
    # A short request holds no more than its own length, and that block.
    assert cache.request_blocks(1600) == 100 + 101


def test_sliding_layers_keep_everything_without_the_hybrid_manager() -> None:
    """Then they are as full layers are."""
    cache = _cache("gpt-oss-20b", Cut(hybrid=False))
    assert [(group.kind, group.layers) for group in cache.groups] == [("full", 24)]
    # There is nothing to be alike where all layers slide.
    alone = _cache("mistral-7b-v0.1", Cut(hybrid=False))
    assert [(group.kind, group.layers) for group in alone.groups] == [("sliding", 32)]


@pytest.mark.parametrize(("tensor", "block"), [(1, 544), (2, 544), (4, 272)])
def test_block_of_a_model_with_states_is_as_large_as_a_state(tensor: int, block: int) -> None:
    """Pages of attention grow to the size of the state of a layer of linear attention."""
    cache = _cache("qwen3-next-80b-a3b", Cut(tensor=tensor))
    assert {group.block for group in cache.groups} == {block}
    assert cache.request_blocks(10 * block) == 10 + 3


def test_state_has_what_a_convolution_still_needs() -> None:
    """Of queries, keys and values, all but one of the inputs that it looks at."""
    cache = _cache("qwen3-next-80b-a3b", linear_conv_kernel_dim=400)
    state = (2 * 16 + 32) * 128 * 399 * 2 + 32 * 128 * 128 * 2
    assert {group.block for group in cache.groups} == {16 * ceil(state / (16 * 2 * 2 * 256 * 2))}


def test_state_of_unknown_size_is_an_error() -> None:
    """It is not counted as nothing."""
    with pytest.raises(ServiceError, match="state"):
        _cache("qwen3-next-80b-a3b", linear_conv_kernel_dim=None)


def test_sparse_attention_keeps_an_index_too() -> None:
    """A key of 128 bytes and a scale of 4 beside each layer's vector, in blocks of 64."""
    sparse = {"index_topk": 2048, "index_head_dim": 128}
    assert _cache("deepseek-v3", **sparse).bytes_per_token == 61 * (576 * 2 + 132)
    narrow = _cache("deepseek-v3", Cut(element_bytes=1), **sparse)
    assert narrow.bytes_per_token == 61 * (656 + 132)
    # The fuller of two stages.
    assert _cache("deepseek-v3", Cut(pipeline=2), **sparse).bytes_per_token == 31 * (1152 + 132)


def test_keys_and_values_may_differ_in_size() -> None:
    """Both are counted."""
    cache = _cache("qwen3-8b", head_dim=192, v_head_dim=128)
    assert cache.bytes_per_token == 36 * 8 * (192 + 128) * 2


def test_tokens_and_concurrency_are_counted_in_whole_blocks() -> None:
    """The last tokens that make no block are lost."""
    cache = _cache("qwen3-8b")
    assert cache.block_bytes == 16 * 147456
    assert cache.tokens(100.9 * cache.block_bytes, 160) == 1600
    assert cache.concurrency(100.9 * cache.block_bytes, 160) == 10
    assert cache.concurrency(-1, 160) == 0


@given(
    name=st.sampled_from(["qwen3-8b", "gpt-oss-20b", "gemma-3-27b", "qwen3-next-80b-a3b"]),
    available=st.integers(0, 200 * GIB),
)
def test_longest_fits_and_one_token_more_does_not(name: str, available: int) -> None:
    """It is the very limit."""
    cache, most = _cache(name), 1_000_000
    longest = cache.longest(available, most)
    assert not longest or cache.request_bytes(longest) <= available
    assert longest == most or cache.request_bytes(longest + 1) > available


def test_model_without_a_cache_has_no_tokens() -> None:
    """And no length is too long for it."""
    cache = _cache("bge-m3")
    assert cache.tokens(GIB, 8192) == 0
    assert cache.longest(GIB, 8192) == 8192
    assert cache.request_bytes(8192) == 0
