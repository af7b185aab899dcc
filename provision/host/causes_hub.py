"""Known reasons why a model does not come to a host, in the words of the hubs' clients and of pip."""

from __future__ import annotations

import re
from typing import Final

from provision.host.cause import Known

_NETWORK: Final = (
    "Check the host's network, proxies.hub and the endpoint; or let another host or the controller "
    "download: models.via: peer or push."
)
_DNS: Final = "Check the host's DNS, proxies.hub and the endpoint."
_SPOILT: Final = (
    "A proxy or a mirror spoils it: run again, or set another endpoint; "
    "if the model moved on: inv models --upgrade"
)
# pip's complaints begin with ERROR or WARNING
_PIP: Final = re.compile(r"^(?:ERROR|WARNING): ", re.MULTILINE)
_HUB: Final = re.compile(r"^provision: (?:modelscope|huggingface) does not deliver", re.MULTILINE)

HUB_CAUSES: Final = (
    Known(
        r"provision: wrong bytes: (?P<file>.*)",
        "{file} came with other bytes than the hub lists",
        _SPOILT,
    ),
    Known(
        r"^error: .*Hash mismatch for (?P<file>.+): expected ",
        "{file} came with other bytes than the hub lists",
        _SPOILT,
        of=_HUB,
    ),
    Known(
        r"provision: damaged files: (?P<files>.*)",
        "no longer as the hub lists them: {files}",
        "Look at the disk (dmesg, smartctl). They are fetched again by: inv provision --role models",
    ),
    Known(
        r"provision: the worker was killed: (?P<unit>.*)",
        "the download was killed on the host (systemd unit {unit})",
        "See journalctl -u {unit} there; run again: it goes on where it stopped.",
    ),
    Known(
        r"^provision: (?P<detail>.{1,300} names .{1,300}), which is not among the files",
        "the model lacks a part of its weights: {detail}",
        "Take it back from exclude, or: inv models --upgrade",
    ),
    Known(
        r"provision: somebody else's folder: (?P<folder>.*)",
        "{folder} is a link or belongs to somebody else",
        "Look at it on the host; remove it, or give it to root (chown root:).",
    ),
    Known(
        r"provision: cannot write to (?P<folder>.*)",
        "cannot write to {folder}",
        "Check the disk and its mount on the host (df -h, mount).",
    ),
    Known(
        r"\[401\]",
        "the hub refuses this model without a token that may read it",
        "Accept the model's terms on the hub's page and set models.modelscope.token or "
        "models.huggingface.token: env:NAME",
        of=_HUB,
    ),
    Known(
        r"\[403\]",
        "the hub's token may not read this model",
        "Accept the model's terms with the token's account, or set the token of another.",
        of=_HUB,
    ),
    Known(
        r"\[404\]",
        "the hub no longer has what the lock file lists",
        "Ask it anew: inv models --upgrade",
        of=_HUB,
    ),
    Known(
        r"\[429\]",
        "the hub wants fewer requests (429)",
        "Run again in some minutes; lower models.workers, or let one host download for all: "
        "models.via: peer",
        of=_HUB,
    ),
    Known(
        r"\[(?P<status>5\d\d)\]",
        "the hub is out of order ({status})",
        "Run again later, or set another endpoint.",
        of=_HUB,
    ),
    Known(
        r"Failed to resolve '(?P<host>[^']+)'",
        "the hub's name cannot be resolved: {host}",
        _DNS,
        of=_HUB,
    ),
    Known(
        r"Name or service not known|name resolution|Name does not resolve",
        "the hub's name cannot be resolved",
        _DNS,
        of=_HUB,
    ),
    Known(
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed",
        "the hub's certificate is not trusted",
        "Add its authority to the host's (update-ca-certificates), or check the host's clock.",
        of=_HUB,
    ),
    Known(
        r"Connection refused|Connection failed|timed out|Network is unreachable|No route to host"
        r"|ConnectTimeout|ProxyError",
        "the hub cannot be reached",
        _NETWORK,
        of=_HUB,
    ),
    Known(
        r"provision: (?P<hub>\w+) does not deliver (?P<file>.*) \(exit status \d+\)",
        "{hub} breaks off again and again at {file}",
        "Run again: it goes on where it stopped. If it does not move: another endpoint, or "
        "models.via: peer or push.",
    ),
    Known(
        r"THESE PACKAGES DO NOT MATCH THE HASHES",
        "the PyPI mirror delivers other files than the pinned ones",
        "It is being synchronised or was tampered with: set another models.pip_index.",
        of=_PIP,
    ),
    Known(
        r"ensurepip is not available|No module named '?(?:venv|ensurepip)",
        "the host's Python cannot make virtual environments",
        "Install its venv package (python3-venv) and run again.",
    ),
    Known(
        r"Retrying .* after connection broken|Max retries exceeded|Failed to establish",
        "the PyPI mirror cannot be reached",
        "Check the host's network and proxies.pip, or set another models.pip_index.",
        of=_PIP,
    ),
    Known(
        r"No matching distribution found for (?P<name>\S+)",
        "the PyPI mirror has no {name} for the host's Python",
        "Set another models.pip_index or models.python, or let the controller send the models: "
        "models.via: push",
        of=_PIP,
    ),
)
