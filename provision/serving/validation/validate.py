"""Which checks a service has to pass, and what becomes of those it does not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from provision.errors import ServiceError, nearest
from provision.serving.answer import Answer, Concern, Verdict
from provision.serving.engines.engine import Dialect
from provision.serving.service import Service, Task
from provision.serving.validation.basics import check_api_key, check_health, check_models
from provision.serving.validation.call import Call
from provision.serving.validation.chat import check_chat, check_stream
from provision.serving.validation.embeddings import check_embeddings
from provision.serving.validation.rerank import check_rerank
from provision.serving.validation.talk import OK, Talk, Trouble, shown
from provision.serving.validation.tools import check_tools, check_tools_stream
from provision.serving.validation.wire import NoAnswerError, NoTimeError

_ALL: Final[tuple[Task, ...]] = ("generate", "embed", "score")
_SHOWN: Final = 500  # characters of what a service says
_NONSENSE: Final = (
    *(ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError),
)
"""What the checks meet in answers that no engine gives: no surprise of that sort is ours alone."""
_BUSY: Final = "It may be busy: look at its queue (/metrics), or sweep again later."
WEDGED: Final = "wedged"
"""Check of the answer for an engine that says it is healthy and answers nothing."""


class _Check(NamedTuple):
    name: str
    run: Callable[[Talk], str]
    tasks: tuple[Task, ...] = _ALL
    needs: str = ""
    """Check that must have passed: this one would only say the same again."""
    must_be_good: bool = False
    """Whether an answer of poor quality is no pass either."""


_CHECKS: Final = (
    _Check("health", check_health),
    _Check("api_key", check_api_key),
    _Check("models", check_models),
    _Check("chat", check_chat, ("generate",)),
    _Check("stream", check_stream, ("generate",), "chat"),
    _Check("tools", check_tools, ("generate",), "chat", must_be_good=True),
    _Check("tools_stream", check_tools_stream, ("generate",), "tools"),
    _Check("embeddings", check_embeddings, ("embed",)),
    _Check("rerank", check_rerank, ("score",)),
)


def validate(
    service: Service,
    dialect: Dialect,
    call: Call,
    *,
    required: frozenset[str] = frozenset(),
    max_model_len: int | None = None,
) -> list[Answer]:
    """Call a service and return one answer for each check that was made, in order.

    What concerns the quality of answers warns, and fails in the checks that are `required`.
    """
    refuse_unknown(required, service, f"service {service.name}: required")
    talk = Talk(service, dialect, call, max_model_len)
    return list(_answers(talk, required))


def checks_of(service: Service) -> tuple[str, ...]:
    """Return the names of the checks that a service may require, in the order they are made.

    They are those of its task: whoever fails one that every service has is not healthy at all.
    """
    own = (check for check in _CHECKS if check.tasks != _ALL)
    return tuple(check.name for check in own if _applies(check, service))


def refuse_unknown(required: frozenset[str], service: Service, where: str) -> None:
    """Raise `ServiceError`, of `where` it is required, for a check that this service cannot pass."""
    known = checks_of(service)
    for name in sorted(required - set(known)):
        raise ServiceError(
            f"there is no check '{name}' of such a service",
            where=where,
            remedy=nearest(name, known),
        )


def _answers(talk: Talk, required: frozenset[str]) -> Iterator[Answer]:
    passed: set[str] = set()
    checks = [check for check in _CHECKS if _applies(check, talk.service)]
    if not talk.dialect.models:
        checks = [check for check in checks if check.run is not check_models]
    for number, check in enumerate(checks):
        if check.needs and check.needs not in passed and check.name not in required:
            continue
        begun = time.monotonic()
        try:
            said = _said(check, talk, required)
        except NoTimeError as error:
            unasked = ", ".join(each.name for each in checks[number:])
            what = f"{error}; without an answer: {unasked}"
            yield _answer(_Said(check.name, "warn", what, _BUSY), talk, begun)
            return
        except NoAnswerError as error:  # the next question would wait as long
            left = [each.name for each in checks[number + 1 :]]
            yield _answer(_silence(check, talk, error, left), talk, begun)
            return
        if said.verdict == "ok" or (said.concern == "quality" and not check.must_be_good):
            passed.add(check.name)
        yield _answer(said, talk, begun)


def _applies(check: _Check, service: Service) -> bool:
    if check.run is check_api_key:
        return service.api_key is not None
    if check.run in {check_tools, check_tools_stream} and service.tool_parser == "":
        return False
    return service.task in check.tasks


class _Said(NamedTuple):
    check: str
    verdict: Verdict
    what: str
    remedy: str = ""
    concern: Concern = "protocol"


def _said(check: _Check, talk: Talk, required: frozenset[str]) -> _Said:
    try:
        return _Said(check.name, "ok", check.run(talk)[:_SHOWN])
    except Trouble as trouble:
        weak = trouble.concern == "quality" and check.name not in required
        remedy = trouble.remedy or _log(talk)
        verdict: Verdict = "warn" if weak else "fail"
        return _Said(check.name, verdict, trouble.what[:_SHOWN], remedy, trouble.concern)
    except _NONSENSE as error:
        what = f"the answer makes no sense: {shown(f'{type(error).__name__}: {error}')}"
        return _Said(check.name, "fail", what, talk.stranger())


def _silence(check: _Check, talk: Talk, error: NoAnswerError, left: list[str]) -> _Said:
    """Return what to say of a question without an answer; a healthy /health is worth a name."""
    said = "; not asked: ".join(filter(None, (str(error), ", ".join(left))))
    if check.name == "health" or not error.timed_out or not _is_healthy(talk):
        return _Said(check.name, "fail", said, _log(talk))
    return _Said(
        WEDGED,
        "fail",
        f"the engine is wedged: {talk.dialect.health} answers 200, but {said}",
        f"Restart the service; the cause is near the end of its log: {_log_command(talk)}",
    )


def _is_healthy(talk: Talk) -> bool:
    try:
        return talk.call.request("GET", talk.dialect.health).status == OK
    except NoAnswerError:
        return False


def _answer(said: _Said, talk: Talk, begun: float) -> Answer:
    return Answer(
        check=said.check,
        service=talk.service.name,
        host=talk.call.host,
        verdict=said.verdict,
        what=said.what,
        remedy=said.remedy,
        seconds=round(time.monotonic() - begun, 3),
        concern=said.concern,
        view=talk.call.view,
    )


def _log(talk: Talk) -> str:
    return f"Look at its log on {talk.call.host}: {_log_command(talk)}"


def _log_command(talk: Talk) -> str:
    return f"docker logs --tail 50 {talk.service.name}"
