"""The verdicts: what is said of a sound engine, and of one that is wrong in each of many ways."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision.errors import ServiceError
from provision.serving.answer import Answer, View
from provision.serving.services.wish import ServiceWish
from provision.serving.validation.call import FromController
from provision.serving.validation.leaks import leaked
from provision.serving.validation.questions import chat_body, tool_body
from provision.serving.validation.validate import checks_of, refuse_unknown, validate
from provision.serving.validation.wire import Limits, Reply

sys.path.insert(0, str(Path(__file__).parent))
from stand_in import KEY, TEI, VLLM, StandIn, base, running, service

CASES = sorted((Path(__file__).parent / "cases").glob("*.json"))
SHORT = Limits(connect=1, quick=0.4, first_byte=0.4, whole=1)
DIALECTS = {"vllm": VLLM, "tei": TEI}


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the services' keys be had."""
    monkeypatch.setenv("PROVISION_TEST_KEY", KEY)
    monkeypatch.setenv("PROVISION_TEST_OTHER_KEY", "another-key")


def answers_of(case: dict[str, Any]) -> tuple[list[Answer], StandIn]:
    """Validate the stand-in of a case as the controller sees it."""
    sound = base(case["base"])
    wish = {**sound["service"], **case["service"]}
    key = KEY if "api_key" in wish and not case.get("open") else ""
    with running([*case["answers"], *sound["answers"]], key) as server:
        found = validate(
            service(server.port, **wish),
            DIALECTS[sound["engine"]],
            FromController("gpu01", "127.0.0.1", server.port, SHORT),
            required=frozenset(case["required"]),
            max_model_len=case["max_model_len"],
        )
    return found, server


def told(answer: Answer, port: int) -> list[str]:
    """Return an answer as an operator reads it, without what differs from run to run."""
    texts = (answer.what, answer.remedy)
    what, remedy = (
        re.sub(r"after \d+\.\d s", "after 0.0 s", t).replace(str(port), "1281") for t in texts
    )
    return [answer.check, answer.verdict, answer.concern, what, remedy]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_case_is_judged_as_its_file_says(path: Path) -> None:
    """Each file is one engine: what it answers, which checks are made, and what is said."""
    case = json.loads(path.read_text(encoding="utf-8"))
    found, server = answers_of(case)
    rows = [told(answer, server.port) for answer in found]
    assert [row[0] for row in rows] == case["asked"]
    assert [row for row in rows if row[1] != "ok"] == case["not_ok"]


@pytest.mark.parametrize(
    ("engine", "settings", "said"),
    [
        (
            "vllm-chat",
            {"api_key": "env:PROVISION_TEST_KEY"},
            {
                "health": "/health answers 200",
                "api_key": "/v1/models answers 401 without it; open to all: /metrics, /tokenize",
                "models": "serves gpt-4, 2048 tokens",
                "chat": "answers 'pong'",
                "stream": "2 chunks of text, the usage and [DONE]",
                "tools": "calls get_weather(city='Beijing')",
                "tools_stream": "calls get_weather(city='Beijing'), in 4 pieces",
            },
        ),
        (
            "tei-embed",
            {"api_key": "env:PROVISION_TEST_KEY"},
            {
                "health": "/health answers 200",
                "api_key": "/v1/embeddings answers 401 without it",
                "embeddings": "4 dimensions, related over unrelated: English 0.97 over 0.14, "
                "Chinese 0.98 over 0.16",
            },
        ),
        (
            "vllm-rerank",
            {},
            {
                "health": "/health answers 200",
                "models": "serves gpt-4, 2048 tokens",
                "rerank": "the relevant document first, scores 0.994 to 0.000",
            },
        ),
    ],
)
def test_what_is_well_is_told_with_what_was_seen(
    engine: str, settings: dict[str, Any], said: dict[str, str]
) -> None:
    """An operator reads what came back, not merely that it is fine."""
    found, _ = answers_of(plain(engine, service=settings))
    assert {answer.check: answer.what for answer in found} == said


def test_a_model_that_reasons_alone_is_told_so() -> None:
    """An answer without content is one, where it holds reasoning by either name."""
    name = "chat_reasons_only_and_by_the_old_name"
    path = next(path for path in CASES if path.stem == name)
    found, _ = answers_of(json.loads(path.read_text(encoding="utf-8")))
    assert found[2].what == "answers with reasoning only: 'They want pong.'"


def test_a_model_that_reasons_is_asked_not_to_and_given_room() -> None:
    """What it shows in the first answer decides, and holds for all the others."""
    path = next(path for path in CASES if path.stem == "chat_reasons")
    found, server = answers_of(json.loads(path.read_text(encoding="utf-8")))
    assert found[2].what == "answers 'pong'"
    first, *rest = (body for path, body in server.asked if path == VLLM.chat)
    assert first == chat_body("gpt-4")
    assert len(rest) == 4
    for body in rest:
        assert body["max_tokens"] == 1024
        assert body["chat_template_kwargs"] == {"enable_thinking": False}


def plain(engine: str, **more: Any) -> dict[str, Any]:
    """Return a case of a sound engine."""
    empty: dict[str, Any] = {"service": {}, "required": [], "max_model_len": None, "answers": []}
    return {**empty, "base": engine, **more}


def test_the_questions_are_asked_as_they_are_written_down() -> None:
    """A model may be made for these questions: the requests are theirs to the last byte."""
    _, server = answers_of(plain("vllm-chat"))
    stream = {"stream": True, "stream_options": {"include_usage": True}}
    chat, tool = chat_body("gpt-4"), tool_body("gpt-4")
    bodies = [body for path, body in server.asked if path == VLLM.chat]
    assert bodies == [chat, {**chat, **stream}, tool, {**tool, **stream}]


@pytest.mark.parametrize(("length", "tokens"), [(None, 128), (2048, 128), (100, 50), (1, 1)])
def test_an_answer_is_never_wanted_longer_than_the_model_is(
    length: int | None, tokens: int
) -> None:
    """Half of a short context is left to the question."""
    unknown = {"request": "GET /v1/models", "body": {"data": [{"id": "gpt-4"}]}}
    _, server = answers_of(plain("vllm-chat", max_model_len=length, answers=[unknown]))
    assert server.asked[0][1]["max_tokens"] == tokens


def test_a_port_at_which_nothing_listens_is_told_once() -> None:
    """Nothing else is asked."""
    with running([]) as server:
        port = server.port
    (found,) = validate(service(port), VLLM, FromController("gpu01", "127.0.0.1", port, SHORT))
    assert (found.check, found.verdict, found.concern) == ("health", "fail", "protocol")
    assert found.what.startswith(
        f"no connection to 127.0.0.1:{port}: Connection refused; not asked: "
    )


def test_a_silent_engine_that_lost_its_health_is_not_called_wedged() -> None:
    """The word is for one whose /health says otherwise."""
    answers = [{"request": "GET /health", "text": ""}]
    hang = {"request": "POST /v1/chat/completions", "does": "hang"}
    with running([hang, *base("vllm-chat")["answers"]]) as server:

        class Dying(FromController):
            asked = 0

            def request(self, method: str, path: str, **more: Any) -> Reply:
                self.asked += path == "/health"
                if self.asked == 2:
                    server.answers = [{**answers[0], "status": 503}]
                return super().request(method, path, **more)

        *_, last = validate(
            service(server.port), VLLM, Dying("gpu01", "127.0.0.1", server.port, SHORT)
        )
    assert (last.check, last.verdict) == ("chat", "fail")


def test_a_required_check_is_made_whatever_came_before() -> None:
    """A declined call would hide that the streamed one was never asked for."""
    declined = next(path for path in CASES if path.stem == "tools_declined")
    case = json.loads(declined.read_text(encoding="utf-8"))
    found, _ = answers_of({**case, "required": ["tools_stream"]})
    assert [(each.check, each.verdict) for each in found][-2:] == [
        ("tools", "warn"),
        ("tools_stream", "fail"),
    ]


def test_a_check_that_cannot_be_made_cannot_be_required() -> None:
    """It would be promised and never looked at."""
    with pytest.raises(ServiceError) as error:
        refuse_unknown(frozenset({"tool"}), service(1), "gpu01: services.wanted.it.required")
    assert str(error.value) == (
        "gpu01: services.wanted.it.required: there is no check 'tool' of such a service. "
        "Did you mean 'tools'?"
    )
    assert checks_of(service(1, tool_parser="")) == ("chat", "stream")
    for name, wish in {"rerank": {}, "health": {}, "tools": {"tool_parser": ""}}.items():
        with pytest.raises(ServiceError, match="no check"):
            refuse_unknown(frozenset({name}), service(1, **wish), "")
    with pytest.raises(ServiceError, match="service it: required: there is no check"):
        validate(service(1), VLLM, Says(b""), required=frozenset({"rerank"}))


def test_what_may_be_written_is_what_can_be_required() -> None:
    """Each name that an inventory may require is a check of some task, and each such check has one."""
    tasks = ("generate", "embed", "score")
    checks = {name for task in tasks for name in checks_of(service(1, task=task))}
    (written,) = get_args(ServiceWish.model_fields["required"].annotation)[:1]
    assert set(get_args(written)) == checks


@pytest.mark.parametrize(
    ("text", "parser"),
    [
        ("Beijing is sunny.", ""),
        ('I would call {"city": "Beijing"}.', ""),
        ("<tool_call>get_weather\n<arg_key>city</arg_key>", "glm45"),
        ("<\uff5ctool▁calls▁begin\uff5c>", "deepseek_v3 (deepseek_v31 for V3.1)"),
        ("<|tool_calls_section_begin|>", "kimi_k2"),
        ("[get_weather(city='Beijing')]", "pythonic (llama4_pythonic for Llama 4)"),
        ('functools[{"name": "get_weather"}]', "phi4_mini_json"),
        ("<|action_start|><|plugin|>", "internlm"),
        ("<minimax:tool_call>", "minimax_m2"),
        ("<seed:tool_call>", "seed_oss"),
        ('<|tool_call|>[{"name": "get_weather"}]', "granite"),
        ("<|channel|>commentary to=functions.get_weather", "openai"),
    ],
)
def test_a_leak_names_the_parser_by_its_marks(text: str, parser: str) -> None:
    """The outermost mark decides; plain prose is no leak."""
    assert leaked(text) == parser


class Says:
    """An engine that gives one answer to everything."""

    host = "gpu01"
    view: View = "host"

    def __init__(self, answer: bytes) -> None:
        self.answer = answer

    def request(self, method: str, path: str, **_: Any) -> Reply:
        """Return it."""
        del method, path
        return Reply(200, self.answer)


NAMES = (
    *("data", "choices", "message", "delta", "content", "tool_calls", "function", "index", "name"),
    *("arguments", "usage", "completion_tokens", "finish_reason", "results", "id", "embedding"),
    *("relevance_score", "score", "error", "max_model_len", "reasoning"),
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
    ),
    max_leaves=20,
)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(JSON, st.sampled_from(["generate", "embed", "score"]), st.data())
def test_no_answer_breaks_a_check(value: Any, task: str, data: st.DataObject) -> None:
    """Whatever an engine says, the operator reads a verdict."""
    sound = data.draw(st.sampled_from([answer["body"] for answer in _bodies(task)]))
    text = json.dumps(data.draw(_damaged(sound, value)))
    answer = data.draw(st.sampled_from([text, f"data: {text}\n\ndata: [DONE]\n\n"]))
    dialect = data.draw(st.sampled_from([VLLM, TEI._replace(chat="/v1/chat/completions")]))
    found = validate(service(1, task=task), dialect, Says(answer.encode()), max_model_len=9)
    assert all("\n" not in each.what for each in found)


def _bodies(task: str) -> list[dict[str, Any]]:
    engine = {"generate": "vllm-chat", "embed": "vllm-embed", "score": "vllm-rerank"}[task]
    return [answer for answer in base(engine)["answers"] if "body" in answer]


def _damaged(sound: Any, value: Any) -> st.SearchStrategy[Any]:
    """Put `value` somewhere into a sound answer."""
    if isinstance(sound, dict) and sound:
        within = st.sampled_from(sorted(sound)).flatmap(
            lambda key: _damaged(sound[key], value).map(lambda new: {**sound, key: new})
        )
        return st.just(value) | within
    if isinstance(sound, list) and sound:
        return st.just(value) | _damaged(sound[0], value).map(lambda new: [new, *sound[1:]])
    return st.just(value)
