"""What the published images of vLLM and TEI are built of, release by release."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

Compat = Literal["ask", "toolkit", "forced", "own"]
"""How an image finds newer CUDA libraries than the driver's: when VLLM_ENABLE_CUDA_COMPATIBILITY
says so; as the container toolkit decides; always, also where the driver is newer; by itself."""


class Build(NamedTuple):
    """What images are built of from one release on."""

    since: str
    cuda: str
    archs: str
    """Compute capabilities that they have code for."""
    tags: Mapping[str, str]
    """CUDA by the endings that a tag may have beside none."""
    compat: Compat
    arm64: bool = True


_OLD: Final = "7.0 7.5 8.0 8.6 8.9 9.0"
_12_8: Final = "7.0 7.5 8.0 8.9 9.0 10.0 12.0"
_13: Final = "7.5 8.0 8.6 8.9 9.0 10.0 11.0 12.0"
_CU130: Final = {"cu130": "13.0.1"}
_CU129: Final = {"cu129": "12.9.1"}
VLLM: Final = (
    # Source: CUDA_VERSION, torch_cuda_arch_list and the lines about compat in docker/Dockerfile
    # (before 0.8: Dockerfile) of the source distributions on PyPI, read 2026-11-21; tags:
    # .buildkite of the same. Why compat is forced in 0.15 and 0.16: vllm#33447, vllm#33992.
    Build("0.6.2", "12.4.1", _OLD, {}, "toolkit", arm64=False),
    Build("0.9.0", "12.8.1", "7.0 7.5 8.0 8.9 9.0 10.0", {}, "toolkit"),
    Build("0.9.2", "12.8.1", _12_8, {}, "toolkit"),
    Build("0.11.1", "12.9.1", _12_8, {}, "toolkit"),
    Build("0.15.0", "12.9.1", _12_8, _CU130, "forced"),
    Build("0.17.0", "12.9.1", _12_8, _CU130, "ask"),
    Build("0.19.0", "12.9.1", _12_8, {**_CU130, "ubuntu2404": "12.9.1"}, "ask"),
    Build("0.20.0", "13.0.2", _13, {**_CU129, "ubuntu2404": "13.0.2"}, "ask"),
    Build("0.27.0", "13.0.3", _13, {**_CU129, "ubuntu2404": "13.0.3"}, "ask"),
    Build("0.33.0", "13.0.3", _13, {"efa": "13.0.3"}, "ask"),
)
VLLM_NEWEST: Final = "0.33"
"""Of newer ones nothing is known."""
TEI: Final = (
    # Source: Dockerfile-cuda, Dockerfile-cuda-all and cuda-all-entrypoint.sh of TEI's tags.
    Build("1.5.0", "12.2.0", "7.5 8.0 9.0", {}, "own", arm64=False),
    Build("1.9.0", "12.9.1", "7.5 8.0 9.0 10.0 12.0", {}, "own", arm64=False),
)
TEI_NEWEST: Final = "1.9"
TEI_TAGS: Final[Mapping[str, tuple[str, ...]]] = {
    # Source: backends/candle/src/compute_cap.rs and the table of images in the README, TEI 1.9:
    # capabilities on which the image with that beginning of its tag starts, the best first.
    "turing": ("7.5",),
    "": ("8.0", "8.6", "8.7", "8.9"),
    "86": ("8.6", "8.7", "8.9"),
    "89": ("8.9",),
    "hopper": ("9.0",),
    "100": ("10.0",),
    "120": ("12.0",),
    "121": ("12.1",),
    "cuda": ("7.5", "8.0", "8.6", "8.7", "8.9", "9.0", "10.0", "12.0"),
}
TEI_BEST: Final[Mapping[str, str]] = {
    "7.5": "turing",
    "8.0": "",
    "8.6": "86",
    "8.7": "86",
    "8.9": "89",
    "9.0": "hopper",
    "10.0": "100",
    "12.0": "120",
    "12.1": "121",
}
"""The beginning of the tag made for a capability."""
TEI_SINCE: Final[Mapping[str, str]] = {
    "100": "1.9.0",
    "120": "1.9.0",
    "121": "1.9.0",
    "cuda": "1.9.0",
}
_PLAIN: Final = ("unknown", "tesla", "nvidia", "nvidiartx", "quadro", "quadrortx")
_GAMERS: Final = ("geforce", "geforcertx", "titan", "titanrtx")
_VIRTUAL: Final = ("grid", "vapps", "vpc", "vcs", "vws", "cloudgaming")


class Admits(NamedTuple):
    """Older driver branches that a CUDA image lets start, for the brands beside them."""

    branches: tuple[int, ...]
    brands: tuple[str, ...]


ADMITS: Final[Mapping[str, Admits]] = {
    # Source: NVIDIA_REQUIRE_CUDA of nvidia/cuda:<version>-base (gitlab.com/nvidia/
    # container-images/cuda, dist/<version>), and of vllm/vllm-openai:v0.23.0 for 13.0.
    "12.4": Admits((470, 525, 535), (*_PLAIN, *_GAMERS)),
    "12.8": Admits((470, 535, 550, 560, 565), (*_PLAIN, *_VIRTUAL)),
    "12.9": Admits((535, 550, 560, 565, 570), (*_PLAIN, *_VIRTUAL)),
    "13.0": Admits((535, 550, 565, 570, 575), (*_PLAIN, *_VIRTUAL)),
}


class Size(NamedTuple):
    """Bytes of an image, unpacked."""

    least: int
    most: int


IMAGE_BYTES: Final[Mapping[str, Size]] = {
    # As `docker image ls` has them: vLLM's grew from 10 to 20 GB; TEI's for CPUs and GPUs.
    "vllm": Size(10 * 10**9, 20 * 10**9),
    "tei": Size(10**9 // 2, 4 * 10**9),
}
