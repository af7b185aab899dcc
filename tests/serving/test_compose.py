"""The Compose project of a host: what stands in it, what is kept out of it, and what changes it."""

from __future__ import annotations

import hashlib
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from provision.facts import OS, Docker, Facts
from provision.secret import Secret
from provision.serving.compose import HASH, Rendered, compose, quoted
from provision.serving.engines.engine import Dialect, Launch
from provision.serving.service import Service, Task
from provision.serving.services.resolve import Resolved
from provision.serving.services.role import ServicesRole
from provision.state.role import load_roles

ROLES: Final = load_roles(Path(__file__).parents[2])
TEMPLATE: Final = b"{{ messages }}"
DIGEST: Final = hashlib.sha256(TEMPLATE).hexdigest()


class StandIn:
    """A stand-in for an engine: it runs what the test says."""

    name = "stand-in"
    image = cpu_image = "stand/in:v1"
    memory_flag = ""
    tasks: frozenset[Task] = frozenset({"generate"})
    dialect = Dialect("/health", "/v1/models", "/v1/chat", "/v1/embeddings", "/rerank", "jina")

    def __init__(self, **launch: Any) -> None:
        self.given = launch

    def version(self, service: Service) -> str | None:
        """Return what the tag says."""
        return service.image.rpartition(":v")[2] or None

    def launch(self, service: Service) -> Launch:
        """Return a plain command line, changed as the test says."""
        secrets = {"KEY": service.api_key} if service.api_key else {}
        plain = Launch(("--model", service.mounted), {"OFFLINE": "1"}, secrets, 8000, "/cache")
        return plain._replace(**self.given)


def _service(**changes: Any) -> Service:
    return Service.model_validate(
        {
            "name": "chat",
            "engine": "stand-in",
            "task": "generate",
            "model": "Qwen/Qwen3-8B",
            "folder": "/data/models/Qwen/Qwen3-8B/c1",
            "mounted": "/models/Qwen/Qwen3-8B",
            "size_bytes": 16 * 10**9,
            "served_name": "Qwen3-8B",
            "bind": "127.0.0.1",
            "port": 1281,
            "gpus": (0,),
            "image": "stand/in:v1",
            **changes,
        }
    )


def _role(**values: Any) -> ServicesRole:
    role: Any = ROLES["services"].model_validate(values)
    return role  # type: ignore[no-any-return]


def _rendered(
    *services: Service, role: ServicesRole | None = None, facts: Facts | None = None, **launch: Any
) -> Rendered:
    found = [Resolved(service, StandIn(**launch), {}) for service in services or (_service(),)]
    return compose("gpu01", found, role or _role(), facts=facts)


def _parsed(rendered: Rendered, name: str = "chat") -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(rendered.text)["services"][name]
    return found


# ---------------------------------------------------------------- what stands in it


def test_container_is_what_a_release_needs() -> None:
    """Restarted, never pulled, with the model read-only, limits for GPUs and a bounded log."""
    chat = _parsed(_rendered())
    label = chat["labels"].pop(HASH)
    assert len(label) == 64
    assert chat.pop("healthcheck")["start_period"] == "600s"
    assert chat == {
        "container_name": "chat",
        "image": "stand/in:v1",
        "pull_policy": "never",
        "restart": "unless-stopped",
        "command": ["--model", "/models/Qwen/Qwen3-8B"],
        "environment": {"OFFLINE": "1"},
        "ports": ["127.0.0.1:1281:8000"],
        "volumes": [
            {
                "type": "bind",
                "source": "/data/models/Qwen/Qwen3-8B/c1",
                "target": "/models/Qwen/Qwen3-8B",
                "read_only": True,
                "bind": {"create_host_path": False},
            },
            {"type": "volume", "source": "chat-stand-in-1", "target": "/cache"},
        ],
        "ipc": "host",
        "ulimits": {"memlock": -1, "stack": 67108864},
        "deploy": {
            "resources": {
                "reservations": {
                    "devices": [{"driver": "nvidia", "device_ids": ["0"], "capabilities": ["gpu"]}]
                }
            }
        },
        "logging": {"driver": "json-file", "options": {"max-size": "100m", "max-file": "3"}},
        "labels": {"provision.image": "stand/in:v1", "provision.service": "chat"},
    }


def test_project_has_one_name_and_no_version() -> None:
    """The cache of each service outlives its container, and another release has another."""
    found = yaml.safe_load(_rendered().text)
    assert set(found) == {"name", "services", "volumes"}
    assert found["name"] == "provision"
    assert found["volumes"]["chat-stand-in-1"]["name"] == "provision-chat-stand-in-1"
    assert "volumes" not in yaml.safe_load(_rendered(cache="").text)


def test_host_without_services_has_a_project_all_the_same() -> None:
    """So that the last service can be removed."""
    text = compose("gpu01", [], _role()).text
    assert yaml.safe_load(text) == {"name": "provision", "services": {}}


def test_cpu_service_reserves_no_gpu() -> None:
    """Nothing about devices stands there, for Docker would refuse it."""
    assert "deploy" not in _parsed(_rendered(_service(gpus=())))


def test_shared_memory_is_the_hosts_unless_a_size_is_stated() -> None:
    """One of the two, never both: Docker refuses that."""
    chat = _parsed(_rendered(role=_role(shm_size="10.24gb")))
    assert (chat["shm_size"], "ipc" in chat) == ("10.24gb", False)


def test_environment_is_sorted_and_the_services_own_wins() -> None:
    """Over what the engine sets and over the time zone."""
    service = _service(environment={"OFFLINE": "0", "A": "x"})
    chat = _parsed(_rendered(service, role=_role(time_zone="Asia/Shanghai")))
    assert list(chat["environment"].items()) == [
        ("A", "x"),
        ("OFFLINE", "0"),
        ("TZ", "Asia/Shanghai"),
    ]


@pytest.mark.parametrize(
    ("size_bytes", "seconds"),
    [
        (1, 600),
        (30 * 10**9, 600),
        (145 * 10**9, 1200),
        (380 * 10**9, 1800),
        (700 * 10**9, 3600),
        (0, 1800),
    ],
)
def test_large_models_may_take_longer_to_start(size_bytes: int, seconds: int) -> None:
    """By what there is to load; one of unknown size is given time."""
    rendered = _rendered(_service(size_bytes=size_bytes))
    assert _parsed(rendered)["healthcheck"]["start_period"] == f"{seconds}s"
    assert rendered.patience == {"chat": seconds}


def test_addresses_of_version_6_are_bracketed() -> None:
    """As Compose wants them."""
    assert _parsed(_rendered(_service(bind="fd00::1")))["ports"] == ["[fd00::1]:1281:8000"]


@pytest.mark.parametrize(
    ("stated", "runtimes", "toolkit", "driver"),
    [
        (None, ("runc", "nvidia"), "1.18.0", "nvidia"),
        (None, ("runc",), "1.18.0", "nvidia"),
        (None, ("runc",), None, "cdi"),
        (None, ("runc", "nvidia"), None, "nvidia"),
        (False, ("runc",), None, "nvidia"),
        (True, ("runc", "nvidia"), "1.18.0", "cdi"),
    ],
)
def test_gpus_come_by_cdi_where_that_is_stated_or_nothing_else_is_there(
    *, stated: bool | None, runtimes: tuple[str, ...], toolkit: str | None, driver: str
) -> None:
    """Else by the NVIDIA runtime, which older releases know, too."""
    docker = Docker(version="28.0.0", runtimes=runtimes)
    facts = Facts(os=OS(id="ubuntu"), docker=docker, toolkit=toolkit)
    service = _service(gpus=(2, 3))
    chat = _parsed(_rendered(service, role=_role(cdi=stated), facts=facts))
    (device,) = chat["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == driver
    ids = ["nvidia.com/gpu=2", "nvidia.com/gpu=3"] if driver == "cdi" else ["2", "3"]
    assert device["device_ids"] == ids


# ---------------------------------------------------------------- files and secrets


def test_mounted_file_lies_under_the_hash_of_its_content() -> None:
    """Outside the releases, so that going back finds it; the container has it by its name."""
    found = Resolved(_service(), StandIn(), {"my.jinja": TEMPLATE})
    rendered = compose("gpu01", [found], _role())
    path = f"/opt/provision/files/{DIGEST}/my.jinja"
    assert rendered.files == {path: TEMPLATE}
    mount = _parsed(rendered)["volumes"][1]
    assert (mount["source"], mount["target"]) == (path, "/etc/provision/my.jinja")
    assert mount["read_only"] is True


def test_secret_stands_in_an_env_file_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its reference: rendering reads no secret, and the project's text never holds one."""
    monkeypatch.delenv("CHAT_KEY", raising=False)
    rendered = _rendered(_service(api_key="env:CHAT_KEY"), _service(name="embed", port=1282))
    assert rendered.env_files == {"chat.env": {"KEY": Secret("env:CHAT_KEY")}}
    assert _parsed(rendered)["env_file"] == ["chat.env"]
    assert "env_file" not in _parsed(rendered, "embed")
    assert "CHAT_KEY" not in rendered.text


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_survives_yaml_and_compose(text: str) -> None:
    """YAML gives back every character; Compose, which halves dollars, gives back the text."""
    assert yaml.safe_load(quoted(text)).replace("$$", "$") == text
    assert "$" not in quoted(text).replace("$$", "")


def test_dollars_in_arguments_are_not_replaced_by_compose() -> None:
    """A JSON argument may hold one."""
    chat = _parsed(_rendered(command=("--x", '{"a": "${HOME}"}')))
    assert chat["command"] == ["--x", '{"a": "$${HOME}"}']


# ---------------------------------------------------------------- what changes it


def test_identical_input_gives_identical_bytes() -> None:
    """Also where mappings come in another order."""
    one = _service(environment={"A": "1", "B": "2"}, arguments={"x": 1, "y": 2})
    other = _service(environment={"B": "2", "A": "1"}, arguments={"y": 2, "x": 1})
    assert _rendered(one) == _rendered(other)


@pytest.mark.parametrize(
    "change",
    [
        {"image": "stand/in:v2"},
        {"port": 1282},
        {"bind": "10.0.0.1"},
        {"gpus": (1,)},
        {"folder": "/data/models/Qwen/Qwen3-8B/c2"},
        {"environment": {"A": "x"}},
        {"api_key": "env:OTHER"},
    ],
)
def test_hash_changes_with_what_makes_another_container(change: dict[str, Any]) -> None:
    """And only that of the service that changed."""
    other = _service(name="embed", port=1290)
    before = _rendered(_service(), other)
    after = _rendered(_service(**change), other)
    assert before.hashes["chat"] != after.hashes["chat"]
    assert before.hashes["embed"] == after.hashes["embed"]
    assert _parsed(after)["labels"][HASH] == after.hashes["chat"]


def test_hash_does_not_change_with_notes_hosts_and_neighbours() -> None:
    """A comment recreates no container."""
    plain = _rendered()
    noted = _rendered(notes=("hermes, as Qwen3 calls tools",))
    crowded = _rendered(_service(), _service(name="embed", port=1290))
    elsewhere = compose("gpu02", [Resolved(_service(), StandIn(), {})], _role())
    hashes = {item.hashes["chat"] for item in (plain, noted, crowded, elsewhere)}
    assert len(hashes) == 1
    assert plain.text != noted.text


def test_notes_stand_beside_their_service_one_a_line() -> None:
    """The engine's first, then whether the port is open on all addresses."""
    rendered = _rendered(_service(bind="0.0.0.0"), notes=("first\nnote",))  # noqa: S104  the law
    assert rendered.notes == {
        "chat": (
            "first note",
            "reached at every address of the host: Docker opens port 1281 past ufw",
        )
    }
    lines = rendered.text.splitlines()
    start = lines.index('  "chat":')
    assert lines[start + 1 : start + 3] == [f"    # {note}" for note in rendered.notes["chat"]]


# ---------------------------------------------------------------- the health check


class _Engine(BaseHTTPRequestHandler):
    def __init__(self, status: int, *arguments: Any) -> None:
        self.status = status
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def engine_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Start an HTTP server whose health path answers with the wanted status."""
    with HTTPServer(("127.0.0.1", 0), partial(_Engine, request.param)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(
    ("engine_port", "healthy"), [(200, True), (503, False)], indirect=["engine_port"]
)
def test_health_check_asks_the_engine(*, engine_port: int, healthy: bool) -> None:
    """With bash alone, for images of TEI have no curl; only 200 is healthy."""
    check = _parsed(_rendered(port=engine_port))["healthcheck"]["test"]
    assert check[0] == "CMD"
    words = [word.replace("$$", "$") for word in check[1:]]
    done = subprocess.run(words, capture_output=True, timeout=10, check=False)
    assert (done.returncode == 0) is healthy


def test_health_check_fails_where_nothing_listens() -> None:
    """A port that refuses is not healthy."""
    check = _parsed(_rendered(port=1))["healthcheck"]["test"]
    words = [word.replace("$$", "$") for word in check[1:]]
    done = subprocess.run(words, capture_output=True, timeout=10, check=False)
    assert done.returncode != 0
