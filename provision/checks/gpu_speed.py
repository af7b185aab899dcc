"""What slows GPUs down: heat, power, and clocks that somebody lowered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provision.checks.check import Check, Sight
from provision.checks.words import alike, fail, warn
from provision.facts.health import GPUHealth
from provision.finding import Finding

_THERMAL: Final = "gpu.thermal"
_POWER: Final = "gpu.power"
_CLOCKS: Final = "gpu.clocks"
_TOLERANCE_W: Final = 1.0
"""By which the limit that the hardware reports may miss the one that was set."""
_BUSY: Final = 80
"""Percent of use from which a GPU should run fast; an idle one runs slowly on purpose."""
_SLOW: Final = 0.5
"""Share of its highest clock; its power limit alone takes less than half of it away."""


def _thermal(sight: Sight) -> Iterator[Finding]:
    for what, gpus in alike(sight, lambda gpu: _hot(gpu, "hw_thermal")):
        yield fail(
            _THERMAL,
            f"{gpus.label}: so hot{what} that the hardware slows it down",
            "It must be cooled better: look for failed fans, blocked air and the room's temperature "
            "(nvidia-smi -q -d TEMPERATURE).",
        )
    for what, gpus in alike(sight, lambda gpu: _hot(gpu, "sw_thermal")):
        yield warn(
            _THERMAL,
            f"{gpus.label}: so warm{what} that the driver slows it down",
            "Look at how it is cooled: nvidia-smi -q -d TEMPERATURE",
        )


def _hot(gpu: GPUHealth, reason: str) -> str:
    """Return its temperature where it slows down for `reason`, the worst of its reasons."""
    if not _slowed(gpu, reason) or (reason != "hw_thermal" and _slowed(gpu, "hw_thermal")):
        return ""
    return " " if gpu.temperature_c is None else f" ({gpu.temperature_c} °C)"


def _power(sight: Sight) -> Iterator[Finding]:
    for what, gpus in alike(sight, _braked):
        yield warn(
            _POWER,
            f"{gpus.label}: {what}",
            "Look at the power supplies of the machine and at the limits of its management "
            "controller (ipmitool sel list).",
        )
    for what, gpus in alike(sight, _limited):
        yield warn(_POWER, f"{gpus.label}: {what}", _limit_remedy(sight, gpus.ids))


def _braked(gpu: GPUHealth) -> str:
    slowed = _slowed(gpu, "power_brake")
    return "the power supply tells it to slow down (power brake)" if slowed else ""


def _limited(gpu: GPUHealth) -> str:
    limit, default = gpu.power_limit_w, gpu.default_power_limit_w
    if limit is None or default is None or limit > default - _TOLERANCE_W:
        return ""
    return f"its power limit is {limit:.0f} W, by default it is {default:.0f} W"


def _limit_remedy(sight: Sight, ids: str) -> str:
    defaults = {
        gpu.default_power_limit_w
        for gpu in sight.health.gpu_health or ()
        if gpu.default_power_limit_w and _limited(gpu)
    }
    watts = f"{defaults.pop():.0f}" if len(defaults) == 1 else "WATTS"
    return f"Unless it is meant to be: nvidia-smi -i {ids} -pl {watts}"


def _clocks(sight: Sight) -> Iterator[Finding]:
    for what, gpus in alike(sight, _unexplained):
        yield warn(
            _CLOCKS,
            f"{gpus.label}: {what}",
            "Has somebody locked its clocks? Unlock them: "
            f"nvidia-smi -i {gpus.ids} -rgc; then look at nvidia-smi -q -d PERFORMANCE.",
        )


def _unexplained(gpu: GPUHealth) -> str:
    if any(_slowed(gpu, reason) for reason in ("thermal", "power_brake")):
        return ""
    if _slowed(gpu, "hw_slowdown"):
        return "the hardware slows it down without a reason that it tells"
    clock, most, use = gpu.sm_clock_mhz, gpu.max_sm_clock_mhz, gpu.utilisation_percent
    if None in {clock, most, use} or not clock or not most or not use:
        return ""
    if use < _BUSY or clock >= most * _SLOW or _slowed(gpu, "power_cap"):
        return ""
    return f"busy, and at less than half of its {most} MHz"


def _slowed(gpu: GPUHealth, reason: str) -> bool:
    return any(reason in each for each in gpu.slowdowns)


THERMAL: Final = Check(
    name=_THERMAL,
    group="gpu",
    reads=("gpu_health",),
    explain="A GPU that gets too hot halves its clock or worse, so that a service gets slow without "
    "any error; with several GPUs to a service all wait for the slowest. First the driver lowers "
    "the clocks step by step, then the hardware cuts them. Fans that failed, dust, a missing cover "
    "plate, servers without the airflow that a passive GPU needs, or a hot aisle are what causes "
    "it. Hotter still, the GPU switches itself off and is gone from the bus.",
    judge=_thermal,
)
POWER: Final = Check(
    name=_POWER,
    group="gpu",
    reads=("gpu_health",),
    explain="A GPU takes as much power as its limit allows; under full load that is normal and no "
    "finding. A limit below the default was set by somebody (nvidia-smi -pl), for instance to fit "
    "more GPUs to a circuit: services run slower than on the other hosts. A power brake is the "
    "machine's own cry for help: its supply failed in part, or its management controller enforces "
    "a cap, and the GPU halves its clock at once.",
    judge=_power,
)
CLOCKS: Final = Check(
    name=_CLOCKS,
    group="gpu",
    reads=("gpu_health",),
    explain="An idle GPU lowers its clocks, a busy one raises them to what power and heat allow. "
    "One that is busy and stays below half of its highest clock, with neither heat nor power as "
    "its reason, mostly had them locked for a measurement (nvidia-smi -lgc) and never unlocked; "
    "it can also be a slowdown whose cause the hardware does not tell, such as a power cable that "
    "is not plugged in all the way.",
    judge=_clocks,
)
