"""Subjects to judge: a service on a host with given GPUs and driver, healthy unless said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from provision.facts import GPU, OS, Disk, Docker, Driver, Facts
from provision.serving.compatibility.subject import Image, Model, Subject
from provision.serving.engines import engine_of
from provision.serving.service import Service


class Card(NamedTuple):
    """A GPU as nvidia-smi prints it."""

    name: str
    capability: str
    memory_mib: int


CARDS: Final = {
    "H200": Card("NVIDIA H200", "9.0", 143771),
    "H20": Card("NVIDIA H20", "9.0", 97871),
    "H100": Card("NVIDIA H100 80GB HBM3", "9.0", 81559),
    "A100": Card("NVIDIA A100-SXM4-80GB", "8.0", 81920),
    "A800": Card("NVIDIA A800-SXM4-80GB", "8.0", 81920),
    "A10": Card("NVIDIA A10", "8.6", 23028),
    "L20": Card("NVIDIA L20", "8.9", 46068),
    "L40S": Card("NVIDIA L40S", "8.9", 46068),
    "T4": Card("Tesla T4", "7.5", 15360),
    "V100": Card("Tesla V100-SXM2-32GB", "7.0", 32768),
    "B200": Card("NVIDIA B200", "10.0", 183359),
    "B300": Card("NVIDIA B300 SXM6 AC", "10.3", 275040),
    "4090": Card("NVIDIA GeForce RTX 4090", "8.9", 24564),
    "5090": Card("NVIDIA GeForce RTX 5090", "12.0", 32607),
    "PRO6000": Card("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "12.0", 97887),
    "A6000": Card("NVIDIA RTX A6000", "8.6", 49140),
    "SPARK": Card("NVIDIA GB10", "12.1", 122570),
    "THOR": Card("NVIDIA Thor", "11.0", 125771),
    "FUTURE": Card("NVIDIA X900", "14.0", 400000),
    "ODD": Card("NVIDIA Something", "", 16000),
}
CUDA: Final = {
    "470": "11.4",
    "525": "12.0",
    "535": "12.2",
    "545": "12.3",
    "550": "12.4",
    "560": "12.6",
    "565": "12.7",
    "570": "12.8",
    "575": "12.9",
    "580": "13.0",
    "595": "13.2",
    "610": "13.3",
}
"""What nvidia-smi calls the CUDA version of a driver's branch."""
FILES: Final = {"config.json": 1, "tokenizer.json": 1, "model.safetensors": 1}


def config(architecture: str = "Qwen3ForCausalLM", **more: Any) -> dict[str, Any]:
    """Return the config.json of a model like Qwen3-8B."""
    return {
        "architectures": [architecture],
        "model_type": "qwen3",
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "num_hidden_layers": 36,
        "hidden_size": 4096,
        "intermediate_size": 12288,
        "vocab_size": 151936,
        "max_position_embeddings": 40960,
        "torch_dtype": "bfloat16",
        **more,
    }


def subject(
    card: str = "H200",
    driver: str = "580.65.06",
    image: str = "v0.32.0",
    *,
    count: int = 1,
    model: Mapping[str, Any] | None = None,
    inspected: Mapping[str, str] | None = None,
    facts: Mapping[str, Any] | None = None,
    files: Mapping[str, int] | None = None,
    **service: Any,
) -> Subject:
    """Return a service of vLLM with one model like Qwen3-8B."""
    if ":" not in image:
        image = f"vllm/vllm-openai:{image}"
    service["model"] = service.pop("model_name", "Qwen/Qwen3-8B")
    made = _service(image, count, service)
    return Subject(
        service=made,
        engine=engine_of(made.engine),
        facts=_facts(card, driver, count, facts or {}),
        model=Model(config() if model is None else model, FILES if files is None else files),
        image=None if inspected is None else Image(inspected, "amd64"),
    )


def _service(image: str, count: int, more: Mapping[str, Any]) -> Service:
    usual = {
        "name": "chat",
        "engine": "vllm",
        "task": "generate",
        "model": "Qwen/Qwen3-8B",
        "folder": "/data/models/Qwen/Qwen3-8B",
        "mounted": "/models/Qwen/Qwen3-8B",
        "size_bytes": 16 * 10**9,
        "served_name": "chat",
        "bind": "127.0.0.1",
        "port": 8000,
        "gpus": tuple(range(count)),
        "image": image,
    }
    return Service.model_validate(usual | dict(more))


def _facts(card: str, driver: str, count: int, more: Mapping[str, Any]) -> Facts:
    kind = CARDS[card]
    gpus = tuple(
        GPU(
            index=index,
            uuid=f"GPU-{index}",
            name=kind.name,
            memory_mib=kind.memory_mib,
            compute_capability=kind.capability,
        )
        for index in range(count)
    )
    found = Driver(
        status="ok",
        kernel_module=driver,
        library=driver,
        cuda=CUDA.get(driver.partition(".")[0]),
    )
    usual: dict[str, Any] = {
        "os": OS(id="ubuntu", architecture="amd64"),
        "disks": (
            Disk(path="/", size_bytes=10**12, free_bytes=10**12),
            Disk(path="/data", size_bytes=10**13, free_bytes=10**13),
        ),
        "driver": found,
        "gpus": gpus,
        "nvidia_devices": count,
        "docker": Docker(version="28.2.2", root="/var/lib/docker"),
    }
    return Facts(**(usual | dict(more)))
