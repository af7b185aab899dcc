"""The script that reads the health of a host in one exec, and the parser of what it prints."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from shlex import quote
from typing import Any, Final, NamedTuple

from provision.facts.frame import Section as Part
from provision.facts.frame import script, split
from provision.facts.health import SECTIONS, Health, Section
from provision.facts.questions import SECTIONS as FACTS
from provision.facts.sections import (
    clock,
    engine,
    fabric,
    file_systems,
    gpu_health,
    kernel,
    network,
    text_of,
    upgrades,
)

_TIMEOUT: Final = 8  # seconds a section may take before it counts as unknown
_PATHS: Final = ("/", "/var", "/var/lib/docker", "/data", "/opt")
_WHEN: Final[Mapping[Section, str]] = {
    "gpu_health": "command -v nvidia-smi >/dev/null",
    "engine": "command -v docker >/dev/null || command -v dockerd >/dev/null || "
    "command -v containerd >/dev/null || [ -e /etc/docker/daemon.json ]",
    "fabric": "command -v nvidia-smi >/dev/null || command -v nv-fabricmanager >/dev/null",
    "upgrades": "command -v dpkg-query >/dev/null && command -v apt-cache >/dev/null",
}
"""Of some sections, where there is nothing to ask."""


class Ask(NamedTuple):
    """What to look at on a host beside what every host has."""

    names: tuple[str, ...] = ()
    """Host names that must resolve there."""
    paths: tuple[str, ...] = ()
    """Folders whose file systems matter: Docker's root, the models'."""
    sections: frozenset[Section] = frozenset(SECTIONS)
    """What is to be judged: the others are not read."""


def health_script(nonce: str, ask: Ask, timeout: int = _TIMEOUT) -> str:
    """Return POSIX sh that changes nothing and needs nothing but a shell and coreutils.

    `timeout` is in seconds, as in `script`.
    """
    return script(nonce, _parts(ask), timeout)


def sweep_script(nonce: str, ask: Ask, timeout: int = _TIMEOUT) -> str:
    """Return sh that reads facts and health at the same time, for both of their parsers."""
    parts = _parts(ask)
    first = {name: part for name, part in parts.items() if part.takes == "little"}
    return script(nonce, {**first, **FACTS, **parts}, timeout)  # what may hang is last of the brief


def parse_health(
    output: str,
    nonce: str,
    timeout: int = _TIMEOUT,
    sections: Collection[Section] = SECTIONS,
) -> Health:
    """Return typed health; a section that failed or gave no sense is `None` and in `unknown`."""
    texts, missing = split(output, nonce, sections, timeout)
    unknown = dict(missing)
    values: dict[str, Any] = {}
    for name in sections:
        if name in texts:
            try:
                values[name] = _parse(name, texts)
            except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
                unknown[name] = f"its answer makes no sense: {_line(error)}"
            except RecursionError:
                unknown[name] = "its answer makes no sense: nested without end"
    return Health(**values, unknown=unknown)


def _parts(ask: Ask) -> dict[str, Part]:
    arguments = {"network": ask.names, "file_systems": dict.fromkeys((*_PATHS, *ask.paths))}
    return {
        name: Part(
            " ".join(("set --", *map(quote, arguments.get(name, ())))) + f"\n{text_of(name)}",
            when=_WHEN.get(name, ""),
            takes="little" if name == "clock" else "time",
        )
        for name in SECTIONS
        if name in ask.sections
    }


def _parse(name: Section, texts: Mapping[str, str]) -> Any:
    if name == "gpu_health":
        return gpu_health.parse(texts[name], _names(texts.get("engine", "")))
    return _PARSERS[name](texts[name])


def _names(text: str) -> dict[str, str]:
    """Return the names of containers by their id; without them GPUs are still worth knowing."""
    try:
        return engine.names(text)
    except (ValueError, LookupError, TypeError, RecursionError):
        return {}


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


_PARSERS: Final[Mapping[Section, Callable[[str], Any]]] = {
    "kernel": kernel.parse,
    "upgrades": upgrades.parse,
    "fabric": fabric.parse,
    "engine": engine.parse,
    "file_systems": file_systems.parse,
    "clock": clock.parse,
    "network": network.parse,
}
