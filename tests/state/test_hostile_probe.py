"""Probes of a host that lies: what it prints is cut, judged and bounded, whatever stands in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.errors import ProbeError
from provision.state.kinds.apt_repository import AptRepository
from provision.state.kinds.directory import Directory
from provision.state.kinds.docker_image import DockerImage
from provision.state.kinds.file import File
from provision.state.kinds.json_file import JsonFile
from provision.state.kinds.model_leftovers import ModelLeftovers
from provision.state.kinds.package import Package
from provision.state.kinds.python_venv import PythonVenv
from provision.state.kinds.service_leftovers import ServiceLeftovers
from provision.state.kinds.service_release import ServiceRelease
from provision.state.kinds.systemd_service import SystemdService
from provision.state.probe import parse_states
from provision.state.resource import Command, Resource, State
from provision.state.shell import nonce

if TYPE_CHECKING:
    from collections.abc import Sequence

WORD: Final = "@abcdef"
LARGE: Final = 8 << 20
STAT: Final = "regular file|644|root|root|"
RESOURCES: Final[tuple[Resource, ...]] = (
    Directory(name="/etc/docker"),
    DockerImage(name="vllm:v1"),
    File(name="/etc/a", content="x"),
    JsonFile(name="/etc/a.json", merge={"a": {"b": 1}}),
    ModelLeftovers(name="/data", keep=("/data/a",)),
    Package(name="docker-ce", version="5:28.*"),
    PythonVenv(name="/opt/venv", requirements="a==1", index_url="https://pypi.example"),
    ServiceLeftovers(name="/opt", keep=("a",)),
    ServiceRelease(name="chat", base="/opt"),
    SystemdService(name="docker"),
    AptRepository(
        name="docker-ce", uri="https://a.example", suite="x", components=("stable",),
        key_url="https://a.example/gpg", fingerprint="9" * 40,
    ),
)  # fmt: skip


class Echo(Resource):
    """A resource whose state is what its probe printed."""

    kind: ClassVar[str] = "echo"

    def probe(self) -> str:
        """Return sh that is another one for each name."""
        return f"echo {self.name}"

    def actual(self, output: str) -> State | None:
        """Keep the output."""
        return {"output": output}

    def expected(self) -> State | None:
        """Want nothing in particular."""
        return {}

    def apply(self, actual: State | None, changed: frozenset[str]) -> list[Command]:
        """Do nothing."""
        del actual, changed
        return []


def frame(index: int, output: str, status: int = 0) -> str:
    """Return what the script prints around one probe's output."""
    return f"\n{WORD} begin {index}\n{output}\n{WORD} end {index} {status}\n"


def read(resources: Sequence[Resource], stdout: str, stderr: str = "") -> list[State | None]:
    """Parse an answer."""
    return parse_states(resources, stdout, stderr, WORD)


def read_or_refused(resources: Sequence[Resource], *answer: str) -> list[State | None] | ProbeError:
    """Parse an answer; return the error where it is refused."""
    try:
        return read(resources, *answer)
    except ProbeError as error:
        return error


PIECES: Final = st.sampled_from(
    [
        *(f"\n{WORD} begin {index}\n" for index in (0, 1, 7)),
        *(f"\n{WORD} end {index} {status}\n" for index in (0, 1) for status in (0, 1, 2)),
        *(WORD, "\n", "\n\n", "x", "\r", "\udcff", "\x1b[2J", "9" * 5000, f"{WORD} end 0 0"),
        *(f"\n{WORD} begin {'9' * 5000}\n", f"\n{WORD} end 0 {'1' * 5000}\n"),
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join), st.lists(PIECES, max_size=6).map("".join))
def test_any_answer_is_states_or_an_error_that_names_a_resource(stdout: str, stderr: str) -> None:
    """Half frames, frames in frames, numbers without end: never another exception."""
    found = read_or_refused([Echo(name="a"), Echo(name="b")], stdout, stderr)
    if isinstance(found, ProbeError):
        assert found.where in {"echo:a", "echo:b"}
        assert len(found.what) <= 600
    else:
        assert len(found) == 2


@given(st.text(st.characters(exclude_categories=())).filter(lambda text: WORD not in text))
def test_output_without_the_nonce_is_output(said: str) -> None:
    """Frames of another script included: who does not know the word ends nothing."""
    fake = f"{said}\n{nonce()} end 0 1\n\n{nonce()} begin 1\n"
    assert read([Echo(name="a"), Echo(name="b")], frame(0, fake) + frame(1, said)) == [
        {"output": fake},
        {"output": said},
    ]


@pytest.mark.parametrize(
    "piece",
    [f"\n{WORD} begin 0\n", f"\n{WORD} end 0 0\n", f"\n{WORD} begin 0\nx", f"{WORD} ", "\n", "x"],
)
def test_an_answer_of_marks_alone_is_read_in_one_pass(piece: str) -> None:
    """8 MiB of beginnings without an end; a search for each of their ends would take hours."""
    flood = piece * (LARGE // len(piece))
    resources = [Echo(name="a"), Echo(name="b")]
    with pytest.raises(ProbeError, match=r"echo:a"):
        read(resources, flood, flood)
    with pytest.raises(ProbeError, match=r"exit status 3|cannot be read"):
        read(resources, frame(0, "", 3), flood)


def test_the_error_of_a_probe_is_short() -> None:
    """Its last line on stderr, and not all of it."""
    with pytest.raises(ProbeError) as raised:
        read([Echo(name="a")], frame(0, "", 2), f"\n{WORD} begin 0\n{'x' * LARGE}")
    assert len(str(raised.value)) < 700


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.kind)
@pytest.mark.parametrize(
    "output",
    [
        "x" * LARGE,
        "\n" * LARGE,
        "9" * LARGE,
        f"{STAT}10\n{'x' * (1 << 21)}",
        f"{STAT}{'9' * 5000}\n",
        f"{STAT}-1\nx",
        f"{STAT}10\n{'[' * 60_000}",
        f"{STAT}10\n{{{','.join(f'{chr(34)}{n}{chr(34)}:1' for n in range(100_000))}}}",
        f"{STAT}10\n{{{','.join([chr(34) * 2 + ':1'] * 100_000)}}}",
        f'{STAT}10\n{{"a":{{"b":{"9" * 4000}}}}}',
        "a " * 500_000,
        "a|b\n" * 100_000,
        "1 /a\n" * 100_000,
        "has " * 200_000,
        f"{'9' * 4000} /a",
        "LoadState=\x1b[2J\n",
        "digest \udcff\n",
        f"works\n{'z' * 100_000}",
    ],
    ids=lambda output: f"{output[:20]!r}…",
)
def test_no_kind_is_broken_by_an_answer(resource: Resource, output: str) -> None:
    """It reads a state whose numbers are numbers, or refuses in a few words that name it."""
    found = read_or_refused([resource], frame(0, output))
    if isinstance(found, ProbeError):
        assert found.where == resource.id
        assert len(found.what) <= 600
    else:
        numbers = [n for state in found if state for n in state.values() if isinstance(n, int)]
        assert all(abs(number) < 10**30 for number in numbers)
