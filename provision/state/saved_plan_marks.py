"""Marks: salted digests by which a saved plan knows a value again without holding it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from provision.errors import PlanError, SecretError
from provision.inventory.schema import Host
from provision.secret import Secret
from provision.state.resource import Resource, State

Marked = Mapping[str, str] | None
"""A state with a mark in place of each value; `None` for absent."""
_COST: Final = {"n": 1 << 14, "r": 8, "p": 1}  # 16 MiB and some 50 ms a guess
_BYTES: Final = 16
_LONG: Final = 4  # characters
_UNREADABLE: Final = "unreadable"
_WAY_IN: Final = "ssh.sudo_password"
"""The one setting that no plan is made from; the operator may be asked for it, or not."""


class Marks:
    """Makes marks under one salt; a value that holds a secret is slow to guess from its mark."""

    def __init__(self, salt: str) -> None:
        """Take the salt of a plan's file, in hexadecimal."""
        self._salt = bytes.fromhex(salt)
        self._slow: dict[str, str] = {}
        self._read: dict[str, str | None] = {}

    def of(self, value: object, *, secrets: Iterable[str] = (), secret: bool = False) -> str:
        """Return the mark of a value, which is or holds a secret, or none of `secrets`."""
        text = canonical(value)
        inner = str(value)
        if secret or any(word in inner for word in secrets):
            return self._guarded(text)
        return hashlib.blake2b(text.encode(), key=self._salt, digest_size=_BYTES).hexdigest()

    def state(self, resource: Resource, state: State | None, secrets: Iterable[str]) -> Marked:
        """Return the marks of what counts in a state: all but the brackets that nobody expects."""
        if state is None:
            return None
        expected = resource.expected() or {}
        return {
            key: self.of(value, secrets=secrets, secret=key in resource.secret)
            for key, value in sorted(state.items())
            if key in expected or not key.startswith("(")
        }

    def settings(self, host: Host) -> dict[str, str]:
        """Return the mark of each setting of a host, by its dotted name."""
        secrets = self.secrets(host)
        return {
            name: self._of_secret(value)
            if isinstance(value, Secret)
            else self.of(value, secrets=secrets)
            for name, value in settings(host)
            if name != _WAY_IN
        }

    def secrets(self, host: Host) -> frozenset[str]:
        """Return the values of the host's secrets, as far as they can be read here.

        Shorter ones than anybody would choose stand in half of all texts by chance.
        """
        found = [item for _, item in settings(host) if isinstance(item, Secret)]
        values = [self._value(item) for item in found if not item.reference.startswith("ask:")]
        return frozenset(value for value in values if value and len(value) >= _LONG)

    def _of_secret(self, secret: Secret) -> str:
        value = self._value(secret)
        if value is None:  # this plan may not need it; with a value it is another one
            return self.of([_UNREADABLE, secret.reference])
        return self._guarded(canonical(value))

    def _value(self, secret: Secret) -> str | None:
        """Read a secret once a run: it may be a command that asks."""
        if secret.reference not in self._read:
            try:
                self._read[secret.reference] = secret.reveal()
            except SecretError:
                self._read[secret.reference] = None
        return self._read[secret.reference]

    def _guarded(self, text: str) -> str:
        if text not in self._slow:
            made = hashlib.scrypt(text.encode(), salt=self._salt, dklen=_BYTES, **_COST)
            self._slow[text] = made.hex()
        return self._slow[text]


def settings(host: Host) -> Iterator[tuple[str, Any]]:
    """Yield every setting of a host with its dotted name, variables under their role's name."""
    yield from (("roles", host.roles), ("groups", host.groups))
    for name in type(host).model_fields:
        if name not in {"name", "roles", "groups", "variables"}:
            yield from _leaves(name, getattr(host, name))
    for role, variables in host.variables.items():
        yield from _leaves(role, variables)


def digest_of_tree(folder: Path, *, without: Iterable[str] = ()) -> str:
    """Return the digest of the files below a folder, by path and content; empty for no folder.

    What Python compiles, and the folders `without`, do not count.
    """
    skipped = {"__pycache__", *without}
    digest = hashlib.sha256()
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and skipped.isdisjoint(path.relative_to(folder).parts)
    ]
    for path in files:
        content = hashlib.sha256(_bytes(path)).hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return digest.hexdigest() if files else ""


def canonical(value: object) -> str:
    """Return the one JSON text of a value."""
    plain = to_jsonable_python(value, fallback=str)
    return json.dumps(plain, sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what has no settings below it; an empty collection is as good as none."""
    if isinstance(value, BaseModel):
        below = {field: getattr(value, field) for field in type(value).model_fields}
    elif isinstance(value, Mapping):
        below = {str(key): item for key, item in value.items()}
    elif isinstance(value, AbstractSet):
        below = {str(at): item for at, item in enumerate(sorted(value, key=repr))}
    elif isinstance(value, list | tuple):
        below = {str(at): item for at, item in enumerate(value)}
    else:
        yield name, value
        return
    for key, item in below.items():
        yield from _leaves(f"{name}.{key}", item)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise PlanError(reason, where=str(path), remedy="Check its permissions.") from error
