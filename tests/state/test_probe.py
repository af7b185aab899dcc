"""Many probes in one script, under every shell, and what is read out of its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.errors import ProbeError
from provision.state.probe import parse_states, probe_script
from provision.state.resource import Command, Resource, State
from provision.state.shell import literal, nonce

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Sequence

    Shell = Callable[..., subprocess.CompletedProcess[bytes]]


class Raw(Resource):
    """A resource whose probe is given and whose state is exactly what it printed."""

    kind: ClassVar[str] = "raw"
    text: str

    def probe(self) -> str:
        """Return the given sh."""
        return self.text

    def actual(self, output: str) -> State | None:
        """Keep the output."""
        if output == "nonsense":
            raise ValueError("this makes no sense")
        return {"output": output}

    def expected(self) -> State | None:
        """Want nothing in particular."""
        return {}

    def apply(self, actual: State | None, changed: frozenset[str]) -> list[Command]:
        """Do nothing."""
        del actual, changed
        return []


def _probe(shell: Shell, *texts: str) -> list[State | None]:
    return _look(shell, [Raw(name=f"r{index}", text=text) for index, text in enumerate(texts)])


def _look(shell: Shell, resources: Sequence[Resource]) -> list[State | None]:
    word = nonce()
    done = shell(probe_script(resources, word))
    stdout, stderr = (
        part.decode("utf-8", "surrogateescape") for part in (done.stdout, done.stderr)
    )
    return parse_states(resources, stdout, stderr, word)


def test_output_is_kept_byte_by_byte(shell: Shell) -> None:
    """With and without a newline at its end, empty, and with bytes that are no text."""
    texts = ("a", "a\n", "\n", "", "\n\na\n\n", "\udcff\r\n")
    probes = [literal(text.encode("utf-8", "surrogateescape")) for text in texts]
    assert _probe(shell, *probes) == [{"output": text} for text in texts]


def test_output_that_looks_like_a_frame_is_output(shell: Shell) -> None:
    """Frames of another script, in a file or on stderr, end nothing and begin nothing."""
    fake = f"\n{nonce()} end 0 1\n\n{nonce()} begin 1\n"
    probe = literal(fake.encode())
    states = _probe(shell, probe, f"{{ {probe}; }} >&2", "printf after")
    assert states == [{"output": fake}, {"output": ""}, {"output": "after"}]


def test_one_is_absent_and_zero_is_present(shell: Shell) -> None:
    """The exit status decides, not whether something was printed."""
    states = _probe(shell, "echo there; return 1", "exit 1", "false", "true", "return 0")
    assert states == [None, None, None, {"output": ""}, {"output": ""}]


@pytest.mark.parametrize(
    "ending", ["return 2", "exit 3", "no-such-command-here", "sh -c 'kill -9 $$'"]
)
def test_any_other_status_is_an_error_that_names_the_resource(shell: Shell, ending: str) -> None:
    """A failed probe is not absence: the error has the resource's id and the last of stderr."""
    with pytest.raises(ProbeError) as raised:
        _probe(shell, "true", f"echo first >&2; echo 'the reason' >&2; {ending}")
    assert raised.value.where == "raw:r1"
    assert "the state cannot be read" in str(raised.value)
    if ending in {"return 2", "exit 3"}:
        assert "the reason" in str(raised.value)


def test_stderr_belongs_to_the_probe_that_wrote_it(shell: Shell) -> None:
    """Also when it does not end with a newline; a probe that said nothing shows its status."""
    with pytest.raises(ProbeError, match=r"raw:r1: .*exit status 7"):
        _probe(shell, "printf 'warning of the first' >&2", "exit 7")
    with pytest.raises(ProbeError, match="mine"):
        _probe(shell, "printf other >&2", "printf mine >&2; exit 7", "printf third >&2; exit 8")


def test_equal_probes_run_once(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Two resources with one probe share its answer; their order is kept."""
    count = tmp_path_factory.mktemp("count") / "count"
    same = f"echo x >>{count}; printf same"
    assert _probe(shell, same, "printf other", same) == [
        {"output": "same"},
        {"output": "other"},
        {"output": "same"},
    ]
    assert count.read_text(encoding="utf-8") == "x\n"


def test_probes_do_not_touch_each_other(shell: Shell) -> None:
    """Variables, working folder and options of one probe are gone in the next."""
    states = _probe(shell, "x=1; cd /tmp; set -f", 'printf "%s%s" "${x:-}" "$PWD"')
    assert states[1] == {"output": "/"}


def test_a_probe_that_reads_its_input_gets_none(shell: Shell) -> None:
    """`cat` in a probe ends at once and eats none of the script."""
    assert _probe(shell, "cat", "printf next") == [{"output": ""}, {"output": "next"}]


def test_a_cut_answer_is_an_error_for_every_resource_behind_the_cut(shell: Shell) -> None:
    """Wherever the connection breaks, no resource reads as absent."""
    resources = [Raw(name=f"r{index}", text=f"printf {index}") for index in range(3)]
    stdout = shell(probe_script(resources, "@w")).stdout.decode()
    for end in range(0, len(stdout) - 1, 7):
        with pytest.raises(ProbeError, match="gave no answer"):
            parse_states(resources, stdout[:end], "", "@w")


def test_output_without_sense_names_the_resource(shell: Shell) -> None:
    """What a kind cannot parse is an error at that resource."""
    with pytest.raises(ProbeError, match="raw:r0: this makes no sense"):
        _probe(shell, "printf nonsense")


def test_no_resources_need_no_answer() -> None:
    """Nothing asked, nothing answered."""
    assert parse_states([], "", "", "@w") == []


@given(stdout=st.text(max_size=200), stderr=st.text(max_size=50))
def test_an_answer_of_somebody_else_is_never_a_state(stdout: str, stderr: str) -> None:
    """Text without our nonce is an error, whatever it is: nobody can guess the frame."""
    with pytest.raises(ProbeError):
        parse_states([Raw(name="r", text="true")], stdout, stderr, nonce())


def test_nonces_differ() -> None:
    """Two scripts never share a frame."""
    assert len({nonce() for _ in range(100)}) == 100
