"""What clients get of a service that is well on its host: one call from the controller."""

from __future__ import annotations

import time
from ipaddress import ip_address
from typing import Final, NamedTuple

from provision.serving.answer import Answer, Verdict
from provision.serving.engines.engine import Dialect
from provision.serving.service import Service
from provision.serving.validation.basics import check_health, check_models
from provision.serving.validation.call import ALL_ADDRESSES, FromController
from provision.serving.validation.talk import Talk, Trouble
from provision.serving.validation.wire import Limits, NoAnswerError

UNSEEN: Final = "not seen from the controller"
_SHOWN: Final = 500  # characters of what is heard
_BRIEF: Final = Limits(connect=3, quick=5)


def seen_from_controller(
    service: Service, dialect: Dialect, host: str, here: str | None
) -> Answer | None:
    """Call a service that was validated on its host once more, as its clients do, and briefly.

    `here` is the address at which SSH reaches the host; None: through a gateway. Returns None for
    a service that only the host itself can reach.
    """
    if _is_its_own(service.bind):
        return None
    begun = time.monotonic()
    said = _said(service, dialect, host, here)
    return Answer(
        check="models" if dialect.models else "health",
        service=service.name,
        host=host,
        verdict=said.verdict,
        what=said.what,
        remedy=said.remedy,
        seconds=round(time.monotonic() - begun, 3),
        view=FromController.view,
    )


def _is_its_own(bind: str) -> bool:
    """Say whether an address is another machine here: a host's word must not turn calls there."""
    address = ip_address(bind)
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_link_local or address.is_multicast


class _Said(NamedTuple):
    verdict: Verdict
    what: str
    remedy: str = ""


def _said(service: Service, dialect: Dialect, host: str, here: str | None) -> _Said:
    """Return what came of it: silence is a note, for it may be a firewall that is meant."""
    if here is None:
        # The host's addresses may be other machines' here, and those must not get the key.
        return _Said("note", f"{UNSEEN}: the host is behind a gateway")
    address = here if service.bind in ALL_ADDRESSES else service.bind
    call = FromController(host, address, service.port, _BRIEF)
    talk = Talk(service, dialect, call, None)
    try:
        return _Said("ok", check_models(talk) if dialect.models else check_health(talk))
    except NoAnswerError as error:
        return _Said("note", f"{UNSEEN}: {error}")
    except Trouble as trouble:
        remedy = (
            "On its host it answers as it must: see what else answers the controller at "
            f"{address} port {service.port}, such as a proxy or another machine."
        )
        return _Said("warn", trouble.what[:_SHOWN], remedy)
