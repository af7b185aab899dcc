"""What an operator writes reaches configuration files byte for byte, or is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest
import yaml
from hostile import SHELLS, anything, cases, heard, ran, raw, scratch, sendable, words
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from provision.checks.toolkit_container import container_script
from provision.errors import SecretError, ServiceError
from provision.inventory.schema import Proxies
from provision.secret import Secret
from provision.serving.compose import compose, quoted
from provision.serving.engines import engine_of
from provision.serving.engines.arguments import written
from provision.serving.service import Service
from provision.serving.services.resolve import Resolved
from provision.serving.services.role import ServicesRole
from provision.serving.services.wish import BindAddress, ServiceName
from provision.state.kinds.service import Release
from provision.state.kinds.service import Service as Container
from provision.state.role import load_roles
from provision.state.shell import framed, functions, quote

ROLES: Final = load_roles(Path(__file__).parents[2])
ROLE: Final = cast("ServicesRole", ROLES["services"]())
BASE: Final = ROLES["base"]()
SERVICE: Final = Service(
    name="chat",
    engine="vllm",
    task="generate",
    model="Org/Model",
    folder="/m",
    mounted="/models/Org/Model",
    size_bytes=1,
    served_name="x",
    bind="127.0.0.1",
    port=8000,
    gpus=(),
    image="vllm/vllm-openai:v0.32.0",
)


def composed(*services: Service) -> dict[str, Any]:
    """Return compose.yaml as Compose reads it, its variables replaced."""
    items = [Resolved(item, engine_of(item.engine), {}) for item in services]
    document: dict[str, Any] = replaced(yaml.safe_load(compose("gpu01", items, ROLE).text))
    return document


def replaced(value: Any) -> Any:
    """Do what Compose does to every text: a dollar begins a variable, and two of them are one."""
    if isinstance(value, dict):
        return {replaced(key): replaced(item) for key, item in value.items()}
    if isinstance(value, list):
        return [replaced(item) for item in value]
    if isinstance(value, str):
        assert not re.search(r"(?<!\$)(\$\$)*\$(?!\$)", value), value
        return value.replace("$$", "$")
    return value


@cases(sendable)
def test_a_text_of_compose_is_itself(batch: list[str]) -> None:
    """YAML reads it as a text, Compose finds no variable in it, and it takes one line."""
    text = "".join(f"- {quoted(each)}\n" for each in batch)
    assert replaced(yaml.safe_load(text)) == batch
    assert all(len(quoted(each).splitlines()) == 1 for each in batch)


@cases(sendable)
def test_a_service_says_to_its_container_what_was_written(batch: list[str]) -> None:
    """Arguments, environment, names and folders stand in compose.yaml, whatever they hold."""
    values = {f"V{number}": text for number, text in enumerate(batch)}
    folder = "/" + re.sub(r"[\x00-\x1f]", "", batch[0])
    service = SERVICE.model_copy(
        update={
            "served_name": batch[0],
            "environment": values,
            "arguments": {"hf-overrides": values, "seed": batch[1]},
            "folder": folder,
            "chat_template": f"/{batch[2]}",
        }
    )
    item = composed(service)["services"]["chat"]
    command = item["command"]
    assert {name: item["environment"][name] for name in values} == values
    assert json.loads(command[command.index("--hf-overrides") + 1]) == values
    for flag, value in (
        ("served-model-name", batch[0]),
        ("seed", batch[1]),
        ("chat-template", f"/{batch[2]}"),
    ):
        assert f"--{flag}={value}" in command or command[command.index(f"--{flag}") + 1] == value
    assert item["volumes"][0]["source"] == folder


_services = st.from_regex(
    r"[a-z0-9][a-z0-9_.-]{1,5}|[0-9.e_]{2,6}|true|null|yes|no|0x1f", fullmatch=True
)


@cases(_services | words)
def test_a_service_is_refused_or_keeps_its_name(batch: list[str]) -> None:
    """Also where YAML would read a number, a truth or nothing; sh and awk find it by that name."""
    names = []
    for text in batch:
        try:
            names.append(TypeAdapter(ServiceName).validate_python(text))
        except ValidationError:
            assert not re.fullmatch(r"[a-z][a-z-]{1,62}", text)
    names = list(dict.fromkeys(names))
    services = [
        SERVICE.model_copy(update={"name": name, "environment": {"no": "1"}}) for name in names
    ]
    document = composed(*services)["services"] or {}
    assert list(document) == names
    assert all(each["environment"]["no"] == "1" for each in document.values())
    rendered = compose("gpu01", [Resolved(each, engine_of("vllm"), {}) for each in services], ROLE)
    script = f'{functions("service_release")}\nservice_tags . | while read -r a b; do say "$a" "$b"; done'
    with scratch() as folder:
        (folder / "compose.yaml").write_text(rendered.text, encoding="utf-8")
        said = ran(
            [*SHELLS[0], "-s"], folder, framed(f"say() {{ printf '%s\\n' \"$*\"; }}\n{script}")
        )
    assert said.decode().splitlines() == [f"{name} {SERVICE.image}" for name in names]


@cases(words)
def test_a_value_is_never_a_flag_of_its_own(batch: list[str]) -> None:
    """It follows its flag, or is joined to it where it starts with a dash, or is refused."""
    for text in batch:
        for way in ("one", "optional", "append"):
            said = list(written("f", cast("Any", way), [text] if way == "append" else text, "here"))
            assert said == ([f"--f={text}"] if text.startswith("-") else ["--f", text])
        if text.startswith("-"):
            with pytest.raises(ServiceError, match="a flag of its own"):
                list(written("f", "many", ["x", text], "here"))
        else:
            assert list(written("f", "many", ["x", text], "here")) == ["--f", "x", text]


@cases(anything)
def test_a_secret_is_refused_or_is_the_one_that_the_engine_gets(batch: list[str]) -> None:
    """What stands in NAME.env is what was given, for Compose, and for whoever calls the service."""
    for text in batch:
        key = _Given(text)
        release = Release(
            base="/r", compose="", hashes={"chat": "1"}, secrets={"chat": {"KEY": key}}
        )
        try:
            ((name, value),) = release.variables("chat")
        except SecretError:
            assert set("'\n\r\\") & set(text)
            continue
        line = f"{name}='{value.reveal()}'\n"
        assert raw(line) == b"KEY='" + raw(text) + b"'\n"
        assert "\n" not in text
        assert "'" not in text


class _Given(Secret):
    """A secret whose value the law gives."""

    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        self.reference, self.value = "env:KEY", value

    def reveal(self) -> str:
        return self.value


@cases(anything)
def test_bytes_that_are_no_text_are_no_secret(batch: list[str]) -> None:
    """An environment may hold them; they are refused where they are read, not where they are sent."""
    for text in batch:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("provision.secret._revealed", set())
            patch.setenv("PROVISION_QUOTING", text)
            try:
                value = Secret("env:PROVISION_QUOTING").reveal()
            except SecretError:
                whole = raw(text).decode("utf-8", "ignore") == text
                assert not whole or not text.strip("\r\n")
                continue
            assert value == text.rstrip("\r\n")
            assert raw(value) == value.encode()


@cases(sendable)
def test_the_file_of_secrets_is_written_byte_for_byte(batch: list[str]) -> None:
    """Through the variables of a shell, which no list of processes shows."""
    secrets = {
        f"K{number:02}": _Given(text)
        for number, text in enumerate(batch)
        if not set("'\n\r\\") & set(text)
    }
    release = Release(base="/r", compose="c", hashes={"chat": "1"}, secrets={"chat": secrets})
    (command, *_) = Container.apply_together([cast("Any", _difference(release))])
    given = "".join(f"{name}={quote(secret.reveal())}\n" for name, secret in command.secrets)
    body = command.script.partition("umask 077\n")[2].partition("cd -- ")[2].partition("\n")[2]
    (wrote, *_) = body.partition("\ncd /\n")
    for shell in SHELLS:
        with scratch() as folder:
            ran([*shell, "-s"], folder, framed(f"{given}{wrote}"))
            assert (folder / "chat.env").read_bytes() == b"".join(
                f"{name}='".encode() + raw(secret.reveal()) + b"'\n"
                for name, secret in secrets.items()
            )


def _difference(release: Release) -> Any:
    container = Container(name="chat", release=release)
    return SimpleNamespace(resource=container, actual=None, changed=frozenset({"present"}))


_hosts = st.from_regex(r"[a-z0-9.-]{1,9}(:[0-9]{1,4})?", fullmatch=True)


@cases(st.builds("http://{}/{}".format, _hosts, words) | words)
def test_a_proxy_is_refused_or_the_only_setting_of_apt(batch: list[str]) -> None:
    """As apt itself reads its file: no quote ends it, and nothing after it is a command."""
    parts, said = [], []
    for number, text in enumerate(batch):
        try:
            proxies = Proxies(apt=text, no_proxy=(f"n{number}", "10.0.0.0/8", "*.cn"))
        except ValidationError:
            continue
        content = BASE.render("apt-proxy.conf.j2", proxies=proxies)
        parts.append(content.replace("Acquire::", f"Case{number}::"))
        said += [f'Case{number}::{way}::Proxy "{text}";' for way in ("http", "https")]
        said += [f'Case{number}::{way}::Proxy::n{number} "DIRECT";' for way in ("http", "https")]
    with scratch() as folder:
        (folder / "apt.conf").write_text("".join(parts), encoding="utf-8")
        dump = ran(["apt-config", "dump"], folder, APT_CONFIG=str(folder / "apt.conf"))
    ours = [
        line for line in dump.decode().splitlines() if re.match(r"Case\d+::https?::Proxy", line)
    ]
    assert sorted(ours) == sorted(said)
    assert b"canary" not in re.sub(rb'^Case.*";$', b"", dump, flags=re.MULTILINE)


@cases(sendable)
def test_images_are_words_of_the_throw_away_container(batch: list[str]) -> None:
    """Each is asked for as it is called."""
    script = (
        container_script(batch, cdi=False)
        .replace("docker ", "docker_ ")
        .replace(" >/dev/null 2>&1 || continue", "; continue")
    )
    found = heard(f"run() {{\n{script}\n}}\nrun || :", ["docker_"])
    assert [each[-1] for each in found] == [raw(text) for text in dict.fromkeys(batch)]


@cases(st.from_regex(r"[0-9a-f:.]{2,15}(%\w{1,4})?", fullmatch=True) | words)
def test_an_address_to_bind_is_refused_or_an_address(batch: list[str]) -> None:
    """Nothing but digits, dots and colons reaches the ports of compose.yaml."""
    for text in batch:
        try:
            found = TypeAdapter(BindAddress).validate_python(text)
        except ValidationError:
            continue
        assert re.fullmatch(r"[0-9a-f.:]+", found)
