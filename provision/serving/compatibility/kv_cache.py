"""The KV cache as vLLM counts it: pages by layer, groups of layers that share them, tokens."""

from __future__ import annotations

from collections import Counter
from math import ceil
from typing import Final, Literal, NamedTuple

from provision.errors import ServiceError
from provision.serving.compatibility.model_config import LinearState, ModelConfig

GroupKind = Literal["full", "sliding", "linear"]


class Cut(NamedTuple):
    """How a model is cut, and what its cache is told."""

    tensor: int = 1
    pipeline: int = 1
    element_bytes: int = 2
    """Of the cache: 1 for fp8."""
    head_bytes: int = 0
    """Of scales, for each head of keys and values of a token."""
    block: int = 16
    """Tokens in a block, before hybrid models make it larger."""
    in_flight: int = 16384
    """Tokens that are scheduled and not settled: a sliding window keeps them too."""
    hybrid: bool = True
    """Whether sliding layers give back what lies outside of their window."""


class Group(NamedTuple):
    """Layers of one kind that share their table of blocks."""

    kind: GroupKind
    layers: int
    """On the GPU that has most of them."""
    block: int
    """Tokens in a page."""


class KvCache(NamedTuple):
    """The cache of one GPU."""

    groups: tuple[Group, ...]
    """None: the model keeps no cache."""
    page_bytes: int
    """One block of one layer; the same for all groups."""
    window: int
    in_flight: int

    @property
    def block_bytes(self) -> int:
        """Return the bytes of one block in the pool: a page for each layer of the largest group."""
        return self.page_bytes * max((group.layers for group in self.groups), default=0)

    @property
    def bytes_per_token(self) -> int:
        """Return by how much the cache of a long request grows with each token."""
        return sum(self.block_bytes // group.block for group in self.groups if group.kind == "full")

    def request_blocks(self, length: int) -> int:
        """Return the blocks that one request of a length in tokens may hold."""
        return sum(self._blocks(group, length) for group in self.groups)

    def request_bytes(self, length: int) -> int:
        """Return the bytes that one request of a length in tokens may hold."""
        return self.request_blocks(length) * self.block_bytes

    def concurrency(self, available_bytes: float, length: int) -> float:
        """Return how many requests of a length fit at once: vLLM's `Maximum concurrency`."""
        if not self.groups:
            return 0.0
        blocks = max(0, int(available_bytes // self.block_bytes))
        return blocks / self.request_blocks(length)

    def tokens(self, available_bytes: float, length: int) -> int:
        """Return how many tokens fit: vLLM's `GPU KV cache size`."""
        return int(self.concurrency(available_bytes, length) * length)

    def longest(self, available_bytes: float, most: int) -> int:
        """Return the longest context, up to `most` tokens, of which one request fits; 0: none."""
        low, high = 0, most
        while low < high:
            middle = (low + high + 1) // 2
            if self.request_bytes(middle) <= available_bytes:
                low = middle
            else:
                high = middle - 1
        return low

    def _blocks(self, group: Group, length: int) -> int:
        if group.kind == "linear":
            return 1
        if group.kind == "full":
            return ceil(length / group.block)
        # One more, since a window need not begin where a block does.
        return ceil(min(self.window - 1 + self.in_flight, length) / group.block) + 1


def kv_cache(model: ModelConfig, cut: Cut) -> KvCache:
    """Return a model's cache on one GPU; `ServiceError` for one that cannot be counted."""
    if model.encoder:
        return KvCache((), 0, 0, 0)
    if model.indexer_dim:
        return _sparse(model, cut)
    kinds = _kinds(model, cut)
    token_bytes = _token_bytes(model, cut)
    block, page = cut.block, cut.block * token_bytes
    if "linear" in kinds:
        block = _block_for_state(model, cut, token_bytes)
        page = block * token_bytes
    groups = tuple(
        Group(kind, ceil(layers / cut.pipeline), block) for kind, layers in _grouped(kinds)
    )
    return KvCache(groups, page, model.window, cut.in_flight)


def _kinds(model: ModelConfig, cut: Cut) -> Counter[GroupKind]:
    found: Counter[GroupKind] = Counter()
    for kind in model.kinds:
        if kind != "shared":
            found[kind] += 1
    if found["full"] and not cut.hybrid:
        found["full"] += found.pop("sliding", 0)
    return +found


def _token_bytes(model: ModelConfig, cut: Cut) -> int:
    """Return what a token takes in one layer of attention."""
    if model.latent:
        return (model.latent.rank + model.latent.rope_dim) * cut.element_bytes
    heads = max(1, model.kv_heads // cut.tensor)
    size = (model.head_dim + model.value_dim) * cut.element_bytes
    return heads * (size + 2 * cut.head_bytes)


def _grouped(kinds: Counter[GroupKind]) -> list[tuple[GroupKind, int]]:
    """Return the groups, and how many layers each has, as vLLM's hybrid cache manager cuts them.

    The kind with the fewest layers gives the size, unless the others have hardly more.
    """
    if not kinds:
        return []
    fewest, most = min(kinds.values()), max(kinds.values())
    size = most if most < fewest * _HARDLY_MORE else fewest
    return [
        (kind, ceil((layers - index) / count))
        for kind, layers in kinds.items()
        for count in [ceil(layers / size)]
        for index in range(count)
    ]


def _block_for_state(model: ModelConfig, cut: Cut, token_bytes: int) -> int:
    """Return the block whose page of attention is as large as a layer's constant state."""
    if model.state is None:
        raise ServiceError("config.json does not say how large the state of its layers is")
    state = _state_bytes(model.state, cut.tensor)
    return cut.block * max(1, ceil(state / (cut.block * token_bytes)))


def _state_bytes(state: LinearState, tensor: int) -> int:
    keys, values = state.key_heads * state.key_dim, state.value_heads * state.value_dim
    convolution = (2 * keys + values) // tensor * (state.kernel - 1) * 2
    recurrent = state.value_heads // tensor * state.value_dim * state.key_dim
    return convolution + recurrent * (4 if state.dtype == "float32" else 2)


def _sparse(model: ModelConfig, cut: Cut) -> KvCache:
    """Return the cache of sparse attention: beside each layer's vector, the key of its index."""
    whole = model.latent.rank + model.latent.rope_dim if model.latent else 0
    token = whole * 2 if cut.element_bytes > 1 else _SPARSE_FP8
    token += model.indexer_dim + model.indexer_dim // _INDEX_SCALE * 4
    layers = ceil(model.layers / cut.pipeline)
    group = Group("full", layers, _SPARSE_BLOCK)
    return KvCache((group,), token * _SPARSE_BLOCK, 0, cut.in_flight)


_HARDLY_MORE: Final = 1.5
_SPARSE_FP8: Final = 656
_SPARSE_BLOCK: Final = 64
_INDEX_SCALE: Final = 128
