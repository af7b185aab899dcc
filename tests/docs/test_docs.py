"""What the documentation promises is what there is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from provision.cli import namespace
from provision.cli.reference import reference
from provision.inventory.load import load
from provision.state.role import load_roles

PROJECT = Path(__file__).resolve().parents[2]
READMES = ("README.md", "README.zh.md")


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
