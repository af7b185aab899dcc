# ruff: noqa: INP001  runs alone, in the mirror's container
"""The lab's proxy: the way to the mirrors for hosts that have no other, with a log.

It runs beside the mirror, so each name that it is asked for is at its own address. /lab holds the
log, a line for each request: its method and its target.
"""

from __future__ import annotations

import socket
import socketserver
import threading
from contextlib import suppress
from pathlib import Path

PORT = 3128
LOG = Path("/lab/proxy.log").open("a", buffering=1)  # noqa: SIM115  open for as long as it runs
TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"
REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Handler(socketserver.StreamRequestHandler):
    """Serves one connection: a tunnel, or one request that is passed on."""

    timeout = 60  # seconds, of silence

    def handle(self) -> None:
        """Read the head of the request, connect, and carry bytes both ways."""
        first, *fields = self._head()
        method, _, rest = first.partition(b" ")
        LOG.write(f"{method.decode()} {rest.partition(b' ')[0].decode()}\n")
        secure = method == b"CONNECT"
        if not secure and not rest.startswith(b"http://"):
            self.wfile.write(REFUSED)
            return
        with socket.create_connection(("127.0.0.1", 443 if secure else 80), timeout=10) as server:
            server.settimeout(self.timeout)
            if secure:
                self.wfile.write(TUNNEL)
            else:
                path = b"/" + rest.removeprefix(b"http://").partition(b"/")[2]
                kept = [field for field in fields if not field.lower().startswith(b"connection:")]
                head = [method + b" " + path, *kept, b"Connection: close", b"", b""]
                server.sendall(b"\r\n".join(head))
            self._carry(server)

    def _head(self) -> list[bytes]:
        lines = []
        while line := self.rfile.readline(65536).rstrip(b"\r\n"):
            lines.append(line)
        return lines or [b""]

    def _carry(self, server: socket.socket) -> None:
        back = threading.Thread(target=_pump, args=(server, self.connection), daemon=True)
        back.start()
        _pump(self.connection, server)
        back.join()


class Server(socketserver.ThreadingTCPServer):
    """One thread a connection."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """Let a client that goes away go."""


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Carry bytes one way until their source ends, and let the target know."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    Server(("", PORT), Handler).serve_forever()
