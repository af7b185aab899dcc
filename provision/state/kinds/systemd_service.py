"""The systemd service: running, starting at boot, and how it is restarted."""

from __future__ import annotations

from typing import ClassVar, Final

from provision.state.resource import DUE, Command, Handler, Resource, State, note_of
from provision.state.shell import quote

_FIXED: Final = frozenset({"static", "alias", "generated", "indirect", "transient"})


class SystemdService(Resource):
    """The unit `<name>.service`; a unit that is not there yet is absent."""

    kind: ClassVar[str] = "systemd_service"

    active: bool = True
    enabled: bool = True
    check: str = ""
    """Read-only sh that must succeed before a restart: a service that runs is not given up."""
    restart_fear: str = ""
    """What an operator fears about a restart."""

    @property
    def restart(self) -> Handler:
        """Return the handler that restarts the service once."""
        restart = f"systemctl restart {quote(self._unit)}"
        script = f"{self.check}\n{_logged(restart, self._unit)}\nrm -f {self._note}".lstrip()
        return Handler(
            resource=self.id,
            verb="restart",
            command=Command(
                title=f"restart {self.name}", script=script, shown=restart, timeout=330
            ),
            fear=self.restart_fear,
        )

    def probe(self) -> str:
        """Read the unit's state; a system without systemd has no units."""
        return (
            "command -v systemctl >/dev/null || return 1\n"
            f"systemctl show -p LoadState -p ActiveState -p UnitFileState {quote(self._unit)}"
            " || return 2\n"  # 1 would read as absent
            f"[ ! -e {self._note} ] || echo RestartPending=yes"
        )

    def actual(self, output: str) -> State | None:
        """Parse `systemctl show`, which succeeds for unknown units too."""
        properties = dict(line.partition("=")[::2] for line in output.splitlines() if "=" in line)
        if "LoadState" not in properties:
            raise ValueError("systemctl gave no state: is this system booted with systemd?")
        if properties["LoadState"] == "not-found":
            # A unit that is not there neither runs nor starts at boot.
            wanted = self.active or self.enabled
            return None if wanted else self.expected()
        enabled = properties.get("UnitFileState")
        if enabled == "masked" and (self.active or self.enabled):
            raise ValueError(f"the unit is masked; if it shall run: systemctl unmask {self._unit}")
        return {
            "active": properties.get("ActiveState") == "active",
            # A unit that can be neither enabled nor disabled is as it shall be.
            "enabled": self.enabled if enabled in _FIXED else enabled == "enabled",
            # Left by a run that died between a change and the restart it asked for.
            DUE: "RestartPending" in properties,
        }

    def expected(self) -> State | None:
        """Want it running (or not), enabled (or not), and no restart pending."""
        return {"active": self.active, "enabled": self.enabled, DUE: False}

    def apply(self, actual: State | None, changed: frozenset[str]) -> list[Command]:
        """Enable, disable, start, stop or restart, whatever differs."""
        del actual
        both, verbs = "present" in changed, []
        if both or "enabled" in changed:
            verbs.append("enable" if self.enabled else "disable")
        if both or "active" in changed:
            verbs.append("start" if self.active else "stop")
        commands = [self._command(verb) for verb in verbs]
        if DUE in changed and "active" not in changed:
            commands.append(self.restart.command)
        return commands

    def disturbs(self, changed: frozenset[str]) -> str:
        """Warn of a restart, and of the reload of systemd that enabling and disabling bring."""
        if DUE in changed:
            return self.restart_fear
        return "reloads systemd" if "enabled" in changed else ""

    def _command(self, verb: str) -> Command:
        command = f"systemctl {verb} {quote(self._unit)}"
        script = f"timeout 300 {command}"
        if verb in {"start", "stop"}:
            script = f"{_logged(command, self._unit)}\nrm -f {self._note}"
        return Command(title=f"{verb} {self.name}", script=script, shown=command, timeout=330)

    @property
    def _note(self) -> str:
        return quote(note_of(f"{self.id}:restart"))

    @property
    def _unit(self) -> str:
        return f"{self.name}.service"


def _logged(command: str, unit: str) -> str:
    """Return sh that shows why a unit did not start: systemctl itself only says that it did not.

    Earlier failures are forgotten first: they would count against the unit's start limit.
    """
    log = f'journalctl -q -n 15 --no-pager -o cat --since "@$since" -u {quote(unit)}'
    return (
        f"systemctl reset-failed {quote(unit)} 2>/dev/null || :\n"
        f"since=$(date +%s)\ntimeout 300 {command} || {{ {log}; exit 1; }}"
    )
