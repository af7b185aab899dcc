"""The laws of lab profiles: each says what it makes, and nothing about it is written twice."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from string import Template

import pytest
import yaml

from provision.errors import LabError
from provision.inventory.settings import Settings
from provision.lab import profiles
from provision.lab.engine import Engine
from provision.lab.host import LabHost, boot
from provision.lab.hub_container import Hub
from provision.lab.inventory import inventory_of
from provision.lab.lab import Lab
from provision.lab.mirror import Mirror
from provision.lab.names import Space
from provision.lab.profiles import all_profiles, choose, dress, packages, settings_of, undress
from provision.lab.registry import Registry

EVERY = tuple(all_profiles())
ENGINE = Engine(("true",), private=False)
"""Stands for an engine in whose hosts every script does well."""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Return a lab of two hosts that nothing was started for."""
    keys = tmp_path / "cache" / "keys"
    keys.mkdir(parents=True)
    for name in ("docker-ce", "nvidia"):
        (keys / f"{name}.fingerprint").write_text("F" * 40)
    monkeypatch.setenv("PROVISION_LAB_CACHE", str(tmp_path / "cache"))
    space = Space(tmp_path, "x")
    space.folder.mkdir(parents=True)
    hosts = tuple(LabHost(f"gpu0{n}", f"10.77.0.{10 + n}", f"x-gpu0{n}") for n in (1, 2))
    parts = (Mirror(ENGINE, space, "10.77.0.2"), Hub.of(ENGINE, space, "10.77.0.3"))
    registry = Registry(ENGINE, space, "10.77.0.4")
    return Lab(ENGINE, space, "trixie", "image", "10.77.0.0/24", *parts, registry, hosts)


@pytest.mark.parametrize("name", EVERY)
def test_a_profile_says_in_one_sentence_what_it_makes(name: str) -> None:
    """The first comment line is a sentence about the host."""
    assert re.fullmatch(r"An? .*\.", all_profiles()[name].about)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_profile_is_a_script_that_stops_at_the_first_failure(name: str, shell: str) -> None:
    """Its syntax is that of sh, and it sets -eu before it does anything."""
    profile = all_profiles()[name]
    done = subprocess.run([shell, "-n"], input=profile.script, text=True, check=False)
    code = [line for line in profile.script.splitlines() if line and not line.startswith("#")]
    assert done.returncode == 0
    assert code[0] == "set -eu"


@pytest.mark.parametrize("name", EVERY)
def test_what_the_inventory_must_say_is_in_its_schema(lab: Lab, name: str) -> None:
    """The settings of a profile are settings that every host may have, with values that fit."""
    settings = lab.dress("gpu01", name)
    others = {key: value for key, value in settings.items() if key in Settings.model_fields}
    Settings.model_validate(others)
    assert not [key for key in settings if "." in key]


@pytest.mark.parametrize("name", EVERY)
def test_every_profile_is_dressed_by_a_test(name: str) -> None:
    """A test on lab hosts names it, so that none is there for show."""
    tests = Path(__file__).parent.glob("lab/test_*.py")
    assert any(re.search(rf'["\'+]{name}["\'+]', file.read_text()) for file in tests)


def test_every_variable_is_one_that_a_script_gets(lab: Lab) -> None:
    """A script that asks for another variable of the lab would stop under -u."""
    given = set(profiles._words(lab, lab.hosts[0]))  # noqa: SLF001  what scripts get
    for profile in all_profiles().values():
        asked = set(re.findall(r"\$\{?(LAB_[A-Z_]+)", profile.script))
        assert asked <= given, profile.name


def test_an_unknown_profile_is_named_with_the_nearest() -> None:
    """A misspelt profile is refused before anything is done."""
    with pytest.raises(LabError, match="no profile 'sudo-pasword'") as caught:
        choose(["fish", "sudo-pasword"], "--profile")
    assert "sudo-password" in caught.value.remedy


def test_profiles_come_in_the_order_given_and_once() -> None:
    """Naming one twice is naming it once."""
    assert [each.name for each in choose(["tcsh", "fish", "tcsh"], "x")] == ["tcsh", "fish"]


def test_the_mirror_offers_what_profiles_install() -> None:
    """Packages of every profile are among those that are fetched for hosts."""
    assert {"fish", "tcsh"} <= set(packages())


def test_the_inventory_says_what_profiles_need(lab: Lab) -> None:
    """Port, gateway and password of dressed hosts stand beside their addresses, also later on."""
    for host in lab.hosts:
        lab.dress(host, "port-2222", "bastion", "sudo-password")
    written = yaml.safe_load(inventory_of(lab, ("base",)))["hosts"]
    password = f"file:{lab.space.folder}/sudo-password"
    both = {"port": 2222, "sudo_password": password}
    gateway = {"gateway": "ops@10.77.0.12"}
    assert written["gpu01"] == {"ssh": {"address": "10.77.0.11", **both, **gateway}}
    assert written["gpu02"] == {"ssh": {"address": "10.77.0.12", **both}}


def test_the_password_is_readable_for_its_owner_only(lab: Lab) -> None:
    """The file that the inventory refers to holds the password that hosts were given."""
    lab.dress("gpu01", "sudo-password")
    file = lab.space.folder / "sudo-password"
    assert file.read_text() == profiles.SUDO_PASSWORD + "\n"
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_host_that_boots_bare_has_no_profile(lab: Lab) -> None:
    """What was said of the host before is forgotten with it."""
    host = lab.hosts[0]
    assert dress(lab, host, ["port-2222"]) == {"ssh": {"port": 2222}}
    boot(ENGINE, lab.space, host, "image")
    assert settings_of(lab.space, host) == {}
    undress(lab.space, host)


def test_a_script_that_fails_is_told_with_host_and_profile(lab: Lab) -> None:
    """The error says which profile stopped, where, and what it said."""
    failing = Engine(("sh", "-c", "echo no such user >&2; exit 3"), private=False)
    broken = Lab(failing, *(getattr(lab, name) for name in list(Lab.__dataclass_fields__)[1:]))
    with pytest.raises(LabError, match="exited 3: no such user") as caught:
        broken.dress("gpu01", "fish")
    assert caught.value.where == "gpu01: profile fish"


def test_values_are_numbers_where_they_are() -> None:
    """What the inventory must say keeps its type; what is no JSON is text."""
    words = {"LAB_GATEWAY": "10.77.0.1"}
    assert profiles._setting("ssh.port: 2222", words) == (["ssh", "port"], 2222)  # noqa: SLF001
    url = profiles._setting("proxies.apt: http://$LAB_GATEWAY:3128", words)  # noqa: SLF001
    assert url == (["proxies", "apt"], "http://10.77.0.1:3128")
    assert Template("$LAB_GATEWAY").substitute(words) == "10.77.0.1"
