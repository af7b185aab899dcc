"""What people found out after a pull of 20 GB is known before: one test for each of their issues."""

from __future__ import annotations

from typing import Any

from subjects import config, subject

from provision.facts import Driver
from provision.finding import Finding
from provision.serving.compatibility.judge import judge
from provision.serving.compatibility.seen import Seen

TEI = "ghcr.io/huggingface/text-embeddings-inference"
REQUIRED = "cuda>=12.4 brand=tesla,driver>=470,driver<471 brand=tesla,driver>=535,driver<536"


def against(*case: str, seen: Seen | None = None, **more: Any) -> list[Finding]:
    """Return what speaks against a combination."""
    found = judge(subject(*case, **more), seen=seen or Seen())
    return [finding for finding in found if finding.verdict != "ok"]


def only_failure(*case: str, seen: Seen | None = None, **more: Any) -> Finding:
    """Return the one finding that fails a combination."""
    found = against(*case, seen=seen, **more)
    failed = [finding for finding in found if finding.verdict == "fail"]
    assert len(failed) == 1, [*map(str, found)]
    return failed[0]


def test_vllm_5635_image_needs_newer_cuda_than_driver() -> None:
    """`unsatisfied condition: cuda>=12.4` of the container runtime is said beforehand."""
    inspected = {"CUDA_VERSION": "12.4.1", "NVIDIA_REQUIRE_CUDA": REQUIRED}
    found = only_failure("4090", "535.183.01", "v0.8.5", inspected=inspected)
    assert found.check == "fit.image"
    assert "unsatisfied condition: cuda>=12.4" in found.what
    assert "driver 550.54.14" in found.remedy


def test_lvllmds4_46_driver_570_and_an_image_on_cuda_13() -> None:
    """A driver of another major release of CUDA is refused, with the tag that it can run."""
    found = only_failure("H20", "570.124.06", "v0.26.0")
    assert found.check == "fit.driver"
    assert "needs driver 580.65.06 or later; the driver is 570.124.06" in found.what
    assert "vllm/vllm-openai:v0.26.0-cu129" in found.remedy


def test_model_optimizer_2042_the_ending_for_cuda_13_turned_into_one_for_12() -> None:
    """From 0.20 on the plain tag is CUDA 13, and there is no -cu130 any more."""
    found = only_failure("B200", "580.95.05", "v0.20.0-cu130")
    assert found.check == "fit.image"
    assert "vllm/vllm-openai:v0.20.0, which is built on CUDA 13.0" in found.remedy
    older = only_failure("B200", "580.95.05", "v0.19.0-cu129")
    assert "vllm/vllm-openai:v0.19.0, which is built on CUDA 12.9" in older.remedy


def test_vllm_33447_error_803_by_compat_libraries_that_are_forced() -> None:
    """0.15 and 0.16 put their own libcuda before that of a newer driver; 0.17 asks first."""
    found = only_failure("A100", "590.48.01", "v0.15.1")
    assert found.check == "fit.image"
    assert "error 803" in found.what
    assert against("A100", "590.48.01", "v0.17.0") == []


def test_tei_806_image_for_another_compute_capability() -> None:
    """`Runtime compute cap 120 is not compatible with compile time compute cap 80` is foreseen."""
    found = only_failure(
        "5090",
        "580.65.06",
        f"{TEI}:1.9",
        engine="tei",
        task="embed",
        model=config("BertModel", torch_dtype="float32"),
    )
    assert found.check == "fit.gpu"
    assert f"{TEI}:120-1.9" in found.remedy


def test_vllm_21681_scores_of_a_qwen3_reranker_without_overrides() -> None:
    """A reranker that is a generating model is told what to be; by its own name it is known."""
    found = only_failure("H100", "580.65.06", "v0.32.0", task="score", model_name="own/my-reranker")
    assert found.check == "fit.model"
    assert "Qwen3ForSequenceClassification" in found.remedy
    known = subject("H100", "580.65.06", task="score", model_name="Qwen/Qwen3-Reranker-8B")
    assert [finding.check for finding in judge(known)] == ["fit.memory"]


def test_vllm_21114_a_flag_that_a_release_dropped() -> None:
    """What can be said otherwise is translated; what cannot is refused by the release's name."""
    harmless = {"disable-log-requests": True, "task": "generate", "swap-space": 4}
    assert against("H100", "580.65.06", "v0.32.0", arguments=harmless) == []
    found = only_failure(
        "H100", "580.65.06", "v0.32.0", arguments={"speculative-model": "some/draft"}
    )
    assert found.check == "fit.flags"
    assert "--speculative-model" in found.what
    assert "speculative-config" in found.remedy


def test_vllm_10589_tool_calls_as_text_for_want_of_a_parser() -> None:
    """A parser that the release does not have is refused with the release that has it."""
    found = only_failure("H100", "580.65.06", "v0.10.0", tool_parser="qwen3_xml")
    assert found.check == "fit.parser"
    assert "the first release with it is" in found.what


def test_vllm_13052_processes_that_share_memory_need_some() -> None:
    """Docker's 64 MiB of shared memory end several GPUs with a bus error."""
    small = Seen(shm_bytes=64 << 20)
    found = against("H100", "580.65.06", count=2, seen=small)
    assert [(finding.check, finding.verdict) for finding in found] == [("fit.parallel", "warn")]
    assert "64 MiB" in found[0].what
    assert against("H100", "580.65.06", seen=small) == []


def test_nvidia_container_toolkit_394_a_driver_that_was_updated_under_way() -> None:
    """Module and libraries that differ are refused: the container would not start again."""
    driver = Driver(status="mismatch", kernel_module="580.65.06", library="580.95.05")
    found = only_failure("H100", "580.65.06", facts={"driver": driver})
    assert found.check == "fit.driver"
    assert "580.65.06 and libraries 580.95.05 do not match" in found.what
    assert "Restart the host" in found.remedy


def test_gpustack_3805_a_gpu_that_is_not_to_be_seen() -> None:
    """A service is not given a GPU that the host has only on paper."""
    facts = {"gpus": (), "nvidia_devices": 1}
    found = only_failure("H100", "580.65.06", facts=facts)
    assert found.check == "fit.gpu"
    assert "GPU 0, and the host has 0 working of 1 on the bus" in found.what
    assert "Xid 79" in found.remedy


def test_vllm_bfloat16_on_turing_before_it_fell_back() -> None:
    """`Bfloat16 is only supported on GPUs with compute capability of at least 8.0` is foreseen."""
    found = only_failure("T4", "550.54.15", "v0.8.5")
    assert found.check == "fit.dtype"
    assert "dtype: half" in found.remedy
