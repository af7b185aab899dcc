"""Layers merge into hosts, and every value knows where it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from provision.errors import InventoryError
from provision.inventory.load import find, load
from provision.inventory.origin import Origin, origins
from provision.inventory.schema import SSH, Host, Proxies
from provision.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from provision.inventory.schema import Inventory

    Load = Callable[[str], Inventory]

FLEET = """\
vars:
  ssh: {user: ops, key: keys/id, known_hosts: /etc/known_hosts}
  proxies: {apt: "http://10.0.0.1:3128", no_proxy: [10.0.0.0/8]}
  docker: {mirror: "https://a.example/", labels: {a: "1", b: "2"}}
groups:
  web:
    hosts: [login1]
    roles: [docker, base]
  gpu:
    hosts: ["gpu[01:03]", "login*"]
    roles: [base, docker]
    vars:
      gpus: 8
      docker: {version: "28"}
hosts:
  login1:
    ssh: {address: login.example, port: 2222}
    gpus: 0
    roles: [model, base]
    model: {name: tiny}
    docker: {labels: {b: "3"}, pools: []}
  gpu[01:03]: {ssh: {address: "10.0.0.[11:13]"}}
  lone:
"""


def test_the_nearest_layer_wins_and_mappings_merge(inventory: Load) -> None:
    """`vars < group < host`, key by key in mappings."""
    docker = inventory(FLEET).hosts["login1"].variables["docker"].model_dump()
    assert docker["labels"] == {"a": "1", "b": "3"}
    assert docker["version"] == "28"
    assert str(docker["mirror"]) == "https://a.example/"


def test_lists_replace(inventory: Load) -> None:
    """A list of a nearer layer takes the place of the whole list below it."""
    text = "vars: {proxies: {no_proxy: [a, b]}}\nhosts: {h: {proxies: {no_proxy: [c]}}, i: }\n"
    hosts = inventory(text).hosts
    assert hosts["h"].proxies.no_proxy == ("c",)
    assert hosts["i"].proxies.no_proxy == ("a", "b")


def test_hosts_keep_the_order_of_the_file(inventory: Load) -> None:
    """Hosts and the members of a group stand in the order in which the file defines them."""
    fleet = inventory(FLEET)
    assert list(fleet.hosts) == ["login1", "gpu01", "gpu02", "gpu03", "lone"]
    assert fleet.groups["gpu"].hosts == ("login1", "gpu01", "gpu02", "gpu03")


def test_roles_follow_the_groups_of_the_file_then_the_host(inventory: Load) -> None:
    """Each group gives its roles in turn, the host comes last, and no role comes twice."""
    host = inventory(FLEET).hosts["login1"]
    assert host.groups == ("web", "gpu")
    assert host.roles == ("docker", "base", "model")
    assert list(host.variables) == ["docker", "base", "model"]


def test_an_address_defaults_to_the_host_s_name(inventory: Load) -> None:
    """A host without an address is reached by its name, so aliases of ~/.ssh/config work."""
    lone = inventory(FLEET).hosts["lone"]
    assert lone.ssh.address == "lone"
    assert (lone.ssh.port, lone.gpus) == (None, None)
    assert Host(name="x").ssh.address == "x"
    assert Host(name="x", ssh=SSH(address="y")).ssh.address == "y"


def test_values_run_in_step_with_the_range_of_the_key(inventory: Load) -> None:
    """The n-th host of a range gets the n-th value of every range below it."""
    hosts = inventory(FLEET).hosts
    assert [hosts[f"gpu0{n}"].ssh.address for n in (1, 2, 3)] == [
        "10.0.0.11",
        "10.0.0.12",
        "10.0.0.13",
    ]


def test_relative_paths_start_at_the_inventory(
    inventory: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key beside the inventory is found from any working folder, and ~ is the home."""
    monkeypatch.setenv("HOME", "/home/me")
    ssh = inventory(FLEET).hosts["lone"].ssh
    assert ssh.key == tmp_path / "keys/id"
    assert ssh.known_hosts == Path("/etc/known_hosts")
    text = "hosts: {a: {ssh: {key: ~/.ssh/id}}}\n"
    assert inventory(text).hosts["a"].ssh.key == Path("/home/me/.ssh/id")


@pytest.mark.parametrize("address", ["10.0.0.1", "::1", "fe80::1%eth0", "gpu-01.example", "a_b"])
def test_addresses_and_gateways_of_every_form_pass(inventory: Load, address: str) -> None:
    """Names, IPv4, IPv6 and zones are addresses; a gateway may have a user and a port."""
    text = f"hosts: {{a: {{ssh: {{address: '{address}', gateway: 'me@[::1]:22'}}}}}}\n"
    assert inventory(text).hosts["a"].ssh.address == address


def test_a_host_that_sets_the_value_settles_a_contradiction(inventory: Load) -> None:
    """Groups may disagree where the host decides."""
    text = (
        "groups:\n  a: {hosts: [h], vars: {gpus: 1, docker: {labels: {x: a}}}}\n"
        "  b: {hosts: [h], vars: {gpus: 2, docker: {labels: {x: b}}}}\n"
        "hosts: {h: {gpus: 3, docker: {labels: {x: c}}}}\n"
    )
    assert inventory(text).hosts["h"].gpus == 3


def test_groups_that_agree_do_not_contradict(inventory: Load) -> None:
    """Two groups may set one value alike, or different keys of one mapping."""
    text = (
        "groups:\n  a: {hosts: [h], vars: {gpus: 1, proxies: {no_proxy: [x]}}}\n"
        "  b: {hosts: [h], vars: {gpus: 1, proxies: {no_proxy: [x], pip: 'http://p'}}}\n"
        "hosts: {h: }\n"
    )
    assert inventory(text).hosts["h"].proxies == Proxies(pip="http://p", no_proxy=("x",))


def test_a_mapping_contradicts_nothing_in_its_place(inventory: Load) -> None:
    """One group that empties what another fills is a contradiction, too."""
    text = (
        "groups:\n  a: {hosts: [h], vars: {docker: {labels: {x: a}}}}\n"
        "  b: {hosts: [h], vars: {docker: {labels: }}}\nhosts: {h: }\n"
    )
    with pytest.raises(InventoryError, match=r"lab.yaml:3: groups.b.vars.docker.labels: .* h\."):
        inventory(text)


def test_anchors_and_merge_keys_work(inventory: Load) -> None:
    """YAML's own means against repetition stay usable; own keys win over merged ones."""
    text = (
        "hosts:\n  a: &a\n    gpus: 1\n    ssh: {port: 1}\n"
        "  b:\n    gpus: 2\n    <<: *a\n  c: {<<: [{gpus: 5}, *a]}\n"
    )
    hosts = inventory(text).hosts
    assert (hosts["b"].gpus, hosts["b"].ssh.port) == (2, 1)
    assert (hosts["c"].gpus, hosts["c"].ssh.port) == (5, 1)


def test_a_date_and_a_quoted_number_are_text(inventory: Load) -> None:
    """What is quoted, or looks like a date, is a string."""
    text = "hosts: {a: {roles: [docker], docker: {version: 2026-01-01, pools: ['010', \"no\"]}}}\n"
    docker = inventory(text).hosts["a"].variables["docker"].model_dump()
    assert (docker["version"], docker["pools"]) == ("2026-01-01", ["010", "no"])


def test_a_secret_stays_a_reference(inventory: Load) -> None:
    """Loading reads no secret."""
    text = "hosts: {a: {roles: [docker], docker: {token: 'env:NOT_SET'}}}\n"
    docker = inventory(text).hosts["a"].variables["docker"]
    assert dict(docker)["token"] == Secret("env:NOT_SET")


def test_hosts_alike_share_one_validated_block(inventory: Load) -> None:
    """A block that is equal for many hosts is validated once."""
    hosts = inventory(FLEET).hosts
    assert hosts["gpu01"].variables["docker"] is hosts["gpu02"].variables["docker"]


def test_a_byte_order_mark_is_no_character(
    write: Callable[[str], Path], roles: dict[str, type[BaseModel]]
) -> None:
    """A file saved by a Windows editor loads."""
    assert list(load(write("\ufeffhosts: {a: }\r\n"), roles).hosts) == ["a"]


def test_origin_names_the_winner_and_what_it_overrode(inventory: Load, tmp_path: Path) -> None:
    """The origin of a value lists every layer that sets it, the winner first."""
    fleet, path = inventory(FLEET), tmp_path / "lab.yaml"
    assert origins(fleet, "login1", "gpus") == [
        Origin(path, 18, 0, "host login1"),
        Origin(path, 13, 8, "group gpu"),
    ]
    assert origins(fleet, "login1", "docker.labels.b") == [
        Origin(path, 21, "3", "host login1"),
        Origin(path, 4, "2", "vars"),
    ]
    assert origins(fleet, "gpu02", "ssh.address") == [Origin(path, 22, "10.0.0.12", "host gpu02")]


def test_origin_of_a_default_says_so(inventory: Load, tmp_path: Path) -> None:
    """A setting that nobody sets has its default as its origin."""
    fleet, path = inventory(FLEET), tmp_path / "lab.yaml"
    assert origins(fleet, "lone", "gpus") == [Origin(path, 0, None, "default")]
    assert origins(fleet, "lone", "ssh.address") == [Origin(path, 0, "lone", "default")]
    role = "default of role docker"
    assert origins(fleet, "gpu01", "docker.fast") == [Origin(path, 0, value=True, layer=role)]
    assert origins(fleet, "lone", "docker.limits.soft") == [Origin(path, 0, 1, role)]


@pytest.mark.parametrize(
    ("host", "dotted", "remedy"),
    [
        ("gpu1", "gpus", "Did you mean 'gpu01'?"),
        ("gpu01", "docker.miror", "Did you mean 'mirror'?"),
        ("gpu01", "dokcer.mirror", "Did you mean 'docker'?"),
        ("gpu01", "ssh.prot", "Did you mean 'port'?"),
        ("lone", "gpus.x", "It has no settings below it."),
    ],
)
def test_origin_of_an_unknown_name_is_an_error(
    inventory: Load, host: str, dotted: str, remedy: str
) -> None:
    """Asking for what does not exist names the nearest known name."""
    with pytest.raises(InventoryError) as caught:
        origins(inventory(FLEET), host, dotted)
    assert caught.value.remedy == remedy


def test_the_argument_wins_over_environment_and_configuration(tmp_path: Path) -> None:
    """`--inventory`, PROVISION_INVENTORY, then the configuration."""
    (tmp_path / "inventories").mkdir()
    for name in ("a.yaml", "b.yml", "c.yaml"):
        (tmp_path / "inventories" / name).touch()
    environment = {"PROVISION_INVENTORY": "b"}
    assert find("a", environment, "c", tmp_path).name == "a.yaml"
    assert find(None, environment, "c", tmp_path).name == "b.yml"
    assert find(None, {"PROVISION_INVENTORY": ""}, "inventories/c.yaml", tmp_path).name == "c.yaml"
    assert find(str(tmp_path / "inventories/a.yaml"), {}, None, tmp_path).name == "a.yaml"


def test_an_inventory_that_is_not_found_names_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No name lists what there is; a wrong name names the nearest."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InventoryError, match="inventories holds none"):
        find(None, {}, None, tmp_path)
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories" / "prod.yaml").touch()
    with pytest.raises(InventoryError, match=r"there are: inventories/prod\.yaml"):
        find(None, {}, None, tmp_path)
    with pytest.raises(InventoryError) as caught:
        find("pord", {}, None, tmp_path)
    assert str(caught.value) == "--inventory: 'pord': no such inventory. Did you mean 'prod'?"
    with pytest.raises(InventoryError, match="is a folder"):
        find("inventories", {}, None, tmp_path)
