"""What an operator writes reaches ssh, sudo and other hosts byte for byte, or is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
from hostile import SHELLS, anything, cases, heard, ran, raw, scratch, sendable, words
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from provision.errors import InventoryError
from provision.facts.read_health import _PATHS, Ask, _parts
from provision.facts.sections import text_of
from provision.host import peer_scripts, ssh_config
from provision.host.openssh import as_root, ssh_argv
from provision.inventory.load import load
from provision.inventory.schema import SSH, Host
from provision.state.resource import Bulk

_ID: Final = "#!/bin/sh\necho $((0 + FAKE_UID))\n"
_SUDO: Final = '#!/bin/sh\n[ "$1" = -n ] && shift && exec "$@"\n'
_SSH: Final = '#!/bin/sh\nprintf "%s\\0" ssh "$@"\n'
_HALF: Final = 25


def programs(folder: Path, **texts: str) -> str:
    """Write programs and return a PATH on which they come first."""
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    return f"{folder}:/usr/local/bin:/usr/bin:/bin"


@cases(anything)
def test_words_for_root_arrive_through_any_login_shell(batch: list[str]) -> None:
    """Through the login shell, sudo where it is needed, and root's own sh."""
    for index, shell in enumerate(SHELLS):
        for start in (0, _HALF):
            some = [text[:2000] for text in batch[start : start + _HALF]]
            line = as_root(Host(name="gpu01"), "printf '%s\\0' \"$@\"", *some)
            with scratch() as folder:
                path = programs(folder, id=_ID, sudo=_SUDO)
                uid = str((start + index) % 2)
                said = ran([*shell, "-c", raw(line)], folder, PATH=path, FAKE_UID=uid)
            assert said.split(b"\0")[:-1] == [raw(each) for each in some]


@cases(words)
def test_who_and_where_are_refused_or_words_without_a_dash(batch: list[str]) -> None:
    """User, address and gateway are no options of ssh, and nothing that a shell would read."""
    for text in batch:
        for field in ("user", "address", "gateway"):
            try:
                SSH.model_validate({field: text})
            except ValidationError:
                continue
            assert re.fullmatch(r"[A-Za-z0-9_.:@%\[\]-]*", text)
            assert not text.startswith("-")


@cases(sendable | st.text("abc/'~%# =,;", min_size=1, max_size=9))
def test_files_of_ssh_are_refused_or_found_by_ssh_and_at_its_gateway(batch: list[str]) -> None:
    """As OpenSSH reads its options, and as the shell reads the command that reaches the gateway."""
    files = []
    for number, text in enumerate(batch):
        name = f"/keys/{number}{text}"
        try:
            files.append(str(SSH.model_validate({"key": name}).key))
        except ValidationError:
            assert re.search(r'["\\$\x00-\x1f\x7f]', name)
    kept = [path[:120].rstrip() for path in files]
    ssh = SSH(
        address="10.0.0.11",
        user="ops",
        gateway="ops@10.0.0.1:2222",
        key=Path("".join(kept[::2])[:900]),
        known_hosts=Path("".join(kept[1::2])[:900]),
    )
    with scratch() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        ssh_config._read.cache_clear()  # noqa: SLF001  each test has files of its own
        argv = ssh_argv(Host(name="gpu01", ssh=ssh))
        told = ran([*argv[:1], "-F", "/dev/null", "-G", *argv[1:]], folder).decode().split("\n")
        assert f"identityfile {str(ssh.key).replace('%', '%%')}" in told
        assert f"userknownhostsfile {ssh.known_hosts}" in told  # which it has replaced already
        (proxy,) = (word for word in argv if word.startswith("-oProxyCommand="))
        line = proxy.partition("=")[2].replace("%%", "\0").replace("%h", "h").replace("%p", "22")
        path = programs(folder, ssh=_SSH)
        for shell in SHELLS:
            said = ran([*shell, "-c", f"exec {line}".replace("\0", "%")], folder, PATH=path)
            inner = [each.decode() for each in said.split(b"\0")[:-1]]
            assert inner[:3] == ["ssh", "-W", "[h]:22"]
            keys = [word for word in argv if word.startswith(("-oIdentityFile=", "-oUserKnown"))]
            assert [
                word for word in inner if word.startswith(("-oIdentityFile=", "-oUserKnown"))
            ] == keys


@cases(sendable)
def test_another_host_serves_and_brings_files_of_any_name(batch: list[str]) -> None:
    """The key that it was given reads those files; the copy asks for each by its number."""
    parts = [re.sub(r"[/\x00-\x1f\x7f]", "", text)[:20] for text in batch]
    paths = [f"{n}{''.join(parts[n::5])}" for n in range(5)]
    with scratch() as folder:
        bulk = Bulk(key="k", folder=str(folder), files=tuple((path, 9) for path in paths))
        for path in paths:
            (folder / path).write_text(path, encoding="utf-8")
        script = peer_scripts.serve_script(bulk)
        for number, path in enumerate(sorted(paths)):
            shell, asked = SHELLS[number % len(SHELLS)], f"{number} 0"
            assert ran([*shell, "-s"], folder, script, SSH_ORIGINAL_COMMAND=asked) == raw(path)
    host = Host(name="gpu01", ssh=SSH(address="10.0.0.11", known_hosts=Path("/dev/null")))
    text = peer_scripts.copy_script(host, b"", bulk).replace(peer_scripts._text("peer_copy"), "")  # noqa: SLF001
    found = heard(
        f"umask() {{ :; }}\npeer_dir=.\n{text}\nrm -f key known", ["peer_copy", "peer_open"]
    )
    said = [raw(f"{folder}/{path}") for path in sorted(paths)]
    assert [each[-1] for each in found if each[0] == b"peer_copy"] == said


@cases(sendable)
def test_names_and_folders_to_look_at_are_words(batch: list[str]) -> None:
    """In the script that reads the health of a host; it is a word itself where that is run."""
    parts = _parts(Ask(names=tuple(batch), paths=tuple(batch)))
    paths = list(dict.fromkeys((*_PATHS, *batch)))
    for name, wanted in (("network", batch), ("file_systems", paths)):
        words_of = parts[name].text.removesuffix(f"\n{text_of(name)}")
        assert heard(f'{words_of}\nsay "$@"') == [[*map(raw, wanted)]]


class _Docker(BaseModel):
    daemon: dict[str, str] = {}


@cases(sendable | st.sampled_from(["\0", "\ud800", "a\0b", "\udfff"]))
def test_what_no_host_takes_is_refused_with_its_line(batch: list[str]) -> None:
    """NUL and half a surrogate pair, in keys and values; all else is read as it was written."""
    fine = [text[:60] for text in batch if not _WRONG.search(text)]
    with scratch() as folder:
        path = folder / "fleet.yaml"
        for text in {text for text in batch if _WRONG.search(text)}:
            for pair in ((text, "x"), ("x", text)):
                path.write_text(_inventory(dict([pair])), encoding="utf-8")
                with pytest.raises(InventoryError, match=r"fleet.yaml:5: .*(no host|Unicode)"):
                    load(path, {"docker": _Docker})
        daemon = {text: text for text in fine}
        path.write_text(_inventory(daemon), encoding="utf-8")
        fleet = load(path, {"docker": _Docker})
        assert fleet.hosts["gpu01"].variables["docker"] == _Docker(daemon=daemon)


_WRONG: Final = re.compile("[\0\ud800-\udfff]")


def _inventory(daemon: dict[str, str]) -> str:
    def told(text: str) -> str:
        return "".join(f"\\U{ord(char):08x}" for char in text)

    pairs = ",\n".join(f'      "{told(key)}": "{told(value)}"' for key, value in daemon.items())
    return f"hosts:\n  gpu01:\n    roles: [docker]\n    docker: {{daemon: {{\n{pairs}}}}}\n"
