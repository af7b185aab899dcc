"""Recordings of vLLM on real hardware: what a start was told, and the figures that it logged."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any, Final, NamedTuple

from provision.facts import GPU, OS, Facts
from provision.serving.compatibility.memory import Device, Fit, fit
from provision.serving.compatibility.settings import GIB, settings
from provision.serving.compatibility.subject import Model, Subject
from provision.serving.engines import engine_of
from provision.serving.service import Service, Task

HERE: Final = Path(__file__).parent
H200_MIB: Final = 143771
"""As nvidia-smi has it."""


class Recording(NamedTuple):
    """One start of vLLM, and what it said of its memory."""

    name: str
    date: str
    driver: str
    architecture: str
    config: dict[str, Any]
    device: Device
    version: str
    arguments: dict[str, Any]
    free_gib: float
    """Of its GPU when it began to count; 0: it did not say."""
    weights_gib: float
    cache_gib: float
    tokens: int
    """0: the model keeps no cache, or there was no room for one."""
    length: int
    concurrency: float

    @property
    def fit(self) -> Fit:
        """Return our estimate, made of the same configuration."""
        subject = subject_of(
            self.config,
            arguments=self.arguments,
            version=self.version,
            task="embed" if self.arguments.get("runner") == "pooling" else "generate",
        )
        return fit(self.config, {}, settings(subject), self.device)


def recordings() -> list[Recording]:
    """Return all that lie in `recordings/`: each is a folder with config.json and vllm.log."""
    return [_recording(path.parent) for path in sorted(HERE.glob("recordings/*/vllm.log"))]


def config_of(name: str) -> dict[str, Any]:
    """Return a config.json of `configs/`."""
    found: dict[str, Any] = json.loads((HERE / "configs" / f"{name}.json").read_text("utf-8"))
    return found


def subject_of(
    config: dict[str, Any] | None,
    *,
    arguments: dict[str, Any] | None = None,
    files: dict[str, int] | None = None,
    version: str = "0.26.0",
    engine: str = "vllm",
    task: Task = "generate",
    gpus: int = 1,
    there: int = 0,
    memory_mib: int | None = H200_MIB,
    capability: str = "9.0",
    name: str = "chat",
) -> Subject:
    """Return a service on so many equal GPUs, of a host that has 16 unless told otherwise."""
    service = Service(
        name=name,
        engine=engine,
        task=task,
        model="lab/model",
        folder="/models/model",
        mounted="/model",
        size_bytes=0,
        served_name="model",
        bind="127.0.0.1",
        port=8000,
        gpus=tuple(range(gpus)),
        image=engine_of(engine).image,
        version=version,
        arguments=arguments or {},
    )
    host = Facts(
        os=OS(id="ubuntu", version="24.04", codename="noble", architecture="amd64"),
        gpus=tuple(
            GPU(
                index=index,
                uuid=f"GPU-{index}",
                name="NVIDIA GPU",
                memory_mib=memory_mib,
                compute_capability=capability,
            )
            for index in range(there or 16)
        ),
    )
    return Subject(service, engine_of(engine), host, Model(config, files or {}))


def _recording(folder: Path) -> Recording:
    log = (folder / "vllm.log").read_text("utf-8")
    made = _machine(folder)
    tokens = _figure(r"GPU KV cache size: ([\d,]+) tokens", log)
    length, concurrency = (
        re.findall(r"Maximum concurrency for ([\d,]+) tokens per request: ([\d.]+)x", log)[0]
        if tokens
        else ("0", "0")
    )
    return Recording(
        name=folder.name,
        date="-".join([str(made["year"]), *re.findall(r"INFO (\d\d-\d\d) ", log)[:1]]),
        driver=str(made["driver"]),
        architecture=re.findall(r"Resolved architecture: (\w+)", log)[0],
        config=_config(folder),
        device=Device(int(made["memory_mib"]) * 2**20, tuple(made["capability"]), str(made["gpu"])),
        version=re.findall(r"engine \(v(\d+\.\d+\.\d+)", log)[0],
        arguments=_arguments(log),
        free_gib=_figure(r"Free memory on device \(([\d.]+)/", log),
        weights_gib=_figure(r"Model loading took ([\d.]+) GiB", log),
        cache_gib=_figure(r"Available KV cache memory: (-?[\d.]+) GiB", log),
        tokens=int(tokens),
        length=int(length.replace(",", "")),
        concurrency=float(concurrency),
    )


def _machine(folder: Path) -> dict[str, Any]:
    """Return what it was made on: what is said for all, and for this one."""
    found: dict[str, Any] = {}
    for path in (HERE / "recordings" / "machine.json", folder / "recording.json"):
        found |= json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def _config(folder: Path) -> dict[str, Any]:
    """Return config.json, with what NVIDIA's tool writes into a file of its own."""
    config: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
    beside = folder / "hf_quant_config.json"
    if beside.exists():
        stated = {"quant_method": "modelopt", **json.loads(beside.read_text("utf-8"))}
        config.setdefault("quantization_config", stated)
    return config


def _figure(pattern: str, log: str) -> float:
    found = re.findall(pattern, log)
    return float(found[0].replace(",", "")) if found else 0.0


def _arguments(log: str) -> dict[str, Any]:
    """Return what vLLM was told, without what says where models and clients are."""
    told = re.findall(r"non-default args: (\{.*\})", log)
    found: dict[str, Any] = ast.literal_eval(told[0]) if told else {}
    other = {"model", "model_tag", "host", "port", "served_model_name", "tokenizer"}
    return {name: value for name, value in found.items() if name not in other}


def gib(size: float) -> float:
    """Return bytes as GiB."""
    return size / GIB
