"""Names that must resolve, and the TCP ports that somebody listens on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from provision.facts.health import Listener, Network

_SS: Final = re.compile(r'LISTEN \d+ \d+ (\S+):(\d{1,5}) \S+(?: users:\(\("([^"]*)")?')
_PROC: Final = re.compile(r"(?:([0-9A-F]{8})|([0-9A-F]{32})):([0-9A-F]{4})")


def parse(text: str) -> Network:
    """Read what `getent`, and `ss` or else /proc/net/tcp, have to say."""
    lines = text.splitlines()
    if "no getent" in lines:
        raise ValueError("there is no getent to ask for names")
    missing = (line.partition(" ")[2] for line in lines if line.startswith("unresolved "))
    return Network(
        unresolved=tuple(sorted(missing)), listeners=tuple(dict.fromkeys(_listeners(lines)))
    )


def _listeners(lines: list[str]) -> Iterator[Listener]:
    for line in lines:
        if found := _SS.match(line):
            address = found[1].strip("[]").partition("%")[0]
            yield Listener(address=address, port=int(found[2]), process=found[3] or "")
        elif found := _PROC.fullmatch(line):
            yield Listener(address=_address(found[1] or found[2]), port=int(found[3], 16))


def _address(digits: str) -> str:
    """Return an address of /proc/net/tcp: words of 32 bits as the host's memory has them."""
    words = [bytes.fromhex(digits[start : start + 8])[::-1] for start in range(0, len(digits), 8)]
    return str(ip_address(b"".join(words)))
