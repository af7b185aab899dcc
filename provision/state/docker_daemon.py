"""Docker's daemon as the roles share it: its configuration file and its service."""

from __future__ import annotations

from typing import Final

from provision.state.kinds.systemd_service import SystemdService

DAEMON_JSON: Final = "/etc/docker/daemon.json"
DOCKER: Final = SystemdService(
    name="docker",
    # A daemon that does not start after a restart takes every container of the host with it.
    check=f"dockerd --validate --config-file={DAEMON_JSON} 2>&1",
    restart_fear="restarts Docker",
)
