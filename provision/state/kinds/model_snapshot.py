"""The model snapshot: all files of a model at one revision, in one plain folder, each checked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict

from provision.secret import Secret
from provision.state.kinds.model_folders import staging_of, unit_of
from provision.state.kinds.paths import AbsolutePath
from provision.state.resource import Bulk, Command, Resource, Room, State, Transfer
from provision.state.shell import literal, quote
from provision.state.sizes import human_size

JOBS: Final = "/var/lib/provision/models"
"""Folder on the host of what a detached worker is told and says."""
_WEEK: Final = 7 * 24 * 3600  # seconds; a worker that gets nothing ends itself much earlier
_DAY: Final = 24 * 3600  # seconds
# The worker tries again after anything but what no second try mends, in the clients' words.
_HOPELESS: Final = r"\[(401|403|404)\]|No space left on device|CERTIFICATE_VERIFY_FAILED"
_PATIENCE: Final = 60  # seconds without a byte, or one round of the client's own tries if longer


class ModelFile(BaseModel):
    """One file of a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    """Below the folder; plain, as the listing checked it."""
    size: int
    """Bytes."""
    digest: str
    """`sha256:…`, or `git-sha1:…` (the id as a git blob)."""


class HubClient(BaseModel):
    """How a host downloads: the hub's official client in an environment of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hub: Literal["modelscope", "huggingface"]
    venv: str
    """Folder of the client's virtual environment."""
    endpoint: str
    revision: str
    """What the client is to ask for."""
    workers: int = 4
    """Files fetched at once."""
    token: Secret | None = None
    environment: Mapping[str, str] = {}
    """More variables, such as proxies."""


class ModelSnapshot(Resource):
    """`name` is `<org>/<name>@<revision>`; its files lie in `folder` and nothing else does."""

    kind: ClassVar[str] = "model_snapshot"

    folder: AbsolutePath
    model: str
    """Organisation and name on the hub."""
    files: tuple[ModelFile, ...]
    look_in: tuple[AbsolutePath, ...] = ()
    """Folders below which the model may lie already, downloaded by hand or at another revision."""
    client: HubClient | None = None
    """None: the host does not download by itself."""
    peers: bool = False
    """Copy from another host of the run that has it, where there is one."""
    push: str = ""
    """Folder on the controller to send it from."""

    def probe(self) -> str:
        """Ask for what the manifest vouches for, what is missing, and the room on the disk."""
        org, name = self.model.split("/")
        places = [self.folder, staging_of(self.folder), org, name, "\n".join(self.look_in)]
        arguments = [self._content, unit_of(self.folder), *places]
        wanted = "\n".join(f"{file.size} {file.path}" for file in self.files)
        return (
            f"{_text('model_probe.sh')}\n"
            f"printf '%s\\n' {quote(wanted)} | model_probe {' '.join(map(quote, arguments))}"
        )

    def actual(self, output: str) -> State | None:
        """Parse it; keys in brackets are judged but not shown."""
        said = dict(line.partition(" ")[::2] for line in output.splitlines() if line)
        lacking = {"content"} - said.keys()
        if said.get("content") != self._content:
            lacking = {"content", "missing", "room", "free", "device"} - said.keys()
        if lacking:
            raise ValueError(f"the answer lacks {min(lacking)}")
        if said["content"] == self._content:  # the probe looks no further
            return {"(content)": self._content}
        listed, _, intact = said.get("manifest", "0 0").partition(" ")
        return {
            "(content)": said["content"],
            "(there)": "manifest" in said,
            "(damaged)": int(listed) - int(intact),
            "(obsolete)": int(said.get("obsolete", "0")),
            "(missing)": int(said["missing"]),
            "(room)": int(said["room"]),
            "(free)": int(said["free"]),
            "(device)": said["device"],
            "(running)": "running" in said,
        }

    def expected(self) -> State | None:
        """Want every file to be vouched for, and no other."""
        return {"(content)": self._content}

    def apply(self, actual: State | None, changed: frozenset[str]) -> list[Command]:
        """Let the worker take stock, fetch, check and place, by the way that was chosen."""
        del changed
        if self.push:
            return [self._prepare(), self._bring("push"), self._job("check", "finish")]
        if self.peers:
            running = bool(actual and actual.get("(running)"))  # to stop it would lose its lead
            # what a peer had wrong is fetched from the hub
            check = self._job("check", "fetch").model_copy(update={"offers": self.shares()})
            bring = self._bring("peer", running=running)
            return [bring, check] if running else [self._prepare(), bring, check]
        return [self._job("download", "fetch")]

    def is_there(self, actual: State | None) -> bool:
        """Say whether a manifest is there, complete or not."""
        return bool(actual and actual.get("(there)", True))

    def note(self, actual: State | None, changed: frozenset[str]) -> str:
        """Say how much is to come, from where, and how much room there is."""
        if actual is None or not changed:
            return ""
        missing = int(actual["(missing)"])
        if actual["(running)"]:
            return f"being downloaded now, {human_size(missing)} to go"
        damaged = f"{actual['(damaged)']} damaged, " if actual["(damaged)"] else ""
        obsolete = int(actual["(obsolete)"])
        removed = f"; removes what is no longer listed (files: {obsolete})" if obsolete else ""
        if not missing:
            return f"{damaged}{human_size(self._size)} are there to be checked{removed}"
        return (
            f"{damaged}{human_size(missing)} of {human_size(self._size)} from {self._origin}; "
            f"{self._left(actual)}{removed}"
        )

    def room(self, actual: State | None, changed: frozenset[str]) -> Room | None:
        """Return what is to come against what is free."""
        if actual is None or not changed:
            return None
        return Room(str(actual["(device)"]), int(actual["(free)"]), int(actual["(room)"]))

    def audit(self) -> Command | None:
        """Read all files again; what is damaged is struck from the manifest, and fetched again."""
        return self._job("verify", "verify")

    def shares(self) -> Bulk | None:
        """Share the files."""
        return self._bulk(self.folder)

    @property
    def _origin(self) -> str:
        hub = self.client.hub if self.client else ""
        return "the controller" if self.push else f"peers or {hub}" if self.peers else hub

    def _left(self, actual: State) -> str:
        """Say how the disk fares; figures only where it is tight, so that equal hosts read alike."""
        needed, free = int(actual["(room)"]), int(actual["(free)"])
        if needed > free // 2:
            return f"leaves {human_size(max(0, free - needed))} free on {actual['(device)']}"
        return f"the disk of {actual['(device)']} has room"

    @property
    def _content(self) -> str:
        """The sha256 over the sorted `DIGEST PATH` lines, as the probe makes it."""
        lines = sorted(f"{file.digest} {file.path}\n".encode() for file in self.files)
        return hashlib.sha256(b"".join(lines)).hexdigest()

    @property
    def _size(self) -> int:
        return sum(file.size for file in self.files)

    def _bulk(self, folder: str) -> Bulk:
        return Bulk(
            key=self.name,
            folder=folder,
            files=tuple((file.path, file.size) for file in self.files),
        )

    def _prepare(self) -> Command:
        return self._job("take stock of", "prepare")

    def _bring(self, way: Literal["push", "peer"], *, running: bool = False) -> Command:
        """Bring the files into the staging folder; the script downloads where no peer has them."""
        bulk = self._bulk(staging_of(self.folder))
        transfer = Transfer(way=way, bulk=bulk, origin=self.push, running=running)
        if way == "peer":
            return self._job("download", "fetch").model_copy(update={"transfer": transfer})
        return Command(title=f"push {self.name}", script="", transfer=transfer, timeout=_WEEK)

    def _job(self, verb: str, mode: Literal["prepare", "finish", "fetch", "verify"]) -> Command:
        """Return the command that starts the worker, or joins it, and follows it to its end."""
        listing = "".join(f"{file.digest} {file.size} {file.path}\n" for file in self.files)
        worker = f"{_text('model_probe.sh')}\n{_fetcher()}\n{_text('model_worker.sh')}\n"
        parts = {"settings": self._settings(mode), "listing": listing, "worker": worker}
        token = self.client.token if self.client and mode == "fetch" else None
        script = [
            _text("model_job.sh"),
            f"job={JOBS}/{unit_of(self.folder)}",
            "umask 077  # a proxy may have a password",
            'mkdir -p -- "$job"',
            *(f'{literal(text.encode())} >"$job/{name}.new"' for name, text in parts.items()),
            f"model_run {unit_of(self.folder)} {quote(staging_of(self.folder))} {self._size}",
        ]
        return Command(
            title=f"{verb} {self.name}",
            script="\n".join(filter(None, script)),
            shown=f"{unit_of(self.folder)}: {mode} {self.name} into {self.folder}",
            timeout=_WEEK if mode == "fetch" else _DAY,
            secrets=(("provision_token", token),) if token else (),
            detached=True,
        )

    def _settings(self, mode: str) -> str:
        org, name = self.model.split("/")
        values = {
            "mode": mode,
            "dir": self.folder,
            "staging": staging_of(self.folder),
            "org": org,
            "name": name,
            "bases": "\n".join(self.look_in),
            "hopeless": _HOPELESS,
        }
        lines = [f"{key}={quote(value)}" for key, value in values.items()]
        if self.client and mode == "fetch":
            client = self.client
            fetch = {
                "fetch": client.hub,
                "client": client.venv,
                "id": self.model,
                "revision": client.revision,
                "endpoint": client.endpoint,
                "workers": str(client.workers),
                "patience": str(_PATIENCE),
                "token": f"/run/provision/{unit_of(self.folder)}.token" if client.token else "",
            }
            lines += [f"{key}={quote(value)}" for key, value in fetch.items()]
            lines += [f"export {key}={quote(text)}" for key, text in client.environment.items()]
        return "".join(f"{line}\n" for line in lines)


@cache
def _fetcher() -> str:
    """Return a function of sh that prints the Python program which asks Hugging Face."""
    program = files("provision.state.kinds").joinpath("assets/fetch_huggingface.py")
    text = program.read_text(encoding="utf-8")
    return f"fetcher() {{ cat <<'END_OF_FETCHER'\n{text}END_OF_FETCHER\n}}"


@cache
def _text(name: str) -> str:
    """Return a script of this folder without its comments' lines."""
    text = files("provision.state.kinds").joinpath(name).read_text(encoding="utf-8")
    kept = (line for line in text.splitlines() if not line.lstrip().startswith("# "))
    return "\n".join(kept).strip()
