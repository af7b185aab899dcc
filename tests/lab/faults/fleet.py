"""Two healthy hosts to sweep: one with two GPUs and a service on one, one as `make demo` has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml
from engine_stand_in.build import FAULTS as IMAGES
from engine_stand_in.build import image
from faults.gpu import PROFILE
from faults.inject import CHAT, EMBED
from faults.target import Target
from keyboard import Answer, inv

from provision.lab import Lab
from provision.lab.models import TINY_CHAT

HOST: Final = "gpu01"
"""The host that faults are made on."""
OTHER: Final = "gpu02"
ROLES: Final = ("base", "docker", "nvidia_container_toolkit", "models", "services")
WANTED: Final[dict[str, dict[str, Any]]] = {
    CHAT: {"model": TINY_CHAT, "port": 8001, "gpus": 1},
    EMBED: {"model": TINY_CHAT, "port": 8002, "gpus": 0, "task": "embed"},
    "draft": {"model": TINY_CHAT, "port": 8003, "gpus": 0},
}


class Swept(NamedTuple):
    """What `inv verify --format json` said."""

    answer: Answer
    hosts: dict[str, dict[str, Any]]

    def findings(self, host: str = HOST) -> list[dict[str, Any]]:
        """Return what is not well on a host."""
        return [each for each in self.hosts[host]["findings"] if each["verdict"] != "ok"]

    def told(self, host: str = HOST) -> str:
        """Return the same as lines, for the message of a test that fails."""
        return "\n".join(
            f"{each['check']} {each['verdict']}: {each['service']} {each['what']}. {each['remedy']}"
            for each in self.findings(host)
        )


class Fleet(NamedTuple):
    """The hosts, and the inventory that they were provisioned and deployed by."""

    lab: Lab
    inventory: Path

    @property
    def target(self) -> Target:
        """The host that faults are made on."""
        return Target(self.lab, HOST)

    def verify(self, *words: str | Path) -> Answer:
        """Sweep; without `--host` all hosts."""
        return inv("verify", "--inventory", self.inventory, *words)

    def sweep(self, *words: str | Path) -> Swept:
        """Sweep, and read the answer as a program does."""
        answer = self.verify("--format", "json", *words)
        assert answer.stdout.startswith("{"), answer.text
        return Swept(answer, json.loads(answer.stdout)["hosts"])


def deployed(lab: Lab, archive: Path, folder: Path) -> Fleet:
    """Provision both hosts and deploy their services."""
    lab.gpu(HOST, PROFILE)
    path = folder / "fleet.yaml"
    path.write_text(yaml.safe_dump(_inventory(lab, archive, folder), sort_keys=False), "utf-8")
    for words in (["models", "--lock"], ["provision", "--yes"], ["deploy", "--yes"]):
        answer = inv(*words, "--inventory", path)
        assert answer.status == 0, answer.text
    return Fleet(lab, path)


def _inventory(lab: Lab, archive: Path, folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(lab.inventory.read_text("utf-8"))
    document["vars"]["models"] |= {
        "wanted": {TINY_CHAT: None},
        "lock": str(folder / "models.lock.json"),
    }
    document["vars"]["services"] = {
        "bind": "127.0.0.1",
        "images": {"vllm": image()},
        "archives": {image(fault): str(archive) for fault in ("", *IMAGES)},
        "wanted": WANTED,
    }
    document["hosts"][HOST] |= {"gpus": 2}
    document["hosts"][OTHER] |= {"services": {"wanted": {CHAT: {"gpus": 0}}}}
    return document
