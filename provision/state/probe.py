"""How the probes of many resources become one script, and its answer their states."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from provision.errors import ProbeError
from provision.state.resource import Resource, State
from provision.state.shell import framed, quote

_ABSENT: Final = 1
_MOST: Final = 2 << 20  # characters of one probe's answer: a file of 1 MiB, and what is said of it
_LARGEST: Final = 1 << 80
_SHOWN: Final = 500  # characters of what a host says in an error
_INDEX: Final = r"(\d{1,6})"


class _Frame(NamedTuple):
    status: int
    output: str


def probe_script(resources: Sequence[Resource], nonce: str) -> str:
    """Return one read-only script that runs each distinct probe once, framed by `nonce`."""
    parts = []
    calls = {resource.probe() for resource in resources if resource.gather()}
    for index, probe in enumerate(_distinct(resources)):
        start, end = "{}" if probe in calls else "()"
        parts.append(
            f"printf '\\n%s\\n' '{nonce} begin {index}'\n"
            f"printf '\\n%s\\n' '{nonce} begin {index}' >&2\n"
            f"{start}\n{probe}\n{end}\n"
            f"printf '\\n%s %d\\n' '{nonce} end {index}' $?"
        )
    return framed("\n".join([*_gathered(resources), *parts]))


def _gathered(resources: Sequence[Resource]) -> Iterator[str]:
    """Yield the calls that find out something for several probes at once."""
    words: dict[str, dict[str, None]] = {}
    for resource in resources:
        for function, word in resource.gather().items():
            words.setdefault(function, {})[word] = None
    for function, each in words.items():
        yield " ".join((function, *map(quote, each)))


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
    """Cut an answer at the lines with the nonce, in one pass whatever stands there how often."""
    frames: dict[int, _Frame] = {}
    begun, start = -1, 0
    for mark in re.finditer(
        rf"^{nonce} (?:begin {_INDEX}|end {_INDEX} (\d{{1,3}}))$", stdout, re.MULTILINE
    ):
        if mark[1]:
            begun, start = int(mark[1]), mark.end() + 1
        elif int(mark[2]) == begun:  # each mark comes after a line end of ours
            frames[begun] = _Frame(int(mark[3]), stdout[start : max(start, mark.start() - 1)])
            begun = -1
    return frames


def _errors(stderr: str, nonce: str) -> Mapping[int, str]:
    parts = re.split(rf"^{nonce} begin {_INDEX}$", stderr, flags=re.MULTILINE)
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
            f"the state cannot be read: {detail[0][:_SHOWN]}",
            where=resource.id,
            remedy="Look at it on the host, then run again.",
        )
    try:
        return _sane(resource, frame.output)
    except (ValueError, LookupError, TypeError, ArithmeticError) as error:
        reason = str(error) if isinstance(error, ValueError) else "the answer makes no sense"
        raise ProbeError(
            reason[:_SHOWN], where=resource.id, remedy="Mend it on the host, then run again."
        ) from error


def _sane(resource: Resource, output: str) -> State | None:
    if len(output) > _MOST:
        raise ValueError(f"the probe's answer is longer than {_MOST >> 20} MiB")
    state = resource.actual(output)
    for value in state.values() if state else ():
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise ValueError("the answer makes no sense: a number without end")
    return state
