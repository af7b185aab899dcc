"""NVIDIA_REQUIRE_*: a blank is or, a comma is and, variables are all demanded."""

from __future__ import annotations

import pytest

from provision.serving.compatibility.hardware import Hardware
from provision.serving.compatibility.requirements import judged, promised
from provision.serving.compatibility.versions import known

T4 = Hardware(
    driver=known("535.183.01"),
    driver_text="535.183.01",
    cuda=known("12.2"),
    brands=("tesla",),
    capabilities=(known("7.5"),),
    data_centre=True,
)
REAL = (
    "cuda>=13.0 brand=unknown,driver>=535,driver<536 brand=grid,driver>=535,driver<536 "
    "brand=tesla,driver>=535,driver<536 brand=nvidia,driver>=535,driver<536"
)


def holds(requirement: str, hardware: Hardware = T4) -> bool | None:
    """Say whether a requirement holds; None where that is unknown."""
    found = judged({"NVIDIA_REQUIRE_X": requirement}, hardware)
    if found.unknown:
        return None
    return not found.unmet


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        ("cuda>=12.2", True),
        ("cuda>12.2", False),
        ("cuda>=12.10", False),
        ("cuda<=12.2", True),
        ("cuda=12.2", True),
        ("cuda!=12.2", False),
        ("driver<536", True),
        ("driver<535", False),
        ("driver>=535.183.2", False),
        ("arch>=7.5", True),
        ("arch>=8.0", False),
        ("brand=tesla", True),
        ("brand=Tesla", True),
        ("brand=geforce", False),
        ("brand!=geforce", True),
        ("cuda>=13.0 brand=tesla", True),
        ("cuda>=13.0,brand=tesla", False),
        ("cuda>=13.0 brand=tesla,driver<530 arch>=7.0,driver>=535", True),
        (REAL, True),
        ("colour=blue", True),
        ("  ", True),
        ("cuda>=", None),
        ("cuda>=many", None),
        ("nonsense", None),
        ("nonsense cuda>=12.0", True),
        ("nonsense,cuda>=13.0", False),
    ],
)
def test_the_grammar_is_the_toolkits(requirement: str, expected: bool | None) -> None:  # noqa: FBT001  a column of the table
    """Comparisons are of numbers; what cannot be read is unknown, unless the rest decides."""
    assert holds(requirement) is expected


def test_all_variables_are_demanded() -> None:
    """One that does not hold is named by its first alternative, which has the CUDA version."""
    environment = {
        "NVIDIA_REQUIRE_ARCH": "arch>=7.0",
        "NVIDIA_REQUIRE_CUDA": "cuda>=12.9 driver>=575",
        "NVIDIA_VISIBLE_DEVICES": "all",
    }
    assert judged(environment, T4).unmet == ("cuda>=12.9",)


@pytest.mark.parametrize(
    ("value", "off"), [("1", True), ("true", True), ("True", True), ("0", False)]
)
def test_requirements_can_be_switched_off(value: str, *, off: bool) -> None:
    """`NVIDIA_DISABLE_REQUIRE` counts when it says yes."""
    environment = {"NVIDIA_REQUIRE_CUDA": "cuda>=13.0", "NVIDIA_DISABLE_REQUIRE": value}
    assert (judged(environment, T4).unmet == ()) is off


def test_every_gpu_must_be_let_in() -> None:
    """A GeForce beside a Tesla is not admitted by the Tesla."""
    both = T4._replace(brands=("tesla", "geforce"), capabilities=(known("7.5"), known("8.9")))
    assert holds("brand=tesla", both) is False
    assert holds("cuda>=12.0", both) is True


def test_what_the_host_does_not_tell_is_unknown() -> None:
    """An unknown brand or CUDA version is never taken for one that fits."""
    blind = T4._replace(brands=(None,), cuda=None, capabilities=(None,))
    assert holds("brand=tesla", blind) is None
    assert holds("arch>=7.0", blind) is None
    assert holds("cuda>=13.0", blind) is None
    assert holds("cuda>=12.0", blind) is True, "the driver alone tells this"


@pytest.mark.parametrize(
    ("brand", "driver", "cuda", "expected"),
    [
        ("tesla", "535.183.01", "12.2", True),
        ("nvidia", "575.57.08", "12.9", True),
        ("nvidia", "560.35.05", "12.6", False),
        ("geforcertx", "575.57.08", "12.9", False),
        ("geforcertx", "580.65.06", "13.0", True),
    ],
)
def test_images_on_cuda_13_admit_branches_of_data_centre_brands(
    brand: str,
    driver: str,
    cuda: str,
    expected: bool,  # noqa: FBT001  a column of the table
) -> None:
    """What vllm-openai:v0.23.0 says in its environment is what its tag promises."""
    host = T4._replace(brands=(brand,), driver=known(driver), cuda=known(cuda))
    assert (judged(promised(known("13.0.2")), host).unmet == ()) is expected


def test_nothing_is_promised_for_an_unknown_cuda() -> None:
    """Of a CUDA version without a row no requirement is made up."""
    assert promised(known("14.1")) == {}
