"""What every service must do: be healthy, guard its key, and serve the name it is called by."""

from __future__ import annotations

from typing import Any, Final

from provision.serving.validation.call import ALL_ADDRESSES
from provision.serving.validation.talk import UNAUTHORISED, Talk, Trouble, bearer, dig, objects

_EMPTY: Final[dict[str, Any]] = {}
"""A question that costs nothing: it is refused for the key that it lacks, or for its emptiness."""
_OPEN_AT_TIMES: Final[dict[str, Any]] = {
    "/metrics": None,
    "/tokenize": _EMPTY,
    "/rerank": _EMPTY,
    "/score": _EMPTY,
    "/pooling": _EMPTY,
}
"""Paths that engines leave open beside a key."""
_NOT_THERE: Final = (404, 405)


def check_health(talk: Talk) -> str:
    """Ask the engine whether it is healthy."""
    path = talk.dialect.health
    talk.ask(path)
    return f"{path} answers 200"


def check_api_key(talk: Talk) -> str:
    """See that nobody gets in without the key, and what it leaves open."""
    path = talk.dialect.models or talk.task_path
    body = None if talk.dialect.models else _EMPTY
    for key, who in (("", "without the key"), ("wrong", "with a wrong key")):
        status = talk.status(path, body, bearer(key))
        if status not in UNAUTHORISED:
            raise Trouble(
                f"the key guards nothing: {path} answers {status} {who}",
                "The engine was started without it: deploy the service again.",
            )
    if talk.status(path, body, talk.key()) in UNAUTHORISED:
        raise Trouble(
            f"the key is refused by {path}",
            "The engine has another: deploy the service again, or set api_key to the one it has.",
        )
    return f"{path} answers 401 without it{_left_open(talk)}"


def check_models(talk: Talk) -> str:
    """See that the served name is on the list, and the length as planned."""
    rows = objects(talk.ask_json(talk.dialect.models), "data")
    served = {str(dig(row, "id")): row for row in rows}
    name = talk.service.served_name
    if name not in served:
        raise Trouble(
            f"it serves {', '.join(sorted(served)) or 'nothing'}, not {name}",
            "Another service answers on this port, or served-model-name in the arguments says "
            "something else than served_name.",
        )
    return f"serves {name}{_length(talk, served[name].get('max_model_len'))}"


def _length(talk: Talk, length: object) -> str:
    if not isinstance(length, int):
        return ""
    planned, talk.length = talk.planned_length, length
    if planned and planned != length:
        raise Trouble(
            f"serves {talk.service.served_name} with {length} tokens, {planned} were planned",
            f"Requests longer than {length} tokens are refused: set max-model-len to what fits.",
            concern="quality",
        )
    return f", {length} tokens"


def _left_open(talk: Talk) -> str:
    """Return which paths answer without the key; `Trouble` where everybody can reach them."""
    closed = (*UNAUTHORISED, *_NOT_THERE)
    asked = {path: talk.status(path, body, {}) for path, body in _OPEN_AT_TIMES.items()}
    paths = [path for path, status in asked.items() if status not in closed]
    service = talk.service
    if paths and service.bind in ALL_ADDRESSES:
        raise Trouble(
            f"the key leaves open on all addresses: {', '.join(paths)}",
            f"Bind it to one address, or let only its clients through to port {service.port}: in "
            "the chain DOCKER-USER, for ports of Docker are open past ufw.",
            concern="quality",
        )
    return f"; open to all: {', '.join(paths)}" if paths else ""
