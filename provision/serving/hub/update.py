"""How a lock follows an inventory: what is listed anew, what stays, what goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from functools import partial
from typing import Final, Literal

from provision.errors import HubError, ProvisionError
from provision.serving.hub import hubs
from provision.serving.hub.config import read_config
from provision.serving.hub.listing import Listing
from provision.serving.hub.lock import Entry, Lock
from provision.serving.hub.wanted import Hub, Model, Source, Wanted

_AT_ONCE: Final = 8


class Change(Model):
    """What became of one model of a lock."""

    key: str
    """Source, id and revision of the model."""
    action: Literal["added", "upgraded", "removed", "unchanged", "failed"]
    """What was done; a model that failed keeps the entry that it had."""
    old: str = ""
    """The revision before."""
    new: str = ""
    """The revision now."""
    size_bytes: int = 0
    """The bytes that a host without the new files has to get."""
    error: str = ""
    """Why it failed, as an operator reads it."""


def update(
    lock: Lock,
    wanted: Iterable[Wanted],
    hubs_by_source: Mapping[Source, Hub],
    *,
    upgrade: bool = False,
    tell: Callable[[str, int, int], None] | None = None,
) -> tuple[Lock, list[Change]]:
    """Return the lock that `wanted` needs, and one change a model, sorted by key.

    Without `upgrade` only models that are not in the lock are listed. A model that fails is a
    change like any other, so that the others are not lost: write the lock, then let `check` raise.
    `tell` gets (key, done, total) bytes, from other threads, while a controller's folder is read.
    """
    wishes = {wish.key: wish for wish in wanted}
    due = [wish for key, wish in sorted(wishes.items()) if upgrade or key not in lock.entries]
    day = datetime.now(UTC).date()
    with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="hub") as pool:
        answers = list(pool.map(lambda wish: _ask(wish, hubs_by_source, day, tell), due))
    entries = {key: entry for key, entry in lock.entries.items() if key in wishes}
    changes = {key: _gone(entry) for key, entry in lock.entries.items() if key not in wishes}
    changes |= {key: _kept(entry) for key, entry in entries.items()}
    for wish, answer in zip(due, answers, strict=True):
        change = _compared(wish.key, lock.entries.get(wish.key), answer)
        changes[wish.key] = change
        if isinstance(answer, Entry) and change.action != "unchanged":
            entries[wish.key] = answer
    return Lock(entries=entries), [change for _, change in sorted(changes.items())]


def check(changes: Iterable[Change]) -> None:
    """Raise one `HubError` that names every model that failed."""
    errors = [change.error for change in changes if change.action == "failed"]
    if errors:
        raise HubError("\n".join(errors))


def _ask(
    wish: Wanted,
    hubs_by_source: Mapping[Source, Hub],
    day: date,
    tell: Callable[[str, int, int], None] | None,
) -> Entry | ProvisionError:
    hub = hubs_by_source.get(wish.source, Hub())
    try:
        listing = hubs.list_files(wish, hub, partial(tell, wish.key) if tell else None)
        config = read_config(listing, hub, wish.path)
        reached = hubs.endpoint(wish.source, hub)
        return Entry(listing=listing, listed_at=day, endpoint=reached, config=config)
    except ProvisionError as error:  # a secret that cannot be read is one, too
        return error


def _compared(key: str, old: Entry | None, answer: Entry | ProvisionError) -> Change:
    if isinstance(answer, ProvisionError):
        text = str(answer)
        before = old.listing.revision if old else ""
        named = text if text.startswith(key) else f"{key}: {text}"
        return Change(key=key, action="failed", old=before, new=before, error=named)
    new = answer.listing
    if old is None:
        return Change(key=key, action="added", new=new.revision, size_bytes=new.size_bytes)
    if old.listing == new:
        return _kept(old)
    return Change(
        key=key,
        action="upgraded",
        old=old.listing.revision,
        new=new.revision,
        size_bytes=_differing(old.listing, new),
    )


def _differing(old: Listing, new: Listing) -> int:
    had = {(file.path, file.digest) for file in old.files}
    return sum(file.size_bytes for file in new.files if (file.path, file.digest) not in had)


def _kept(entry: Entry) -> Change:
    revision = entry.listing.revision
    return Change(key=entry.listing.key, action="unchanged", old=revision, new=revision)


def _gone(entry: Entry) -> Change:
    return Change(key=entry.listing.key, action="removed", old=entry.listing.revision)
