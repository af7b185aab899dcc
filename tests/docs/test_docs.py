"""What the documentation promises is what there is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from provision.cli import namespace
from provision.cli.reference import reference
from provision.inventory.load import load
from provision.serving.compose import compose
from provision.serving.hub.listing import Listing, RemoteFile
from provision.serving.hub.lock import Entry, Lock, path_beside, write
from provision.serving.models import models_of
from provision.serving.services.resolve import resolve
from provision.serving.services.role import services_of
from provision.state.role import load_roles

PROJECT = Path(__file__).resolve().parents[2]
READMES = ("README.md", "README.zh.md")
FILES: Final = (
    "config.json",
    "imgs/scores.png",
    "model.safetensors",
    "onnx/model.onnx",
    "tokenizer.json",
)
"""What every hub's listing has here, with what the inventories leave out."""


def test_reference_is_up_to_date() -> None:
    """docs/reference.md names every task, option, setting and variable, as they are now."""
    written = (PROJECT / "docs/reference.md").read_text()
    assert written == reference(PROJECT), "run `make docs`"


def test_every_option_and_variable_has_a_help_text() -> None:
    """No line of the reference lacks its text."""
    lines = reference(PROJECT).splitlines()
    assert not [line for line in lines if line.startswith("- ") and line.rstrip().endswith(":")]
    assert "None" not in {line.rpartition(": ")[2] for line in lines}


@pytest.mark.parametrize("path", sorted(PROJECT.glob("inventories/*.yaml")), ids=str)
def test_inventories_of_the_project_load(path: Path) -> None:
    """Every inventory that ships is valid."""
    assert load(path, load_roles(PROJECT)).hosts


@pytest.mark.parametrize("name", ["example", "fleet"])
def test_services_of_the_inventories_render(name: str, tmp_path: Path) -> None:
    """Whoever copies an inventory that ships can render its services once its models are listed."""
    text = (PROJECT / f"inventories/{name}.yaml").read_text()
    assert "chat" in _rendered(tmp_path / f"{name}.yaml", text)


def test_example_is_short_and_plain() -> None:
    """The example fits a screen: 40 lines of 100 columns, in which no mapping is in one line."""
    lines = (PROJECT / "inventories/example.yaml").read_text().splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100
    assert "{" not in "".join(lines)


def test_example_is_the_recipe(tmp_path: Path) -> None:
    """Once its models are listed, the example renders the services of the wiki recipe."""
    path = tmp_path / "example.yaml"
    services = _rendered(path, (PROJECT / "inventories/example.yaml").read_text())
    chat = services["chat"]
    assert {name: _port(service) for name, service in services.items()} == {
        "chat": "0.0.0.0:1281",
        "embed": "0.0.0.0:1282",
        "rerank": "0.0.0.0:1283",
        "reason": "0.0.0.0:1284",
    }
    assert _flags(chat) >= {
        "--served-model-name gpt-4",
        "--tensor-parallel-size 4",
        "--enable-prefix-caching",
        "--tool-call-parser hermes",
    }
    assert "--reasoning-parser deepseek_r1" in _flags(services["reason"])
    assert "--tensor-parallel-size 2" in _flags(services["reason"])
    assert "--convert embed" in _flags(services["embed"])
    assert all(service["environment"]["TZ"] == "Asia/Shanghai" for service in services.values())
    assert all(service["shm_size"] == "10.24gb" for service in services.values())
    assert "/data/models/Qwen/Qwen2.5-72B-Instruct-GPTQ-Int8/" in str(chat["volumes"])


@pytest.mark.parametrize("version", ["v0.11.0", "v0.32.0"])
def test_ray_of_the_example_is_kept_where_the_image_has_it(version: str, tmp_path: Path) -> None:
    """The recipe's Ray is rendered for images that carry it and left out for the others."""
    image = f"      images:\n        vllm: vllm/vllm-openai:{version}\n"
    text = (PROJECT / "inventories/example.yaml").read_text()
    text = text.replace("      time_zone:", f"{image}      time_zone:")
    chat = _rendered(tmp_path / "example.yaml", text)["chat"]
    has_ray = "--distributed-executor-backend ray" in _flags(chat)
    assert has_ray is (version == "v0.11.0")


@pytest.mark.parametrize("name", READMES)
def test_services_in_the_readme_render(name: str, tmp_path: Path) -> None:
    """The README's services are valid: on a host with their models they can be rendered."""
    texts = [text for text in _blocks(name, "yaml") if "services:" in text]
    assert texts
    for text in texts:
        assert _rendered(tmp_path / "prod.yaml", text)


@pytest.mark.parametrize("name", READMES)
def test_inventory_in_the_readme_loads(name: str, tmp_path: Path) -> None:
    """The README's inventory is valid and describes 16 hosts with 8 GPUs each."""
    text = _blocks(name, "yaml")[0]
    path = tmp_path / "prod.yaml"
    path.write_text(text)
    hosts = load(path, load_roles(PROJECT)).hosts
    assert [hosts["gpu16"].ssh.address, hosts["gpu16"].gpus, len(hosts)] == ["10.0.0.26", 8, 16]


@pytest.mark.parametrize("name", READMES)
def test_commands_in_the_readme_exist(name: str) -> None:
    """Every `inv …` of the README names a task that exists and options that it has."""
    contexts = {context.name: context for context in namespace(PROJECT).to_contexts()}
    text = (PROJECT / name).read_text()
    commands = re.findall(r"(?:^|`|\$ )inv ([a-z][\w.]*[^`\n#>(]*)", text, re.MULTILINE)
    assert len(commands) > 10
    for command in commands:
        task, *words = shlex.split(command)
        assert task in contexts, command
        for word in words:
            assert not word.startswith("-") or word in contexts[task].flags, command


@pytest.mark.parametrize("name", READMES)
def test_make_targets_in_the_readme_exist(name: str) -> None:
    """Every `make …` of the README is a target of the Makefile."""
    makefile = (PROJECT / "Makefile").read_text()
    text = (PROJECT / name).read_text()
    for target in re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_both_readmes_say_the_same() -> None:
    """The two READMEs have the same headings by level, tables by rows, and blocks word for word."""
    english, chinese = ((PROJECT / name).read_text() for name in READMES)
    for pattern in (r"^(#+) ", r"^(\|)", r"^(- )", r"(<!-- run: \w+ -->)"):
        assert re.findall(pattern, english, re.MULTILINE) == re.findall(
            pattern, chinese, re.MULTILINE
        ), pattern
    for language in ("yaml", "console"):
        assert _blocks("README.md", language) == _blocks("README.zh.md", language)
    codes = [sorted(re.findall(r"\d+\.\d+\.\d+|\d+ s\b", text)) for text in (english, chinese)]
    assert codes[0] == codes[1]


def _blocks(name: str, language: str) -> list[str]:
    text = (PROJECT / name).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def _rendered(path: Path, text: str) -> Mapping[str, Any]:
    """Return the services of the first host of an inventory whose models are listed."""
    path.write_text(text)
    host = next(iter(load(path, load_roles(PROJECT)).hosts.values()))
    models, role = models_of(host), services_of(host)
    assert models
    assert role
    entries = {}
    for wish in models.wishes().values():
        listing = Listing(
            source=wish.source,
            id=wish.id,
            asked=wish.revision,
            revision="c1",
            fetch_revision=wish.revision,
            files=tuple(
                RemoteFile(path=file, size_bytes=1, digest=f"sha256:{'0' * 64}") for file in FILES
            ),
        )
        entries[wish.key] = Entry(listing=listing, listed_at=date(2026, 1, 1), endpoint="")
    write(path_beside(path), Lock(entries=entries))
    services = yaml.safe_load(compose(host.name, resolve(host), role).text)["services"]
    assert isinstance(services, dict)
    return services


def _port(service: Mapping[str, Any]) -> str:
    """Return address and port at which a service is reached."""
    (port,) = service["ports"]
    return str(port).rpartition(":")[0]


def _flags(service: Mapping[str, Any]) -> set[str]:
    """Return the flags of a service, each with its value."""
    return {f"--{flag}".strip() for flag in " ".join(service["command"]).split("--")[1:]}
