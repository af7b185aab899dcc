"""How the probes of many resources become one script, and its answer their states."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from provision.errors import ProbeError
from provision.state.resource import Resource, State
from provision.state.shell import framed

_ABSENT = 1


class _Frame(NamedTuple):
    status: int
    output: str


def probe_script(resources: Sequence[Resource], nonce: str) -> str:
    """Return one read-only script that runs each distinct probe once, framed by `nonce`."""
    parts = []
    for index, probe in enumerate(_distinct(resources)):
        parts.append(
            f"printf '\\n%s\\n' '{nonce} begin {index}'\n"
            f"printf '\\n%s\\n' '{nonce} begin {index}' >&2\n"
            f"(\n{probe}\n)\n"
            f"printf '\\n%s %d\\n' '{nonce} end {index}' $?"
        )
    return framed("\n".join(parts))


def parse_states(
    resources: Sequence[Resource], stdout: str, stderr: str, nonce: str
) -> list[State | None]:
    """Return each resource's state, in order; raise `ProbeError` for the first that is unknown."""
    frames = _frames(stdout, nonce)
    errors = _errors(stderr, nonce)
    order = {probe: index for index, probe in enumerate(_distinct(resources))}
    return [
        _state(resource, frames.get(index), errors.get(index, ""))
        for resource in resources
        for index in (order[resource.probe()],)
    ]


def _distinct(resources: Sequence[Resource]) -> list[str]:
    return list(dict.fromkeys(resource.probe() for resource in resources))


def _frames(stdout: str, nonce: str) -> Mapping[int, _Frame]:
    pattern = rf"\n{nonce} begin (\d+)\n(.*?)\n{nonce} end \1 (\d+)\n"
    return {
        int(index): _Frame(int(status), output)
        for index, output, status in re.findall(pattern, f"\n{stdout}", re.DOTALL)
    }


def _errors(stderr: str, nonce: str) -> Mapping[int, str]:
    parts = re.split(rf"\n{nonce} begin (\d+)\n", stderr)
    return {int(index): text for index, text in zip(parts[1::2], parts[2::2], strict=True)}


def _state(resource: Resource, frame: _Frame | None, stderr: str) -> State | None:
    if frame is None:
        raise ProbeError(
            "the probe gave no answer",
            where=resource.id,
            remedy="The connection may have been cut: run again.",
        )
    if frame.status == _ABSENT:
        return None
    if frame.status != 0:
        detail = stderr.strip().splitlines()[-1:] or [f"exit status {frame.status}"]
        raise ProbeError(
            f"the state cannot be read: {detail[0]}",
            where=resource.id,
            remedy="Look at it on the host, then run again.",
        )
    try:
        return resource.actual(frame.output)
    except ValueError as error:
        raise ProbeError(
            str(error), where=resource.id, remedy="Mend it on the host, then run again."
        ) from error
