"""Real vLLM on two hosts, deployed once for all tests about it: it takes minutes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import yaml
from keyboard import NAME, Answer, inv

from provision import lab as labs
from provision.lab import Lab

LAB = f"{NAME}-vllm"
PATIENCE = 2400  # seconds; beside other tests an engine starts slowly


class Engines(NamedTuple):
    """Two hosts with four services, and what the deployment said."""

    lab: Lab
    inventory: Path
    answer: Answer


def deploy() -> Engines:
    """Deploy host by host: three services from an archive, and one from a registry."""
    labs.down(LAB)
    lab = labs.up(hosts=2, name=LAB, serving=True, registry=True)
    document = yaml.safe_load(lab.inventory.read_text("utf-8"))
    archives = document["vars"]["services"].pop("archives")
    document["vars"]["services"]["bind"] = "0.0.0.0"  # noqa: S104  for clients on this machine
    first, second = document["hosts"].values()
    first["services"] = {"archives": archives}
    second["services"] = {
        "registries": [lab.registry.name],
        "wanted": {"chat": None, "rerank": None},
    }
    path = lab.inventory.with_name("vllm.yaml")
    path.write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")
    for words in (["models", "--lock"], ["provision", "--yes"]):
        answer = inv(*words, "--inventory", path, timeout=PATIENCE)
        assert answer.status == 0, answer.text
    words = ["deploy", "--inventory", str(path), "--serial", "1", "--yes"]
    return Engines(lab, path, inv(*words, timeout=PATIENCE))
