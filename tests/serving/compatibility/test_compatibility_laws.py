"""Laws of compatibility that hold for every image, driver, GPU and odd input."""

from __future__ import annotations

import random
from itertools import pairwise, product
from typing import Any

import pytest
from subjects import CUDA, config, subject

from provision.facts import OS, Disk, Docker, Driver, Facts
from provision.serving.compatibility.architecture_table import FIRST, LAST
from provision.serving.compatibility.cuda_tables import MINOR_FLOORS, TOOLKIT_DRIVERS
from provision.serving.compatibility.driver import driver
from provision.serving.compatibility.gpu import gpu
from provision.serving.compatibility.hardware import brand, hardware
from provision.serving.compatibility.image import image
from provision.serving.compatibility.image_table import ADMITS, TEI, VLLM
from provision.serving.compatibility.judge import judge
from provision.serving.compatibility.nearest_image import nearest_image
from provision.serving.compatibility.options import number
from provision.serving.compatibility.room import disk, port
from provision.serving.compatibility.seen import NOTHING, Seen
from provision.serving.compatibility.subject import Subject
from provision.serving.compatibility.versions import known, short, version
from provision.serving.engines.vllm_flags import releases

GB = 10**9
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 3.5, float("inf"), 10**30, "", "x", "13", "é\n", b"1"),
    *("9" * 400, {"rope_type": "yarn", "factor": float("inf")}, {"factor": float("nan")}),
    *({"full": {"rope_type": "yarn"}}, {"quant_method": "fp8", "weight_block_size": [0]}),
    *({"quant_method": ["fp8"], "config_groups": {"a": 1}}, {"weight_block_size": ["a"]}),
    *([], [None], ["a", 1], {}, {"a": {"b": []}}, {"rope_type": 1, "factor": "two"}, "{", "[]"),
)


def failed(found: Subject) -> list[str]:
    """Return what speaks against the image on this host."""
    rules = (driver, image, gpu)
    return [
        str(finding)
        for rule in rules
        for finding in rule(found, NOTHING)
        if finding.verdict == "fail"
    ]


@pytest.mark.parametrize("card", ["H200", "A10", "4090", "5090", "T4", "V100", "SPARK", "ODD"])
@pytest.mark.parametrize("branch", CUDA)
def test_the_image_that_is_named_instead_works(card: str, branch: str) -> None:
    """A remedy is never refused in its turn, and never an image of which nothing is known."""
    for release in ("0.8.5", "0.16.0", "0.33.0"):
        asked = subject(card, f"{branch}.999", f"v{release}")
        host = hardware(asked)
        assert host is not None
        other = nearest_image(asked, host)
        if other:
            again = subject(card, f"{branch}.999", other)
            assert failed(again) == [], other
            assert not [item for item in driver(again) if item.what.startswith("unknown")]


@pytest.mark.parametrize("release", releases())
def test_every_known_release_runs_on_a_new_host_or_says_why_not(release: str) -> None:
    """No release of the flags' table lacks a row among the images."""
    found = failed(subject("A100", "580.65.06", f"v{release}"))
    forced = known("0.15") <= known(release) < known("0.17")
    assert bool(found) is forced, found


def test_nothing_is_said_of_a_host_that_was_not_looked_at() -> None:
    """Without facts and model the rules about them are silent: what is left is the inventory's."""
    bare = subject()._replace(facts=None, model=None)
    assert judge(bare) == []


def test_a_service_on_the_cpu_needs_no_gpu() -> None:
    """No rule about drivers and GPUs speaks of a service without GPUs."""
    found = judge(subject(gpus=(), facts={"driver": None, "gpus": ()}))
    assert found == []


@pytest.mark.parametrize(
    ("facts", "verdict", "words"),
    [
        ({"driver": None}, "fail", "there is no NVIDIA driver"),
        ({"driver": Driver(status="absent")}, "fail", "there is no NVIDIA driver"),
        ({"driver": Driver(status="not loaded", library="580.1")}, "fail", "does not work"),
        ({"driver": Driver(status="broken", message="No devices")}, "fail", "No devices"),
        ({"driver": None, "unknown": ("driver",)}, "warn", "unknown: whether the driver works"),
        ({"driver": Driver(status="ok")}, "warn", "unknown: which version"),
    ],
)
def test_a_driver_that_is_not_there_is_told_from_one_that_is_unknown(
    facts: dict[str, Any], verdict: str, words: str
) -> None:
    """Time-outs and unreadable versions are unknown; what is known to be broken fails."""
    found = list(driver(subject(facts=facts)))
    assert [item.verdict for item in found] == [verdict]
    assert words in found[0].what


def test_gpus_that_were_not_read_are_unknown() -> None:
    """A GPU section that timed out is no host without GPUs."""
    found = list(gpu(subject(facts={"gpus": (), "unknown": ("gpus",)})))
    assert [(item.verdict, item.what) for item in found] == [
        ("warn", "unknown: which GPUs the host has")
    ]


def test_gpus_of_two_kinds_are_noticed() -> None:
    """One model over two kinds of GPU runs at the pace of the smaller."""
    facts = subject("H200").facts
    other = subject("A10").facts
    assert facts
    assert other
    second = other.gpus[0].model_copy(update={"index": 1})
    found = list(gpu(subject(count=2, facts={"gpus": (facts.gpus[0], second)})))
    assert [item.what for item in found] == [
        "its GPUs differ, and the smallest sets the pace: NVIDIA H200, NVIDIA A10"
    ]


@pytest.mark.parametrize(
    ("name", "stated", "expected"),
    [
        ("NVIDIA H200", "", "nvidia"),
        ("NVIDIA H20-3e", "", "nvidia"),
        ("NVIDIA A100-SXM4-80GB", "", "nvidia"),
        ("Tesla T4", "", "tesla"),
        ("Tesla T4", "NVIDIA", "nvidia"),
        ("NVIDIA GeForce RTX 4090 D", "", "geforcertx"),
        ("NVIDIA GeForce GTX 1080 Ti", "", "geforce"),
        ("NVIDIA RTX A6000", "", "nvidiartx"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "", "nvidiartx"),
        ("Quadro RTX 8000", "", "quadrortx"),
        ("NVIDIA TITAN RTX", "", "titanrtx"),
        ("GRID V100D-8C", "", "grid"),
        ("NVIDIA GB10", "", None),
        ("NVIDIA X900", "", None),
    ],
)
def test_brands_are_told_by_names(name: str, stated: str, expected: str | None) -> None:
    """What nvidia-smi states counts; a name that nobody knows has no brand."""
    assert brand(name, stated) == expected


def test_a_geforce_never_gets_newer_cuda_by_compat() -> None:
    """Forward compatibility is for data centre GPUs: CUDA error 804 elsewhere."""
    enabled = {"VLLM_ENABLE_CUDA_COMPATIBILITY": "1"}
    for card in ("4090", "5090", "PRO6000"):
        found = failed(subject(card, "575.57.08", "v0.32.0", environment=enabled))
        assert found
        assert "VLLM_ENABLE" not in found[0]
    assert not failed(subject("A100", "575.57.08", "v0.32.0", environment=enabled))


def test_tables_are_in_order() -> None:
    """A newer CUDA version never needs an older driver, and every row is a version."""
    drivers = [known(first) for first in TOOLKIT_DRIVERS.values()]
    cudas = [known(cuda) for cuda in TOOLKIT_DRIVERS]
    assert all(above > below for above, below in pairwise(drivers))
    assert all(above > below for above, below in pairwise(cudas))
    for major, floor in MINOR_FLOORS.items():
        newest = [driver for driver, cuda in zip(drivers, cudas, strict=True) if cuda[0] == major]
        assert known(floor) <= max(newest)
    for builds in (VLLM, TEI):
        assert all(known(one.since) < known(two.since) for one, two in pairwise(builds))
        assert all(short(known(build.cuda)) in TOOLKIT_DRIVERS for build in builds)
    assert set(ADMITS) <= TOOLKIT_DRIVERS.keys()


def test_architectures_have_a_first_release_and_then_a_last() -> None:
    """Every architecture came with a release, and none went before it came."""
    assert len(FIRST) >= 80
    assert all(version(release) for release in FIRST.values())
    assert all(known(FIRST[name]) <= known(last) for name, last in LAST.items())
    for name, release in {
        "Qwen3ForCausalLM": "0.8.4",
        "Qwen3MoeForCausalLM": "0.8.4",
        "Llama4ForConditionalGeneration": "0.8.3",
        "Gemma3ForConditionalGeneration": "0.8.0",
        "GptOssForCausalLM": "0.10.1",
        "Qwen3NextForCausalLM": "0.10.2",
        "DeepseekV32ForCausalLM": "0.11.0",
        "Gemma4ForCausalLM": "0.19.0",
    }.items():
        assert FIRST[name] == release


@pytest.mark.parametrize(
    ("text", "expected"),
    [("32k", 32000), ("32K", 32768), ("1.5K", 1536), ("-1", None), (-1, -1), (True, None)],
)
def test_amounts_are_read_as_vllm_does(text: Any, expected: int | None) -> None:
    """A small k is a thousand, a large one 1024."""
    assert number(text) == expected


def facts_of(root_gb: int, data_gb: int) -> Facts:
    """Return a host with so much room."""
    return Facts(
        os=OS(id="ubuntu", architecture="amd64"),
        disks=(
            Disk(path="/", size_bytes=10**13, free_bytes=root_gb * GB),
            Disk(path="/data", size_bytes=10**13, free_bytes=data_gb * GB),
        ),
        docker=Docker(version="28.2.2", root="/var/lib/docker"),
    )


@pytest.mark.parametrize(
    ("root_gb", "data_gb", "there", "expected"),
    [
        (100, 100, 0, []),
        (5, 100, 0, [("fail", "the image need 10.0 GB or more, and / has 5.0 GB free")]),
        (20, 100, 0, [("warn", "the image may need 30.0 GB, and / has 20.0 GB free")]),
        (100, 5, 0, [("fail", "the model need 16.8 GB or more, and /data has 5.0 GB free")]),
        (100, 5, None, [("warn", "the model may need 16.8 GB, and /data has 5.0 GB free")]),
        (100, 5, 16 * GB, []),
        (100, 5, 12 * GB, []),
    ],
)
def test_room_is_judged_by_what_is_still_to_come(
    root_gb: int, data_gb: int, there: int | None, expected: list[tuple[str, str]]
) -> None:
    """What is there already needs no room, and what may be there is only warned about."""
    asked = subject()._replace(facts=facts_of(root_gb, data_gb))
    found = list(disk(asked, Seen(model_bytes=there)))
    assert [(item.verdict, item.what) for item in found] == expected
    assert all(item.remedy for item in found)


def test_model_and_image_on_one_disk_are_added_up() -> None:
    """Each alone would fit, both do not."""
    asked = subject(folder="/var/models/m")._replace(facts=facts_of(20, 500))
    found = list(disk(asked, Seen(model_bytes=0)))
    assert [item.verdict for item in found] == ["fail"]
    assert "the model and the image need 26.8 GB" in found[0].what


def test_an_unread_folder_may_be_another_disk() -> None:
    """Below / only some folders were looked at: elsewhere too little room is only a warning."""
    asked = subject(folder="/mnt/m", inspected={})._replace(facts=facts_of(1, 500))
    assert [item.verdict for item in disk(asked, Seen(model_bytes=0))] == ["warn"]


def test_disks_that_hang_are_unknown() -> None:
    """A df that timed out is no room that is enough."""
    found = list(disk(subject(facts={"disks": (), "unknown": ("disks",)})))
    assert [item.verdict for item in found] == ["warn"]


def test_a_port_of_a_stranger_is_refused_with_a_free_one() -> None:
    """The remedy names a port at which nobody listens."""
    found = list(port(subject(port=8000), Seen(listening={8000: "nginx", 8001: ""})))
    assert [item.what for item in found] == ["port 8000 is taken by nginx"]
    assert "port: 8002" in found[0].remedy
    assert not list(port(subject(port=9000), Seen(listening={8000: "nginx"})))


def test_findings_name_host_and_service() -> None:
    """The one line of a refusal has all that is needed to act on it."""
    found = judge(subject("H100", "550.54.15", "v0.32.0"), host="gpu03")
    assert str(found[0]) == (
        "gpu03: chat: vllm-openai:v0.32.0 is built on CUDA 13.0 and needs driver 580.65.06 or "
        "later; the driver is 550.54.15. Take image: vllm/vllm-openai:v0.32.0-cu129, or set "
        "environment: {VLLM_ENABLE_CUDA_COMPATIBILITY: '1'}, as data centre GPUs allow, or "
        "install driver 580.65.06 or later."
    )


KEYS = (
    *("architectures", "torch_dtype", "quantization_config", "num_attention_heads", "vocab_size"),
    *("num_key_value_heads", "num_hidden_layers", "rope_scaling", "max_position_embeddings"),
    *("auto_map", "text_config", "moe_intermediate_size", "intermediate_size", "model_type"),
)


def test_no_config_makes_a_rule_fall_over() -> None:
    """Whatever a config.json holds, rules answer; seen with 200 odd ones."""
    dice = random.Random(5)  # noqa: S311  no secret is made of it
    for _ in range(200):
        odd = {key: dice.choice(ODD) for key in dice.sample(KEYS, 5)}
        judge(subject("T4", count=2, model={**config(), **odd}))


def test_no_text_makes_a_rule_fall_over() -> None:
    """Odd tags, drivers, names and variables are unknown at worst."""
    texts = ("", "v", "x:y", "v0", "v0.32", "580", "580.", "99999999.1", "é", "a=b", "-", "v1.2.3-")
    for image_text, driver_text in product(texts, repeat=2):
        name = f"vllm/vllm-openai:{image_text}"
        inspected = {"NVIDIA_REQUIRE_CUDA": driver_text, "CUDA_VERSION": image_text}
        for there in (None, inspected):
            judge(subject("ODD", driver_text, name, inspected=there, version="0.32.0"))


def test_odd_arguments_do_not_make_a_rule_fall_over() -> None:
    """Values of any type are passed over where they make no sense, or refused by the engine."""
    names = ("tensor-parallel-size", "max-model-len", "quantization", "dtype", "hf-overrides")
    for name, value in product(names, ("", "x", -1, 0, 2.5, True, False, [1], {"a": 1}, "{")):
        judge(subject(arguments={name: value}, count=2))
    judge(subject(arguments={"max-model-len": 1, "max_model_len": 2}))
