"""What an operator writes reaches the commands of the kinds byte for byte, or is refused."""

from __future__ import annotations

import grp
import json
import os
import pwd
import re
from pathlib import Path
from typing import Any, Final

import pytest
from hostile import (
    SHELLS,
    anything,
    cases,
    heard,
    one_shell,
    paths_of,
    ran,
    raw,
    scratch,
    sendable,
    words,
)
from hypothesis import strategies as st
from pydantic import ValidationError

from provision.state.kinds.apt_repository import AptRepository
from provision.state.kinds.directory import Directory
from provision.state.kinds.dnf_repository import DnfRepository
from provision.state.kinds.dnf_setting import DnfSetting
from provision.state.kinds.file import File
from provision.state.kinds.json_file import JsonFile
from provision.state.kinds.package import Package
from provision.state.kinds.paths import digest, write
from provision.state.kinds.python_venv import PythonVenv
from provision.state.probe import parse_states, probe_script
from provision.state.resource import Resource, State, diff
from provision.state.shell import framed, literal, quote

ME: Final = {
    "owner": pwd.getpwuid(os.geteuid()).pw_name,
    "group": grp.getgrgid(os.getegid()).gr_name,
}
NOTHING: Final = frozenset[str]()
FINGERPRINT: Final = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"
_BEGINS: Final = rb"(\n@w begin \d+\n)*"
"""What a probe says on stderr between complaints, of which there are to be none."""


def accepted(kind: type[Resource], **values: Any) -> Any:
    """Return the resource, or None where its types refuse what was written."""
    try:
        return kind.model_validate(values)
    except ValidationError:
        return None


def converged(shell: list[str], folder: Any, resources: list[Any]) -> None:
    """Probe, apply and probe again, all of them in three scripts, as a host is really treated."""

    def look() -> list[State | None]:
        said = ran([*shell, "-s"], folder, probe_script(resources, "@w"), _BEGINS)
        return parse_states(resources, said.decode("utf-8", "surrogateescape"), "", "@w")

    commands = [
        command.script
        for resource, actual in zip(resources, look(), strict=True)
        for command in resource.apply(actual, diff(actual, resource.expected()))
    ]
    ran(
        [*shell, "-s"],
        folder,
        framed("\n".join(f"( set -e\n{each}\n) || exit" for each in commands)),
    )
    assert [diff(now, each.expected()) for now, each in zip(look(), resources, strict=True)] == [
        NOTHING
    ] * len(resources)


@cases(anything)
def test_a_quoted_text_is_one_word(batch: list[str]) -> None:
    """Whatever stands in it: what all other laws rest on."""
    script = "\n".join(f"say {quote(text)}" for text in batch)
    assert heard(script) == [[raw(each)] for each in batch]


@cases(anything)
def test_a_literal_is_its_bytes(batch: list[str]) -> None:
    """Its content never meets the shell's grammar; it may be empty, or end in newlines."""
    content = raw("\n".join(batch))
    assert heard(f"{literal(content)} | hear", listening=["hear"]) == [[b"hear", content]]


@cases(anything)
def test_a_path_is_refused_or_one_word_of_its_probe_and_of_its_commands(batch: list[str]) -> None:
    """Directory, file and JSON file: the same path is looked at, written and removed."""
    said: list[list[bytes]] = []
    scripts: list[str] = []
    for text in batch:
        path = f"/{text}"
        directory = accepted(Directory, name=path)
        if directory is None:
            continue
        file, settings = File(name=path, present=False), JsonFile(name=path, merge={"a": 1})
        for item in (directory, file, settings):
            scripts += [item.probe(), *(each.script for each in item.apply(None, NOTHING))]
        said += [
            [b"probe_path", raw(path)],
            [b"install", *b"-d -m 00755 -o root -g root".split(), raw(path)],
            [b"probe_path", raw(path), b"65536", digest("").encode()],
            [b"rm", b"-f", b"--", raw(path)],
            [b"probe_path", raw(path), b"1048576"],
        ]
    heard_words = heard("\n".join(scripts), ["probe_path", "install", "rm", "write_file"])
    assert [each for each in heard_words if each[0] != b"write_file"] == said
    assert [each[1:] for each in heard_words if each[0] == b"write_file"] == [
        [each[1], b"0644", b"root", b"root", b"absent", heard_words_digest()]
        for each in said
        if each[-1] == b"1048576"
    ]


def heard_words_digest() -> bytes:
    """Return the sha256 of what every JSON file of the law above holds."""
    found = re.search(
        r"([0-9a-f]{64})$", JsonFile(name="/x", merge={"a": 1}).apply(None, NOTHING)[0].script
    )
    assert found
    return found[1].encode()


@pytest.mark.parametrize(
    "path",
    [
        "",
        "x",
        "/",
        "/x/",
        "/a//b",
        "/a/../b",
        "/.",
        "/a\nb",
        "/a\0b",
        "/a\x7f",
        "/a ",
        "/\udcff",
        "-rf",
    ],
)
def test_a_path_that_lists_or_tools_would_misread_is_refused(path: str) -> None:
    """Relative, with dots, a control character or no character at all, or a blank at its end."""
    for kind in (Directory, File, JsonFile):
        with pytest.raises(ValidationError, match=r"absolute path|path without"):
            kind(name=path)


@cases(sendable)
def test_directories_are_really_made(batch: list[str]) -> None:
    """By GNU's own tools, at just that place and nowhere else."""
    with scratch() as folder:
        names = paths_of(batch, f"{folder}/d")
        converged(one_shell(batch), folder, [Directory(name=name, **ME) for name in names])
        assert {each.name for each in folder.iterdir()} == {"bystander", "d"}
        assert all(Path(name).is_dir() for name in names)


@cases(sendable)
def test_files_are_really_written(batch: list[str]) -> None:
    """Names and contents arrive byte for byte."""
    with scratch() as folder:
        names = [path.rpartition("/")[2] for path in paths_of(batch, "")]
        path, content = folder / f"{''.join(names)[:80].strip()}.f", "".join(batch)
        converged(one_shell(batch), folder, [File(name=str(path), content=content, **ME)])
        assert {each.name for each in folder.iterdir()} == {"bystander", path.name}
        assert path.read_bytes() == raw(content)


@cases(anything)
def test_the_check_of_a_file_is_one_word(batch: list[str]) -> None:
    """It is sh of ours, but it goes through another sh first."""
    commands = (write("/x", "", "absent", check=text).script for text in batch if text)
    scripts = [command.partition("base64 -d | ")[2] for command in commands]
    found = heard("\n".join(scripts), ["write_file"])
    assert [each[-1] for each in found] == [raw(text) for text in batch if text]


@cases(sendable)
def test_a_json_file_holds_every_key_and_value(batch: list[str]) -> None:
    """As keys, nested keys, values and parts of lists, beside what somebody else wrote there."""
    merge = {text: {"inner": text, text: [text]} for text in batch}
    theirs = {"theirs ": ["\ud800" if len(batch[0]) % 2 else "x"]}
    with scratch() as folder:
        path = folder / "daemon.json"
        path.write_text(json.dumps(theirs), encoding="utf-8")
        converged(one_shell(batch), folder, [JsonFile(name=str(path), merge=merge)])
        assert json.loads(path.read_text(encoding="utf-8")) == {**theirs, **merge}


_versions = st.from_regex(r"[a-z0-9*][a-zA-Z0-9._+:~^*-]{0,20}", fullmatch=True)


@cases(_versions | words)
def test_a_package_is_refused_or_one_word(batch: list[str]) -> None:
    """Of name and version, for apt and for dnf; a name is never an option, nor a removal."""
    scripts, said = [], []
    for text in batch:
        for values in ({"name": text}, {"name": "pip", "version": text}):
            for manager, joint in (("apt", "="), ("dnf", "-")):
                package = accepted(Package, manager=manager, **values)
                if package is None:
                    continue
                assert not package.name.startswith("-")
                assert not package.name.endswith("-")
                assert re.fullmatch(
                    r"[A-Za-z0-9._+-]+", package.name
                )  # as it stands in case and awk
                scripts += [each.script for each in package.apply(None, NOTHING)]
                version = f"{joint}{package.version}" if package.version else ""
                said.append(raw(f"{package.name}{version}"))
    script = "apt_repair() { :; }\napt_update_daily() { :; }\n" + "\n".join(scripts)
    assert [each[-1] for each in heard(script, ["apt_install", "dnf_apply"])] == said


@cases(words)
def test_an_apt_repository_is_refused_or_has_its_own_fields_only(batch: list[str]) -> None:
    """No text becomes another field of the source, another option, or another word."""
    fine = {"name": "n", "uri": "https://m.cn/x", "suite": "s", "components": ("c",)}
    given = {"key_url": "https://m.cn/k", "fingerprint": FINGERPRINT}
    scripts, said = [], []
    for text in batch:
        uri = f"https://m.cn/{text}"
        for change in ({"name": text}, {"uri": uri}, {"suite": text}, {"components": (text,)}):
            item = accepted(AptRepository, **{**fine, **change}, **given)
            if item is None:
                continue
            expected = item.expected()
            fields = [line.partition(": ") for line in str(expected["source"]).splitlines()]
            assert [(key, value) for key, _, value in fields] == [
                ("Types", "deb"),
                ("URIs", item.uri),
                ("Suites", item.suite),
                ("Components", *item.components),
                ("Signed-By", f"/etc/apt/keyrings/{item.name}.gpg"),
            ]
            assert all(len(value.split()) == 1 for _, _, value in fields)
        key = accepted(AptRepository, **{**fine, **given, "key_url": uri})
        script = key.apply(None, frozenset({"present"}))[0].script
        scripts.append(f"( {script.partition(chr(10) + 'openpgp_dearmor')[0]}\n)")
        said.append(raw(uri))
    found = heard("install() { :; }\n" + "\n".join(scripts), ["timeout"])
    assert [each[-2] for each in found] == said


@cases(words)
def test_a_setting_of_dnf_is_refused_or_one_line_of_its_file(batch: list[str]) -> None:
    """A proxy with a password is one word; nothing begins another option, section or comment."""
    scripts, said = [], []
    for text in batch:
        for values in ({"value": text}, {"items": (text,)}):
            item = accepted(DnfSetting, name="proxy", **values)
            if item is None or text == "":
                continue
            scripts += [each.script for each in item.apply(None, NOTHING)]
            assert len(text.splitlines()) == 1
            said.append([b"proxy", raw(text)])
        item = accepted(DnfRepository, name="n", uri=text, key_url=text, fingerprint=FINGERPRINT)
        if item is not None:
            assert re.fullmatch(r"https?://[!-~]+", text)
            lines = str(item.expected()["source"]).splitlines()
            assert [line for line in lines if text in line] == [f"baseurl={text}"]
    assert [each[-2:] for each in heard("\n".join(scripts), ["dnf_set"])] == said


@cases(st.text("ab.*[]^$\\|+?(){}/&-~:", min_size=1, max_size=12) | words)
def test_an_older_source_is_disabled_and_no_other(batch: list[str]) -> None:
    """What marks it is a text, never a pattern, and never a command of sed."""
    fine = {"name": "n", "suite": "s", "key_url": "https://m.cn/k", "fingerprint": FINGERPRINT}
    uris = [f"https://m.cn/{number}{text}/x" for number, text in enumerate(batch)]
    fitting = [item for uri in uris if (item := accepted(AptRepository, uri=uri, **fine))]
    marks = [item.uri.removeprefix("https://") for item in fitting]
    lines = [f"deb https://{mark} s main\n" for mark in marks]
    other = "deb https://m.cn/other s main\n"
    item = AptRepository(uri="https://m.cn/our/x", replaces=tuple(marks), **fine)
    with scratch() as folder:
        path = folder / "older.list"
        path.write_text("".join(lines) + other, encoding="utf-8")
        state = {"older_sources": str(path)}
        script = item.apply(state, frozenset({"older_sources"}))[1].script
        ran([*SHELLS[0], "-s"], folder, framed(f"set -e\n{script}"))
        after = "".join(f"# {line}" for line in lines) + other
        assert path.read_text(encoding="utf-8") == after


_VENV: Final = '#!/bin/sh\n[ $1 = -m ] && [ $2 = venv ] || exit 9\nmkdir -p "$4/bin" && cp "$PIP" "$4/bin/python"\n'
_PIP: Final = '#!/bin/sh\n{ printf "%s\\0" "$@"; env -0; } >>"$HOME/said"\n'


@cases(anything)
def test_pip_gets_its_variables_and_its_index(batch: list[str]) -> None:
    """A proxy with a password in it, and a mirror's address."""
    for shell in SHELLS:
        with scratch() as folder:
            for name, text in (("python", _VENV), ("pip", _PIP)):
                (folder / name).write_text(text, encoding="utf-8")
                (folder / name).chmod(0o755)
            venv = (
                PythonVenv(
                    name=f"{folder}/the venv's",
                    requirements="".join(batch[:3]),
                    index_url=batch[0],
                    python=f"{folder}/python",
                    environment={f"V{number}": text for number, text in enumerate(batch)},
                )
                if not re.search("[\ud800-\udfff]", "".join(batch[:3]))
                else None
            )
            if venv is None:
                return
            script = framed("\n".join(each.script for each in venv.apply(None, NOTHING)))
            ran([*shell, "-s"], folder, script, PIP=f"{folder}/pip")
            said = (folder / "said").read_bytes().split(b"\0")
            assert said[said.index(b"--index-url") + 1] == raw(batch[0])
            variables = dict(each.partition(b"=")[::2] for each in said if each[:1] == b"V")
            assert variables == {f"V{n}".encode(): raw(each) for n, each in enumerate(batch)}
            kept = (folder / "the venv's" / "requirements.txt").read_bytes()
            assert kept == raw(venv.requirements)


@cases(words)
def test_an_interpreter_is_refused_or_a_command(batch: list[str]) -> None:
    """No keyword, no assignment, no option and no pattern: the shell looks for just that program."""
    for text in batch:
        venv = accepted(PythonVenv, name="/v", requirements="", index_url="x", python=text)
        assert venv is None or re.fullmatch(r"/[\w./+-]+|python[0-9.]*", text, re.ASCII)


@pytest.mark.parametrize(
    "text", ["if", "eval", "A=b", "PATH=/x", "-m", "", "python3;x", "./python"]
)
def test_an_interpreter_that_sh_would_take_for_something_else_is_refused(text: str) -> None:
    """Quotes do not help: `A=b` needs none."""
    assert accepted(PythonVenv, name="/v", requirements="", index_url="x", python=text) is None
