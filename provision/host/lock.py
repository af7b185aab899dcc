"""Who changes a host: one run at a time, which holds the host's lock and writes its journal."""

from __future__ import annotations

import getpass
import json
import os
import re
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from shlex import quote
from typing import Any, Final

from provision.errors import ConnectError, LockError
from provision.host.channel import Dialogue
from provision.host.connection import Connection
from provision.secret import redact
from provision.state.shell import framed, functions, nonce

_BEAT: Final = 15  # seconds between signs of life
SILENCE: Final = 90  # seconds without one after which the owner counts as gone
_PATIENCE: Final = 600  # seconds to wait for a step that a dead run left behind
_BRIEF: Final = 60  # seconds for the lock itself, on a host that is very slow
Say = Callable[[str, str], None]
"""Takes what is being done, and a detail or nothing."""
_LOST: Final = (OSError, EOFError)


def me() -> str:
    """Return who works here, as others shall read it: `anna@bastion`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run us as a number that nobody named
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


class Locks:
    """The locks of one run, on all its hosts. Thread-safe."""

    def __init__(self, what: str) -> None:
        """Name the run, and what it does: `inv provision`."""
        self.run = secrets.token_hex(8)
        self.what = what
        self._leases: set[Lease] = set()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="heart", daemon=True)

    def take(self, connection: Connection, say: Say) -> Lease:
        """Take a host's lock; `LockError` says who has it. Waits for steps of a run that died."""
        say("take the lock", "")
        owner = {"who": me(), "what": self.what}
        words = (self.run, owner["who"], json.dumps(owner), str(SILENCE), str(_PATIENCE))
        word = nonce()
        script = framed(
            f"{functions('lock', 'provision.host')}\n"
            f"lock_take {' '.join(map(quote, words))} {word} && lock_hold {self.run} {word}",
            talks=True,
        )
        talk = connection.dialogue(script, {"PROVISION_LOCK": self.run})
        try:
            lease = Lease(self.run, talk, word, _taken(connection, talk, word, say))
        except BaseException:
            talk.close()
            raise
        with self._lock:
            self._leases.add(lease)
            if not self._heart.is_alive() and not self._over.is_set():
                self._heart.start()
        return lease

    def end(self, lease: Lease, what_came: Mapping[str, Any], *, seen: bool = True) -> None:
        """Give a host back and leave in its journal what came of it.

        Where nobody has `seen` how the last step ended, the host keeps the lock while that runs.
        """
        with self._lock:
            self._leases.discard(lease)
        lease.end(what_came, seen=seen)

    def stop(self) -> None:
        """End what runs on all hosts, at once; their locks stay until they are given back."""
        for lease in self._open:
            lease.stop()

    def close(self) -> None:
        """End the signs of life."""
        self._over.set()

    @property
    def _open(self) -> list[Lease]:
        with self._lock:
            return list(self._leases)

    def _beat(self) -> None:
        while not self._over.wait(_BEAT):
            for lease in self._open:
                lease.beat()


class Lease:
    """One host's lock, as long as we have it. Any thread may call."""

    def __init__(self, run: str, talk: Dialogue, word: str, before: str) -> None:
        """Know the dialogue with the shell that holds the lock on the host."""
        self.run = run
        self.before = before
        """Which run had the host before, as `Facts.last_run`; empty where that may be at work yet."""
        self._talk = talk
        self._word = word
        self._lock = threading.Lock()

    @property
    def environment(self) -> Mapping[str, str]:
        """Return what marks a process on the host as one of this run's."""
        return {"PROVISION_RUN": self.run}

    @property
    def functions(self) -> str:
        """Return the sh functions that scripts under the lock need."""
        return functions("lock", "provision.host")

    def fence(self, word: str) -> str:
        """Return sh that ends a script where the lock is not ours any more; see `kept`."""
        return f"lock_serves {self.run} {word} || return 0\n"

    def guard(self, word: str) -> str:
        """Return a fence together with the functions that it needs."""
        return f"{self.functions}\n{self.fence(word)}"

    @staticmethod
    def kept(host: str, said: str, word: str) -> None:
        """Raise `LockError` where a fence has ended a script that `said` this."""
        lost = re.search(rf"^{word} (lost|left)(?: (.*))?$", said, re.MULTILINE)
        if lost:
            raise refusal(host, lost[1], lost[2] or "")

    def entry(self, event: Mapping[str, Any]) -> str:
        """Return a line of the journal but for its end, which the host writes."""
        return redact(json.dumps({"run": self.run, **event}))[:-1]

    def note(self, event: Mapping[str, Any]) -> None:
        """Write a line into the journal."""
        self._say(f"note {self.entry(event)}")

    def beat(self) -> None:
        """Give a sign of life."""
        self._say("beat")

    def stop(self) -> None:
        """End what the run runs on the host."""
        self._say("stop")

    def end(self, event: Mapping[str, Any], *, seen: bool) -> None:
        """Give the lock back, with a last line in the journal."""
        self._say(f"{'end' if seen else 'leave'} {self.entry({'event': 'end', **event})}")
        with suppress(*_LOST):
            while self._talk.hear(_BRIEF) != f"{self._word} ended":
                pass
        self._talk.close()

    def _say(self, line: str) -> None:
        """Send a line; a connection that was lost is noticed by who works on it."""
        with self._lock, suppress(*_LOST):
            self._talk.say(f"{line}\n")


def _taken(connection: Connection, talk: Dialogue, word: str, say: Say) -> str:
    """Wait until the lock is ours; return which run had it before."""
    while True:
        try:
            line = talk.hear(_BRIEF)
        except _LOST as error:
            raise ConnectError(
                f"the lock cannot be taken: {talk.complaint().strip() or error}",
                where=connection.where,
                remedy="Look at /var/lib/provision there (df -h), then run again.",
            ) from error
        got, _, rest = line.partition(" ")
        state, _, detail = rest.partition(" ")
        if got != word:
            continue
        if state == "taken":
            return detail
        if state == "wait":
            say(f"wait for a step that {owner_of(detail)['who']}'s run left behind", "")
        else:
            raise refusal(connection.host.name, state, detail)


def refusal(host: str, state: str, detail: str) -> LockError:
    """Return the error of a host that somebody else has, in one of the states that `lock.sh` knows."""
    if state == "left" or (state == "lost" and not detail):
        return LockError(
            "the lock is not ours any more: its session on the host ended, or somebody unlocked it",
            where=host,
            remedy=f"Look at: inv history --host {host}; then run again.",
        )
    owner = owner_of(detail)
    who, since = owner["who"], owner["since"]
    what = {
        "held": f"{who} is at work there since {since}: {owner['what']}",
        "manual": f"locked by {who} since {since}: {owner['why']}",
        "step": f"a step of {who}'s run, which ended early, still runs",
        "detached": f"a download that {who} left there goes on, and keeps the host",
        "lost": f"the lock is not ours any more, but {who}'s since {since}: {owner['what']}",
    }.get(state, "several runs want the lock at once")
    return LockError(
        what,
        where=host,
        remedy=f"Wait for it to end; or take it away: inv unlock --host {host} --why 'reason'.",
    )


def owner_of(detail: str) -> dict[str, str]:
    """Read who has a lock; what a host does not say, or says wrongly, is unknown."""
    try:
        data = json.loads(detail)
    except ValueError:
        data = {}
    known = data if isinstance(data, dict) else {}
    return {key: str(known.get(key, "unknown")) for key in ("who", "since", "what", "why")}
