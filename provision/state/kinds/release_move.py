"""What the kinds about services share: the steps from one release to another, and back."""

from __future__ import annotations

from typing import Final, NamedTuple

from provision.state.resource import Calls, Command
from provision.state.shell import functions, quote

_BRIEF: Final = 120  # seconds for Docker to replace a container


class Move(NamedTuple):
    """Services that go to a release whose folder is on the host."""

    base: str
    """Folder on the host with all releases."""
    release: str
    """Name of the release."""
    names: tuple[str, ...]
    before: tuple[str, ...]
    """Those of them that have answered in an earlier release: they must do so again after a failure."""
    patience: int
    """Seconds until all must be healthy."""

    def steps(self) -> list[Command]:
        """Check the release, bring its services up, wait, call them, and keep it; or go back."""
        risky = [self._bring(), self._wait(self.names), self._call(self.folder, self.names)]
        rescue = tuple(self._back())
        return [
            self._check(),
            *(command.model_copy(update={"rescue": rescue}) for command in risky),
            self._keep(),
        ]

    @property
    def folder(self) -> str:
        """Return the folder of the release."""
        return f"{self.base}/releases/{self.release}"

    def _check(self) -> Command:
        return Command(
            title=f"check release {self.release}",
            script=_sh("service_check", self.folder, *self.names),
            shown=f"docker compose --project-directory {self.folder} config",
        )

    def _bring(self) -> Command:
        return Command(
            title=f"start {_listed(self.names)}",
            script=_sh("service_bring", self.folder, *self.names),
            shown=f"docker compose --project-directory {self.folder} up {' '.join(self.names)}",
            timeout=_BRIEF * len(self.names),
        )

    def _wait(self, names: tuple[str, ...]) -> Command:
        return Command(
            title=f"wait for {_listed(names)}",
            script=_sh("service_wait", str(self.patience), self.folder, *names),
            shown=f"wait until {_listed(names)} are healthy, {self.patience} s at most",
            timeout=self.patience + _BRIEF,
            detached=True,
        )

    def _call(self, release: str, names: tuple[str, ...]) -> Command:
        title = f"call {_listed(names)}"
        calls = Calls(base=self.base, release=release, services=names)
        return Command(title=title, script="", shown=title, calls=calls)

    def _keep(self) -> Command:
        return Command(
            title=f"keep release {self.release}",
            script=_sh("service_keep", self.base, self.folder, *self.names),
            shown=f"keep {self.release} as the release of {_listed(self.names)}",
        )

    def _back(self) -> list[Command]:
        """Return what brings back the releases that were validated last, which must answer again."""
        fresh = f"remove {_listed(self.names)}, never validated; logs stay in {self.folder}"
        back = Command(
            title=f"roll back {_listed(self.names)}" if self.before else fresh,
            script=_sh("service_back", self.base, *self.names),
            shown=f"docker compose up, as in the releases before: {_listed(self.names)}",
            timeout=_BRIEF * len(self.names),
        )
        if not self.before:
            return [back]
        return [back, self._wait(self.before), self._call("", self.before)]


def _sh(function: str, *words: str) -> str:
    return f"{functions('service_release')}\n{function} {' '.join(map(quote, words))}"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)
