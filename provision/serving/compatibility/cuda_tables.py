"""Drivers by CUDA toolkit, and GPUs by name: NVIDIA's figures, none of them computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TOOLKIT_DRIVERS: Final[Mapping[str, str]] = {
    # CUDA 13.3 release notes: https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/
    "13.4": "616.00",
    "13.3": "610.43.02",
    # CUDA 13.2 Update 2 release notes, table 3: the first driver of each minor release on Linux.
    "13.2": "595.45.04",
    "13.1": "590.44.01",
    "13.0": "580.65.06",
    "12.9": "575.51.03",
    "12.8": "570.26",
    # There was no toolkit 12.7; drivers of R565 call themselves so.
    "12.7": "565.57.01",
    "12.6": "560.28.03",
    "12.5": "555.42.02",
    "12.4": "550.54.14",
    "12.3": "545.23.06",
    "12.2": "535.54.03",
    "12.1": "530.30.02",
    "12.0": "525.60.13",
    "11.8": "520.61.05",
    "11.7": "515.43.04",
    "11.6": "510.39.01",
    "11.5": "495.29.05",
    "11.4": "470.57.02",
    "11.0": "450.51.06",
}
"""The first driver that supports a CUDA version natively."""
MINOR_FLOORS: Final[Mapping[int, str]] = {
    # The same release notes, table 2: CUDA minor version compatibility.
    13: "580.65.06",
    12: "525.60.13",
    11: "450.80.02",
}
"""The first driver on which all of a major release runs, without its newest functions."""
DATA_CENTRE: Final = (
    # https://docs.nvidia.com/deploy/cuda-compatibility/forward-compatibility.html: data centre
    # GPUs; names as nvidia-smi prints them, those for China among them.
    *("A2", "A10", "A10G", "A10M", "A16", "A30", "A30X", "A40", "A100", "A100X", "A800"),
    *("B100", "B200", "B300", "GB200", "GB300", "GH200", "H20", "H100", "H200", "H800"),
    *("L2", "L4", "L20", "L40", "L40S", "T4", "T4G"),
    *("K80", "M10", "M60", "P4", "P40", "P100", "V100", "V100S"),
)
BRANDS: Final = (
    # NVML's brands as NVIDIA_REQUIRE_CUDA has them, by what a name has in it; the first counts.
    (r"\bGeForce RTX\b", "geforcertx"),
    (r"\bGeForce\b", "geforce"),
    (r"\bTITAN RTX\b", "titanrtx"),
    (r"\bTITAN\b", "titan"),
    (r"\bQuadro RTX\b", "quadrortx"),
    (r"\bQuadro\b", "quadro"),
    (r"\bGRID\b", "grid"),
    (r"\bTesla\b", "tesla"),
    (r"\bRTX\b", "nvidiartx"),
)
