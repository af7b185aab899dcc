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
from hostile import SHELLS, anything, cases, heard, ran, raw, scratch, sendable, words
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from provision.serving.services.wish import Image, Registry
from provision.state.kinds.apt_repository import AptRepository
from provision.state.kinds.directory import Directory
from provision.state.kinds.dnf_repository import DnfRepository
from provision.state.kinds.dnf_setting import DnfSetting
from provision.state.kinds.docker_image import DockerImage
from provision.state.kinds.file import File
from provision.state.kinds.json_file import JsonFile
from provision.state.kinds.model_folders import staging_of
from provision.state.kinds.model_leftovers import ModelLeftovers
from provision.state.kinds.model_snapshot import HubClient, ModelFile, ModelSnapshot
from provision.state.kinds.package import Package
from provision.state.kinds.paths import write
from provision.state.kinds.python_venv import PythonVenv
from provision.state.kinds.service_release import ServiceRelease
from provision.state.probe import parse_states, probe_script
from provision.state.resource import Resource, State, diff
from provision.state.shell import framed, functions, literal, quote

ME: Final = {
    "owner": pwd.getpwuid(os.geteuid()).pw_name,
    "group": grp.getgrgid(os.getegid()).gr_name,
}
NOTHING: Final = frozenset[str]()
FINGERPRINT: Final = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"
_BEGINS: Final = rb"(\n@w begin \d+\n)*"
"""What a probe says on stderr between complaints, of which there are to be none."""
SEGMENTS: Final = 10
"""Texts that make one path."""


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


def one_shell(batch: list[str]) -> list[str]:
    """Return the shell of a batch: what starts many programs runs in one of them each time."""
    return SHELLS[sum(map(len, batch)) % len(SHELLS)]


def paths_of(batch: list[str], folder: str) -> list[str]:
    """Return paths of several texts each, as an operator could have meant them."""
    parts = [re.sub(r"[/\x00-\x1f\x7f\ud800-\udfff]", "", text)[:40] for text in batch]
    parts = [part.strip() if part.strip() not in {"", ".", ".."} else "x" for part in parts]
    groups = [parts[start : start + SEGMENTS] for start in range(0, len(parts), SEGMENTS)]
    return [f"{folder}/{index}/{'/'.join(group)}" for index, group in enumerate(groups)]


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
            [b"probe_path", raw(path), b"65536"],
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


@cases(sendable)
def test_the_models_of_a_host_are_named_byte_for_byte(batch: list[str]) -> None:
    """Folders, files, addresses and proxies, in the probe, the settings of the worker and the end."""
    folder, *look_in = (path[:200].rstrip() for path in paths_of(batch, "/models"))
    names = [path.rpartition("/")[2] for path in look_in] or ["x"]
    snapshot = ModelSnapshot(
        name="m",
        folder=folder,
        model="Org/Na.me",
        files=tuple(ModelFile(path=name, size=1, digest="sha256:x") for name in names),
        look_in=look_in,
        client=HubClient(
            hub="modelscope",
            venv="/v",
            endpoint=batch[0],
            revision=batch[1],
            environment={f"V{number}": text for number, text in enumerate(batch)},
        ),
    )
    settings = heard(_set(snapshot._settings("fetch")), ["hear"])  # noqa: SLF001  a file on the host
    staging = staging_of(folder)
    assert settings == [
        [b"hear", *map(raw, (folder, staging, "\n".join(look_in), batch[0], batch[1], *batch))]
    ]
    probe = snapshot.probe().partition("\nprintf '%s\\n' ")[1:]
    (asked,) = heard("".join(probe).lstrip(), listening=["model_probe"])
    wanted = "".join(f"1 {name}\n" for name in names)
    assert asked[3:] == [*map(raw, (folder, staging, "Org", "Na.me", "\n".join(look_in), wanted))]


def _set(settings: str) -> str:
    """Return sh that reads a file of settings, and says what they are then."""
    variables = ["dir", "staging", "bases", "endpoint", "revision", *(f"V{n}" for n in range(50))]
    spoken = " ".join(f'"${name}"' for name in variables if f"{name}=" in settings)
    return f"{literal(raw(settings))} >settings\n. ./settings\nrm settings\nhear {spoken}"


@cases(sendable)
def test_what_nothing_wants_is_removed_and_nothing_else(batch: list[str]) -> None:
    """Folders that a host lists, by names that a hub or somebody's hand has given them."""
    paths = paths_of(batch, "/m")
    item = ModelLeftovers(name="/m", keep=paths)
    (asked,) = heard(
        item.probe().rpartition("\nprintf")[1].lstrip() + item.probe().rpartition("\nprintf")[2],
        listening=["model_leftovers"],
    )
    assert asked[1:] == [
        b"/m",
        raw("".join(f"{path}\n" for path in [*paths, *map(staging_of, paths)])),
    ]
    state = item.actual("".join(f"7 {path}\n" for path in paths))
    script = "\n".join(each.script for each in item.apply(state, NOTHING))
    assert heard(script, ["rm"]) == [[b"rm", b"-rf", b"--", raw(path)] for path in sorted(paths)]


_images = st.from_regex(
    r"[a-z0-9.-]{0,9}(:[0-9]{1,4})?/?[a-z0-9._/-]{1,9}(:[A-Za-z0-9._-]{1,9})?", fullmatch=True
)


@cases(_images | words)
def test_an_image_is_refused_or_one_word_without_a_dash_in_front(batch: list[str]) -> None:
    """Its name reaches a shell of its own on the way to docker pull: it needs no quotes at all."""
    for text in batch:
        for form in (Image, Registry):
            try:
                name = TypeAdapter(form).validate_python(text)
            except ValidationError:
                continue
            assert name == text == quote(text)
            assert not text.startswith("-")
            item = DockerImage(name="x/y:1" if form is Registry else text, prefixes=(text,))
            assert f" {text}/{item.name}" in item.apply(None, NOTHING)[0].script


@cases(sendable)
def test_a_release_is_moved_by_its_names(batch: list[str]) -> None:
    """The folder of the releases may have any name that a path can have."""
    bases = paths_of(batch, "/r")
    moves = [ServiceRelease(name="chat", base=base, release="0a1b", patience=7) for base in bases]
    scripts = [each.script for move in moves for each in move.apply(None, NOTHING)]
    text = "\n".join(each.replace(functions("service_release"), "") for each in scripts)
    found = heard(text, ["service_check", "service_bring", "service_wait", "service_keep"])
    assert [each[1:] for each in found if each[0] == b"service_keep"] == [
        [raw(base), raw(f"{base}/releases/0a1b"), b"chat"] for base in bases
    ]
    assert {each[-2] for each in found} == {raw(f"{base}/releases/0a1b") for base in bases}
