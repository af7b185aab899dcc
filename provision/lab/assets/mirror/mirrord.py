# ruff: noqa: INP001  runs alone, in the mirror's container
"""The lab's mirror server: real names and layouts over HTTP and HTTPS, with an access log.

It runs in a container of its own. /lab holds its settings (`mirror.json`), its certificate, the
access log, and one file `tampered-<repository>` for each repository whose signed index shall lie.
"""

from __future__ import annotations

import http.server
import json
import ssl
import threading
import time
from pathlib import Path
from typing import Any

LAB = Path("/lab")
SETTINGS: dict[str, dict[str, str]] = json.loads((LAB / "mirror.json").read_text())
ROOTS = SETTINGS["roots"]  # repository → folder
ROUTES = SETTINGS["routes"]  # host name and first part of the path → repository
LOG = (LAB / "access.log").open("a", buffering=1)


def repository_of(host: str, path: str) -> tuple[str, str] | None:
    """Return the repository that a URL belongs to, and the path inside it."""
    for prefix, repository in ROUTES.items():
        name, _, folder = prefix.partition("/")
        if host == name and (path + "/").startswith(f"/{folder}/".replace("//", "/")):
            return repository, path[len(folder) + 1 if folder else 0 :].lstrip("/")
    return None


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files of the repository that the host name and path stand for."""

    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds, of silence on a kept connection

    def translate_path(self, path: str) -> str:
        """Return the file of a URL, below the repository's own folder."""
        host = (self.headers.get("Host") or "").partition(":")[0]
        found = repository_of(host, path.partition("?")[0])
        if found is None:
            return "/nonexistent"
        repository, self.directory = found[0], ROOTS[found[0]]
        self.tampered = (LAB / f"tampered-{repository}").exists()
        return super().translate_path("/" + found[1])

    def do_GET(self) -> None:
        """Serve a file, changed after signing when its repository is tampered with."""
        file = Path(self.translate_path(self.path))
        if not (self.tampered and file.name == "InRelease" and file.is_file()):
            super().do_GET()
            return
        body = file.read_bytes().replace(b"\nDate: ", b"\nX-Tampered: yes\nDate: ", 1)
        self.send_response(http.HTTPStatus.OK)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def list_directory(self, path: Any) -> None:
        """Show no folders: a mirror's file is there or it is not."""
        self.send_error(http.HTTPStatus.NOT_FOUND, str(path))

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Write one line: time, client, host, method, path, status."""
        status = code.value if isinstance(code, http.HTTPStatus) else code
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        host = self.headers.get("Host") or "-"
        client = self.client_address[0]
        LOG.write(f"{now} {client} {host} {self.command} {self.path} {status} {size}\n")

    def log_message(self, *_: object) -> None:
        """Say nothing more than the access log does."""

    tampered = False


class Server(http.server.ThreadingHTTPServer):
    """One port; a client's handshake happens in its own thread, so that none blocks others."""

    daemon_threads = True
    request_queue_size = 256
    tls: ssl.SSLContext | None = None

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection, wrapped in TLS on the HTTPS port."""
        connection, address = super().get_request()
        connection.settimeout(60)
        if self.tls is not None:
            connection = self.tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def handle_error(self, *_: object) -> None:
        """Let a client that goes away go."""


def main() -> None:
    """Serve HTTP and HTTPS until the container stops."""
    secure = Server(("", 443), Handler)
    secure.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secure.tls.load_cert_chain(LAB / "tls.crt", LAB / "tls.key")
    threading.Thread(target=secure.serve_forever, daemon=True).start()
    Server(("", 80), Handler).serve_forever()


if __name__ == "__main__":
    main()
