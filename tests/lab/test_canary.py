"""The law of secrets: a canary in each place where one can stand, and none of them anywhere it may not."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
import yaml
from canaries import Canaries, Sampler, forms_of
from engine_stand_in.build import FAULTS, archive, image
from keyboard import NAME, PROJECT, Answer, inv

from provision import lab as labs
from provision.lab.models import DOTTED, TINY_CHAT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.lab import Lab

pytestmark = pytest.mark.lab
HOST: Final = "gpu01"
SUDOERS: Final = "grep -rl ops /etc/sudoers /etc/sudoers.d | xargs sed -i 's/NOPASSWD: *//'"
PLACES: Final = "/etc /root /home /run /tmp /var/tmp /var/log /var/lib/provision /var/spool /opt /usr/local /data"
"""Where the tool writes on a host, and where what runs there keeps what it hears."""
MAY: Final = {
    r"600 root /opt/provision/releases/[0-9a-f]+/\w+\.env": "what Compose hands to a service",
    r"600 root /run/provision/[\w.@-]+\.token": "the hub's token while its client downloads",
    r"\d+ root /run/containerd/io\.containerd\.runtime\.v2\.task/\S+/config\.json": "what containerd "
    "hands to a container, in a folder that root alone enters",
}
"""The files, as `mode owner path`, that hold a secret because somebody needs it there."""
SEEN: Final = "/dev/shm/canary"  # noqa: S108  in memory, on a lab host
SPY: Final = (
    "while sleep 0.05; do grep -aFf {0}/{1} /proc/[0-9]*/cmdline; done >>{0}/{1}.argv 2>/dev/null"
)
LOGS: Final = (
    "journalctl --no-pager --all; dmesg; docker ps --all --quiet | xargs -r -n 1 docker logs 2>&1; "
    "cat /root/.*history /home/*/.*history"
)


class Field(NamedTuple):
    """A host with services, an inventory that is full of canaries, and all that was said."""

    lab: Lab
    canaries: Canaries
    folder: Path
    began: float
    said: dict[str, Answer]

    @property
    def path(self) -> Path:
        """The inventory."""
        return self.folder / "canary.yaml"

    def write(self, **changes: Any) -> Path:
        """Write the inventory with a reference in each place of a secret."""
        document: dict[str, Any] = yaml.safe_load(self.lab.inventory.read_text("utf-8"))
        references = self.canaries.references
        settings = document["vars"]
        settings["ssh"]["sudo_password"] = references["ssh.sudo_password"]
        for hub in ("modelscope", "huggingface"):
            settings["models"][hub] |= {"token": references[f"models.{hub}.token"]}
        wanted = {TINY_CHAT: None, DOTTED: {"source": "huggingface"}}
        settings["models"] |= {"wanted": wanted, "lock": str(self.folder / "lock.json")}
        service = {
            "model": TINY_CHAT,
            "gpus": 0,
            "api_key": references["services.wanted.*.api_key"],
        }
        settings["services"] = {
            "bind": self.lab.host(HOST).address,
            "images": {"vllm": image()},
            "archives": {image(fault): str(archive(self.lab.engine)) for fault in ("", *FAULTS)},
            "wanted": {"embed": {**service, "task": "embed", "port": 8101, **changes}},
        }
        self.path.write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")
        return self.path

    def inv(self, *words: str | Path, **environment: str) -> Answer:
        """Run a task as an operator does, and keep what it says."""
        given = {"HOME": str(self.folder), **self.canaries.environment, **environment}
        answer = inv(*words, "--inventory", self.path, timeout=600, **given)
        self.said[f"{len(self.said)} {' '.join(map(str, words))}"] = answer
        return answer

    def on_host(self, script: str, text: str = "") -> str:
        """Run a script in the host, not over SSH, and return what it said."""
        return self.lab.exec(HOST, script, input=text).stdout


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """Bring up a host whose sudo wants a password, a canary like all others."""
    name, folder = f"{NAME}-canary", tmp_path_factory.mktemp("canary")
    labs.down(name)
    lab = labs.up(hosts=1, name=name, roles=("base", "docker", "models", "services"))
    found = Field(lab, Canaries(folder / "secrets"), folder, time.time(), {})
    password = found.canaries.values["ssh.sudo_password"]
    found.on_host(f"chpasswd && {SUDOERS}", f"ops:{password}\n")
    found.on_host(f"mkdir -m 700 {SEEN}; cat >{SEEN}/forms", "\n".join(found.canaries.forms))
    found.write()
    yield found
    labs.down(name)


@pytest.fixture(scope="module")
def used(field: Field) -> tuple[Field, Sampler]:
    """Do all that an operator does, also what fails, while argv is read here and on the host."""
    field.on_host(f"systemd-run --unit=spy sh -c '{SPY.format(SEEN, 'forms')}'")
    with Sampler(field.canaries) as sampler:
        _well(field)
        _ill(field)
    assert field.on_host("systemctl is-active spy").strip() == "active"
    field.on_host("systemctl stop spy")
    return field, sampler


def _well(field: Field) -> None:
    """See that each of these does its work, so that the secrets were needed and used."""
    answer = field.inv("models", "--lock")
    assert answer.status == 0, answer.text
    for words in (["plan"], ["plan", "--show-commands"], ["plan", "--format", "json"]):
        assert (answer := field.inv(*words)).status == 2, answer.text
    assert field.inv("plan", "--out", field.folder / "saved.plan").status == 2
    assert (answer := field.inv("provision", "--yes", "--debug")).status == 0, answer.text
    assert field.inv("facts", "--record", "--format", "json").status == 0
    field.inv("check")
    for words in ([], ["--format", "json"], ["--out", field.folder / "rendered"]):
        assert field.inv("render", *words).status == 0
    field.lab.load(HOST, archive(field.lab.engine))  # a push is a test of its own
    for words in (["--dry-run", "--show-commands"], ["--dry-run", "--format", "json"], ["--yes"]):
        assert (answer := field.inv("deploy", *words)).status == (0 if "--yes" in words else 2), (
            answer.text
        )
    for form in ("text", "json", "junit", "prometheus", "html"):
        field.inv("verify", "--format", form)
    field.inv("verify", "--format", "html", "--out", field.folder / "verify.html")
    field.inv("inventory")
    field.inv("inventory", "--format", "json")
    for value in ("ssh.sudo_password", "services.wanted.embed.api_key", "models.modelscope.token"):
        field.inv("explain", HOST, value)
    field.write(environment={"LAB": "another release"})
    assert (answer := field.inv("deploy", "--yes", "--format", "json")).status == 0, answer.text
    assert (answer := field.inv("rollback", "--yes")).status == 0, answer.text
    for task in ("models", "history", "lock"):
        field.inv(task)
    field.inv("models", "--verify-hashes")


def _ill(field: Field) -> None:
    """Fail at each stage, with the traceback."""
    field.write(image=image("shape"))
    assert field.inv("deploy", "--yes", "--debug").status == 1
    field.write(image=image("crash"))
    assert field.inv("deploy", "--yes", "--debug").status == 1
    field.write()
    field.on_host("mv /usr/bin/dpkg-query /usr/bin/dpkg-query.away")
    field.inv("plan", "--debug")
    field.on_host("mv /usr/bin/dpkg-query.away /usr/bin/dpkg-query")
    field.on_host("mv /opt/provision/venv /opt/provision/away; rm -rf /data/models")
    field.lab.hub.fault(401)
    assert field.inv("provision", "--yes", "--debug").status == 1
    field.lab.hub.heal()
    wrong = {name: f"{value}x" for name, value in field.canaries.environment.items()}
    assert field.inv("plan", "--debug", **wrong).status == 1
    field.path.write_text(field.path.read_text("utf-8") + "\n: [")
    assert field.inv("plan", "--debug").status == 1
    _written_out(field)


def _written_out(field: Field) -> None:
    """Write the secrets themselves where references belong: refused, and not repeated."""
    text = field.write().read_text("utf-8")
    for place, reference in field.canaries.references.items():
        field.path.write_text(text.replace(reference, field.canaries.values[place]), "utf-8")
        assert field.inv("plan", "--debug").status == 1
    password = field.canaries.values["ssh.sudo_password"]
    for setting in ("proxies", "services"):
        document = yaml.safe_load(text)
        url = f"http://me:{password}@proxy.lab:3128"
        if setting == "proxies":
            document["vars"]["proxies"] = {"apt": url, "docker": url, "pip": url, "hub": url}
        else:
            service = document["vars"]["services"]["wanted"]["embed"]
            service["environment"] = {"HF_TOKEN": password, "HTTPS_PROXY": url}
            service["arguments"] = {"api-key": password}
        field.path.write_text(yaml.safe_dump(document), "utf-8")
        for task in ("plan", "inventory", "render"):
            assert field.inv(task, "--debug").status == 1
    field.write()


def on_controller(field: Field) -> Iterator[Path]:
    """Yield every file that the tool can have written here: its home, its outputs, the project."""
    secrets, inventory = field.folder / "secrets", field.path
    yield from (
        path
        for path in field.folder.rglob("*")
        if path.is_file() and secrets not in path.parents and path != inventory
    )
    for folder, names, files in os.walk(PROJECT):
        names[:] = [name for name in names if name not in {".git", ".venv", "__pycache__"}]
        for path in (Path(folder, name) for name in files):
            if path.is_file() and path.stat().st_mtime >= field.began:
                yield path


def holders(field: Field, forms: str = "forms") -> list[str]:
    """Return every file of the host that has a canary, as `mode owner path`."""
    script = f"grep -rlaFf {SEEN}/{forms} --devices=skip {PLACES} 2>/dev/null | xargs -r stat -c '%a %U %n'"
    return field.on_host(script).splitlines()


def is_kept(holder: str) -> bool:
    """Say whether a file may hold a secret, and holds it for root alone."""
    return any(re.fullmatch(pattern, holder) for pattern in MAY)


def test_no_output_has_a_canary(used: tuple[Field, Sampler]) -> None:
    """Neither stdout nor stderr of any task, in any format, done or failed."""
    field, _ = used
    found = {words: field.canaries.found(answer.text) for words, answer in field.said.items()}
    assert {words: places for words, places in found.items() if places} == {}
    assert sum("Traceback" in answer.stderr for answer in field.said.values()) >= 5


def test_no_file_on_the_controller_has_a_canary(used: tuple[Field, Sampler]) -> None:
    """Lock file, facts, saved plan, reports, rendered folders, caches."""
    field, _ = used
    found = {
        str(path): field.canaries.found(path.read_bytes().decode("latin-1"))
        for path in on_controller(field)
    }
    assert {path: places for path, places in found.items() if places} == {}
    names = {Path(path).name for path in found}
    assert {"saved.plan", "lock.json", "canary.facts.json", "verify.html", "compose.yaml"} <= names


def test_no_argv_has_a_canary(used: tuple[Field, Sampler]) -> None:
    """Of no process here or on the host, looked at many times a second all the while."""
    field, sampler = used
    assert sampler.caught == []
    assert sampler.rounds > 500
    assert field.on_host(f"cat {SEEN}/forms.argv") == ""


def test_no_log_of_the_host_has_a_canary(used: tuple[Field, Sampler]) -> None:
    """Journal, kernel, containers, shell histories."""
    field, _ = used
    text = field.on_host(LOGS)
    assert field.canaries.found(text) == []
    assert "sudo" in text


def test_only_the_listed_files_of_the_host_have_a_canary(used: tuple[Field, Sampler]) -> None:
    """Each of them is root's alone; there is one, or the services had no key."""
    field, _ = used
    found = holders(field)
    assert [holder for holder in found if not is_kept(holder)] == []
    assert any(holder.endswith("/embed.env") for holder in found)
    nobody = f"runuser -u nobody -- grep -rlaF -f - {PLACES} /var/lib/docker 2>/dev/null"
    assert field.on_host(nobody, "\n".join(field.canaries.forms)) == ""


def test_a_planted_canary_is_found_in_each_kind_of_place(field: Field, tmp_path: Path) -> None:
    """The test can fail: an argv here, an argv there, a file here, files there, the journal."""
    planted = Canaries(tmp_path / "planted")
    place, value = next(iter(planted.values.items()))
    field.on_host(f"cat >{SEEN}/planted", "\n".join(planted.forms))
    spy = SPY.format(SEEN, "planted")
    show = f"timeout 5 sh -c '{spy}' & sleep 0.5; read -r word; sh -c 'sleep 1; :' \"$word\"; wait"
    field.on_host(show, f"{value}\n")
    assert value in field.on_host(f"cat {SEEN}/planted.argv")
    with Sampler(planted) as sampler:
        subprocess.run(["sh", "-c", "sleep 0.3; :", value], check=True)
    assert sampler.caught
    hidden = field.folder / "hidden"
    hidden.write_text(f"x{forms_of(value)[1]}x", "utf-8")
    assert any(planted.found(path.read_bytes().decode("latin-1")) for path in on_controller(field))
    hidden.unlink()
    release = "/opt/provision/releases/0123456789ab"
    for path in ("/var/log/new", "/root/.new_history", f"{release}/embed.yaml", "/home/ops/new"):
        field.on_host(f"mkdir -p $(dirname {path}); umask 077; cat >{path}", value)
        (found,) = holders(field, "planted")
        assert (found, is_kept(found)) == (f"600 root {path}", False)
        field.on_host(f"rm {path}")
    for mode, kept in (("644", False), ("600", True)):
        field.on_host(f"cat >{release}/embed.env; chmod {mode} {release}/embed.env", value)
        assert [is_kept(found) for found in holders(field, "planted")] == [kept]
    field.on_host(f"rm -r {release}")
    field.on_host("logger -t planted", f"{value}-planted\n")
    field.on_host("sleep 1")
    assert planted.found(field.on_host(LOGS)) == [place]
    assert planted.found(Answer(0, "", f"a {value}").text) == [place]
