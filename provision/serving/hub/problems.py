"""What can go wrong with a hub, and what an operator then does: one error for each."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from provision.errors import HubError

_DISK: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EISDIR}
)
_SHOWN: Final = 5
# First match wins: a proxy that refuses is a proxy's trouble.
_REASONS: Final = (
    (("proxyerror", "connect to proxy"), "the proxy does not let us through"),
    (("certificate", "ssl"), "its TLS certificate is not trusted"),
    (
        ("name or service", "resolve", "getaddrinfo", "temporary failure in name", "nodename"),
        "its name is not known here (DNS)",
    ),
    (("timed out", "timeout"), "no answer in time"),
    (("refused",), "connection refused"),
    (("reset", "disconnected", "broken pipe", "incomplete"), "the connection broke"),
)
_MIRRORS: Final = {"huggingface": ", such as https://hf-mirror.com"}


class UnreachableError(HubError):
    """A hub that did not answer now; what was fetched so far can be resumed."""


@dataclass(frozen=True)
class Asked:
    """What was asked of which hub, to speak of it in errors."""

    key: str
    source: str
    endpoint: str
    has_token: bool

    def denied(self, *, gated: bool = False) -> HubError:
        """Return the error of a model that we may not read."""
        setting = f"models.{self.source}.token"
        page = f" at {self.endpoint}/{self.key.split(':')[1].partition('@')[0]}"
        terms = f"Accept the model's terms{page} first. " if gated else ""
        what = "the token may not read this model" if self.has_token else "it needs a token"
        remedy = f"Check {setting}." if self.has_token else f"Set {setting}: env:NAME."
        return self._error("the model is gated" if gated else what, terms + remedy)

    def absent(self) -> HubError:
        """Return the error of a model that the hub does not have."""
        private = "" if self.has_token else f" A private one needs models.{self.source}.token."
        return self._error(
            f"{self.endpoint} has no such model", f"Check its id, letter by letter.{private}"
        )

    def no_revision(self, revision: str, known: Iterable[str]) -> HubError:
        """Return the error of a revision that the model does not have."""
        names = sorted(known)
        close = get_close_matches(revision, names, n=1, cutoff=0.6)
        more = ", …" if len(names) > _SHOWN else ""
        listed = f"Known: {', '.join(names[:_SHOWN])}{more}." if names else "Drop revision."
        return self._error(
            f"the model has no revision '{revision}'",
            f"Did you mean '{close[0]}'?" if close else listed,
        )

    def busy(self) -> HubError:
        """Return the error of a hub that has had enough of us."""
        token = "" if self.has_token else f", or set models.{self.source}.token for a larger share"
        return self._error(f"{self.endpoint} limits our requests", f"Wait a few minutes{token}.")

    def unwell(self, status: int | None) -> HubError:
        """Return the error of a hub that answers with a failure of its own."""
        return self._error(f"{self.endpoint} answers with HTTP {status}", "Try again later.")

    def offline(self) -> HubError:
        """Return the error of a library that was told to stay offline."""
        return self._error("HF_HUB_OFFLINE forbids to ask", "Run `unset HF_HUB_OFFLINE`.")

    def junk(self) -> HubError:
        """Return the error of an answer that no hub gives."""
        return self._error(
            f"what answers at {self.endpoint} is no hub of this kind",
            f"Check models.{self.source}.endpoint and whether a proxy or a login page is between.",
        )

    def unreachable(self, error: BaseException) -> HubError:
        """Return the error of a hub that cannot be reached, with the cause in words."""
        mirror = _MIRRORS.get(self.source, "")
        return UnreachableError(
            f"{self.endpoint} cannot be reached: {_reason(error)}",
            where=self.key,
            remedy=f"Check the network and HTTPS_PROXY, or set models.{self.source}.endpoint"
            f"{mirror}.",
        )

    def disk(self, error: OSError) -> HubError:
        """Return the error of a disk on the controller that does not take the files."""
        return self._error(
            f"cannot write {error.filename or 'the files'}: {error.strerror}",
            "Make room, or choose another folder.",
        )

    def by_status(self, status: int | None) -> HubError:
        """Return the error that an HTTP status stands for."""
        if status in {401, 403}:
            return self.denied()
        if status == 404:  # noqa: PLR2004  not found
            return self.absent()
        return self.busy() if status == 429 else self.unwell(status)  # noqa: PLR2004  too many

    def _error(self, what: str, remedy: str) -> HubError:
        return HubError(what, where=self.key, remedy=remedy)


def is_disk(error: BaseException) -> bool:
    """Say whether the disk, not the network, is to blame."""
    return isinstance(error, OSError) and error.errno in _DISK


def _reason(error: BaseException) -> str:
    text = " ".join(f"{type(link).__name__} {link}" for link in _chain(error)).lower()
    for signs, reason in _REASONS:
        if any(sign in text for sign in signs):
            return reason
    return "the connection failed"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        error = error.__cause__ or error.__context__
