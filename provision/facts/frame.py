"""One POSIX sh script whose sections keep out of each other's way, and its answer cut into them again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from shlex import quote
from typing import Final, Literal, NamedTuple

_LAST: Final = (
    "\ntrue"  # a section fails by its time-out alone, and its sh is never replaced by a command
)
_MOST_BYTES: Final = 400_000  # of one section's answer
TIMED_OUT: Final = frozenset({124, 137, 143})
"""Statuses of `timeout`; the last one is busybox's."""
_TOO_LONG: Final = 141
_MARK_LENGTH: Final = 9
_MAIN: Final = r"""provision_main() {{
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
nl='
'
part() {{
eval "text=\$text_$1"
got=$({{ timeout -k 1 {timeout} sh -c "$text" </dev/null 2>/dev/null
printf '\n%s %d\n\n' {mark} $?; }} | sed '/^{mark} /q' | head -c {most})
${{2:-:}}
case $got in *"$nl{mark} "*) ;; *) got=$got$nl'{mark} {too_long}' ;; esac
printf '%s\n%s %s %s\n' "${{got%"$nl{mark} "*}}" '{nonce}' "$1" "${{got##*"$nl{mark} "}}"
}}
line=
{parts}
eval "$line"
}}
provision_main </dev/null
"""
_BRIEF: Final = "brief"
"""The part in which all brief sections run."""
_UNPRINTABLE: Final = re.compile(
    r"[^\n\t\x20-\x7e\u00a0-\u2027\u202f-\u2065\u2070-\ud7ff\ue000-\U0010ffff]"
)
_NUMBER: Final = re.compile(r"[0-9]{100}")  # no float holds it, and no host has as much of anything


class Section(NamedTuple):
    """What is asked of a host, in POSIX sh."""

    text: str
    when: str = ""
    """A condition, in sh; where it does not hold the answer is empty, and no process is started."""
    takes: Literal["nothing", "little", "time"] = "time"
    """`nothing`: the shell does it by itself, so that no time-out is needed; `little`: it shares its
    processes and its time-out with others of the kind, and what comes after one that hangs is lost
    with it; `time`: it has those for itself."""


class Answer(NamedTuple):
    """What a script said, by section, and why the others are missing."""

    texts: Mapping[str, str]
    unknown: Mapping[str, str]


def script(nonce: str, sections: Mapping[str, Section], timeout: int) -> str:
    """Return sh that reads all sections; `timeout` is in seconds, for each that takes time.

    Those that take nothing come first. The others run at once, those that take little as one. Each
    is a stage of one pipeline: it keeps its own answer until what came before has passed.
    So the answer has the order of the sections and needs no file. The reader of a section leaves
    at its mark and not at its end, since a process that hangs in the kernel, as nvidia-smi does
    on a dead GPU, survives every signal and never closes its output. The mark is seen in the list
    of processes, so it is only a part of the nonce.
    """
    mark = nonce[:_MARK_LENGTH]
    brief = [
        f"{_guarded(section)} 2>/dev/null\nprintf '\\n%s\\n' '{mark}:{name}'"
        for name, section in sections.items()
        if section.takes == "little"
    ]
    others = {name: section for name, section in sections.items() if section.takes == "time"}
    if brief:
        others = {_BRIEF: Section("\n".join(brief)), **others}
    direct = [
        f"{_guarded(section)} 2>/dev/null\n{_empty(name, nonce)}"
        for name, section in sections.items()
        if section.takes == "nothing"
    ]
    return _MAIN.format(
        parts="\n".join(
            [*direct, *(_part(name, section, nonce) for name, section in others.items())]
        ),
        nonce=nonce,
        mark=mark,
        timeout=timeout,
        most=_MOST_BYTES,
        too_long=_TOO_LONG,
    )


def _guarded(section: Section) -> str:
    """Return sh that runs a section where its condition holds."""
    return f"if {section.when or ':'}; then\n{section.text}\nfi"


def _part(name: str, section: Section, nonce: str) -> str:
    """Return sh that adds a stage to the pipeline, or says at once that a section is empty.

    The first stage has nothing to hand on.
    """
    start = f'text_{name}={quote(section.text + _LAST)}\nline="${{line:+$line | }}part {name}${{line:+ cat}}"'
    if not section.when:
        return start
    return f"if {section.when}; then\n{start}\nelse {_empty(name, nonce)}; fi"


def _empty(name: str, nonce: str) -> str:
    """Return sh that ends a section with what was said so far."""
    return f"printf '\\n%s\\n' '{nonce} {name} 0'"


def split(output: str, nonce: str, names: Iterable[str], timeout: int) -> Answer:
    """Return the clean text of each section that ended well."""
    texts: dict[str, str] = {}
    lost = "the answer of the host ended before it"
    unknown = dict.fromkeys(names, "")

    def told(name: str, start: int, end: int, status: int) -> None:
        if name in unknown:
            unknown[name] = _why(status, timeout) if status else _absurd(output, start, end)
            if not unknown[name]:
                texts[name] = clean(output[start:end]).strip()
                del unknown[name]

    start = 0
    for mark in re.finditer(rf"\n{re.escape(nonce)} (\w+) (\d{{1,3}})\n", output):
        if mark[1] == _BRIEF:
            brief = re.compile(rf"\n{re.escape(nonce[:_MARK_LENGTH])}:(\w+)\n")
            for end in brief.finditer(output, start, mark.start() + 1):
                told(end[1], start, end.start(), 0)
                start = end.end()
            if status := int(mark[2]):
                lost = _why(status, timeout)  # whose turn it was, and those behind it
        else:
            told(mark[1], start, mark.start(), int(mark[2]))
        start = mark.end()
    return Answer(texts, {name: why or lost for name, why in unknown.items()})


def clean(text: str) -> str:
    """Return a text without the characters that a terminal would obey."""
    return _UNPRINTABLE.sub("", text)


def _absurd(output: str, start: int, end: int) -> str:
    """Say why a section's answer is none that our own script lets through."""
    if end - start > _MOST_BYTES:
        return _why(_TOO_LONG, 0)
    return "its answer has a number without end" if _NUMBER.search(output, start, end) else ""


def _why(status: int, timeout: int) -> str:
    if status in TIMED_OUT:
        return f"no answer within {timeout} s"
    if status == _TOO_LONG:
        return f"its answer is longer than {_MOST_BYTES // 1000} kB"
    return f"its commands ended with status {status}"
