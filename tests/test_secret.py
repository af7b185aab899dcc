"""Secrets: where they come from, that only references are written down, that no output shows them."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from provision import secret as secret_module
from provision.errors import SecretError
from provision.secret import MASK, Secret, redact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Model(BaseModel):
    """A model with a secret, as a role has."""

    token: Secret
    other: Secret | None = None


ASKING: Final = """\
import os, sys
os.open(sys.argv[1], os.O_RDWR)  # of a session's first process it is the terminal
from provision.errors import ProvisionError
from provision.secret import Secret
try:
    print(Secret.asked("Password: ").reveal())
except ProvisionError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (b"hunter2\n", "hunter2"),
        (b"\x04", "Password: no answer was given. Set ssh.sudo_password in the inventory: "),
    ],
)
def test_a_secret_is_asked_for_on_the_terminal(typed: bytes, said: str) -> None:
    """What is typed is not shown; Ctrl-D is no answer."""
    ours, theirs = pty.openpty()
    words = [sys.executable, "-c", ASKING, os.ttyname(theirs)]
    child = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    shown = b""
    while b"Password: " not in shown:  # from here on it is not echoed
        shown += os.read(ours, 1024)
    os.write(ours, typed)
    assert child.communicate(timeout=60)[0].startswith(said)
    assert child.returncode == 0
    os.close(theirs)
    with suppress(OSError):  # nobody has its other side any more
        while chunk := os.read(ours, 1024):
            shown += chunk
    os.close(ours)
    assert b"hunter2" not in shown


def test_a_secret_is_not_asked_for_without_a_terminal() -> None:
    """A run of a timer or of CI says what to do."""
    words = [sys.executable, "-c", ASKING, os.devnull]
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, check=True, start_new_session=True
    )
    assert done.stdout.startswith(b"Password: there is no terminal to ask on. Set ssh.")


@pytest.fixture(autouse=True)
def revealed(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Let every test begin without any secret read."""
    values: set[str] = set()
    monkeypatch.setattr(secret_module, "_revealed", values)
    return values


def test_a_secret_is_read_from_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Environment, file and command give the value without the newline at its end."""
    monkeypatch.setenv("PROVISION_TOKEN", "from env")
    (tmp_path / "token").write_text("from file\r\n", encoding="utf-8")
    assert Secret("env:PROVISION_TOKEN").reveal() == "from env"
    assert Secret(f"file:{tmp_path / 'token'}").reveal() == "from file"
    assert Secret("cmd:echo 'from cmd'").reveal() == "from cmd"


def test_a_command_is_no_shell(tmp_path: Path) -> None:
    """`;` and `$` in a command are words of one argument list."""
    mark = tmp_path / "ran"
    assert Secret(f"cmd:echo a ; touch {mark}").reveal() == f"a ; touch {mark}"
    assert not mark.exists()


def test_a_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`file:~/token` is the operator's."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "token").write_text("mine", encoding="utf-8")
    assert Secret("file:~/token").reveal() == "mine"


@pytest.mark.parametrize(
    "literal", ["hunter2", "", "env:", "vault:x", "file", "Env:X", ":x", "cmd:"]
)
def test_a_literal_value_is_refused(literal: str) -> None:
    """An inventory is committed: a value in it is an error, and the error does not repeat it."""
    with pytest.raises(ValueError, match="expected a reference") as raised:
        Secret(literal)
    assert "hunter2" not in str(raised.value)
    with pytest.raises(ValidationError):
        Model.model_validate({"token": literal})


def test_a_missing_source_is_an_error_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each source says what is missing and what to do; the place is the reference."""
    monkeypatch.delenv("PROVISION_NONE", raising=False)
    empty, binary = tmp_path / "empty", tmp_path / "binary"
    empty.write_text("\n", encoding="utf-8")
    binary.write_bytes(b"\xff\xfe")
    cases = {
        "env:PROVISION_NONE": "not set. Run `export PROVISION_NONE=…` first.",
        f"file:{tmp_path / 'none'}": "No such file or directory. Check the path",
        f"file:{binary}": "not a text file. Check",
        f"file:{empty}": "the secret is empty. Set a value.",
        "cmd:no-such-program-here": "no-such-program-here",
        "cmd:sh -c 'echo locked >&2; exit 1'": "locked. Run the command by hand",
        "cmd:true": "the secret is empty",
        "cmd:echo 'unbalanced": "No closing quotation",
    }
    for reference, text in cases.items():
        with pytest.raises(SecretError) as raised:
            Secret(reference).reveal()
        assert str(raised.value).startswith(f"{reference}: ")
        assert text in str(raised.value)


def test_a_command_that_hangs_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when it has said something before."""
    monkeypatch.setattr(secret_module, "_COMMAND_TIMEOUT", 0.2)
    with pytest.raises(SecretError, match="cmd:"):
        Secret("cmd:sh -c 'echo waiting for a card >&2; exec sleep 20'").reveal()


def test_a_secret_prints_as_its_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """repr, str and every model around it show where it is, never what it is."""
    monkeypatch.setenv("PROVISION_TOKEN", "hunter2")
    model = Model(token=Secret("env:PROVISION_TOKEN"))
    model.token.reveal()
    for text in (repr(model), str(model.token), f"{model.token}", model.model_dump_json()):
        assert "hunter2" not in text
        assert "env:PROVISION_TOKEN" in text


@given(st.sampled_from(["env", "file", "cmd"]), st.text(min_size=1, max_size=20))
def test_a_secret_survives_json(source: str, rest: str) -> None:
    """A model with secrets is written and read again without the value being touched."""
    model = Model.model_validate({"token": f"{source}:{rest}"})
    again: Any = Model.model_validate(model.model_dump(mode="json"))
    assert again == model
    assert hash(again.token) == hash(model.token)
    assert again.token != f"{source}:{rest}"
    assert model.other is None


def test_the_schema_tells_an_editor_the_three_forms() -> None:
    """The JSON Schema has the pattern of a reference."""
    schema = Model.model_json_schema()["properties"]["token"]
    assert schema["pattern"] == "^(env|file|cmd):.+"


def test_what_was_revealed_is_masked_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is read nothing is masked, afterwards every occurrence is, the longest first."""
    monkeypatch.setenv("ONE", "s3cret")
    monkeypatch.setenv("TWO", "s3cret-and-more")
    assert redact("s3cret") == "s3cret"
    Secret("env:ONE").reveal()
    Secret("env:TWO").reveal()
    assert redact("a s3cret, (s3cret-and-more) s3cret") == f"a {MASK}, ({MASK}) {MASK}"


def test_each_line_of_a_long_secret_is_masked(tmp_path: Path) -> None:
    """A private key leaves the program line by line: each of them is the secret."""
    (tmp_path / "key").write_text("-----BEGIN-----\nabcdefgh\n-----END-----\n", encoding="utf-8")
    Secret(f"file:{tmp_path / 'key'}").reveal()
    assert redact("+abcdefgh") == f"+{MASK}"
