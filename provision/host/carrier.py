"""How bulk data reaches the hosts of one run: pushed by the controller, or from host to host."""

from __future__ import annotations

from provision.host.bulk import Listener
from provision.host.connection import Connection
from provision.host.peers import Peers
from provision.host.push import push
from provision.state.resource import Transfer


class Carrier(Peers):
    """Carries what steps want carried; one for all hosts of a run, closed at its end."""

    def carry(self, connection: Connection, transfer: Transfer, listener: Listener) -> bool:
        """Bring the data to the host; False: the step's script has to fetch it."""
        if transfer.way == "peer":
            return self.fetch(connection, transfer, listener)
        push(connection.host, transfer, listener.tell, listener.stopped)
        return True
