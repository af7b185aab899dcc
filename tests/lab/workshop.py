"""A project of its own, with a copy of the tool and one cheap role: all of it may be spoilt."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from keyboard import INV, PROJECT, Answer

from provision.lab import Lab

TOKEN: Final = "t0ken-that-nobody-guesses"  # noqa: S105  the canary
ROLE: Final = '''\
"""Things: a little of all that a host has."""

from __future__ import annotations

from collections.abc import Iterator

from provision.facts import Facts
from provision.inventory.schema import Host
from provision.secret import Secret
from provision.state.kinds.directory import Directory
from provision.state.kinds.file import File
from provision.state.kinds.guarded_command import GuardedCommand
from provision.state.kinds.package import Package
from provision.state.kinds.systemd_service import SystemdService
from provision.state.resource import Resource
from provision.state.role import Role


class Things(Role):
    """Files, packages, a service, and a step that may be blocked."""

    text: str = "new"
    """What the configuration says."""
    token: Secret | None = None
    """What only root may read."""

    def resources(self, host: Host, facts: Facts) -> Iterator[Resource]:
        """Yield them."""
        service = SystemdService(name="things")
        yield Directory(name="/etc/things")
        yield File(
            name="/etc/things/conf", content=self.render("conf.j2"), notify=(service.restart,)
        )
        if self.token:
            content = f"{self.token.reveal()}\\n"
            yield File(name="/etc/things/token", content=content, mode="0600", sensitive=True)
        yield File(name="/etc/things/extra", content="extra\\n")
        yield File(name="/etc/things/unwanted", present=False)
        yield Package(name="things-wanted")
        yield Package(name="things-unwanted", present=False)
        yield GuardedCommand(
            name="enter the hall",
            done_when="test -e /etc/things/entered",
            script="test ! -e /run/things-blocked && : >/etc/things/entered",
        )
        yield service
'''
MORE: Final = '''\
"""A second role."""

from __future__ import annotations

from collections.abc import Iterator

from provision.facts import Facts
from provision.inventory.schema import Host
from provision.state.kinds.file import File
from provision.state.resource import Resource
from provision.state.role import Role


class More(Role):
    """One more file."""

    def resources(self, host: Host, facts: Facts) -> Iterator[Resource]:
        """Yield it."""
        yield File(name="/etc/more", content="more\\n")
'''
DEB: Final = """\
deb() {
    mkdir -p "/root/$1/DEBIAN"
    printf '%s\\n' "Package: $1" 'Version: 1' 'Architecture: all' 'Maintainer: a <a@b.c>' \\
        'Description: a thing' >"/root/$1/DEBIAN/control"
    dpkg-deb --build "/root/$1" "/root/$1.deb" >/dev/null
    dpkg -i "/root/$1.deb" >/dev/null
}
"""
PREPARE: Final = f"""\
set -e
{DEB}
rm -rf /etc/things /etc/more /run/things-blocked /var/lib/provision/pending
mkdir -m 755 /etc/things
echo old >/etc/things/conf
echo extra >/etc/things/extra
(umask 077 && echo older-token >/etc/things/token)
chmod 644 /etc/things/conf /etc/things/extra
dpkg-query -W things-wanted >/dev/null 2>&1 || deb things-wanted
! dpkg-query -W things-unwanted >/dev/null 2>&1 || dpkg -P things-unwanted >/dev/null
if [ ! -e /etc/systemd/system/things.service ]; then
    printf '%s\\n' '[Service]' 'ExecStart=/bin/sleep infinity' '[Install]' 'WantedBy=multi-user.target' \\
        >/etc/systemd/system/things.service
    systemctl daemon-reload
fi
systemctl enable --quiet --now things
"""
LOOK: Final = """\
find /etc/things /etc/more /var/lib/provision -printf '%p %m %T@\\n' 2>/dev/null | sort
sha256sum /etc/things/*
dpkg-query -W 'things-*'
systemctl show -p ActiveState -p UnitFileState -p ExecMainStartTimestampMonotonic things
"""


@dataclass(frozen=True)
class Workshop:
    """The project, and the lab's hosts that it describes."""

    lab: Lab
    folder: Path

    @property
    def inventory(self) -> Path:
        """Its inventory."""
        return self.folder / "inventories/prod.yaml"

    def inv(self, *words: str | Path, token: str = TOKEN, timeout: float = 600) -> Answer:
        """Type `inv …` in its folder."""
        done = subprocess.run(
            [INV, *map(str, words)],
            cwd=self.folder,
            env={**os.environ, "THINGS_TOKEN": token, "PYTHONPATH": str(self.folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def begin(self, *words: str | Path) -> subprocess.Popen[str]:
        """Start `inv …` in its folder, to be killed or waited for by the caller."""
        return subprocess.Popen(
            [INV, *map(str, words)],
            cwd=self.folder,
            env={**os.environ, "THINGS_TOKEN": TOKEN, "PYTHONPATH": str(self.folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def describe(
        self, *roles: str, things: Mapping[str, Any] | None = None, **hosts: Mapping[str, Any]
    ) -> None:
        """Write the inventory: which hosts, with which settings and roles."""
        ssh = yaml.safe_load(self.lab.inventory.read_text())["vars"]["ssh"]
        document = {
            "vars": {"ssh": ssh, "things": {"token": "env:THINGS_TOKEN", **(things or {})}},
            "groups": {"all": {"hosts": list(hosts), "roles": [*(roles or ("things",))]}},
            "hosts": {name: dict(settings) for name, settings in hosts.items()},
        }
        self.inventory.write_text(yaml.safe_dump(document, sort_keys=False))

    def address(self, host: str) -> dict[str, Any]:
        """Return the settings that lead to a host of the lab."""
        return {"ssh": {"address": self.lab.host(host).address}}

    def prepare(self, *hosts: str) -> None:
        """Bring hosts to the state from which all plans are made."""
        for host in hosts:
            done = self.lab.exec(host, PREPARE)
            assert done.returncode == 0, done.stderr

    def look(self, host: str) -> str:
        """Return all that a run could change on a host."""
        return self.lab.exec(host, LOOK).stdout

    @contextmanager
    def edited(self, path: str, old: str, new: str) -> Iterator[None]:
        """Replace a text in a file of the project, for a while."""
        file = self.folder / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))
        try:
            yield
        finally:
            file.write_text(text)


def furnish(lab: Lab, folder: Path) -> Workshop:
    """Copy the tool into a folder and write the roles beside it."""
    leave_out = shutil.ignore_patterns("__pycache__", "assets")
    shutil.copytree(PROJECT / "provision", folder / "provision", ignore=leave_out)
    for assets in ("state/kinds/assets", "report/assets"):
        shutil.copytree(PROJECT / "provision" / assets, folder / "provision" / assets)
    shutil.copy(PROJECT / "tasks.py", folder)
    for path, text in (
        ("roles/things/role.py", ROLE),
        ("roles/more/role.py", MORE),
        ("templates/things/conf.j2", "{{ role.text }}\n"),
        ("inventories/prod.yaml", ""),
    ):
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_text(text)
    return Workshop(lab, folder)
