"""Services that do not come up, and the cause that is read off what they said."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from provision.host.causes import cause_of

# As the tools' own sources, documentation and users' reports have them, behind them our last line.
OUTPUTS: Final = Path(__file__).with_name("engine_outputs")
LOG: Final = "/opt/provision/releases/9f3e52d1a7c0/chat.log"
SERVICE: Final = "services.wanted.chat"
_HUB: Final = ("chat: it looks for a model at a hub", f"{SERVICE}.model is one that")
_SHM: Final = ("chat: its shared memory is too small", "Leave services.shm_size out")
CAUSES: Final = {
    "cuda-222": ("the host's driver is too old", "VLLM_ENABLE_CUDA_COMPATIBILITY"),
    "cuda-35": ("the host's driver is too old for this image", f"{SERVICE}.image"),
    "cuda-802": ("CUDA error 802: the NVSwitch fabric", "nvidia-fabricmanager"),
    "cuda-803": ("CUDA error 803", "vLLM 0.17 or newer"),
    "cuda-804": ("CUDA error 804", "an older CUDA"),
    "cuda-no-kernel": ("the image has no code for this GPU", f"{SERVICE}.image"),
    "docker-cli": ("hand over the GPUs: container error: cgroup subsystem", "nvidia-smi works"),
    "docker-driver-mismatch": ("the older kernel module still runs", "Reboot"),
    "docker-driver-not-loaded": ("the NVIDIA kernel module is not loaded", "modprobe nvidia"),
    "docker-no-cdi": ("hands over no devices by CDI", "services.cdi: false"),
    "docker-no-image": ("no longer has the image vllm/vllm-openai:v0.32.0", "inv deploy"),
    "docker-no-model": ("/data/models/Qwen/Qwen3-8B/c1 is not on the host", "--role models"),
    "docker-no-nvml": ("the host lacks the driver's libnvidia-ml.so.1", "whole NVIDIA driver"),
    "docker-no-runtime": ("does not know the runtime 'nvidia'", "inv provision"),
    "docker-no-such-gpu": ("the host has no GPU 9", "nvidia-smi -L"),
    "docker-no-such-gpu-cdi": ("the host has no GPU 9 by CDI", "nvidia-cdi-refresh"),
    "docker-no-toolkit": ("Docker cannot hand over GPUs", "inv provision"),
    "docker-port-address": ("chat: 10.9.9.9:1281 is no address of this host", f"{SERVICE}.bind"),
    "docker-port-container": (
        "chat: 127.0.0.1:1281 is taken by another container",
        f"{SERVICE}.port",
    ),
    "docker-port-program": ("chat: 127.0.0.1:1281 is taken by another program", "ss -ltnp"),
    "docker-port-program-20": ("chat: 0.0.0.0:1281 is taken by another program", "ss -ltnp"),
    "docker-requirement": ("the image needs cuda>=13.0", "an older CUDA"),
    "hub-404": _HUB,
    "hub-gated": _HUB,
    "hub-no-connection": _HUB,
    "hub-no-folder": _HUB,
    "hub-offline": _HUB,
    "killed": ("the host's memory does not suffice (exit code 137)", "dmesg"),
    "tei-argument": ("does not know '--max-model-len'", f"{SERVICE}.arguments"),
    "tei-compute-cap": ("made for GPUs of compute capability 80, this one has 120", "tag for 120"),
    "unhealthy": ("chat: it is not healthy within its time limit", f"Read {LOG} on the host"),
    "unknown": ("chat: it stopped while it started (exit code 3)", f"Read {LOG} on the host"),
    "vllm-architecture": ("architecture 'Qwen4ForCausalLM'", f"{SERVICE}.image to a newer"),
    "vllm-attention-heads": ("28 attention heads cannot be shared by 8 GPUs", "divides 28"),
    "vllm-bfloat16": ("Tesla T4 cannot compute in bfloat16 (compute capability 7.5", "dtype: half"),
    "vllm-damaged-weights": ("weights is damaged or not whole", "--verify-hashes"),
    "vllm-derived-length": ("40960 tokens, shorter than 131072", "max-model-len: 40960,"),
    "vllm-free-memory": (
        "of the GPU's 47.38 GiB only 31.44 are free, and it asks for 45.01 (a share of 0.95)",
        f"lower {SERVICE}.memory_share",
    ),
    "vllm-free-memory-0.9": ("of the GPU's 4.0 GiB only 3.22 are free", f"{SERVICE}.gpus"),
    "vllm-invalid-choice": ("refuses --tool-call-parser: invalid choice: 'llama3_json'", SERVICE),
    "vllm-max-seq-len": ("100000 tokens needs 4.26 GiB", "arguments: max-model-len: 99760."),
    "vllm-max-seq-len-0.8": ("needs 24.00 GiB of KV cache, and 9.97 are left", "max-model-len to"),
    "vllm-max-seq-len-v0": ("holds 4512 tokens, fewer than a context of 8192", "len: 4512."),
    "vllm-model-type": ("does not know the model's type 'qwen4'", f"{SERVICE}.image to a newer"),
    "vllm-nccl": ("do not reach each other (unhandled system error)", "NCCL_DEBUG: INFO"),
    "vllm-no-cache-blocks": ("the weights leave no memory", f"{SERVICE}.memory_share"),
    "vllm-no-device": ("the container sees no GPU", f"{SERVICE}.gpus"),
    "vllm-no-space": ("its shared memory is too small, or the disk is full", "df -h"),
    "vllm-out-of-memory": ("the GPU's memory does not suffice", "max-model-len"),
    "vllm-placement-group": ("Ray does not find as many GPUs", "distributed-executor-backend"),
    "vllm-quantisation": ("too old for gptq_marlin weights", f"set {SERVICE}.model"),
    "vllm-remote-code": ("brings code of its own", "trust-remote-code: true"),
    "vllm-sampler": ("does not suffice for 256 requests at once", "max-num-seqs to less than 256"),
    "vllm-shm-bus": _SHM,
    "vllm-shm-nccl": _SHM,
    "vllm-shm-python": _SHM,
    "vllm-tool-parser": ("has no tool parser openai", f"{SERVICE}.tool_parser to one of: deepseek"),
    # recorded on a real GPU: every warning of a good start, then SIGTERM
    "vllm-stopped-by-somebody": ("stopped while it started (exit code 0)", f"Read {LOG}"),
    "vllm-unknown-value": ("(exit code 1): Value error, Cannot use FP8 KV cache", f"Read {LOG}"),
    "vllm-unknown-error": (
        "(exit code 1): ValueError: Invalid rope_scaling: factor must be a float",
        f"Read {LOG} on the host",
    ),
    "vllm-unrecognized-arguments": ("does not know --task embed", f"{SERVICE}.arguments"),
    "vllm-world-size": ("told to use 8 GPUs and sees 4", "tensor-parallel-size"),
}


def test_every_output_is_judged() -> None:
    """A file without a row of the table would prove nothing, and a row without a file neither."""
    assert {path.stem for path in OUTPUTS.glob("*.txt")} == CAUSES.keys()


@pytest.mark.parametrize("name", sorted(CAUSES))
def test_output_has_its_cause_and_remedy(name: str) -> None:
    """The root cause is found above what follows from it, with the setting that mends it."""
    what, remedy = CAUSES[name]
    cause = cause_of((OUTPUTS / f"{name}.txt").read_text(encoding="utf-8"))
    assert cause is not None
    assert what in cause.what
    assert remedy in cause.remedy
    for text in cause:
        assert "{" not in text
        assert "SERVICE" not in text
        assert "\n" not in text


@pytest.mark.parametrize("name", sorted(CAUSES))
def test_engine_is_only_blamed_in_the_log_of_a_service(name: str) -> None:
    """The same words in any other output, such as a cut log, say nothing about an engine."""
    text = (OUTPUTS / f"{name}.txt").read_text(encoding="utf-8")
    cause = cause_of("".join(text.partition("provision: service")[:1]))
    if not name.startswith("docker-"):
        assert cause is None or "chat" not in cause.what


def test_log_of_a_good_start_blames_nothing() -> None:
    """Warnings that every start has, with the names of errors in them, are no causes."""
    text = (OUTPUTS / "vllm-stopped-by-somebody.txt").read_text(encoding="utf-8")
    assert "OSError" in text
    cause = cause_of(text)
    assert cause
    assert cause.what == "chat: it stopped while it started (exit code 0)"


def test_root_cause_wins_over_what_comes_of_it() -> None:
    """NCCL's failure follows from shared memory, and the wrapper's line names nothing at all."""
    text = (OUTPUTS / "vllm-shm-nccl.txt").read_text(encoding="utf-8")
    assert text.index("/dev/shm/nccl") < text.index("NCCL error") < text.index("See root cause")  # noqa: S108
    cause = cause_of(text)
    assert cause
    assert "shared memory" in cause.what
