"""The contract of one piece of host state: how it is probed, judged and changed.

Nothing here touches a host: probes and commands are text, and somebody else carries them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from shlex import quote
from typing import ClassVar, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from provision.secret import Secret

State = Mapping[str, str | int | bool]
"""Flat facts about a resource; `None` in place of a State means that it is absent."""


NOTES: Final = "/var/lib/provision/pending"
"""Folder on the host with a note for each handler that is due."""
DUE: Final = "restart_pending"
"""State key of a resource whose handler a run left undone."""


def note_of(handler: str) -> str:
    """Return the path of the note that a handler is due."""
    return f"{NOTES}/{handler}"


class Room(NamedTuple):
    """Disk space that a change takes."""

    device: str
    """The file system, by its mount point."""
    free_bytes: int
    needed_bytes: int


class Bulk(BaseModel):
    """Files that a host shares with others, or needs: the same content, whatever their folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    """What they are, the same on every host: `Qwen/Qwen3-0.6B@1a2b3c`."""
    folder: str
    """Where they lie on the host, or shall lie."""
    files: tuple[tuple[str, int], ...]
    """Path below the folder and size in bytes of each; paths are plain and never leave it."""

    @property
    def size_bytes(self) -> int:
        """Return the size of all files."""
        return sum(size for _, size in self.files)


class Transfer(BaseModel):
    """How a step brings bulk data to a host: from the controller, or from another host."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    way: Literal["push", "peer"]
    bulk: Bulk
    """What is brought, and into which folder; files that are there in full are left."""
    origin: str = ""
    """For `push`: the folder on the controller."""
    running: bool = False
    """For `peer`: the host downloads it already, so that the others wait for this one."""


class Calls(BaseModel):
    """Services that are to answer real calls."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str
    """Folder on the host with the releases."""
    release: str
    """Folder of the release they run from; empty: each that which it was validated in."""
    services: tuple[str, ...]


class Command(BaseModel):
    """One step that changes a host: POSIX sh, run by root, with `prelude.sh` at hand."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    """What the step does, in the imperative: `install docker-ce`."""
    script: str
    """The sh text. It fails by its exit status and runs under `set -e`."""
    shown: str = ""
    """What `--show-commands` prints instead of the script, where that is long or secret."""
    timeout: int = 300
    """Seconds without an end after which the step counts as failed."""
    secrets: tuple[tuple[str, Secret], ...] = ()
    """Shell variables that the script finds set; revealed when it runs, and never in an argv."""
    detached: bool = False
    """Goes on on the host when the connection is lost, for days if need be; the next run joins it."""
    offers: Bulk | None = None
    """What other hosts of the run may copy from this one once the step has ended well."""
    transfer: Transfer | None = None
    """Bulk data that is brought instead of running the script; where no peer has it, the script
    runs and fetches it from elsewhere."""
    calls: Calls | None = None
    """Services that are called instead of running the script; an answer that is wrong fails."""
    rescue: tuple[Command, ...] = ()
    """What brings back what was there before, when this step fails."""


class Handler(BaseModel):
    """A command that belongs to a resource and runs once, after every change that notified it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    resource: str
    """Id of the resource; a handler of a resource that is not active yet has nothing to do."""
    verb: str
    command: Command
    fear: str = ""
    """Why an operator would want to know before: `restarts Docker`."""

    @property
    def id(self) -> str:
        """Return `kind:name:verb`, by which the handler is known on a host."""
        return f"{self.resource}:{self.verb}"

    @property
    def reminder(self) -> Command:
        """Return the command that notes on the host that the handler is due.

        The handler's resource reads the note as state (`DUE`), and its command removes it.
        """
        note = quote(note_of(self.id))
        script = f"mkdir -p {NOTES} && : >{note} && sync -- {NOTES}"
        return Command(title=f"note: {self.command.title}", script=script)

    @property
    def forget(self) -> Command:
        """Return the command that takes the note back."""
        script = f"rm -f -- {quote(note_of(self.id))}"
        return Command(title=f"forget: {self.command.title}", script=script)


class Difference(NamedTuple):
    """One resource that is not as expected: its actual state and the names of what differs."""

    resource: Resource
    actual: State | None
    changed: frozenset[str]


class Resource(BaseModel):
    """One piece of host state, described by four pure methods."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str]

    name: str
    notify: tuple[Handler, ...] = ()
    """Handlers that run when this resource was changed."""
    after: tuple[str, ...] = ()
    """Ids whose change may change this resource too: then its row says `may change`."""

    @property
    def id(self) -> str:
        """Return `kind:name`."""
        return f"{self.kind}:{self.name}"

    def probe(self) -> str:
        """Return read-only sh: exit 0 present, 1 absent, anything else is an error."""
        raise NotImplementedError

    def gather(self) -> Mapping[str, str]:
        """Return functions of the prelude, each with the word that the probe wants it to be told.

        They are called once before all probes, with the words of all resources: one process may find
        out for many what each would start one of its own for. A probe that has them called is itself
        a call of a function that leaves the shell as it was.
        """
        return {}

    def actual(self, output: str) -> State | None:
        """Parse what the probe printed (exit status 0); `ValueError` when it makes no sense."""
        raise NotImplementedError

    def expected(self) -> State | None:
        """Return the wanted state; only its keys are compared."""
        raise NotImplementedError

    def apply(self, actual: State | None, changed: frozenset[str]) -> list[Command]:
        """Return the commands that lead from `actual` to the expected state."""
        raise NotImplementedError

    def fears(self, actual: State | None, changed: frozenset[str]) -> tuple[str, ...]:
        """Say what an operator would fear about this change; mostly nothing."""
        del actual, changed
        return ()

    def disturbs(self, changed: frozenset[str]) -> str:
        """Say what a change does that can harm running containers: `restarts Docker`."""
        del changed
        return ""

    def is_there(self, actual: State | None) -> bool:
        """Say whether the resource exists, rightly or not; one that does not is created."""
        return actual is not None

    def note(self, actual: State | None, changed: frozenset[str]) -> str:
        """Say what a change means where the differing values do not: `15 GB to download`."""
        del actual, changed
        return ""

    def room(self, actual: State | None, changed: frozenset[str]) -> Room | None:
        """Return the disk space that a change takes, where that is worth a check beforehand."""
        del actual, changed
        return None

    def audit(self) -> Command | None:
        """Return a command that fails when what looks right to the probe is not, after all."""
        return None

    def shares(self) -> Bulk | None:
        """Return what other hosts may copy from one on which this resource is as expected."""
        return None

    @property
    def secret(self) -> frozenset[str]:
        """Name the state keys whose values are never shown."""
        return frozenset()

    @classmethod
    def apply_together(cls, differences: Sequence[Difference]) -> list[Command]:
        """Return the commands for neighbours of one kind; a kind may do better than one by one."""
        return [
            command
            for resource, actual, changed in differences
            for command in resource.apply(actual, changed)
        ]

    def joins(self, other: Resource) -> bool:
        """Say whether `other`, of the same id but another role, does not contradict this one.

        It is listed and changed with the first role only, so it must notify the same handlers.
        """
        return self.model_copy(update={"after": ()}) == other.model_copy(update={"after": ()})


def diff(actual: State | None, expected: State | None) -> frozenset[str]:
    """Return the names of what differs; `present` when one of the two does not exist."""
    if actual is None or expected is None:
        return frozenset() if actual is expected else frozenset({"present"})
    return frozenset(key for key, value in expected.items() if not _same(actual.get(key), value))


def _same(actual: object, expected: object) -> bool:
    """Compare as JSON does: Python takes `true` for 1."""
    return actual == expected and isinstance(actual, bool) is isinstance(expected, bool)
