"""Lab profiles: the ways in which real hosts are untidy, one script each, and how hosts get them.

A profile is `assets/profiles/<name>.sh`. Its leading comment lines say what it is:

    # A host whose login shell is fish.         one sentence: what kind of host it makes
    # packages: fish                            Debian's, from the lab's mirror, installed before
    # inventory: ssh.port: 2222                 what the inventory must say of such a host

The script runs as root under /bin/sh, before anybody logs in; running it again changes nothing. It
and the values of `inventory:` may use `$LAB_ADDRESS` (of the host), `$LAB_GATEWAY` (of the
controller), `$LAB_MIRROR`, `$LAB_BASTION`, `$LAB_FOLDER` (of the lab, on the controller) and
`$LAB_SUDO_PASSWORD`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from provision.errors import LabError, nearest
from provision.lab.names import ASSETS, Space

if TYPE_CHECKING:
    from provision.lab.host import LabHost
    from provision.lab.lab import Lab

FOLDER: Final = ASSETS / "profiles"
ON_HOST: Final = "/etc/lab/profiles"
BASTION: Final = "bastion"
SUDO_PASSWORD: Final = """it's "4 $HOME" \\ of `ops`; #1 ?"""  # noqa: S105  of throw-away hosts
"""What every shell on the way would take for something else."""
PASSWORD_FILE: Final = "sudo-password"  # noqa: S105  a file's name
APT: Final = "DEBIAN_FRONTEND=noninteractive apt-get -qq -o APT::Update::Error-Mode=any"
SAID: Final = re.compile(r"# (packages|inventory): (.*)")


class Profile(NamedTuple):
    """One way in which hosts are untidy."""

    name: str
    about: str
    packages: tuple[str, ...]
    settings: tuple[str, ...]  # `dotted.name: value`
    script: str


def all_profiles() -> dict[str, Profile]:
    """Return every profile there is, by name."""
    return {file.stem: _read(file) for file in sorted(FOLDER.glob("*.sh"))}


def choose(names: Iterable[str], where: str) -> list[Profile]:
    """Return the profiles of these names, in their order."""
    known = all_profiles()
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        if name not in known:
            raise LabError(f"no profile '{name}'", where=where, remedy=nearest(name, set(known)))
    return [known[name] for name in wanted]


def packages() -> tuple[str, ...]:
    """Return the packages of all profiles, which the mirror fetches at once: none excludes another."""
    return tuple(sorted({package for each in all_profiles().values() for package in each.packages}))


def dress(lab: Lab, host: LabHost, names: Iterable[str]) -> dict[str, Any]:
    """Give a host these profiles, in order; return what the inventory must say of it.

    The lab's last host is the bastion of the others and stays within reach itself.
    """
    chosen = choose(names, lab.name)
    if host == lab.hosts[-1]:
        chosen = [each for each in chosen if each.name != BASTION]
    words = _words(lab, host)
    password = lab.space.folder / PASSWORD_FILE
    password.touch(0o600)
    password.write_text(SUDO_PASSWORD + "\n")
    settings = settings_of(lab.space, host)
    for profile in chosen:
        _run(lab, host, profile, words)
        for line in profile.settings:
            _set(settings, *_setting(line, words))
    record = _record(lab.space, host.name)
    record.parent.mkdir(exist_ok=True)
    record.write_text(json.dumps(settings) + "\n")
    return settings


def settings_of(space: Space, host: LabHost) -> dict[str, Any]:
    """Return what the inventory must say of a host for its profiles."""
    record = _record(space, host.name)
    settings: dict[str, Any] = json.loads(record.read_text()) if record.exists() else {}
    return settings


def undress(space: Space, host: LabHost) -> None:
    """Forget the profiles of a host that boots bare."""
    _record(space, host.name).unlink(missing_ok=True)


def _read(file: Path) -> Profile:
    """Read what the leading comment lines of a script say."""
    script = file.read_text()
    head = [line for line in script.partition("\n\n")[0].splitlines() if line.startswith("# ")]
    said = [match.groups() for line in head if (match := SAID.fullmatch(line))]
    packages = tuple(word for key, text in said if key == "packages" for word in text.split())
    settings = tuple(text for key, text in said if key == "inventory")
    return Profile(file.stem, head[0].removeprefix("# "), packages, settings, script)


def _words(lab: Lab, host: LabHost) -> dict[str, str]:
    return {
        "LAB_ADDRESS": host.address,
        "LAB_GATEWAY": lab.gateway,
        "LAB_MIRROR": lab.mirror.address,
        "LAB_BASTION": lab.hosts[-1].address,
        "LAB_FOLDER": str(lab.space.folder),
        "LAB_SUDO_PASSWORD": SUDO_PASSWORD,
    }


def _run(lab: Lab, host: LabHost, profile: Profile, words: Mapping[str, str]) -> None:
    """Install a profile's packages and run its script, from a file that no child reads on."""
    file = f"{ON_HOST}/{profile.name}.sh"
    packages = " ".join(profile.packages)
    apt = f"{APT} update && {APT} install -y --no-install-recommends {packages}\n"
    copy = f"set -eu\nmkdir -p {ON_HOST}\ncat >{file}\n{apt if packages else ''}"
    done = lab.exec(host, copy, input=profile.script)
    if done.returncode == 0:
        environment = [f"--env={name}={value}" for name, value in words.items()]
        done = lab.engine("exec", *environment, host.container, "/bin/sh", file, check=False)
    if done.returncode != 0:
        tail = " / ".join((done.stderr or done.stdout).strip().splitlines()[-4:])
        where = f"{host.name}: profile {profile.name}"
        raise LabError(f"exited {done.returncode}: {tail}", where=where)


def _setting(line: str, words: Mapping[str, str]) -> tuple[list[str], Any]:
    """Return the path and the value of `ssh.port: 2222`."""
    name, _, text = line.partition(": ")
    value = Template(text).substitute(words)
    try:
        return name.split("."), json.loads(value)
    except ValueError:
        return name.split("."), value


def _set(settings: dict[str, Any], path: list[str], value: Any) -> None:
    *folders, last = path
    for folder in folders:
        settings = settings.setdefault(folder, {})
    settings[last] = value


def _record(space: Space, name: str) -> Path:
    return space.folder / "dressed" / f"{name}.json"
