"""The sh that lets one host copy from another: what serves, what grants and revokes, what copies."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from shlex import quote
from typing import Final

from provision.host.client import client, host_key_name, known_hosts_files
from provision.host.known_hosts import known_keys
from provision.host.openssh import CIPHERS
from provision.inventory.schema import Host
from provision.state.resource import Bulk
from provision.state.shell import framed, literal

LIFE: Final = "24 hours"
"""How long a grant lasts, by the serving host's clock; each copy renews it."""
PEER_FAILED: Final = 3
"""Exit status of the copy when the serving host is to blame."""
NO_SSH: Final = 4
"""Exit status of the copy on a host without ssh."""


def serve_script(bulk: Bulk) -> str:
    """Return what a granted key runs: it prints one of the files of `bulk`, from an offset on."""
    paths = " ".join(quote(f"{bulk.folder}/{path}") for path, _ in sorted(bulk.files))
    return f"set -- {paths}\n{_text('peer_serve')}\n"


def grant_script(run: str, number: int, public: str, bulk: Bulk) -> str:
    """Return what lets key `number` of a run in on the serving host, to read `bulk`."""
    served = literal(serve_script(bulk).encode("utf-8", "surrogateescape"))
    grant = f"{served} | peer_grant {run} {number} {quote(public)} {quote(LIFE)}"
    return framed(f"{_text('peer_keys')}\n{grant}")


def revoke_script(run: str) -> str:
    """Return what takes back all keys of a run on a host."""
    return framed(f"{_text('peer_keys')}\npeer_revoke {run}")


def copy_script(host: Host, private: bytes, bulk: Bulk, guard: str = "") -> str:
    """Return what copies, on the copying host, the files of `bulk` that it lacks from `host`.

    First comes a `guard`, which may end it: hosts wait long for their turn to copy.
    The serving host's key is what the controller trusts for it, under whatever name it has here.
    """
    target = client(host)
    keys = known_keys(known_hosts_files(host, target), host_key_name(target))
    known = "".join(f"provision-peer {kind} {key.get_base64()}\n" for kind, key in keys)
    copies = "".join(
        f"peer_copy {number} {size} {quote(f'{bulk.folder}/{path}')}\n"
        for number, (path, size) in enumerate(sorted(bulk.files))
    )
    return framed(
        f"{guard}{_text('peer_copy')}\n"
        f"peer_user={quote(target.user)} peer_address={quote(target.host)} "
        f"peer_port={target.port} peer_ciphers={CIPHERS}\n"
        f"peer_open {bulk.size_bytes}\n"
        f'(umask 077; {literal(private)} >"$peer_dir/key")\n'
        f'{literal(known.encode())} >"$peer_dir/known"\n'
        f"{copies}"
    )


@cache
def _text(name: str) -> str:
    text = files("provision.host").joinpath(f"{name}.sh").read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("#")).strip()
