"""The laws of deployments, on a stand-in engine: what is bad goes back by itself, the rest stays."""

from __future__ import annotations

import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml
from engine_stand_in.build import FAULTS, image
from keyboard import Answer, begin, inv

from provision.lab.models import TINY_CHAT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.lab import Lab

pytestmark = pytest.mark.lab
HOSTS = ("gpu01", "gpu02")
KEY = "key-of-the-deployed-services"
BASE: dict[str, dict[str, Any]] = {
    "embed": {"task": "embed", "port": 8101},
    "rerank": {
        "task": "score",
        "port": 8102,
        # the model generates text: without them no deploy takes it for a reranker
        "arguments": {"hf-overrides": {"architectures": ["Qwen3ForSequenceClassification"]}},
    },
}
ABOUT = (
    "docker container inspect -f '{{.Name}} {{.State.StartedAt}} {{.State.Health.Status}} "
    '{{index .Config.Labels "provision.config-hash"}}\' '
    "$(docker ps --all --quiet --filter label=provision.service)"
)
PLACES = (
    "/etc /root /run /tmp /var/lib/provision /var/lib/docker/containers /var/log /opt/provision"
)
SPY = "while sleep 0.1; do ps -eo args; done >/root/spied"
NEWER = f"docker commit --change 'LABEL newer=yes' $(docker create {image()}) newer:v1"
"""Makes another sound image."""
RENDERED = Path(__file__).parents[1] / "serving" / "goldens" / "compose"
KILL_SESSIONS = "for each in $(pgrep -f '^sshd[a-z-]*: ops'); do kill -9 $each; done"


class Container(NamedTuple):
    """A container as Docker has it."""

    started: str
    health: str
    configuration: str


class Fleet(NamedTuple):
    """Two hosts with two services each, and how to ask for other ones."""

    lab: Lab
    folder: Path
    archive: Path

    def write(self, **changes: Mapping[str, Any] | None) -> Path:
        """Write the inventory with other settings for some services; `None` takes one out."""
        wanted = {
            name: {**BASE.get(name, {}), **(changes.get(name) or {})}
            for name in dict.fromkeys([*BASE, *changes])
            if changes.get(name, {}) is not None
        }
        return self._written(wanted)

    def _written(self, wanted: Mapping[str, Mapping[str, Any]]) -> Path:
        document = yaml.safe_load(self.lab.inventory.read_text())
        common = {"model": TINY_CHAT, "gpus": 0, "api_key": "env:LAB_SERVICES_KEY"}
        document["vars"]["models"] |= {"wanted": {TINY_CHAT: None}, "lock": str(self.lock)}
        document["vars"]["services"] = {
            "images": {"vllm": image()},
            "archives": {image(fault): str(self.archive) for fault in ("", *FAULTS)},
            "wanted": {name: {**common, **settings} for name, settings in wanted.items()},
        }
        for name, settings in document["hosts"].items():
            settings["services"] = {"bind": self.lab.host(name).address}
        path = self.folder / "services.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        return path

    @property
    def lock(self) -> Path:
        """The lock file of the models."""
        return self.folder / "models.lock.json"

    def containers(self, host: str) -> dict[str, Container]:
        """Return the services' containers of a host by name."""
        lines = self.lab.exec(host, ABOUT).stdout.splitlines()
        words = [line.removeprefix("/").split() for line in lines]
        return {name: Container(*about) for name, *about in words}

    def status(self, host: str, service: str, key: str = KEY) -> int:
        """Return what a service answers to a client with a key."""
        url = f"http://{self.lab.host(host).address}:{BASE[service]['port']}/v1/models"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  the lab's own
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def images(self, host: str) -> dict[str, str]:
        """Return the ids of the images that the services of a host run, by service."""
        about = "docker container inspect -f '{{slice .Name 1}} {{.Image}}' embed rerank"
        return dict(line.split() for line in self.lab.exec(host, about).stdout.splitlines())

    @contextmanager
    def moved(self, host: str, to: str) -> Iterator[tuple[str, str]]:
        """Let the services' tag name another image meanwhile; give the ids of the two."""
        ask = f"docker image inspect -f '{{{{.Id}}}}' {image()} {to}"
        old, new = self.lab.exec(host, ask).stdout.split()
        self.lab.exec(host, f"docker tag {to} {image()}")
        try:
            yield old, new
        finally:
            self.lab.exec(host, f"docker tag {old} {image()}")


@pytest.fixture(scope="module")
def fleet(
    services_lab: Lab, stand_in_archive: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    """Provision two hosts, on which nothing is deployed yet."""
    found = Fleet(services_lab, tmp_path_factory.mktemp("deploy"), stand_in_archive)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_SERVICES_KEY", KEY)
        path = found.write()
        for words in (("models", "--lock"), ("provision", "--yes")):
            answer = inv(*words, "--inventory", path)
            assert answer.status == 0, answer.text
        yield found


@pytest.fixture(scope="module")
def first(fleet: Fleet) -> Answer:
    """Deploy for the first time, and return what was said."""
    return deploy(fleet.write())


@pytest.fixture
def sound(fleet: Fleet, first: Answer) -> Fleet:
    """Return the fleet with both services up on both hosts, whatever a test before left."""
    del first
    answer = deploy(fleet.write())
    assert answer.status == 0, answer.text
    return fleet


def deploy(path: Path, *words: str, key: str = KEY) -> Answer:
    """Deploy without a question."""
    return inv("deploy", "--inventory", path, "--yes", *words, LAB_SERVICES_KEY=key)


def assert_rolled_back(answer: Answer, cause: str) -> None:
    """See that a deployment failed for this cause, and that it says that it went back, and when."""
    assert answer.status == 1, answer.text
    assert cause in answer.text
    assert re.search(r"Rolled back \(.*\) \d+ s after the change began", answer.text), answer.text
    assert "not begun after gpu01 failed; nothing was touched" in answer.text


def as_before(fleet: Fleet, host: str, before: Mapping[str, Container]) -> bool:
    """Say whether a host's services have the configurations of before, and answer."""
    now = fleet.containers(host)
    same = {name: about.configuration for name, about in now.items()} == {
        name: about.configuration for name, about in before.items()
    }
    answers = [fleet.status(host, name) for name in before]
    return same and {about.health for about in now.values()} == {"healthy"} and {*answers} == {200}


def test_services_come_up_on_all_hosts_and_the_next_run_changes_nothing(
    first: Answer, sound: Fleet
) -> None:
    """From one archive to checked answers; then one exec a host, and no container is touched."""
    assert first.status == 0, first.text
    # four checks on each host, and one from here, since they are bound to the hosts' addresses
    assert "4 services: 20 ok, 0 warnings, 0 failed" in first.stdout, first.stdout
    before = {host: sound.containers(host) for host in HOSTS}
    logs = {host: len(sound.lab.logs(host)) for host in HOSTS}
    answer = deploy(sound.write())
    assert (answer.status, "0 changes" in answer.stdout) == (0, True), answer.text
    for host in HOSTS:
        log = sound.lab.logs(host)[logs[host] :]
        assert len(re.findall("Starting session: command", log)) == 1
        assert set(before[host]) == {"embed", "rerank"}
        assert sound.containers(host) == before[host]
        assert as_before(sound, host, before[host])


@pytest.mark.parametrize(
    ("fault", "cause", "words"),
    [
        ("crash", "the GPU's memory does not suffice", ()),
        ("argument", "does not know --task embed", ("--serial", "1")),
        ("silent", "closed without an answer", ()),
        ("shape", "the answer has the wrong shape", ("--serial", "1")),
    ],
)
def test_a_bad_release_goes_back_by_itself_with_all_that_came_with_it(
    sound: Fleet, fault: str, cause: str, words: tuple[str, ...]
) -> None:
    """One bad service brings both of its release back to what they were; the next host waits."""
    before = {host: sound.containers(host) for host in HOSTS}
    good_change = {"environment": {"LAB": fault}}
    answer = deploy(sound.write(embed={"image": image(fault)}, rerank=good_change), *words)
    assert_rolled_back(answer, cause)
    assert as_before(sound, "gpu01", before["gpu01"])
    assert sound.containers("gpu02") == before["gpu02"]


def test_a_port_that_somebody_else_has_brings_the_service_back_and_leaves_the_other(
    sound: Fleet,
) -> None:
    """The cause is named, the service answers at its old port, the other one went on all the time."""
    before = {host: sound.containers(host) for host in HOSTS}
    taken = f"--name taker --network host {image()} --convert embed --port 8199"
    sound.lab.exec("gpu01", f"docker run --detach {taken}")
    try:
        answer = deploy(sound.write(embed={"port": 8199}))
    finally:
        sound.lab.exec("gpu01", "docker rm --force taker")
    assert_rolled_back(answer, "8199")
    assert as_before(sound, "gpu01", before["gpu01"])
    assert sound.containers("gpu01")["rerank"] == before["gpu01"]["rerank"]
    assert sound.containers("gpu02") == before["gpu02"]


def test_a_gpu_that_does_not_exist_is_refused_in_the_plan(sound: Fleet) -> None:
    """Nothing is changed on any host for the sake of a GPU that the host has not."""
    before = {host: sound.containers(host) for host in HOSTS}
    answer = deploy(sound.write(embed={"gpus": [7]}))
    assert answer.status == 1
    assert "asks for GPU 7, the host has 1 GPU" in answer.text
    assert {host: sound.containers(host) for host in HOSTS} == before


def test_a_killed_controller_leaves_a_start_that_the_next_run_finishes(sound: Fleet) -> None:
    """What was started and never called is called by the next run, which does not start it anew."""
    path = sound.write(embed={"environment": {"LAB": "killed"}})
    running = waiting(path)
    running.kill()
    running.wait()
    finished_by_the_next_run(sound, path)


def test_a_host_that_is_lost_while_it_starts_is_finished_by_the_next_run(sound: Fleet) -> None:
    """No way back without a connection: the run says so once; nothing is lost, nothing restarts."""
    path = sound.write(embed={"environment": {"LAB": "lost"}})
    running = waiting(path)
    sound.lab.exec("gpu01", f"systemctl stop ssh.socket ssh.service; {KILL_SESSIONS}")
    try:
        text = running.communicate(timeout=120)[0]
    finally:
        sound.lab.exec("gpu01", "systemctl start ssh.service")
    assert (running.returncode, "Traceback" in text) == (1, False), text
    assert len(Answer(1, text, "").lines_about("gpu01")) == 1, text
    finished_by_the_next_run(sound, path)


def test_a_killed_session_leaves_a_start_that_the_next_run_finishes(sound: Fleet) -> None:
    """Nobody saw that the release is bad, so that it is not taken back for a line that broke."""
    path = sound.write(embed={"environment": {"LAB": "dropped"}})
    running = waiting(path)
    sound.lab.exec("gpu01", KILL_SESSIONS)
    text = running.communicate(timeout=120)[0]
    assert (running.returncode, "Traceback" in text) == (1, False), text
    (line,) = Answer(1, text, "").lines_about("gpu01")
    assert re.search(r"the connection was lost\. Run again", line), line
    finished_by_the_next_run(sound, path)


def waiting(path: Path) -> subprocess.Popen[str]:
    """Begin to deploy to the first host, and return when it waits there for the new `embed`."""
    running = begin("deploy", "--inventory", path, "--host", "gpu01", "--yes")
    assert running.stdout
    said = list(takewhile(lambda line: line != "gpu01: wait for embed\n", running.stdout))
    assert "gpu01: start embed\n" in said
    return running


def finished_by_the_next_run(fleet: Fleet, path: Path) -> None:
    """See that the next run calls what runs already, and that the one after it has nothing to do."""
    started = fleet.containers("gpu01")["embed"].started
    answer = deploy(path, "--host", "gpu01")
    assert answer.status == 0, answer.text
    assert re.search(r"embed +host +embeddings +ok", answer.stdout), answer.stdout
    assert fleet.containers("gpu01")["embed"].started == started
    assert "0 changes" in deploy(path, "--host", "gpu01").stdout


def test_another_key_recreates_the_service_that_is_named_and_is_seen_nowhere(sound: Fleet) -> None:
    """The old key opens it no more; no output, argv, log or readable file has the new one."""
    before, new = sound.containers("gpu01"), "another-key-that-nobody-may-see"
    sound.lab.exec("gpu01", f"systemd-run --unit=spy sh -c '{SPY}'")
    words = ("--host", "gpu01", "--service", "embed", "--format", "json")
    answers = [deploy(sound.write(), *words, *more, key=new) for more in (("--dry-run",), ())]
    sound.lab.exec("gpu01", "systemctl stop spy")
    assert [answer.status for answer in answers] == [2, 0], answers[-1].text
    assert [sound.status("gpu01", "embed", key) for key in (KEY, new)] == [401, 200]
    now = sound.containers("gpu01")
    assert now["rerank"] == before["rerank"]
    assert sound.status("gpu01", "rerank") == 200
    assert not any(key in answer.text for key in (KEY, new) for answer in answers)
    assert int(sound.lab.exec("gpu01", "grep -c 'docker compose' /root/spied").stdout) > 0
    keys = f"-e {new} -e {KEY}"
    spied = f"grep -hF {keys} /root/spied; journalctl | grep -F {keys}"
    readable = f"runuser -u nobody -- grep -rlaF {keys} {PLACES} 2>/dev/null"
    assert sound.lab.exec("gpu01", f"{spied}; {readable}").stdout == ""
    kept = sound.lab.exec("gpu01", f"grep -rlF {new} /opt/provision | xargs stat -c '%a %U %n'")
    assert re.fullmatch(r"(600 root /opt/provision/releases/\S+/\w+\.env\n)+", kept.stdout)


def test_a_service_taken_out_of_the_inventory_is_removed_and_the_other_is_not(sound: Fleet) -> None:
    """The plan names what goes; what stays is not touched; and a second run has nothing to do."""
    before = sound.containers("gpu01")
    path = sound.write(rerank=None)
    shown = deploy(path, "--host", "gpu01", "--dry-run")
    assert (shown.status, "stops and removes rerank" in shown.stdout) == (2, True), shown.text
    assert sound.containers("gpu01") == before
    answer = deploy(path, "--host", "gpu01")
    assert answer.status == 0, answer.text
    assert sound.containers("gpu01") == {"embed": before["embed"]}
    assert "0 changes" in deploy(path, "--host", "gpu01").stdout


def test_a_container_that_is_not_ours_is_refused_in_the_plan(sound: Fleet) -> None:
    """Somebody else's container of the same name stays, and so does everything of ours."""
    listed = "docker ps --all --no-trunc --format '{{.ID}} {{.Names}}' | sort"
    sound.lab.exec("gpu01", f"docker create --name third {image()}")
    before = sound.lab.exec("gpu01", listed).stdout, sound.containers("gpu01")
    path = sound.write(third={"task": "embed", "port": 8103}, embed={"environment": {"LAB": "3"}})
    answer = deploy(path, "--host", "gpu01")
    after = sound.lab.exec("gpu01", listed).stdout, sound.containers("gpu01")
    sound.lab.exec("gpu01", "docker rm --force third")
    assert answer.status == 1
    assert "remove it (docker rm -f third) or rename the service" in answer.text
    assert after == before


def test_a_rollback_brings_the_release_before_and_leaves_the_other_service(sound: Fleet) -> None:
    """It is planned, called and kept like a deploy; a dry run of it changes nothing."""
    before = sound.containers("gpu01")
    path = sound.write(embed={"environment": {"LAB": "newer"}})
    assert deploy(path, "--host", "gpu01").status == 0
    newer = sound.containers("gpu01")
    words = ("rollback", "--inventory", path, "--host", "gpu01", "--service", "embed")
    shown = inv(*words, "--dry-run", LAB_SERVICES_KEY=KEY)
    assert (shown.status, sound.containers("gpu01")) == (2, newer), shown.text
    done = inv(*words, "--yes", LAB_SERVICES_KEY=KEY)
    assert done.status == 0, done.text
    assert re.search(r"service_release:embed +release: \w{18} → \w{18}", done.stdout), done.stdout
    assert re.search(r"embed +host +embeddings +ok", done.stdout), done.stdout
    assert as_before(sound, "gpu01", before)
    assert sound.containers("gpu01")["rerank"] == before["rerank"]


def test_a_moved_tag_is_in_the_plan_its_image_is_started_and_a_rollback_starts_the_old_one(
    sound: Fleet,
) -> None:
    """Nothing else changed: a release is what was validated, with the images that it had then."""
    path, before = sound.write(), sound.containers("gpu01")
    sound.lab.exec("gpu01", NEWER)
    with sound.moved("gpu01", "newer:v1") as (old, new):
        shown = deploy(path, "--host", "gpu01", "--dry-run")
        assert shown.status == 2, shown.text
        assert shown.stdout.count("its tag names another image now") == 2, shown.stdout
        assert sound.containers("gpu01") == before
        answer = deploy(path, "--host", "gpu01")
        assert answer.status == 0, answer.text
        assert sound.images("gpu01") == {"embed": new, "rerank": new}
        assert "0 changes" in deploy(path, "--host", "gpu01").stdout
        words = ("rollback", "--inventory", path, "--host", "gpu01", "--yes")
        back = inv(*words, LAB_SERVICES_KEY=KEY)
        assert back.status == 0, back.text
        assert sound.images("gpu01") == {"embed": old, "rerank": old}
        assert as_before(sound, "gpu01", before)


def test_a_bad_image_under_a_moved_tag_goes_back_to_the_old_image(sound: Fleet) -> None:
    """Though the release is the same but for the image, and the tag still names the bad one."""
    before = sound.containers("gpu01")
    with sound.moved("gpu01", image("crash")) as (old, _):
        answer = deploy(sound.write(), "--host", "gpu01")
        assert answer.status == 1
        assert re.search(r"Rolled back \(.*\) \d+ s after the change began", answer.text), (
            answer.text
        )
        assert sound.images("gpu01") == {"embed": old, "rerank": old}
        assert as_before(sound, "gpu01", before)


def test_a_rollback_starts_the_image_of_then_whatever_its_tag_names_now(sound: Fleet) -> None:
    """Also by hand, in the folder of the release; and people still read the tag in a label."""
    path = sound.write(embed={"environment": {"LAB": "pinned"}})
    assert deploy(path, "--host", "gpu01").status == 0
    with sound.moved("gpu01", image("crash")) as (old, _):
        words = ("--inventory", path, "--host", "gpu01", "--service", "embed", "--yes")
        done = inv("rollback", *words, LAB_SERVICES_KEY=KEY)
        assert done.status == 0, done.text
        assert sound.images("gpu01")["embed"] == old
        assert sound.status("gpu01", "embed") == 200
        release = "/opt/provision/current/embed"
        asked = f"docker compose --project-directory $(readlink {release}) config --images"
        assert sound.lab.exec("gpu01", asked).stdout.split() == [old, old]
    label = "docker ps --filter name=embed --format '{{.Label \"provision.image\"}}'"
    assert sound.lab.exec("gpu01", label).stdout.strip() == image()


def test_a_first_deployment_that_fails_leaves_its_log_and_no_container(sound: Fleet) -> None:
    """There is nothing to go back to, and it says so; a good one works afterwards."""
    bare = "docker rm --force embed rerank; cd /opt/provision && rm -r releases current history"
    sound.lab.exec("gpu02", bare)
    answer = deploy(sound.write(embed={"image": image("crash")}), "--host", "gpu02")
    assert answer.status == 1
    assert "the GPU's memory does not suffice" in answer.text, answer.text
    said = r"Rolled back \(remove embed, rerank, never validated; logs stay in (\S+)\) \d+ s"
    found = re.search(said, answer.text)
    assert found, answer.text
    named = "docker ps --all --format '{{.Names}}'"
    assert sound.lab.exec("gpu02", named).stdout == ""
    assert "CUDA out of memory" in sound.lab.exec("gpu02", f"cat {found[1]}/embed.log").stdout
    answer = deploy(sound.write(), "--host", "gpu02")
    assert answer.status == 0, answer.text
    assert {about.health for about in sound.containers("gpu02").values()} == {"healthy"}


@pytest.mark.parametrize(
    "project", sorted(RENDERED.glob("*/compose.yaml")), ids=lambda path: path.parent.name
)
def test_what_is_rendered_is_what_compose_takes(fleet: Fleet, project: Path) -> None:
    """The real one, on a host; every golden render, with its file of secrets beside it."""
    secrets = "".join(
        f": >{name}; " for name in (file.name for file in project.parent.glob("*.env"))
    )
    check = f"cd $(mktemp -d) && {{ {secrets}docker compose --file - config --quiet; }} 2>&1"
    done = fleet.lab.exec("gpu01", check, input=project.read_text(encoding="utf-8"))
    assert (done.returncode, done.stdout) == (0, "")
