"""The systemd service: running, starting at boot, and how it is restarted."""

from __future__ import annotations

from typing import ClassVar, Final

from provision.state.resource import Command, Handler, Resource, State
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
        restart = f"timeout -k 10 300 systemctl restart {quote(self._unit)}"
        script = f"{self.check}\n{restart} {_or_log(self._unit)}".lstrip()
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
        )

    def actual(self, output: str) -> State | None:
        """Parse `systemctl show`, which succeeds for unknown units too."""
        properties = dict(line.partition("=")[::2] for line in output.splitlines() if "=" in line)
        if "LoadState" not in properties:
            raise ValueError("systemctl gave no state: is this system booted with systemd?")
        if properties["LoadState"] == "not-found":
            # A unit that is not there neither runs nor starts at boot.
            wanted = self.active or self.enabled
            return None if wanted else {"active": False, "enabled": False}
        enabled = properties.get("UnitFileState")
        return {
            "active": properties.get("ActiveState") == "active",
            # A unit that can be neither enabled nor disabled is as it shall be.
            "enabled": self.enabled if enabled in _FIXED else enabled == "enabled",
        }

    def expected(self) -> State | None:
        """Want it running (or not) and enabled (or not)."""
        return {"active": self.active, "enabled": self.enabled}

    def apply(self, actual: State | None, changed: frozenset[str]) -> list[Command]:
        """Enable, disable, start or stop, whatever differs."""
        del actual
        both, verbs = changed >= {"present"}, []
        if both or "enabled" in changed:
            verbs.append("enable" if self.enabled else "disable")
        if both or "active" in changed:
            verbs.append("start" if self.active else "stop")
        return [
            Command(
                title=f"{verb} {self.name}",
                script=f"timeout -k 10 300 systemctl {verb} {quote(self._unit)}"
                + (f" {_or_log(self._unit)}" if verb == "start" else ""),
                timeout=330,
            )
            for verb in verbs
        ]

    @property
    def _unit(self) -> str:
        return f"{self.name}.service"


def _or_log(unit: str) -> str:
    """Return what shows why a unit did not start: systemctl itself only says that it did not."""
    return f"|| {{ journalctl -q -n 15 --no-pager -o cat -u {quote(unit)}; exit 1; }}"
