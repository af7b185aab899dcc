"""The roles on distributions of RPMs: what they ask for by the os-release texts as published.

The texts in `os-release/` are those that the distributions ship, read in public logs; no such
host was there. What dnf itself makes of the resources is tested in `tests/lab/test_rpm.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from provision.errors import RoleError
from provision.facts import OS, Docker, Driver, Facts, parse_facts
from provision.inventory.schema import Host, Proxies
from provision.state.kinds.dnf_repository import DnfRepository
from provision.state.kinds.dnf_setting import DnfSetting
from provision.state.kinds.package import Package
from provision.state.resource import Resource
from provision.state.role import load_roles

TEXTS: Final = Path(__file__).with_name("os-release")
ROLES: Final = load_roles(Path(__file__).parents[2])
HOST: Final = Host(name="gpu01")
SYSTEMS: Final = sorted(path.name for path in TEXTS.iterdir())
TUNA: Final = "https://mirrors.tuna.tsinghua.edu.cn/docker-ce/linux"


def _facts(name: str, kernel: str = "5.14.0-570.el9.x86_64", **more: Any) -> Facts:
    """Return what the facts' parser makes of a published text; all else is as on an empty host."""
    text = (TEXTS / name).read_text(encoding="utf-8")
    found = parse_facts(f"{text}\n{kernel} x86_64\n@word os 0\n", "@word")
    return Facts(os=found.os, **more)


def _resources(role: str, facts: Facts, host: Host = HOST, **values: Any) -> list[Resource]:
    return list(ROLES[role](**values).resources(host, facts))


def _repository(role: str, facts: Facts, **values: Any) -> DnfRepository:
    (found,) = (
        item for item in _resources(role, facts, **values) if isinstance(item, DnfRepository)
    )
    return found


def _packages(role: str, facts: Facts, **values: Any) -> list[Package]:
    return [item for item in _resources(role, facts, **values) if isinstance(item, Package)]


@pytest.mark.parametrize(
    ("name", "release"),
    [
        ("almalinux-8.10", 8),
        ("rocky-9.6", 9),
        ("rocky-10.1", 10),
        ("centos-stream-10", 10),
        ("rhel-9.4-excerpt", 9),
        ("openeuler-24.03-sp1", 9),
        ("anolis-23", 9),
        ("anolis-8.10", 8),
    ],
)
def test_every_system_has_its_packages_and_its_equivalent(name: str, release: int) -> None:
    """All take RPMs by dnf, and are Enterprise Linux or equal one release of it."""
    system = _facts(name).os
    assert (system.packages, system.enterprise_linux) == ("dnf", release)
    assert system.basearch == "x86_64"


def test_every_text_is_judged() -> None:
    """A new text stands in the table above."""
    assert len(SYSTEMS) == 8


@pytest.mark.parametrize(
    ("system", "packages", "release"),
    [
        (OS(id="debian", version="13"), "apt", None),
        (OS(id="linuxmint", like=("ubuntu", "debian"), version="22.1"), "apt", None),
        (OS(id="fedora", version="43"), "dnf", None),
        (OS(id="amzn", like=("fedora",), version="2023"), "dnf", None),
        (OS(id="openEuler", version="20.03"), "dnf", 8),
        (OS(id="openEuler", version="22.03"), "dnf", 9),
        (OS(id="openEuler", version="25.09"), "dnf", None),
        (OS(id="alinux", like=("rhel", "fedora", "centos", "anolis"), version="3"), "dnf", 8),
        (OS(id="centos", like=("rhel", "fedora"), version="7"), "dnf", 7),
        (OS(id="anolis", version="23.3"), "dnf", 9),
        (OS(id="odd", like=("rhel",), version="²"), "dnf", None),
    ],
)
def test_a_release_that_nobody_has_checked_equals_none(
    system: OS, packages: str, release: int | None
) -> None:
    """Only what stands in the table, or is Enterprise Linux itself, has an equivalent."""
    assert (system.packages, system.enterprise_linux) == (packages, release)


@pytest.mark.parametrize(
    ("name", "folder", "hotfixes"),
    [
        ("almalinux-8.10", "centos/8", True),
        ("rocky-9.6", "centos/9", False),
        ("rocky-10.1", "centos/10", False),
        ("centos-stream-10", "centos/10", False),
        ("rhel-9.4-excerpt", "rhel/9", False),
        ("openeuler-24.03-sp1", "centos/9", False),
        ("anolis-23", "centos/9", False),
        ("anolis-8.10", "centos/8", True),
    ],
)
def test_docker_comes_from_the_equivalent_folder(name: str, folder: str, *, hotfixes: bool) -> None:
    """The release is written out: $releasever of openEuler and Anolis is no folder of the mirror."""
    found = _repository("docker", _facts(name))
    assert found.uri == f"{TUNA}/{folder}/x86_64/stable"
    assert found.key_url == f"{TUNA}/{folder.partition('/')[0]}/gpg"
    assert (found.gpgcheck, found.repo_gpgcheck, found.module_hotfixes) == (True, False, hotfixes)
    assert found.fingerprint == "060A61C51B558A7F742B77AAC52FEB6B621E9F35"


def test_the_key_of_the_rpms_is_not_that_of_the_debs() -> None:
    """Docker signs the two with different keys; one that is set counts for both."""
    own = "A" * 40
    assert _repository("docker", _facts("rocky-9.6"), fingerprint=own).fingerprint == own
    debian = Facts(os=OS(id="debian", codename="trixie"))
    (apt,) = (item for item in _resources("docker", debian) if item.kind == "apt_repository")
    assert apt.model_dump()["fingerprint"] == "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("role", ["base", "docker", "nvidia_container_toolkit"])
def test_every_package_goes_by_dnf(role: str, name: str) -> None:
    """No package of any role is asked of apt, and nothing of apt is configured."""
    resources = (
        _resources(role, _facts(name), replace_engine=True)
        if role == "docker"
        else (_resources(role, _facts(name)))
    )
    assert [item for item in resources if isinstance(item, Package)]
    assert {item.manager for item in resources if isinstance(item, Package)} == {"dnf"}
    assert not [item.id for item in resources if "apt" in item.id]


def test_the_ids_are_those_of_debian() -> None:
    """What an operator selects and reads is the same on both families."""
    on_debian = _resources("docker", Facts(os=OS(id="debian", codename="trixie")))
    on_rocky = _resources("docker", _facts("rocky-9.6"))
    differ = {item.id for item in on_debian} ^ {item.id for item in on_rocky}
    assert differ == {"apt_repository:docker-ce", "dnf_repository:docker-ce"}


def test_el_10_gets_the_module_that_dockerd_needs() -> None:
    """The one of the running kernel, never held; a kernel that is not EL's own has its own ways."""
    facts = _facts("rocky-10.1", kernel="6.12.0-124.8.1.el10_1.x86_64")
    (found,) = (item for item in _packages("docker", facts, hold=True) if "kernel" in item.name)
    assert (found.name, found.version) == ("kernel-modules-extra", "6.12.0-124.8.1.el10_1")
    assert not found.hold
    for name, kernel in {"rocky-9.6": "5.14.0-570.el9.x86_64", "rocky-10.1": "6.18.1"}.items():
        names = [item.name for item in _packages("docker", _facts(name, kernel=kernel))]
        assert "kernel-modules-extra" not in names


def test_version_and_hold_reach_the_packages() -> None:
    """As on Debian, with a pattern without the epoch."""
    wanted = {
        item.name: item
        for item in _packages("docker", _facts("rocky-9.6"), version="28.*", hold=True)
    }
    assert wanted["docker-ce"].version == wanted["docker-ce-cli"].version == "28.*"
    assert all(item.hold for item in wanted.values())


def test_the_toolkits_index_is_signed() -> None:
    """NVIDIA signs the index of its RPMs and not the RPMs, as its own .repo file says."""
    found = _repository("nvidia_container_toolkit", _facts("anolis-23"))
    assert found.uri == "https://nvidia.github.io/libnvidia-container/stable/rpm/x86_64"
    assert (found.gpgcheck, found.repo_gpgcheck) == (False, True)
    versions = {item.version for item in _packages("nvidia_container_toolkit", _facts("anolis-23"))}
    assert versions == {"1.20.0-1"}


@pytest.mark.parametrize(
    "system",
    [OS(id="fedora", version="43", name="Fedora Linux 43"), OS(id="openEuler", version="25.09")],
)
def test_without_an_equivalent_docker_is_refused(system: OS) -> None:
    """No folder of the mirror is guessed; an engine that works is kept all the same."""
    with pytest.raises(
        RoleError, match=r"docker-ce has no packages for (Fedora Linux 43|openEuler)"
    ):
        _resources("docker", Facts(os=system))
    working = Docker(version="28.2.2", package="moby-engine")
    found = _resources("docker", Facts(os=system, docker=working))
    assert not [item.id for item in found if item.kind in {"package", "dnf_repository"}]


@pytest.mark.parametrize("engine", ["docker-engine", "moby-engine", "docker", "runc"])
def test_another_engine_is_replaced_only_when_told(engine: str) -> None:
    """Neither openEuler's docker-engine nor Podman's runc goes without a word: refused, or in the plan."""
    facts = _facts("openeuler-24.03-sp1", engines=(engine,))
    with pytest.raises(RoleError, match=f"{engine} is installed.*replace_engine: true"):
        _resources("docker", facts)
    gone = [
        item.name for item in _packages("docker", facts, replace_engine=True) if not item.present
    ]
    assert engine in gone


def test_podman_docker_is_refused() -> None:
    """It stands in for Docker, on EL as on Debian; provision never removes it."""
    facts = _facts("rocky-9.6", engines=("podman-docker",))
    with pytest.raises(RoleError, match="remove podman-docker"):
        _resources("docker", facts, replace_engine=True)


def _settings(facts: Facts, host: Host = HOST, **values: Any) -> dict[str, DnfSetting]:
    found = _resources("base", facts, host, **values)
    return {item.name: item for item in found if isinstance(item, DnfSetting)}


def test_the_proxy_is_an_option_of_dnf_conf() -> None:
    """For dnf 4 has no drop-ins; without a proxy the option is ours to remove, never the operator's."""
    host = Host(name="gpu01", proxies=Proxies(apt="http://10.0.0.1:3128"))
    proxy = _settings(_facts("rocky-9.6"), host)["proxy"]
    assert (proxy.program, proxy.present, proxy.value) == ("dnf", True, "http://10.0.0.1:3128")
    assert not _settings(_facts("rocky-9.6"))["proxy"].present


def test_the_driver_stays_out_of_dnf_automatic_alone() -> None:
    """An operator's own `dnf upgrade` may move the driver, and nothing names the toolkit."""
    driver = Driver(status="ok", kernel_module="580.159.04")
    kept = _settings(_facts("rocky-9.6", driver=driver))["excludepkgs"]
    assert (kept.program, kept.present) == ("dnf-automatic", True)
    assert "nvidia-driver*" in kept.items
    assert not [
        item for item in kept.items if "container" in item or item in {"nvidia-*", "libnvidia-*"}
    ]
    assert not _settings(_facts("rocky-9.6", driver=driver), keep_driver=False)[
        "excludepkgs"
    ].present
    assert not _settings(_facts("rocky-9.6"))["excludepkgs"].present
    assert "excludepkgs" not in _settings(_facts("rocky-9.6", unknown=("driver",)))


@pytest.mark.parametrize(
    ("name", "pythons", "python", "package"),
    [
        ("almalinux-8.10", {"python3": "3.6"}, "python3.11", "python3.11"),
        ("almalinux-8.10", {"python3": "3.6", "python3.11": "3.11"}, "python3.11", ""),
        ("almalinux-8.10", {}, "python3.11", "python3.11"),
        ("rocky-9.6", {"python3": "3.9"}, "python3.11", "python3.11"),
        ("rocky-9.6", {"python3": "3.9", "python3.12": "3.12"}, "python3.12", ""),
        ("rocky-10.1", {"python3": "3.12"}, "python3", ""),
        ("rocky-10.1", {}, "python3", "python3"),
        ("openeuler-24.03-sp1", {"python3": "3.11"}, "python3", ""),
        ("anolis-23", {"python3": "3.10"}, "python3", ""),
    ],
)
def test_the_hubs_clients_get_an_interpreter(
    name: str, pythons: dict[str, str], python: str, package: str, tmp_path: Path
) -> None:
    """EL 8 and 9 have a newer one as a package of its own; venv comes with it, unlike on Debian."""
    found = _clients(_facts(name, pythons=pythons), tmp_path)
    assert [item.name for item in found if isinstance(item, Package)] == [package] * bool(package)
    assert [item.model_dump()["python"] for item in found if item.kind == "python_venv"] == [python]


def _clients(facts: Facts, folder: Path) -> list[Resource]:
    """Return what the role `models` asks for before the first model."""
    role: Any = ROLES["models"](lock=folder / "x.json")
    return list(role._clients(["modelscope"], HOST, facts))  # noqa: SLF001  a model needs a lock file


def test_openeuler_22_has_no_interpreter_for_the_hubs(tmp_path: Path) -> None:
    """Where python3 is too old and no package is known, the operator is told the other ways."""
    system = OS(id="openEuler", version="22.03", name="openEuler 22.03 (LTS-SP4)")
    facts = Facts(os=system, pythons={"python3": "3.9"})
    with pytest.raises(RoleError, match=r"Python 3\.9 is too old.*models\.via: push"):
        _clients(facts, tmp_path)
