"""Hosts with a history: each comes to the same end with what was theirs in place, or is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from keyboard import NAME, ROLES, Answer, inv, inventory
from test_spine import FINGERPRINT

from provision import lab as labs
from provision.lab import Lab
from provision.lab.faults import clock_off, ensure_faketime, lossy, proxy, proxy_log, slow
from provision.lab.process import say_on_stderr

pytestmark = pytest.mark.lab
Write = Callable[..., Path]
END: Final = {
    "docker": ("systemctl is-active docker; systemctl is-enabled docker", "active\nenabled"),
    "engine": (
        "docker info -f '{{(index .Runtimes \"nvidia\").Path}}'",
        "nvidia-container-runtime",
    ),
    "toolkit": ("nvidia-ctk --version | head -n 1", "NVIDIA Container Toolkit CLI version 1.20.0"),
    "hook": ("test -s /var/run/cdi/nvidia.yaml && echo described", "described"),
    "apt": ("apt-get update 2>&1 | grep -E '^(E|W|Err):' || echo well", "well"),
}
"""What is asked of a host that is done, and the answer."""
CONTAINERS: Final = (
    "docker container inspect -f '{{.Name}} {{.State.Running}} {{.State.StartedAt}}'"
    " history-unless-stopped history-no"
)
SOURCES: Final = "cd /etc/apt && sha256sum sources.list sources.list.d/site*"
MEASURED: Final = re.compile(r"install docker-ce.*: [\d.]+ k?MB? of [\d.]+ MB, .*/s, .* left")


def provision(path: Path, host: str, *words: str, timeout: float = 600, **more: str) -> Answer:
    """Provision one host without questions."""
    return inv(
        "provision", "--inventory", path, "--host", host, "--yes", *words, timeout=timeout, **more
    )


def reach_the_end(lab: Lab, host: str, path: Path, **environment: str) -> Answer:
    """Provision a host, see that it is done, and that a second run changes nothing in one exec."""
    answer = provision(path, host, **environment)
    assert answer.status == 0, answer.text
    assert {name: lab.exec(host, asks).stdout.strip() for name, (asks, _) in END.items()} == {
        name: wanted for name, (_, wanted) in END.items()
    }
    before = len(lab.logs(host))
    again = provision(path, host, **environment)
    log = lab.logs(host)[before:]
    assert again.status == 0, again.text
    assert "0 changes" in again.stdout
    assert len(re.findall("Starting session: command", log)) == 1, log
    return answer


def daemon_json(lab: Lab, host: str) -> dict[str, Any]:
    """Return what the host's daemon.json holds, with or without a byte order mark."""
    text = lab.exec(host, "cat /etc/docker/daemon.json").stdout
    document: dict[str, Any] = json.loads(text.removeprefix("\ufeff"))
    return document


def containers(lab: Lab, host: str) -> dict[str, tuple[bool, str]]:
    """Return of each container that was there before whether it runs, and since when."""
    lines = lab.exec(host, CONTAINERS).stdout.splitlines()
    return {name: (runs == "true", since) for name, runs, since in map(str.split, lines)}


def see_it_kept(lab: Lab, host: str, answer: Answer, kept: Mapping[str, Any]) -> None:
    """See that a docker.io has its settings and its containers, but for what was announced."""
    now = daemon_json(lab, host)
    assert {key: now.get(key) for key in kept} == kept
    assert now.keys() - kept.keys() <= {"runtimes", "features"}
    assert "! restarts Docker while 2 containers run" in answer.stdout
    assert lab.exec(host, "dpkg -s docker-ce").returncode != 0
    assert containers(lab, host)["/history-unless-stopped"][0]
    assert "history-no" in lab.exec(host, "docker ps --all").stdout


@pytest.mark.matrix
@pytest.mark.parametrize("profiles", [("docker-io",), ("docker-io", "daemon-json-bom")], ids=str)
def test_docker_io_keeps_its_settings_and_its_containers(
    lab: Lab, bare: str, write_inventory: Write, profiles: tuple[str, ...]
) -> None:
    """All keys of daemon.json stay, a chosen log driver gets no options of ours, with a BOM too."""
    path = write_inventory(gpu01=lab.dress(bare, *profiles))
    kept, ran = daemon_json(lab, bare), containers(lab, bare)
    assert {runs for runs, _ in ran.values()} == {True}
    planned = inv("plan", "--inventory", path, "--host", bare, "--role", "docker")
    assert planned.status == 0, planned.text  # nothing of it is for the role docker to change
    alone = provision(path, bare, "--role", "docker")
    assert (alone.status, containers(lab, bare)) == (0, ran), alone.text
    see_it_kept(lab, bare, reach_the_end(lab, bare, path), kept)


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("profiles", "said", "remedy"),
    [
        (("daemon-json-invalid",), r"daemon.json: invalid JSON at line 3 column 5", "Mend it"),
        (("docker-io", "daemon-json-invalid"), r"invalid JSON at line 3 column 5", "Mend it"),
        (("podman-docker",), "podman-docker is installed", "remove podman-docker"),
        (("kubelet",), "kubelet is installed", "take the role off this host"),
        (("docker-io", "kubelet"), "kubelet is installed", "take the role off this host"),
        (("docker-snap",), r"docker \(snap\) is installed", "snap remove docker"),
    ],
    ids=str,
)
def test_refused_host_is_as_it_was(
    lab: Lab, bare: str, write_inventory: Write, profiles: tuple[str, ...], said: str, remedy: str
) -> None:
    """Where we cannot go on one line says why and what to do, and not one file has changed."""
    path = write_inventory(gpu01=lab.dress(bare, *profiles))
    before = lab.exec(bare, FINGERPRINT).stdout
    answer = provision(path, bare)
    after = lab.exec(bare, FINGERPRINT).stdout
    assert answer.status == 1, answer.text
    (line,) = answer.lines_about(bare)
    assert re.search(said, line), line
    assert remedy in line
    assert before == after


def test_older_sources_make_way_and_foreign_ones_stay(
    lab: Lab, bare: str, write_inventory: Write
) -> None:
    """Lines of the same repository under another keyring are announced and disabled, no other."""
    path = write_inventory(gpu01=lab.dress(bare, "docker-list"))
    before, (line, stanza) = lab.exec(bare, SOURCES).stdout, older_sources(lab, bare)
    assert before.count("\n") == 3
    answer = reach_the_end(lab, bare, path)
    announced = " ".join(f"/etc/apt/sources.list.d/docker.{kind}" for kind in ("list", "sources"))
    assert f"! disables the older source in {announced}" in answer.stdout
    assert lab.exec(bare, SOURCES).stdout == before
    assert older_sources(lab, bare) == [line.replace("\ndeb ", "\n# deb "), ""]
    assert older_sources(lab, bare, ".save", ".disabled") == [line, stanza]


def older_sources(lab: Lab, host: str, *endings: str) -> list[str]:
    """Return the two older sources that the profile makes, or what they are called later."""
    paths = map(
        "/etc/apt/sources.list.d/docker.{}{}".format, ("list", "sources"), endings or ("", "")
    )
    return [lab.exec(host, f"cat {path}").stdout for path in paths]


def test_upgrades_that_are_under_way_are_named_and_waited_for(
    lab: Lab, bare: str, write_inventory: Write
) -> None:
    """Who has no patience is told who holds which lock; who has some goes on when it is free."""
    settings = lab.dress(bare, "apt-busy")
    hurried = provision(write_inventory(gpu01={**settings, "docker": {"lock_timeout": 3}}), bare)
    assert hurried.status == 1
    (line,) = hurried.lines_about(bare)
    assert re.search(r"another program holds \S+lock\S*: unattended-upgr \(process \d+\)", line), (
        line
    )
    holder = "systemctl is-active unattended-upgrades-stand-in"
    assert lab.exec(bare, holder).stdout == "active\n"
    reach_the_end(lab, bare, write_inventory(gpu01=settings))
    assert lab.exec(bare, holder).stdout != "active\n"


def test_a_proxy_is_enough(lab: Lab, bare: str, write_inventory: Write) -> None:
    """Without a route and without names all comes through the proxy, and Docker knows it too."""
    url = proxy(lab)
    settings = lab.dress(bare, "proxies-only")
    assert lab.exec(bare, "apt-get update 2>&1 | grep -c Err:").stdout.strip() != "0"
    asked = len(proxy_log(lab))
    reach_the_end(lab, bare, write_inventory(gpu01=settings))
    targets = proxy_log(lab)[asked:]
    assert "CONNECT mirrors.tuna.tsinghua.edu.cn:443" in targets
    assert "CONNECT nvidia.github.io:443" in targets
    said = lab.exec(bare, "docker info -f '{{.HTTPSProxy}} {{.NoProxy}}'").stdout.strip()
    assert said == f"{url} 10.0.0.0/8"


def test_ubuntu_in_disguise_gets_its_own_packages(
    lab: Lab, bare: str, write_inventory: Write
) -> None:
    """A host that calls itself Ubuntu 24.04 is served from linux/ubuntu, under its own suite."""
    path = write_inventory(gpu01=lab.dress(bare, "ubuntu-disguise"))
    reach_the_end(lab, bare, path)
    source = lab.exec(bare, "cat /etc/apt/sources.list.d/docker-ce.sources").stdout
    assert "linux/ubuntu\nSuites: noble\n" in source
    version = lab.exec(bare, "dpkg-query -W -f '${Version}' docker-ce").stdout
    assert version.endswith("~ubuntu.24.04~noble")


def test_all_at_once_come_to_the_same_end(lab: Lab, bare: str, write_inventory: Write) -> None:
    """Older sources, a busy apt, a proxy alone and a disguise on one host: none hides another."""
    proxy(lab)
    profiles = ("docker-list", "ubuntu-disguise", "apt-busy", "proxies-only")
    path = write_inventory(gpu01=lab.dress(bare, *profiles))
    before = lab.exec(bare, SOURCES).stdout
    assert "! disables the older source" in reach_the_end(lab, bare, path).stdout
    assert lab.exec(bare, SOURCES).stdout == before


@pytest.mark.matrix
@pytest.mark.parametrize("link", ["slow", "lossy", "slow and lossy"])
def test_a_bad_link_takes_longer_and_nothing_else(
    lab: Lab, bare: str, write_inventory: Write, link: str
) -> None:
    """Over 1 Mbit/s, and with a packet in twenty lost, no step takes slow for dead.

    The engine is there already: its packages would take twenty minutes of such a link.
    """
    path = write_inventory(gpu01=lab.dress(bare, "docker-io"))
    faults: list[AbstractContextManager[None]] = []
    if "slow" in link:
        faults.append(slow(lab, bare, "1mbit"))
    if "lossy" in link:
        faults.append(lossy(lab, bare, 0.05))
    with ExitStack() as made:
        for fault in faults:
            made.enter_context(fault)
        reach_the_end(lab, bare, path)


def test_a_long_download_says_how_far_it_is(lab: Lab, bare: str) -> None:
    """At 16 Mbit/s the engine takes minutes, in which lines tell of bytes, rate and time left."""
    with slow(lab, bare, "16mbit"):
        answer = provision(lab.inventory, bare)
    assert answer.status == 0, answer.text
    told = [line for line in answer.stderr.splitlines() if MEASURED.search(line)]
    assert told, answer.stderr


@pytest.mark.matrix
@pytest.mark.parametrize("shift", ["+10d", "-10d"])
def test_a_controller_whose_clock_is_off_does_no_harm(lab: Lab, bare: str, shift: str) -> None:
    """Ten days ahead or behind, a laptop provisions as ever, and its second run changes nothing."""
    faked = {"LD_PRELOAD": str(ensure_faketime(say_on_stderr)), "FAKETIME": shift}
    reach_the_end(lab, bare, lab.inventory, **faked, DONT_FAKE_MONOTONIC="1")


def test_a_host_whose_clock_is_behind_is_told_so(lab: Lab, bare: str) -> None:
    """Certificates and lists from its future are refused with the clock named, and none entered."""
    sources = "ls /etc/apt/sources.list.d /etc/apt/keyrings"
    before = lab.exec(bare, sources).stdout
    with clock_off(lab, bare, "-3000d"):
        answer = provision(lab.inventory, bare)
    assert answer.status == 1, answer.text
    (line,) = answer.lines_about(bare)
    assert "clock" in line
    assert lab.exec(bare, sources).stdout == before
    reach_the_end(lab, bare, lab.inventory)


@pytest.fixture(scope="module")
def older() -> Iterator[Lab]:
    """Bring up one host of Debian 12, whose docker.io is Docker 20.10."""
    name = f"{NAME}-history"
    labs.down(name)
    yield labs.up(hosts=1, distro="bookworm", name=name, roles=ROLES)
    labs.down(name)


def test_docker_20_of_bookworm_is_kept(older: Lab, tmp_path: Path) -> None:
    """Debian 12's old engine keeps settings and containers; proxies, which it refuses, are refused."""
    path = inventory(older, tmp_path, gpu01=older.dress("gpu01", "docker-io"))
    kept, ran = daemon_json(older, "gpu01"), containers(older, "gpu01")
    (tmp_path / "proxied").mkdir()
    proxied = inventory(
        older, tmp_path / "proxied", gpu01={"proxies": {"docker": "http://10.0.0.1:3128"}}
    )
    refused = provision(proxied, "gpu01")
    assert refused.status == 1
    assert "knows no proxies in daemon.json" in refused.stdout
    assert containers(older, "gpu01") == ran
    see_it_kept(older, "gpu01", reach_the_end(older, "gpu01", path), kept)
