"""The command with a guard: the last resort for what no other kind describes."""

from __future__ import annotations

from typing import ClassVar

from provision.state.resource import Command, Resource, State


class GuardedCommand(Resource):
    """A script that runs when its guard says that its effect is not there."""

    kind: ClassVar[str] = "command"

    done_when: str
    """Read-only sh: exit 0 when there is nothing to do, 1 when the script must run."""
    script: str
    timeout: int = 300
    """Seconds."""

    def probe(self) -> str:
        """Run the guard."""
        return self.done_when

    def actual(self, output: str) -> State | None:
        """Take the guard's success for the effect."""
        del output
        return {"done": True}

    def expected(self) -> State | None:
        """Want the guard to succeed."""
        return {"done": True}

    def apply(self, actual: State | None, changed: frozenset[str]) -> list[Command]:
        """Run the script."""
        del actual, changed
        return [Command(title=self.name, script=self.script, timeout=self.timeout)]
