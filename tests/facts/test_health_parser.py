"""Health: the parser against edited recordings, old drivers, half answers and hostile ones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.facts import Health, parse_health
from provision.facts.health import GPUHealth, Section

SECTIONS: Final = get_args(Section)
RECORDED: Final = (
    Path(__file__).parents[2]
    / "provision"
    / "lab"
    / "assets"
    / "host"
    / "gpu"
    / "h200-x2"
    / "q.xml"
).read_text("utf-8")
OLD: Final = (
    Path(__file__).with_name("fixtures") / "nvidia-smi" / "edited" / "driver-450.xml"
).read_text("utf-8")
CLOCK: Final = "1790000000.5"


def _read(**texts: str) -> Health:
    base = {"clock": CLOCK} | texts
    return parse_health(
        "".join(f"{text}\n@word {name} 0\n" for name, text in base.items()), "@word"
    )


def _gpus(xml: str, rest: str = "") -> tuple[GPUHealth, ...]:
    health = _read(gpu_health=f"{xml}\n{rest}")
    assert "gpu_health" not in health.unknown, health.unknown
    assert health.gpu_health is not None
    return health.gpu_health


def _element(tag: str, value: str, inside: str = "") -> GPUHealth:
    """Return the first GPU of the recording with another value of one element."""
    head, block, tail = RECORDED.partition(f"<{inside}>") if inside else ("", "", RECORDED)
    edited, count = re.subn(f"<{tag}>[^<]*<", f"<{tag}>{value}<", tail, count=1)
    assert count
    return _gpus(head + block + edited)[0]


@pytest.mark.parametrize(
    ("tag", "value", "inside", "field", "expected"),
    [
        ("dram_uncorrectable", "3", "volatile", "uncorrected", 3),
        ("sram_uncorrectable_parity", "2", "volatile", "uncorrected", 2),
        ("dram_correctable", "5", "volatile", "corrected", 5),
        ("dram_uncorrectable", "4", "aggregate", "uncorrected_ever", 4),
        ("remapped_row_pending", "Yes", "", "remap_pending", True),
        ("remapped_row_failure", "Yes", "", "remap_failure", True),
        (
            "clocks_event_reason_hw_thermal_slowdown",
            "Active",
            "",
            "slowdowns",
            ("hw_thermal_slowdown",),
        ),
        (
            "clocks_event_reason_hw_power_brake_slowdown",
            "Active",
            "",
            "slowdowns",
            ("hw_power_brake_slowdown",),
        ),
        ("current_power_limit", "300.00 W", "gpu_power_readings", "power_limit_w", 300.0),
        ("current_link_width", "4x", "", "pcie_width", 4),
        ("current_mig", "Enabled", "", "mig", True),
        ("persistence_mode", "Disabled", "", "persistence", False),
        ("gpu_recovery_action", "Reset", "", "recovery_action", "Reset"),
        ("state", "In Progress", "fabric", "fabric_state", "In Progress"),
        ("pending_ecc", "Disabled", "", "ecc_pending", False),
        ("gpu_temp", "[N/A]", "", "temperature_c", None),
        ("gpu_util", "Unknown Error", "", "utilisation_percent", None),
    ],
)
def test_a_fault_is_read(tag: str, value: str, inside: str, field: str, expected: Any) -> None:
    """One element of the recording changes one field and no other."""
    healthy, ill = _gpus(RECORDED)[0].model_dump(), _element(tag, value, inside).model_dump()
    assert ill[field] == expected
    assert {name for name in healthy if healthy[name] != ill[name]} == {field}


def test_an_old_driver_lacks_fields() -> None:
    """A driver of 2020 says less and with other names; what it does not say is None."""
    (gpu,) = _gpus(OLD)
    assert (gpu.brand, gpu.architecture, gpu.recovery_action, gpu.fabric_state) == (
        "Tesla",
        "",
        "",
        "",
    )
    assert gpu.slowdowns == ("hw_slowdown",)
    assert (gpu.mig, gpu.remap_pending, gpu.retirement_pending) == (None, None, True)
    assert (gpu.corrected, gpu.uncorrected, gpu.uncorrected_ever) == (7, 2, 3)
    assert (gpu.power_limit_w, gpu.default_power_limit_w) == (250.0, 300.0)
    assert (gpu.memory_mib, gpu.memory_free_mib) == (16160, 16149)
    assert (gpu.pcie_width, gpu.max_pcie_width, gpu.pcie_generation) == (8, 16, 1)
    assert (gpu.nvlinks_up, gpu.nvlinks_down) == (None, None)


def test_processes_have_the_names_of_their_containers() -> None:
    """By the control group's id; a name that is no XML costs the names and nothing else."""
    process = (
        "<processes>\n<process_info>\n<pid>{}</pid>\n<process_name>{}</process_name>\n"
        "<used_memory>40960 MiB</used_memory></process_info>\n</processes>"
    )
    xml = re.sub(r"<processes>\s*</processes>", process.format(7, "python3"), RECORDED, count=1)
    rest = f"--- links\n--- processes\n7 {'a' * 64}"
    row = '["{}","/chat","image","running","",0,0,false,"{}","x","runc",null,[]]'
    containers = f"--- container {row.format('a' * 64, '2026-11-21T08:00:00Z')}"
    health = _read(gpu_health=f"{xml}\n{rest}", engine=containers)
    assert health.gpu_health
    (found,) = health.gpu_health[0].processes
    assert (found.pid, found.name, found.memory_mib, found.container) == (
        7,
        "python3",
        40960,
        "chat",
    )
    (found,) = _gpus(xml.replace("python3", "a & <b"), rest)[0].processes
    assert (found.pid, found.name, found.memory_mib, found.container) == (7, "", 40960, "")


def test_half_of_the_gpus_are_no_answer() -> None:
    """A document without its end is unknown: the GPU that is missing may be the one that is ill."""
    end = RECORDED.index("</gpu>") + len("</gpu>")
    health = _read(gpu_health=RECORDED[:end])
    assert health.gpu_health is None
    assert health.unknown["gpu_health"] == "its answer makes no sense: nvidia-smi broke off"


def test_a_lost_gpu_leaves_the_others() -> None:
    """Where nvidia-smi says itself that it cannot reach one GPU, those that it reached are known."""
    end = RECORDED.index("</gpu>") + len("</gpu>")
    said = "Unable to determine the device handle for GPU1: 0000:00:07.0: GPU is lost."
    assert [gpu.bus_id for gpu in _gpus(f"{RECORDED[:end]}\n{said}")] == ["00000000:00:06.0"]


def test_an_answer_that_ends_half_way_is_unknown_from_there() -> None:
    """What came back stands; what did not is named with the reason, and never empty."""
    health = parse_health(f"{CLOCK}\n@word clock 0\nhalf of", "@word")
    assert health.clock is not None
    assert set(health.unknown) == set(SECTIONS) - {"clock"}
    assert set(health.unknown.values()) == {"the answer of the host ended before it"}
    assert health.gpu_health is None


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (124, "no answer within 8 s"),
        (137, "no answer within 8 s"),
        (141, "its answer is longer than 400 kB"),
        (2, "its commands ended with status 2"),
    ],
)
def test_a_section_that_failed_says_why(status: int, why: str) -> None:
    """A status other than 0 is no answer, whatever was printed."""
    health = parse_health(f"{CLOCK}\n@word clock {status}\n", "@word")
    assert (health.clock, health.unknown["clock"]) == (None, why)


BOMB: Final = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>\n'
    "<nvidia_smi_log>\n<gpu id='1'><uuid>&b;</uuid></gpu>\n</nvidia_smi_log>"
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gpu_health", BOMB),
        ("gpu_health", "<gpu id='1'>" * 30000),
        ("gpu_health", "<gpu id='1'>" + "<a>" * 50000 + "</gpu></nvidia_smi_log>"),
        ("gpu_health", "no such command"),
        ("engine", "--- container " + "[" * 100000),
        ("engine", "--- expected 2"),
        ("engine", '--- container {"a": 1}'),
        ("engine", "--- container [1,2,3]"),
        ("engine", "--- seen x y z\n--- container []"),
        ("file_systems", "df: /: Transport endpoint is not connected"),
        ("clock", "9" * 400),
        ("clock", "Sat Nov 21"),
        ("network", "no getent"),
    ],
)
def test_hostile_sections_are_unknown(name: str, text: str) -> None:
    """Bombs, endless nesting and nonsense cost their own section; the reason is one short line."""
    health = _read(**{name: text})
    assert getattr(health, name) is None
    assert len(health.unknown[name]) < 300
    assert "\n" not in health.unknown[name]


def test_nothing_that_a_terminal_obeys_comes_through() -> None:
    """Control sequences and what reverses the direction of text are dropped, also inside JSON."""
    row = r'["a","/na\u001b[31mme","i\u202emage","running","",0,0,false,"","x","runc",null,[]]'
    line = "[1.0] NVRM: Xid (PCI:0000:01:00): 79, \x1b]0;title\x07 \u202e\udcff end\r"
    health = _read(kernel=f"readable\nxid {line}", engine=f"--- container {row}")
    assert health.kernel
    assert health.engine
    assert health.kernel.xids[0].text == "[1.0] NVRM: Xid (PCI:0000:01:00): 79, ]0;title  end"
    assert health.engine.containers[0].name == "na31mme"
    assert health.engine.containers[0].image == "image"


_texts = st.text(max_size=200) | st.lists(
    st.sampled_from(
        [
            *("--- container ", "--- seen ", "--- daemon.json\n", "[", "]", "{", "}", '"a"', ","),
            *("<gpu id='x'>", "</gpu>", "</nvidia_smi_log>", "<pid>1</pid>", "--- links\n", "null"),
            *("-Pk /dev/x 1 2 3 4% /\n", "mounted ro /\n", "xid ", "NVRM: Xid (x): 79", "oom "),
            *("LISTEN 0 1 *:99999 x", "0100007F:1F40", "unresolved ", "\n", " ", "1", "GPU 0: x\n"),
            "Id=docker.service\n",
        ]
    ),
    max_size=16,
).map("".join)


@given(name=st.sampled_from(SECTIONS), text=_texts)
def test_no_text_crashes_the_parser(name: str, text: str) -> None:
    """Any text in any section gives a value, or a reason why there is none."""
    health = parse_health(f"{text}\n@word {name} 0\n", "@word")
    assert (getattr(health, name) is None) == (name in health.unknown)
