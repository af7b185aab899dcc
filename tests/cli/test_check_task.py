"""The task `check`: whether services will run, with no host at hand; and `--force` of a plan."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any, Final

import pytest

from provision.checks.gate import before_plan
from provision.facts import GPU, OS, Docker, Driver, Facts
from provision.facts.record import path_beside, write
from provision.inventory.load import load
from provision.inventory.schema import Host
from provision.serving.hub.listing import Listing, RemoteFile
from provision.serving.hub.lock import Entry, Lock
from provision.serving.hub.lock import write as write_lock
from provision.state.role import load_roles

ROOT: Final = Path(__file__).resolve().parents[2]
INV: Final = str(Path(sys.executable).with_name("inv"))
CONFIG: Final = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "num_hidden_layers": 36,
    "intermediate_size": 12288,
    "vocab_size": 151936,
    "max_position_embeddings": 40960,
    "torch_dtype": "bfloat16",
}
INVENTORY: Final = """
groups:
  gpu:
    hosts: [gpu01, gpu02]
    roles: [models, services]
    vars:
      models: {wanted: {Qwen/Qwen3-8B: }}
      services:
        bind: 127.0.0.1
        images: {vllm: "vllm/vllm-openai:v0.32.0"}
        wanted:
          chat: {model: Qwen/Qwen3-8B, port: 1281}
          more: {model: Qwen/Qwen3-8B, port: 1282}
hosts:
  gpu01: {gpus: 2}
  gpu02: {gpus: 2}
"""


def facts_of(driver: str, cuda: str) -> Facts:
    """Return the facts of a host with two H200s and this driver."""
    gpus = [
        GPU(
            index=n,
            uuid=f"GPU-{n}",
            name="NVIDIA H200",
            memory_mib=143771,
            compute_capability="9.0",
        )
        for n in range(2)
    ]
    return Facts(
        systemd=True,
        os=OS(id="ubuntu", version="24.04", architecture="amd64"),
        gpus=tuple(gpus),
        driver=Driver(status="ok", kernel_module=driver, library=driver, cuda=cuda),
        docker=Docker(version="28.1.1", root="/var/lib/docker", runtimes=("nvidia", "runc")),
        toolkit="1.20.0",
    )


OLD: Final = facts_of("550.54.15", "12.4")
NEW: Final = facts_of("580.159.04", "13.0")


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """Write an inventory of two hosts with two services, and its lock file."""
    path = tmp_path / "prod.yaml"
    path.write_text(INVENTORY, encoding="utf-8")
    sizes = {"config.json": 900, "tokenizer.json": 9_000_000, "model.safetensors": 16_381_516_776}
    files = [
        RemoteFile(path=name, size_bytes=size, digest=f"sha256:{'0' * 64}")
        for name, size in sizes.items()
    ]
    listing = Listing(
        source="modelscope", id="Qwen/Qwen3-8B", asked="master", revision="c1",
        fetch_revision="c1", files=tuple(files),
    )  # fmt: skip
    entry = Entry(listing=listing, listed_at=date(2026, 1, 1), endpoint="", config=CONFIG)
    write_lock(tmp_path / "prod.models.lock.json", Lock(entries={listing.key: entry}))
    return path


def _check(inventory: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    argv = [INV, "check", "--inventory", str(inventory), *flags]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_driver_too_old_is_refused_before_anything_is_pulled(inventory: Path) -> None:
    """Once for all services that it concerns, with the tag that would work; exit code 1."""
    write(path_beside(inventory), {"gpu01": OLD, "gpu02": NEW})
    done = _check(inventory)
    assert done.returncode == 1, done.stderr
    (refused,) = [line for line in done.stdout.splitlines() if line.startswith("  x ")]
    for words in ("chat, more: ", "driver is 550.54.15", "vllm/vllm-openai:v0.32.0-cu129"):
        assert words in refused
    assert "2 hosts: 2 refused" in done.stdout


def test_what_fits_is_no_finding(inventory: Path) -> None:
    """Exit code 0; with --host only that host is judged."""
    write(path_beside(inventory), {"gpu01": OLD, "gpu02": NEW})
    done = _check(inventory, "--host", "gpu02")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 host: 0 refused, 0 warnings" in done.stdout


def test_without_facts_it_says_so(inventory: Path) -> None:
    """What the inventory alone tells is judged, and nobody takes that for all."""
    done = _check(inventory)
    assert "Judged without facts of gpu01,gpu02: record them with inv facts --record" in done.stdout
    assert f"({path_beside(inventory)})" in done.stdout


def test_programs_get_all_findings(inventory: Path) -> None:
    """JSON has the service, the check, the verdict and the remedy of each."""
    write(path_beside(inventory), {"gpu01": OLD, "gpu02": NEW})
    document: dict[str, Any] = json.loads(_check(inventory, "--format", "json").stdout)
    found = document["hosts"]["gpu01"]["findings"]
    refused = {(each["service"], each["check"]) for each in found if each["verdict"] == "fail"}
    assert refused == {("chat", "fit.driver"), ("more", "fit.driver")}
    assert all(each["remedy"] for each in found if each["verdict"] == "fail")
    assert document["hosts"]["gpu02"]["facts"] is True


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"hosts": {"gpu01": {"facts": {"os": 1}}}}'])
def test_a_file_that_holds_no_facts_is_one_line(inventory: Path, text: str) -> None:
    """With its path, and how to record them anew."""
    path_beside(inventory).write_text(text, encoding="utf-8")
    done = _check(inventory)
    assert done.returncode == 1
    assert done.stderr.startswith(f"provision: {path_beside(inventory)}: not recorded facts: ")
    assert done.stderr.count("\n") == 1
    assert "inv facts --record" in done.stderr


def _host(inventory: Path) -> Host:
    return load(inventory, load_roles(ROOT)).hosts["gpu01"]


def test_a_plan_that_brings_models_is_refused_too(inventory: Path) -> None:
    """The largest part of a bad deployment is the download before it."""
    found = before_plan(_host(inventory), ["models"], OLD)
    assert [(each.service, each.verdict) for each in found] == [("chat, more", "fail")]
    assert before_plan(_host(inventory), ["models"], NEW) == []


def test_a_plan_of_other_roles_is_none_of_its_business(inventory: Path) -> None:
    """Docker can be installed whatever the services want."""
    assert before_plan(_host(inventory), ["docker"], OLD) == []


def test_force_goes_on_and_is_loud(inventory: Path) -> None:
    """What was refused is a warning that says so."""
    found = before_plan(_host(inventory), ["deploy"], OLD, force=True)
    assert [each.verdict for each in found] == ["warn"]
    assert found[0].what.startswith("forced: ")
