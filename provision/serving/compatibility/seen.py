"""What was seen on a host beside its facts, as far as somebody looked; rules take it as it comes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Seen(NamedTuple):
    """What rules would like to know too; a default says that nobody looked."""

    brands: Mapping[int, str] = MappingProxyType({})
    """NVML's brand by GPU index, as `nvidia-smi -q` has it: NVIDIA, GeForce, Tesla."""
    listening: Mapping[int, str] = MappingProxyType({})
    """What else listens on the host, by port; services of ours are not in it."""
    model_bytes: int | None = None
    """How much of the model is on the host already."""
    memory_in_use: Mapping[int, int] = MappingProxyType({})
    """Bytes of each GPU that others have taken, by its index; services of ours are not in it."""
    shm_bytes: int | None = None
    """Shared memory of the container; None = the host's, by `ipc: host`."""


NOTHING = Seen()
