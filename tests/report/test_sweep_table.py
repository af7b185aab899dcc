"""A sweep as an operator reads it: at a glance, nothing twice, nothing left out."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from sweeps import ECC, EXPLAIN, HOSTILE, LOST, TOKENS, XID, down, fleet, host, hostile, sweep

from provision.checks.sweep import Sweep
from provision.finding import Finding
from provision.inventory.ranges import expand
from provision.report.sweep import print_sweep, summary
from provision.report.sweep_rows import folded, rows, shown
from provision.report.visible import visible
from provision.secret import Secret

NUMBERED = st.tuples(st.sampled_from(["gpu", "r1-n", "a"]), st.integers(0, 12), st.integers(1, 3))
NAMES = st.lists(NUMBERED.map(lambda parts: f"{parts[0]}{parts[1]:0{parts[2]}d}"), unique=True)


def printed(found: Sweep, width: int = 100, encoding: str = "utf-8") -> list[str]:
    """Return what is printed, line by line."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    print_sweep(Console(file=stream, width=width, highlight=False), found, EXPLAIN)
    return [line.rstrip() for line in raw.getvalue().decode(encoding).splitlines()]


def test_a_small_fleet_is_a_row_a_host_then_each_finding_with_its_remedy() -> None:
    """The worst comes first, its remedy below it; what is only told comes last."""
    lost = host("gpu03", LOST, checks=("host.reachable",))
    assert printed(sweep(host("gpu01"), host("gpu02", ECC, XID, TOKENS), lost)) == [
        "       host  gpu  services",
        "gpu01   ✓     ✓      ✓      2 NVIDIA H200",
        "gpu02   ✓     ✗      ✓      2 NVIDIA H200",
        "gpu03   ✗     ·      ·      2 NVIDIA H200",
        "",
        "✗ gpu03: no connection: timed out  host.reachable",
        "  Is it on?",
        "",
        "✗ gpu02: GPU 3: Xid 79 since the boot  gpu.xid",
        "  Power it off.",
        "",
        "! gpu02: GPU 0: ECC is off  gpu.ecc",
        "  nvidia-smi -i 0 -e 1",
        "",
        "i gpu02: chat: generated its last tokens 3 d ago  services.running",
        "",
        "3 hosts in 8.2 s: 1 well, 2 failed; 1 warning, 2 failures",
    ]


def test_hosts_that_are_alike_share_a_row_in_a_large_fleet() -> None:
    """Sixty-four hosts fit a screen: the well ones are one row, the others come worst first."""
    ill = {3: [ECC], 4: [ECC], 5: [ECC], 40: [XID], 50: [ECC, XID]}
    assert printed(fleet(64, ill))[:4] == [
        "               host  gpu  services",
        "gpu40,gpu50     ✓     ✗      ✓      2 NVIDIA H200",
        "gpu[03:05]      ✓     !      ✓      2 NVIDIA H200",
        "59 hosts well   ✓     ✓      ✓      2 NVIDIA H200",
    ]


@pytest.mark.parametrize("width", [60, 100])
@pytest.mark.parametrize("count", [3, 64, 300])
def test_the_table_fits(width: int, count: int) -> None:
    """No row is wider than the screen, none is cut, with all eight groups and long names."""
    numbers = range(1, count + 1)
    found = fleet(count, {number: [XID, ECC][: number % 3] for number in numbers if number % 4})
    groups = ("host", "driver", "gpu", "docker", "toolkit", "models", "services", "network")
    hosts = [
        each.model_copy(update={"checks": tuple(f"{group}.x" for group in groups)})
        for each in found.hosts
    ]
    lines = printed(sweep(*hosts), width)
    table = lines[: lines.index("")]
    assert all(len(line) <= width and "…" not in line for line in table)
    assert all(sum(line.count(mark) for mark in "✓!✗") == 8 for line in table[1:])
    assert len(table) <= 20


def test_one_finding_of_many_hosts_is_told_once_with_a_command_for_all_of_them() -> None:
    """What is printed after `--host` is what `--host` takes."""
    names = ["gpu01", "gpu02", "gpu03", "gpu07"]
    lines = printed(sweep(*(host(name, down(name)) for name in names), host("gpu11")))
    told = [line for line in lines if "does not run" in line]
    assert told == ["✗ gpu[01:03],gpu07 (4 hosts): chat: does not run  services.running"]
    assert "  inv deploy --host 'gpu[01:03],gpu07' --service chat" in lines


def test_a_remedy_for_one_host_is_not_taken_for_another() -> None:
    """`--host gpu1` is no part of `--host gpu10`: two remedies stay two."""
    hosts = (host("gpu1", down("gpu10")), host("gpu2", down("gpu20")))
    assert [row.remedy.split()[3] for row in rows(sweep(*hosts))] == ["gpu10", "gpu20"]


def test_what_all_hosts_have_is_said_of_all() -> None:
    """Names are no news where there is no other host."""
    lines = printed(fleet(64, {number: [ECC] for number in range(1, 65)}))
    assert "! all 64 hosts: GPU 0: ECC is off  gpu.ecc" in lines


@given(NAMES)
def test_folded_names_stand_for_the_same_hosts(names: list[str]) -> None:
    """`--host` reads back each name once, whatever their padding."""
    read = [name for word in filter(None, folded(names).split(",")) for name in expand(word)]
    assert sorted(read) == sorted(names)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["gpu01"], "gpu01"),
        (["gpu01", "gpu02"], "gpu01,gpu02"),
        (["gpu08", "gpu09", "gpu10"], "gpu[08:10]"),
        (["gpu8", "gpu9", "gpu10"], "gpu[8:10]"),
        (["n3.dc2", "n1.dc2", "n2.dc2", "n2.dc1"], "n[1:3].dc2,n2.dc1"),
        (["r1n1", "r2n1", "r3n1", "r3n2"], "r[1:3]n1,r3n2"),
        (["gpu01", "gpu2", "gpu3"], "gpu01,gpu2,gpu3"),
        (["bastion", "a1b"], "bastion,a1b"),
    ],
)
def test_names_are_folded_as_one_would_write_them(names: list[str], text: str) -> None:
    """Three in a row are a range; the number that varies is found, wherever it stands."""
    assert folded(names) == text


def test_every_finding_is_printed() -> None:
    """Whatever its group, its verdict and its host, a finding has its line."""
    found = [
        Finding(check=f"{group}.c{number}", verdict=verdict, what=f"what {group} {number}")
        for group in ("gpu", "host", "future")
        for number, verdict in enumerate(("ok", "warn", "fail"))
    ]
    text = "\n".join(printed(sweep(host("gpu01", *found))))
    assert [each.what for each in found if each.what not in text] == []


def test_the_background_is_told_once_for_each_check_and_only_when_asked() -> None:
    """`--explain` is for reading, so it is wrapped; without it nothing of it is shown."""
    hosts = (host("gpu01", XID), host("gpu02", XID.model_copy(update={"what": "GPU 4: Xid 48"})))
    begin = EXPLAIN["gpu.xid"][:40]
    lines = printed(sweep(*hosts, explain=True), width=60)
    assert sum(begin in line for line in lines) == 1
    assert "gpu.xid" in lines
    background = lines[lines.index("gpu.xid") + 1 : -2]
    words = " ".join(line.strip() for line in background)
    assert words == EXPLAIN["gpu.xid"]
    assert begin not in "\n".join(printed(sweep(*hosts)))


@pytest.mark.parametrize("encoding", ["ascii", "gbk", "latin-1"])
def test_an_encoding_with_few_characters_is_no_error(encoding: str) -> None:
    """Marks are words there, and what cannot be shown is a question mark."""
    what = "GPU 0: 87 °C 显存 ✗ \x1b"
    lines = printed(sweep(host("gpu01", ECC.model_copy(update={"what": what}))), encoding=encoding)
    assert lines[1].split() == ["gpu01", "ok", "!", "ok", "2", "NVIDIA", "H200"]
    assert any("GPU 0: 87 " in line for line in lines)


def test_no_text_steers_the_terminal() -> None:
    """Escape sequences, new lines, turned text and markup of rich come out as they are written."""
    text = "\n".join(printed(hostile(), width=200))
    assert not {"\x1b", "\x07", "\x00", "\u202e", "\u2028", "\r"} & set(text)
    assert r"what \x1b[2J\x1b]0;owned\x07" in text
    assert "what one two three four" in text
    assert "what [bold]no[/]" in text


@pytest.mark.parametrize("text", HOSTILE)
def test_visible_text_is_one_printable_line(text: str) -> None:
    """What is shown can be shown again unchanged, in any report."""
    line = visible(text)
    assert line.replace("\ufffd", "").isprintable()
    assert visible(line) == line


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines quote what they refuse."""
    monkeypatch.setenv("PROVISION_TEST_KEY", "sk-very-secret")
    Secret("env:PROVISION_TEST_KEY").reveal()
    told = XID.model_copy(update={"what": "no sk-very-secret", "remedy": "sk-very-secret?"})
    assert "sk-very-secret" not in "\n".join(printed(sweep(host("gpu01", told))))
    assert "sk-very-secret" not in shown(sweep(host("sk-very-secret"))).model_dump_json()


def test_the_sum_says_what_was_looked_at() -> None:
    """No host is no success, and one of a thing is not many."""
    assert summary(sweep()) == "0 hosts in 8.2 s: nothing looked at"
    assert summary(fleet(2)) == "2 hosts in 8.2 s: 2 well"
    assert summary(fleet(2, {1: [ECC]})) == "2 hosts in 8.2 s: 1 well, 1 with warnings; 1 warning"
    assert printed(sweep())[-1] == "0 hosts in 8.2 s: nothing looked at"
