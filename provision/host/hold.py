"""A host's lock and journal as an operator handles them: looked at, taken by hand, taken away."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from shlex import quote
from typing import Any, Final, NamedTuple

from provision.errors import LockError
from provision.host.channel import Result
from provision.host.connection import Connection
from provision.host.lock import SILENCE, me, owner_of, refusal
from provision.state.shell import framed, functions, nonce

_BRIEF: Final = 60  # seconds
_MOST_BYTES: Final = 4 << 20  # of a journal that are read


class Hold(NamedTuple):
    """Who has a host."""

    state: str
    """free, held (a run is at work), manual (locked by hand), step or detached (left by a run that
    has ended), dead (its run was proven gone)."""
    who: str = ""
    since: str = ""
    what: str = ""
    """What the run does, or why somebody locked it."""


def hold_of(connection: Connection) -> Hold:
    """Return who has the host."""
    state, detail = _asked(connection, "lock_show")
    return _hold(state, detail)


def take_by_hand(connection: Connection, why: str) -> None:
    """Lock the host until somebody unlocks it; `LockError` says who has it."""
    owner = json.dumps({"who": me(), "what": "inv lock", "why": why})
    words = map(quote, (secrets.token_hex(8), me(), owner, str(SILENCE)))
    state, detail = _asked(connection, f"lock_by_hand {' '.join(words)}")
    if state != "taken":
        raise refusal(connection.host.name, state, detail)


def take_away(connection: Connection, why: str) -> Hold:
    """Take the lock away from whoever has it, and return who that was."""
    owner = json.dumps({"who": me(), "what": "inv unlock", "why": why})
    state, detail = _asked(connection, f"lock_away {quote(owner)}")
    if state not in {"freed", "free"}:
        raise refusal(connection.host.name, state, detail)
    return _hold(state, detail)


def history(connection: Connection) -> list[dict[str, Any]]:
    """Return the lines of the host's journal, the oldest first; a damaged line is left out."""
    journal = "/var/lib/provision/journal.jsonl"
    script = f"cat {journal}.1 {journal} 2>/dev/null | tail -c {_MOST_BYTES}"
    return list(_events(connection.run(framed(script), timeout=_BRIEF)))


def _events(result: Result) -> Iterator[dict[str, Any]]:
    for line in result.stdout.splitlines():
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict):
            yield event


def _asked(connection: Connection, call: str) -> tuple[str, str]:
    """Call a function of `lock.sh`; return the state and what it said beside it."""
    word = nonce()
    script = framed(f"{functions('lock', 'provision.host')}\n{call} {word}")
    result = connection.run(script, timeout=_BRIEF)
    for line in result.stdout.splitlines():
        got, _, rest = line.partition(" ")
        if got == word:
            state, _, detail = rest.partition(" ")
            return state, detail
    raise LockError(
        f"the lock cannot be read: {result.stderr.strip() or result.status}",
        where=connection.where,
        remedy="Look at /var/lib/provision there (df -h), then run again.",
    )


def _hold(state: str, detail: str) -> Hold:
    if not detail:
        return Hold(state)
    owner = owner_of(detail)
    what = owner["why"] if state == "manual" else owner["what"]
    return Hold(state, owner["who"], owner["since"], what)
