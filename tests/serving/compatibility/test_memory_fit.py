"""Memory fit: held against what vLLM logged on real hardware, and what it tells an operator."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import settings as settled
from hypothesis import strategies as st
from memory_log import H200_MIB, HERE, Recording, config_of, gib, recordings, subject_of
from memory_table import PAGES, replaced

from provision.finding import Finding
from provision.serving.compatibility.fit import device_of, judge_memory, judge_shares
from provision.serving.compatibility.judge import judge
from provision.serving.compatibility.kv_cache import Cut
from provision.serving.compatibility.memory import Device, Fit, batch, cut, fit
from provision.serving.compatibility.model_config import model_config
from provision.serving.compatibility.remedies import gib as told
from provision.serving.compatibility.remedies import round_length
from provision.serving.compatibility.seen import Seen
from provision.serving.compatibility.settings import GIB, Settings, settings

RECORDINGS: Final = recordings()
H200: Final = Device(H200_MIB * 2**20, (9, 0), "NVIDIA H200")
A80: Final = 81559
"""MiB of a GPU of 80 GB."""
ROUNDING_GIB: Final = 0.005
each_recording = pytest.mark.parametrize("recording", RECORDINGS, ids=lambda found: found.name)


def test_there_are_recordings() -> None:
    """The laws below are about something."""
    assert len(RECORDINGS) >= 29


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_table_of_the_documentation_is_what_the_recordings_say(page: Path) -> None:
    """`python tests/serving/compatibility/memory_table.py` writes it anew."""
    assert page.read_text("utf-8") == replaced(page, RECORDINGS)


@each_recording
def test_kv_bytes_a_token_are_exact(recording: Recording) -> None:
    """Of the memory that vLLM found, our count makes the very number of tokens that it logged."""
    cache = recording.fit.cache
    if not recording.tokens:
        assert not cache.groups or recording.cache_gib < 0
        return
    least, most = (
        cache.tokens((recording.cache_gib + sign * ROUNDING_GIB) * GIB, recording.length)
        for sign in (-1, 1)
    )
    assert least <= recording.tokens <= most
    exact = cache.concurrency(recording.cache_gib * GIB, recording.length)
    assert exact == pytest.approx(recording.concurrency, rel=2e-3)


@each_recording
def test_weights_are_within_one_percent(recording: Recording) -> None:
    """Counted from config.json alone, since a dummy load has no files."""
    found = gib(recording.fit.weights_bytes)
    assert found == pytest.approx(recording.weights_gib, rel=0.01, abs=ROUNDING_GIB)


@each_recording
def test_tokens_in_the_cache_are_within_their_bounds(recording: Recording) -> None:
    """5 % for plain attention, 10 % for any architecture: weights, overhead and cache together."""
    found = recording.fit
    plain = {group.kind for group in found.cache.groups} == {"full"}
    bound = 0.05 if plain and "kv_lora_rank" not in recording.config else 0.10
    assert found.length == (recording.length or found.length)
    assert found.tokens == pytest.approx(recording.tokens, rel=bound)


@each_recording
def test_what_did_not_start_does_not_fit(recording: Recording) -> None:
    """And what did, does: the estimate and vLLM come to the same verdict."""
    assert recording.fit.fits == (recording.cache_gib >= 0)


@each_recording
def test_memory_that_is_free_at_the_start_is_known(recording: Recording) -> None:
    """CUDA and the libraries that GPUs talk by take theirs before vLLM counts."""
    found = recording.fit
    free = gib(found.usable_bytes - found.beyond_bytes)
    assert free == pytest.approx(recording.free_gib or free, abs=0.02)


def _judged(config: dict[str, Any] | None, **more: Any) -> Finding:
    findings = judge_memory(subject_of(config, **more))
    assert len(findings) == 1
    return findings[0]


def test_what_fits_is_ok_with_its_figures() -> None:
    """An operator reads weights, cache and how many requests fit."""
    finding = _judged(config_of("qwen3-8b"), arguments={"enforce-eager": True})
    assert finding.verdict == "ok"
    assert finding.service == "chat"
    assert "15 GiB of weights" in finding.what
    assert "requests of 40960" in finding.what


def test_what_does_not_fit_says_what_would_in_order() -> None:
    """A shorter context first, then more GPUs, then a smaller cache, then a smaller model."""
    finding = _judged(
        config_of("llama-3.1-70b"), gpus=2, memory_mib=A80, arguments={"max-model-len": 131072}
    )
    assert finding.verdict == "fail"
    # 131.4 of weights, 40 of cache and 3 of overhead, on both together.
    assert finding.what.startswith("needs 175 GiB for weights")
    assert "one request of 131072 tokens on 2 × 79 GiB" in finding.what  # noqa: RUF001
    remedies = finding.remedy.split(" or ")
    assert remedies[0] == "Set max-model-len to 32768"
    assert remedies[1] == "give it 4 GPUs"
    assert finding.remedy.index("GPUs") < finding.remedy.index("FP8")


@pytest.mark.parametrize(
    ("arguments", "gpus"),
    [({"max-model-len": 32768}, 2), ({"max-model-len": 131072}, 4)],
)
def test_every_remedy_works(arguments: dict[str, Any], gpus: int) -> None:
    """What was proposed is not refused when it is done."""
    config = config_of("llama-3.1-70b")
    assert _judged(config, gpus=gpus, memory_mib=A80, arguments=arguments).verdict != "fail"


def test_fp8_cache_is_proposed_where_the_gpu_can_and_it_helps() -> None:
    """Ada and Hopper can, Ampere cannot."""
    config, length = config_of("qwen2.5-32b"), {"max-model-len": 32768}
    one = {"memory_mib": 77000, "arguments": length}
    assert "kv-cache-dtype to fp8" in _judged(config, capability="9.0", **one).remedy
    assert "kv-cache-dtype to fp8" in _judged(config, capability="8.9", **one).remedy
    assert "fp8" not in _judged(config, capability="8.0", **one).remedy


def test_weights_alone_that_do_not_fit_leave_no_length_to_propose() -> None:
    """No context is short enough then, and no fp8 cache small enough."""
    finding = _judged(config_of("llama-3.1-70b"), memory_mib=24564, capability="8.6")
    assert finding.verdict == "fail"
    assert "max-model-len" not in finding.remedy
    assert finding.remedy == "Give it 16 GPUs."


def test_no_number_of_gpus_is_proposed_that_the_heads_cannot_be_spread_over() -> None:
    """40 heads divide by 5, their 8 heads of keys and values do not: vLLM refuses it."""
    config, length = config_of("qwen2.5-32b"), {"max-model-len": 32768}
    finding = _judged(config, gpus=2, memory_mib=18432, capability="8.6", arguments=length)
    assert finding.remedy.startswith("Give it 8 GPUs"), finding.remedy


@pytest.mark.parametrize(
    ("there", "said"), [(2, ""), (3, ""), (4, "give it 4 GPUs"), (8, "give it 4 GPUs")]
)
def test_no_more_gpus_are_proposed_than_the_host_has(there: int, said: str) -> None:
    """More would be refused for want of them."""
    length = {"max-model-len": 131072}
    finding = _judged(
        config_of("llama-3.1-70b"), gpus=2, there=there, memory_mib=A80, arguments=length
    )
    assert finding.verdict == "fail"
    assert [part for part in finding.remedy.split(" or ") if "GPUs" in part] == [said][: bool(said)]


def test_a_smaller_gpu_of_the_host_is_none_to_spread_over() -> None:
    """The model would have to fit on that one too."""
    subject = subject_of(config_of("llama-3.1-70b"), memory_mib=24564, capability="8.6")
    assert subject.facts
    small = [gpu.model_copy(update={"memory_mib": 16384}) for gpu in subject.facts.gpus[8:]]
    facts = subject.facts.model_copy(update={"gpus": (*subject.facts.gpus[:8], *small)})
    (finding,) = judge_memory(subject._replace(facts=facts))
    assert finding.remedy == "Give it GPUs with more memory."


def test_model_too_large_for_any_number_of_gpus_still_has_a_remedy() -> None:
    """A failure without a remedy is of no use."""
    finding = _judged(config_of("deepseek-v3"), memory_mib=15360, capability="7.5")
    assert finding.verdict == "fail"
    assert finding.remedy == "Give it GPUs with more memory."


def test_cache_for_hardly_one_request_is_a_warning() -> None:
    """It starts, and two long requests wait for each other."""
    finding = _judged(config_of("qwen2.5-32b"), memory_mib=A80, arguments={"max-model-len": 32768})
    assert finding.verdict == "warn"
    assert "fit at once" in finding.what
    assert "max-model-len to 16384" in finding.remedy


def test_concurrency_of_an_embedding_service_is_no_matter() -> None:
    """Its batches are as long as they are; nothing stays in the cache."""
    finding = _judged(
        config_of("qwen3-0.6b"), task="embed", arguments={"gpu-memory-utilization": 0.06}
    )
    assert finding.verdict == "ok"


@pytest.mark.parametrize(
    "config",
    [
        None,
        {},
        {"model_type": "from_the_future", "hidden_size": 64, "num_hidden_layers": 2},
        config_of("qwen3-8b") | {"model_type": "from_the_future"},
        config_of("qwen3-8b") | {"num_hidden_layers": "many"},
        config_of("qwen3-8b") | {"layer_types": ["crystal_attention"] * 36},
        config_of("qwen3-8b") | {"quantization_config": {"quant_method": "qubit"}},
        config_of("qwen3-next-80b-a3b") | {"linear_num_key_heads": None},
    ],
    ids=["none", "empty", "bare", "future", "garbage", "layers", "quantisation", "state"],
)
def test_what_is_not_known_is_a_warning_and_never_ok(config: dict[str, Any] | None) -> None:
    """An architecture that nobody counted, or a file that makes no sense."""
    finding = _judged(config)
    assert finding.verdict == "warn"
    assert finding.what.startswith("unknown: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max-model-len", "long"),
        ("max-num-seqs", -5),
        ("tensor-parallel-size", 0),
        ("pipeline-parallel-size", 10**12),
        ("gpu-memory-utilization", 1.5),
        ("gpu-memory-utilization", "most"),
        ("hf-overrides", "{"),
    ],
)
def test_argument_that_makes_no_sense_is_a_warning(name: str, value: Any) -> None:
    """The engine itself refuses it; the estimate cannot be made."""
    finding = _judged(config_of("qwen3-8b"), arguments={name: value})
    assert finding.verdict == "warn"
    assert f"{name} is {value}, expected" in finding.what


def test_nothing_is_said_of_what_was_not_looked_at_or_has_no_gpu() -> None:
    """Other rules say so."""
    seen = subject_of(config_of("qwen3-8b"))
    assert judge_memory(seen._replace(facts=None)) == []
    assert judge_memory(seen._replace(model=None)) == []
    assert judge_memory(subject_of(config_of("qwen3-8b"), gpus=0)) == []


def test_memory_of_unknown_size_is_a_warning() -> None:
    """A driver may say `[N/A]`."""
    finding = _judged(config_of("qwen3-8b"), memory_mib=None)
    assert finding.verdict == "warn"
    assert finding.what.startswith("unknown: ")


def test_memory_that_others_took_fails_what_would_fit_alone() -> None:
    """VLLM refuses to start when less is free than its share of all."""
    subject = subject_of(config_of("qwen3-0.6b"))
    assert judge_memory(subject, {0: 0})[0].verdict == "ok"
    finding = judge_memory(subject, {0: 20 * GIB})[0]
    assert finding.verdict == "fail"
    assert "others have taken 20 GiB" in finding.what
    free, less = finding.remedy.split(" or ")
    assert free == "Free the 20 GiB that others have taken of the GPU"
    assert less == "set gpu-memory-utilization to 0.85."
    told = subject_of(config_of("qwen3-0.6b"), arguments={"gpu-memory-utilization": 0.85})
    assert judge_memory(told, {0: 20 * GIB})[0].verdict == "ok"


def test_share_that_leaves_nothing_for_cuda_itself_fails() -> None:
    """A GPU is never free to the last byte, so all of it cannot be had."""
    found = _judged(config_of("qwen3-0.6b"), arguments={"gpu-memory-utilization": 1})
    assert found.verdict == "fail"
    assert "of which CUDA takes 0.5 GiB" in found.what
    assert found.remedy == "Set gpu-memory-utilization to 0.99."


def test_services_that_want_more_than_a_gpu_together_fail() -> None:
    """Each by itself would fit."""
    chat = subject_of(config_of("qwen3-8b"), name="chat")
    share = {"gpu-memory-utilization": 0.25}
    embed = subject_of(config_of("qwen3-0.6b"), name="embed", task="embed", arguments=share)
    finding = judge_shares([chat, embed])[0]
    assert finding.verdict == "fail"
    assert "chat (0.92) and embed (0.25) share GPU 0, and want 1.17" in finding.what
    less = subject_of(config_of("qwen3-8b"), arguments={"gpu_memory_utilization": 0.7})
    assert judge_shares([less, embed]) == []
    assert judge_shares([chat]) == []


def test_text_embeddings_inference_needs_its_weights_only() -> None:
    """It keeps no cache, and halves what is stored in full precision."""
    config, files = config_of("bge-m3"), {"model.safetensors": 2 * GIB, "onnx/model.onnx": GIB}
    tei = {"engine": "tei", "task": "embed", "version": "1.9", "files": files}
    assert _judged(config, **tei).verdict == "ok"
    assert "needs 2.0 GiB" in _judged(config, **tei).what
    assert "needs 3.0 GiB" in _judged(config, arguments={"dtype": "float32"}, **tei).what
    assert _judged(config, memory_mib=2000, **tei).verdict == "fail"
    half = config | {"torch_dtype": "float16"}
    assert "needs 3.0 GiB" in _judged(half, **tei).what


def test_stated_cache_that_is_not_there_names_one_that_is() -> None:
    """It would run out of memory after minutes of loading."""
    finding = _judged(config_of("qwen3-8b"), arguments={"kv-cache-memory-bytes": 130 * GIB})
    assert finding.verdict == "fail"
    wanted = int(finding.remedy.removesuffix(".").rpartition(" ")[2])
    fits = _judged(config_of("qwen3-8b"), arguments={"kv-cache-memory-bytes": wanted})
    assert fits.verdict == "ok"
    assert wanted > 100 * GIB


@pytest.mark.parametrize(
    ("version", "share"), [("0.19.1", 0.90), ("0.20.0", 0.92), ("0.32.0", 0.92)]
)
def test_share_of_the_gpu_is_the_default_of_the_release(version: str, share: float) -> None:
    """It was raised in 0.20.0."""
    found = settings(subject_of({}, version=version))
    assert found.utilisation == share


@pytest.mark.parametrize(
    ("arguments", "gpus", "sizes"),
    [
        ({}, 4, (4, 1)),
        ({"tensor-parallel-size": 2, "pipeline_parallel_size": 2}, 4, (2, 2)),
        ({"data-parallel-size": 4}, 4, (1, 1)),
        ({"max-model-len": "32k"}, 1, (1, 1)),
        ({"tensor-parallel-size": 1}, 2, (1, 1)),
    ],
)
def test_spread_over_gpus_is_as_the_engine_is_told(
    arguments: dict[str, Any], gpus: int, sizes: tuple[int, int]
) -> None:
    """Where no size is stated, the model is spread over all GPUs of the service."""
    found = settings(subject_of({}, arguments=arguments, gpus=gpus))
    assert (found.tensor, found.pipeline) == sizes


@pytest.mark.parametrize(
    ("text", "length"), [("32k", 32000), ("32K", 32768), (8192, 8192), ("auto", 0), (-1, 0)]
)
def test_lengths_are_read_as_vllm_reads_them(text: Any, length: int) -> None:
    """A small k is 1000, a large one 1024."""
    assert settings(subject_of({}, arguments={"max-model-len": text})).max_model_len == length


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"quantization": "fp8"}, {"quantization": "fp8"}),
        ({"runner": "pooling"}, {"pooling": True}),
        ({"load-format": "dummy"}, {"dummy": True}),
        ({"enforce_eager": True}, {"eager": True}),
        ({"disable-hybrid-kv-cache-manager": True}, {"hybrid": False}),
        ({"block-size": 32, "max-num-seqs": "1k"}, {"block": 32, "sequences": 1000}),
        ({"kv-cache-memory-bytes": "8G"}, {"cache_bytes": 8 * GIB}),
        ({"dtype": "float32", "kv-cache-dtype": "fp8"}, {"dtype": "float32", "cache_dtype": "fp8"}),
        ({"max_num_batched_tokens": 4096}, {"batched_tokens": 4096}),
    ],
)
def test_arguments_that_are_about_memory_are_read(
    arguments: dict[str, Any], found: dict[str, Any]
) -> None:
    """And each of them changes nothing else."""
    assert settings(subject_of({}, arguments=arguments)) == Settings(**found)


def test_task_decides_whether_it_pools() -> None:
    """An embedding service keeps no scores of words."""
    assert settings(subject_of({}, task="embed")).pooling


def test_length_that_the_engine_finds_itself_always_fits() -> None:
    """`auto` takes what there is room for."""
    config = config_of("llama-3.1-70b")
    sized = {"gpus": 2, "memory_mib": A80, "arguments": {"max-model-len": "auto"}}
    assert _judged(config, **sized).verdict == "warn"
    assert "tokens fit at once" in _judged(config, **sized).what


def _fit(name: str, settings: Settings, files: dict[str, int] | None = None) -> Fit:
    return fit(config_of(name), files or {}, settings, H200)


def test_cache_stated_in_bytes_wins_over_the_share() -> None:
    """Utilisation does not count then, and what is stated must be free."""
    found = _fit("qwen3-8b", Settings(cache_bytes=8 * GIB, utilisation=0.1))
    assert found.cache_bytes == 8 * GIB
    assert found.fits
    assert not _fit("qwen3-8b", Settings(cache_bytes=130 * GIB)).fits


def test_known_files_win_over_the_count() -> None:
    """The hub's sizes are what is loaded."""
    files = {"model-00001-of-00001.safetensors": 16 * GIB}
    found = _fit("qwen3-8b", Settings(), files)
    assert found.weights_bytes == pytest.approx(16 * GIB, rel=2e-3)
    assert found.weights_bytes > 16 * GIB
    assert not found.estimated
    assert _fit("qwen3-8b", Settings()).estimated


def test_more_gpus_never_need_more_of_each() -> None:
    """Weights and cache shrink or stay with every further GPU."""
    found = [_fit("llama-3.1-70b", Settings(tensor=size)) for size in (1, 2, 4, 8, 16)]
    weights = [item.weights_bytes for item in found]
    assert weights == sorted(weights, reverse=True)
    per_token = [item.bytes_per_token for item in found]
    assert per_token == [327680, 163840, 81920, 40960, 40960]


def test_arguments_can_change_the_model() -> None:
    """`hf-overrides` win over config.json, also as text."""
    short = settings(
        subject_of({}, arguments={"hf-overrides": '{"max_position_embeddings": 1024}'})
    )
    assert _fit("qwen3-8b", short).length == 1024


SMALL: Final = Device(24564 * 2**20, (8, 9), "NVIDIA GeForce RTX 4090")
A100: Final = Device(81920 * 2**20, (8, 0), "NVIDIA A100-SXM4-80GB")


@pytest.mark.parametrize(
    ("name", "settings", "device", "largest"),
    [
        ("qwen3-8b", Settings(), H200, (8192, 1024)),
        # Small GPUs, and one large one that is slower with more.
        ("qwen3-8b", Settings(), SMALL, (2048, 256)),
        ("qwen3-8b", Settings(), A100, (2048, 256)),
        ("qwen3-8b", Settings(batched_tokens=512, sequences=4096), H200, (512, 512)),
        ("qwen3-8b", Settings(sequences=1, max_model_len=1024), H200, (1024, 1)),
        # An encoder reads all of its input at once.
        ("bge-m3", Settings(), SMALL, (8192, 256)),
    ],
)
def test_largest_batch_is_that_of_the_release(
    name: str, settings: Settings, device: Device, largest: tuple[int, int]
) -> None:
    """VLLM tries it out before it starts, so its memory is not the cache's."""
    model = model_config(config_of(name))
    assert batch(model, settings, device, settings.max_model_len or model.longest) == largest


@pytest.mark.parametrize(
    ("name", "changed", "settings", "device", "expected"),
    [
        ("qwen3-8b", {}, Settings(), H200, Cut(in_flight=200)),
        ("qwen3-8b", {}, Settings(pooling=True), H200, Cut(in_flight=100)),
        ("qwen3-8b", {}, Settings(cache_dtype="fp8_e4m3"), H200, Cut(1, 1, 1, 0, 16, 200)),
        ("qwen3-8b", {}, Settings(dtype="float32"), H200, Cut(1, 1, 4, 0, 16, 200)),
        ("qwen3-8b", {}, Settings(cache_dtype="bfloat16"), H200, Cut(in_flight=200)),
        (
            "qwen3-8b",
            {},
            Settings(cache_dtype="int8_per_token_head"),
            H200,
            Cut(1, 1, 1, 4, 16, 200),
        ),
        ("qwen3-8b", {}, Settings(block=32), H200, Cut(1, 1, 2, 0, 32, 200)),
        ("deepseek-v3", {}, Settings(), H200, Cut(in_flight=200)),
        ("deepseek-v3", {}, Settings(cache_dtype="fp8"), H200, Cut(1, 1, 1, 0, 64, 200)),
        (
            "deepseek-v3",
            {},
            Settings(),
            Device(180 * GIB, (10, 0), "NVIDIA B200"),
            Cut(1, 1, 2, 0, 32, 200),
        ),
        (
            "qwen3-8b",
            {"quantization_config": {"kv_cache_scheme": {"num_bits": 8}}},
            Settings(),
            H200,
            Cut(1, 1, 1, 0, 16, 200),
        ),
    ],
)
def test_cache_is_told_what_arguments_model_and_gpu_ask_for(
    name: str, changed: dict[str, Any], settings: Settings, device: Device, expected: Cut
) -> None:
    """Sizes of elements and blocks, and the tokens that two batches hold."""
    assert cut(model_config(config_of(name) | changed), settings, device, 100) == expected


def test_unknown_type_of_cache_is_unknown() -> None:
    """It is not taken for 16 bits."""
    finding = _judged(config_of("qwen3-8b"), arguments={"kv-cache-dtype": "fp3"})
    assert finding.what == "unknown: how large a KV cache of fp3 is, is not known"


def test_model_that_is_quantised_when_loaded_is_smaller() -> None:
    """`quantization: fp8` makes half of 16 bits, but for vocabulary and norms."""
    whole, half = (_fit("qwen3-8b", Settings(quantization=name)) for name in ("", "fp8"))
    assert 0.5 < half.weights_bytes / whole.weights_bytes < 0.6


def test_quantised_model_without_weights_is_loaded_in_16_bits_where_it_is_gptq() -> None:
    """Which of its layers are quantised stands in the headers of its files, or in a list."""
    name, dummy = "qwen2.5-32b-gptq-int4", Settings(dummy=True)
    whole, packed = (_fit(name, settings).weights_bytes for settings in (dummy, Settings()))
    assert packed / whole < 0.35
    config = config_of(name)
    config["quantization_config"]["modules_in_block_to_quantize"] = [["mlp.up_proj"]]
    assert fit(config, {}, dummy, H200).weights_bytes == packed


@pytest.mark.parametrize(
    ("name", "settings", "less"),
    [
        # Models that embed do not score words; compiled code keeps one result more.
        ("qwen3-8b", Settings(newer_runner=False), Settings(pooling=True)),
        ("qwen3-8b", Settings(), Settings(eager=True)),
        # Graphs are taken of the share, and scores are sorted, by the first runner.
        ("qwen3-8b", Settings(newer_runner=False, eager=True), Settings(eager=True)),
        ("qwen3-8b", Settings(newer_runner=False), Settings(newer_runner=False, eager=True)),
        ("deepseek-v2-lite", Settings(eager=True), Settings(eager=True, tensor=2)),
    ],
)
def test_overhead_is_more_where_more_is_done(name: str, settings: Settings, less: Settings) -> None:
    """By what the largest batch takes at its peak."""
    assert _fit(name, settings).overhead_bytes > _fit(name, less).overhead_bytes


@pytest.mark.parametrize(("version", "newer"), [("0.26.0", True), ("0.25.1", False)])
def test_second_runner_came_with_a_release(version: str, *, newer: bool) -> None:
    """What it was not held against is counted by the first, which takes more."""
    assert settings(subject_of({}, version=version)).newer_runner is newer


def _modelopt(files: dict[str, int]) -> Finding:
    config = config_of("qwen3-8b")
    return _judged(config, files={"hf_quant_config.json": 300, "config.json": 700, **files})


def test_quantisation_that_stands_in_a_file_of_its_own_is_unknown() -> None:
    """The weights are those of the files; without them nothing is said of 16 bits."""
    finding = _modelopt({"model.safetensors": 9 * GIB})
    assert finding.verdict == "warn"
    assert "hf_quant_config.json, which was not read; 9.0 GiB of weights" in finding.what
    unsized = _modelopt({})
    assert unsized.verdict == "warn"
    assert "how much memory the model needs: how it is quantised stands in" in unsized.what
    assert _modelopt({"model.safetensors": 150 * GIB}).verdict == "fail"


def test_judge_asks_for_memory_too() -> None:
    """With what others were seen to have taken."""
    subject = subject_of(config_of("qwen3-0.6b"))
    taken = Seen(memory_in_use={0: 20 * GIB})
    alone, beside = (
        [finding.verdict for finding in judge(subject, seen=seen) if finding.check == "fit.memory"]
        for seen in (Seen(), taken)
    )
    assert (alone, beside) == (["ok"], ["fail"])


def test_smallest_gpu_counts() -> None:
    """A model is cut evenly, so the smallest has to hold its part."""
    subject = subject_of(config_of("qwen3-8b"), gpus=2)
    assert subject.facts
    small = subject.facts.gpus[1].model_copy(update={"memory_mib": 8192})
    facts = subject.facts.model_copy(update={"gpus": (subject.facts.gpus[0], small)})
    found = device_of(subject._replace(facts=facts), {1: 5})
    assert found
    assert (found.memory_bytes, found.in_use_bytes) == (8192 * 2**20, 5)


def test_quantised_model_is_not_told_to_be_quantised() -> None:
    """It is already."""
    finding = _judged(config_of("qwen2.5-32b-gptq-int4"), memory_mib=16384, capability="8.6")
    assert finding.verdict == "fail"
    assert "quantised" not in finding.remedy
    plain = _judged(config_of("qwen3-8b"), memory_mib=16384, capability="8.6")
    assert "quantised to AWQ or GPTQ" in plain.remedy


def test_half_the_gpu_has_half_the_budget() -> None:
    """What the driver keeps for itself is nobody's: 0.92 of 139.8 GiB are 128.6."""
    assert gib(H200.usable_bytes) == pytest.approx(139.8, abs=0.01)
    assert gib(_fit("qwen3-8b", Settings()).budget_bytes) == pytest.approx(128.62, abs=0.02)
    assert gib(SMALL.usable_bytes) == pytest.approx(23.6, abs=0.05)


@pytest.mark.parametrize(
    ("tokens", "rounded"), [(20000, 16384), (12300, 12288), (3000, 2048), (700, 512), (100, 0)]
)
def test_proposed_lengths_are_round(tokens: int, rounded: int) -> None:
    """Never more than fits, and nothing so short that nobody wants it."""
    assert round_length(tokens) == rounded


@pytest.mark.parametrize(
    ("size", "text"), [(GIB // 2, "0.5 GiB"), (10 * GIB, "10 GiB"), (143 * GIB + 1, "143 GiB")]
)
def test_sizes_are_told_with_two_digits_at_least(size: int, text: str) -> None:
    """As many as an operator needs."""
    assert told(size) == text


_NAMES: Final = sorted(path.stem for path in (HERE / "configs").glob("*.json"))
_GARBAGE: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


@settled(max_examples=300, deadline=None)
@given(name=st.sampled_from(_NAMES), data=st.data())
def test_garbage_in_a_config_never_crashes(name: str, data: st.DataObject) -> None:
    """Any field of any known file may hold anything: there is a finding, or a clear error in it."""
    config = config_of(name)
    inner = config.get(data.draw(st.sampled_from(["text_config", "quantization_config", ""])))
    part = inner if isinstance(inner, dict) else config
    part[data.draw(st.sampled_from(sorted(part)))] = data.draw(_GARBAGE)
    assert len(judge_memory(subject_of(config, gpus=2))) == 1
