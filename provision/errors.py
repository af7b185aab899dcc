"""Every error an operator can meet: what happened, where, and what to do next."""

from __future__ import annotations


class ProvisionError(Exception):
    """An expected failure, printed as one line `where: what. remedy` and never as a traceback."""

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        """Name the failure (`what`), the place (file:line, host or command) and the next step."""
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        """Return the one line an operator reads."""
        head = f"{self.where}: {self.what}" if self.where else self.what
        if not self.remedy:
            return head
        return f"{head.rstrip('.')}. {self.remedy}"


class UsageError(ProvisionError):
    """A command line that asks for something that does not exist or makes no sense."""


class SecretError(ProvisionError):
    """A secret reference that cannot be resolved."""


class InventoryError(ProvisionError):
    """An inventory that cannot be read or does not say what it must."""


class RoleError(ProvisionError):
    """A role that does not load or yields resources that contradict each other."""


class TemplateError(ProvisionError):
    """A template that does not render."""


class ConnectError(ProvisionError):
    """A host that cannot be reached, trusted, logged in to or made root on."""


class FactsError(ProvisionError):
    """A host whose facts cannot be read or forbid going on."""


class ProbeError(ProvisionError):
    """A state that cannot be read: never the same as a state that is absent."""


class PlanError(ProvisionError):
    """A plan that cannot be made or no longer holds."""


class LockError(ProvisionError):
    """A host that somebody else has."""

    done: tuple[str, ...] = ()
    """Ids of what was changed under the lock before it was lost."""


class ApplyError(ProvisionError):
    """A change that did not lead to the expected state."""


class HubError(ProvisionError):
    """A model hub that does not answer, or whose answer cannot be trusted or used."""


class ServiceError(ProvisionError):
    """A service that cannot run as it is asked for, or does not answer as it must."""


class LabError(ProvisionError):
    """A lab that cannot be built, started or reached."""


def unexpected(error: Exception) -> str:
    """Return the line for an error that nobody foresaw: it is ours to mend."""
    return f"unexpected {type(error).__name__}: {error}. Run again with --debug and report it."


def of_host(host: str, text: str) -> str:
    """Say the host first, once."""
    return text if text.startswith((f"{host}:", f"{host} ")) else f"{host}: {text}"


def nearest(name: str, known: list[str] | tuple[str, ...] | set[str] | frozenset[str]) -> str:
    """Return `Did you mean 'x'?` or the list of what is known, for a misspelt `name`."""
    from difflib import get_close_matches  # noqa: PLC0415  only a typo pays for it

    match = get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    if match:
        return f"Did you mean '{match[0]}'?"
    return f"Known: {', '.join(sorted(known)) or 'none'}."
