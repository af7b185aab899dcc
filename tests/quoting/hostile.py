"""Strings as operators write them at their worst, and shells that tell what they made of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from provision.state.shell import framed

CASES: Final = int(os.environ.get("PROVISION_CASES") or 1000)
"""Strings that each law is tried with."""
BATCH: Final = 50
"""Strings that one shell gets: starting a shell is what costs."""
SEGMENTS: Final = 10
"""Texts that make one path."""
CANARY: Final = "provision_canary"
"""Runs where a shell takes data for code; then what it says, or what it leaves, is found."""
_FRAGMENTS: Final = (
    *(
        "'",
        '"',
        "\\",
        "\\'",
        "'\\''",
        "''",
        '"$',
        "`",
        "$",
        "$$",
        "${",
        "}",
        "$HOME",
        "${IFS}",
        "$1",
    ),
    *(" ", "  ", "\t", "\n", "\r", "\r\n", "\\n", "\n\n", "\x0b", "\x1b[2J", "\x07", "\x7f"),
    *(
        "*",
        "?",
        "[a-z]*",
        "~",
        "~root",
        "!",
        "!!",
        "!$",
        "{a,b}",
        "#",
        " # ",
        "%",
        "%s",
        "%n",
        "%%",
    ),
    *("-", "--", "-n", "-rf", "--help", "=", "A=b", "/", "//", "..", ".", ":", ",", "@", "+", "^"),
    *(";", "&", "|", "&&", "||", "<", ">", ">>", "<<E\n", "(", ")", "()", "if", "eval", "exit 7"),
    *(f"$({CANARY})", f"`{CANARY}`", f";{CANARY};", f"\n{CANARY}\n", f"' ;{CANARY}; '"),
    *(f'";{CANARY};"', f"|{CANARY}", f"&{CANARY}&", f">{CANARY}", f"$(>{CANARY})", f"\\\n{CANARY}"),
    *(
        "}\nprovision_main </dev/null\n",
        "\nEOF\n",
        "END_OF_FETCHER\n",
        "\n---\n",
        "{{ x }}",
        "{% x %}",
    ),
    *("é", "中文", "\u2028", "\u202e", "\ufeff", "\x85", "\xa0", "😀", "\ufffe", "\U0010ffff"),
    *("null", "true", "0", "1e3", "x" * 300, "y" * 5000),
)
_BYTES: Final = ("\udcff", "\udcc3", "\udc80\udcfe", "\udce4\udcb8")
_text: Final = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4
)
sendable: Final = st.lists(st.sampled_from(_FRAGMENTS) | _text, max_size=5).map("".join)
"""Any text that the inventory lets through: no NUL, and whole characters."""
anything: Final = st.lists(st.sampled_from((*_FRAGMENTS, *_BYTES)) | _text, max_size=5).map("".join)
"""Any text that an argument can hold; bytes that are no UTF-8 as surrogates."""
words: Final = st.text("abzAZ09._-+~:/@%", max_size=12) | sendable
"""Text that may well be a name, a path or a version, or else anything."""
_ALL: Final = {"sh": ["sh"], "dash": ["dash"], "busybox": ["busybox", "sh"], "bash": ["bash"]}
SHELLS: Final = list(
    {  # each program once: Debian's sh is dash
        Path(shutil.which(argv[0]) or name).resolve(): argv
        for name, argv in _ALL.items()
        if shutil.which(argv[0])
    }.values()
)
# What is said goes past all redirections; a count before it tells no word from an empty one.
_SAY: Final = (
    "exec 9>&1\nsay() { { printf '%d\\0' $#; [ $# -eq 0 ] || printf '%s\\0' \"$@\"; } >&9; }\n"
)


def cases(strategy: st.SearchStrategy[Any], size: int = BATCH) -> Callable[[Any], Any]:
    """Give a law lists named `batch` until it has seen CASES values of `strategy`."""

    def wrap(law: Any) -> Any:
        lists = st.lists(strategy, min_size=size, max_size=size)
        return settings(max_examples=max(1, CASES // size))(given(batch=lists)(law))

    return wrap


def raw(text: str) -> bytes:
    """Return a text as the bytes that a host gets."""
    return text.encode("utf-8", "surrogateescape")


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder with a file that a pattern of the shell would match."""
    with tempfile.TemporaryDirectory(prefix="provision-quoting-") as name:
        folder = Path(name)
        (folder / "bystander").touch()
        yield folder


def ran(
    argv: Sequence[str | bytes],
    folder: Path,
    stdin: str | bytes = "",
    complaint: bytes = b"",
    **environment: str,
) -> bytes:
    """Return what a program says; it must end well, and say nothing else than that `complaint`."""
    done = subprocess.run(
        argv,
        input=stdin if isinstance(stdin, bytes) else raw(stdin),
        capture_output=True,
        timeout=60,
        check=False,
        cwd=folder,
        env={**os.environ, "HOME": str(folder), **environment},
    )
    assert done.returncode == 0, (argv, done.stdout[-500:], done.stderr[-2000:])
    assert re.fullmatch(complaint, done.stderr), (argv, done.stderr[-2000:])
    return done.stdout


def heard(script: str, stubs: Sequence[str] = (), *, listening: Sequence[str] = ()) -> list[Any]:
    """Return, in order, the words with which `script` called the stubs, the same in each shell.

    Of those that are `listening` the last word is what came on their stdin.
    """
    functions = [f'{name}() {{ say {name} "$@"; }}\n' for name in (CANARY, *stubs)]
    functions += [
        f'{name}() {{ said=$(cat; echo .); say {name} "$@" "${{said%.}}"; }}\n'
        for name in listening
    ]
    text = framed(f"{_SAY}{''.join(functions)}{script}\n")
    answers = []
    for shell in SHELLS:
        with scratch() as folder:
            answers.append(ran([*shell, "-s"], folder, text))
            assert [path.name for path in folder.iterdir()] == ["bystander"]
    assert all(answer == answers[0] for answer in answers), "the shells do not agree"
    return _records(answers[0])


def one_shell(batch: list[str]) -> list[str]:
    """Return the shell of a batch: what starts many programs runs in one of them each time."""
    return SHELLS[sum(map(len, batch)) % len(SHELLS)]


def paths_of(batch: list[str], folder: str) -> list[str]:
    """Return paths of several texts each, as an operator could have meant them."""
    parts = [re.sub(r"[/\x00-\x1f\x7f\ud800-\udfff]", "", text)[:40] for text in batch]
    parts = [part.strip() if part.strip() not in {"", ".", ".."} else "x" for part in parts]
    groups = [parts[start : start + SEGMENTS] for start in range(0, len(parts), SEGMENTS)]
    return [f"{folder}/{index}/{'/'.join(group)}" for index, group in enumerate(groups)]


def _records(answer: bytes) -> list[list[bytes]]:
    parts, records, at = answer.split(b"\0"), [], 0
    while at < len(parts) - 1:
        count = int(parts[at])
        records.append(parts[at + 1 : at + 1 + count])
        at += 1 + count
    return records
