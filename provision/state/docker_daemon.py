"""Docker's daemon as the roles share it: its configuration file and its service."""

from __future__ import annotations

from typing import Final

from provision.state.kinds.systemd_service import SystemdService

DAEMON_JSON: Final = "/etc/docker/daemon.json"
CHECK_DAEMON_JSON: Final = (
    # --validate came with Docker 23; without it, or without dockerd, there is nothing to ask.
    "! dockerd --help 2>/dev/null | grep -q -e --validate || "
    'dockerd --validate --config-file="$1" 2>&1'
)
DOCKER: Final = SystemdService(
    name="docker",
    # A daemon that does not start after a restart takes every container of the host with it.
    check=f"set -- {DAEMON_JSON}\n{CHECK_DAEMON_JSON}",
    restart_fear="restarts Docker",
)
