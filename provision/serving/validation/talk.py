"""A talk with a service: questions in its engine's words, answers judged as far as HTTP goes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from provision.secret import redact
from provision.serving.answer import Concern
from provision.serving.engines.engine import Dialect
from provision.serving.service import Service
from provision.serving.validation.call import Call
from provision.serving.validation.questions import (
    EXACT,
    NO_THINKING,
    THINKING_TOKENS,
    TOKENS,
)
from provision.serving.validation.refusals import advice
from provision.serving.validation.wire import Reply

OK: Final = 200
UNAUTHORISED: Final = (401, 403)
_MESSAGES: Final = ("error", "message", "detail")
"""Where engines put what they say of a refusal, the outer before the inner."""
_READ: Final = 64 << 10  # characters
_SHOWN: Final = 160  # characters of somebody else's text


class Trouble(Exception):  # noqa: N818  it is a verdict, not a defect of ours
    """What is wrong with an answer, and what to do; without a remedy the log is it."""

    def __init__(self, what: str, remedy: str = "", *, concern: Concern = "protocol") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.concern = concern


class Talk:
    """What the checks of one service share."""

    def __init__(
        self, service: Service, dialect: Dialect, call: Call, max_model_len: int | None
    ) -> None:
        """`max_model_len` is the length that was planned, if any was."""
        self.service = service
        self.dialect = dialect
        self.call = call
        self.planned_length = max_model_len
        self.length = max_model_len
        """Tokens of question and answer together, as far as known."""
        self.thinks = bool(service.reasoning_parser)
        """Whether the model reasons before it answers."""
        self._key = service.api_key.reveal() if service.api_key else ""

    @property
    def task_path(self) -> str:
        """Return the path of what the service is for."""
        dialect = self.dialect
        paths = {"generate": dialect.chat, "embed": dialect.embeddings, "score": dialect.rerank}
        return paths[self.service.task]

    def ask(self, path: str, body: Any = None, *, stream: bool = False) -> Reply:
        """Return a whole answer with status 200; raise `Trouble` for any other."""
        answer = self.call.request(*_line(path, body), body=body, headers=self.key(), stream=stream)
        if answer.status != OK:
            said = f"HTTP {answer.status} from {path}{_colon(_message(answer))}"
            raise Trouble(said, advice(answer.text, answer.status))
        if answer.cut and not stream:
            raise Trouble(f"the answer of {path} broke off in the middle")
        return answer

    def ask_json(self, path: str, body: Any = None) -> Any:
        """Return the answer's JSON; raise `Trouble` where it is none."""
        answer = self.ask(path, body)
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            said = f"the answer of {path} is not JSON: {shown(answer.text)}"
            raise Trouble(said, self.stranger()) from error

    def status(self, path: str, body: Any, headers: Mapping[str, str]) -> int:
        """Return the status of an answer to somebody with another key, or none."""
        return self.call.request(*_line(path, body), body=body, headers=headers).status

    def key(self) -> dict[str, str]:
        """Return the header with the service's key, if it has one."""
        return bearer(self._key)

    def sampling(self) -> dict[str, Any]:
        """Return what goes with every question to a chat model, long enough for one that reasons."""
        tokens = THINKING_TOKENS if self.thinks else TOKENS
        if self.length:
            tokens = max(1, min(tokens, self.length // 2))
        return {**EXACT, "max_tokens": tokens, **(NO_THINKING if self.thinks else {})}

    def stranger(self) -> str:
        """Return the remedy for answers that are not of this engine at all."""
        service = self.service
        return f"Check that it is {service.engine} that answers on port {service.port}."


def bearer(key: str) -> dict[str, str]:
    """Return the header that carries a key; none for none."""
    return {"Authorization": f"Bearer {key}"} if key else {}


def dig(value: Any, *path: str | int) -> Any:
    """Return `value[path[0]][path[1]]…`; raise `Trouble` that names the first that is not there."""
    for depth, step in enumerate(path, 1):
        try:
            value = value[step]
        except (LookupError, TypeError) as error:
            raise wrong_shape(f"there is no {_spelled(path[:depth])}") from error
    return value


def objects(value: Any, *path: str | int) -> list[Mapping[str, Any]]:
    """Return the list of objects that `dig` finds; raise `Trouble` where it is anything else."""
    found = dig(value, *path)
    if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
        raise wrong_shape(f"{_spelled(path) or 'it'} is no list of objects")
    return found


def mapping(value: Any, *path: str | int) -> Mapping[str, Any]:
    """Return the object that `dig` finds; raise `Trouble` where it is anything else."""
    found = dig(value, *path)
    if not isinstance(found, Mapping):
        raise wrong_shape(f"{_spelled(path) or 'it'} is no object")
    return found


def wrong_shape(detail: str) -> Trouble:
    """Return the trouble with an answer that is JSON, but not what it must be."""
    return Trouble(f"the answer has the wrong shape: {detail}")


def shown(text: str) -> str:
    """Return somebody else's text as a quotation in one line, short and without secrets."""
    start = redact(text[:_READ])
    line = " ".join("".join(c if c.isprintable() else " " for c in start).split())
    return f"'{line[:_SHOWN]}…'" if len(line) > _SHOWN else f"'{line}'"


def _line(path: str, body: Any) -> tuple[str, str]:
    return ("GET" if body is None else "POST"), path


def _message(answer: Reply) -> str:
    """Return what an engine said of its refusal."""
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):
        return answer.text
    while isinstance(value, Mapping):
        value = next((value[name] for name in _MESSAGES if value.get(name)), answer.text)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _colon(text: str) -> str:
    return f": {shown(text)}" if text.strip() else ""


def _spelled(path: tuple[str | int, ...]) -> str:
    words = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(words).removeprefix(".")
