"""What every task shares: Invoke's own options, errors as one line, help texts and a fast start."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import pytest
from invoke.collection import Collection
from invoke.program import Program
from invoke.tasks import Task

from provision.cli import namespace
from provision.cli.command import FAILED, OK, PENDING, Options, Project, command
from provision.errors import UsageError
from provision.inventory.schema import Host

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parents[2]
INV: Final = str(Path(sys.executable).with_name("inv"))


@pytest.fixture(autouse=True)
def project() -> Iterator[None]:
    """Leave the project's folder as it was: `namespace` sets it for the process."""
    before = Project.folder
    yield
    Project.folder = before


def _tasks() -> dict[str, Task[Any]]:
    collection = namespace(ROOT)
    return {name: collection[name] for name in collection.task_names}


TASKS: Final = sorted(_tasks())


class Recorder:
    """Tasks under test: they note their options, or do what they are told to."""

    def __init__(self) -> None:
        self.seen: list[Options] = []
        self.act: Any = lambda: OK

    def tasks(self) -> Collection:
        """Return one task that only looks and one that changes something."""

        @command("inventory", "host", "format")
        def look(options: Options) -> int:
            """Look."""
            self.seen.append(options)
            return int(self.act())

        @command("host", changes=True)
        def change(options: Options, *, yes: bool = False) -> int:
            """Change."""
            del yes
            self.seen.append(options)
            return OK

        return Collection(look, change)


@pytest.fixture
def recorder() -> Recorder:
    """Return a recorder."""
    return Recorder()


def _run(recorder: Recorder, line: str, monkeypatch: pytest.MonkeyPatch) -> int:
    argv = ["inv", *line.split()]
    monkeypatch.setattr(sys, "argv", argv)
    try:
        Program(namespace=recorder.tasks()).run(argv)
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


# ---------------------------------------------------------------- Invoke's own options


@pytest.mark.parametrize("flag", ["--dry", "-R"])
def test_invokes_dry_run_is_ours(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, flag: str
) -> None:
    """A task that only looks takes Invoke's dry run as one; it is never just ignored."""
    assert _run(recorder, f"{flag} look", monkeypatch) == OK
    assert recorder.seen[0].dry


@pytest.mark.parametrize("flag", ["--dry", "-R"])
def test_a_task_that_changes_something_refuses_a_dry_run_it_does_not_know(
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flag: str,
) -> None:
    """Nothing runs, and the operator reads why."""
    assert _run(recorder, f"{flag} change", monkeypatch) == FAILED
    assert recorder.seen == []
    assert (
        capsys.readouterr().err == "provision: --dry: this task knows no dry run. Leave it out.\n"
    )


@pytest.mark.parametrize("flag", ["--dry", "-R", ""])
def test_provision_stops_after_the_plan_on_a_dry_run(
    monkeypatch: pytest.MonkeyPatch, flag: str
) -> None:
    """`inv -R provision --yes` and `inv provision --dry-run --yes` apply nothing."""
    applied = []

    class Run:
        def __init__(self, options: Options) -> None:
            self.options = options
            self.hosts: list[Host] = []

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def plan_and_apply(self, *, dry_run: bool, yes: bool, **_: object) -> int:
            if dry_run or not yes:
                return PENDING
            applied.append(self.options)
            return OK

    from provision.cli import run  # noqa: PLC0415  as the task itself does

    monkeypatch.setattr(run, "Run", Run)
    argv = [
        "inv",
        *([flag] if flag else []),
        "provision",
        "--yes",
        *([] if flag else ["--dry-run"]),
    ]
    with pytest.raises(SystemExit) as ended:
        Program(namespace=namespace(ROOT)).run(argv)
    assert (ended.value.code, applied) == (PENDING, [])
    Program(namespace=namespace(ROOT)).run(["inv", "provision", "--yes"])
    assert len(applied) == 1


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ("--warn-only", "--warn-only"),
        ("-w", "--warn-only"),
        ("--hide out", "--hide"),
        ("-p", "--pty"),
        ("--pty", "--pty"),
        ("-T 5", "--command-timeout"),
    ],
)
def test_options_of_invoke_without_effect_are_refused(
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: str,
    named: str,
) -> None:
    """An option that is accepted and does nothing would be a promise that is not kept."""
    assert _run(recorder, f"{flags} look", monkeypatch) == FAILED
    assert recorder.seen == []
    assert capsys.readouterr().err.startswith(f"provision: {named}: this option of Invoke has no")


def test_echo_asks_for_the_commands(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invoke's `--echo` means what it says."""
    assert _run(recorder, "--echo look", monkeypatch) == OK
    assert recorder.seen[0].echo


def test_repeatable_options_add_up(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--host a --host b` are two, and an option that is not given has its default."""
    assert _run(recorder, "look --host a --host b", monkeypatch) == OK
    assert recorder.seen == [Options(host=("a", "b"))]


def test_an_unknown_format_is_refused(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the nearest name there is."""
    assert _run(recorder, "look --format jsn", monkeypatch) == FAILED
    assert "--format: unknown format 'jsn'. Did you mean 'json'?" in capsys.readouterr().err


# ---------------------------------------------------------------- errors and exit codes


@pytest.mark.parametrize("code", [OK, FAILED, PENDING])
def test_the_exit_code_is_the_tasks(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """0 nothing to do, 1 failure, 2 changes pending."""
    recorder.act = lambda: code
    assert _run(recorder, "look", monkeypatch) == code


def _raise(error: BaseException) -> Any:
    def act() -> int:
        raise error

    return act


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (UsageError("no such host", where="--host", remedy="See inv inventory."),
         "provision: --host: no such host. See inv inventory.\n"),
        (ZeroDivisionError("by zero"),
         "provision: unexpected ZeroDivisionError: by zero. Run again with --debug and report it.\n"),
    ],
    ids=["expected", "unexpected"],
)  # fmt: skip
def test_an_error_is_one_line_and_exit_code_1(
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    text: str,
) -> None:
    """No traceback reaches an operator, and nothing of it goes to stdout."""
    recorder.act = _raise(error)
    assert _run(recorder, "look", monkeypatch) == FAILED
    assert capsys.readouterr() == ("", text)


@pytest.mark.parametrize("line", ["look --debug", "--debug look", "-d look"])
def test_debug_shows_the_traceback(
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    line: str,
) -> None:
    """Ours and Invoke's own --debug do; the line comes last."""
    recorder.act = _raise(ZeroDivisionError("by zero"))
    assert _run(recorder, line, monkeypatch) == FAILED
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert err.splitlines()[-1].startswith("provision: unexpected ZeroDivisionError")


# ---------------------------------------------------------------- all tasks


@pytest.mark.parametrize("name", TASKS)
def test_every_task_and_every_option_has_a_help_text(name: str) -> None:
    """`inv --help TASK` leaves no option unexplained and says what the task does."""
    done = subprocess.run(
        [INV, "--help", name], capture_output=True, text=True, check=True, cwd=ROOT
    )
    docstring, _, options = done.stdout.partition("Docstring:\n")[2].partition("Options:\n")
    assert docstring.strip()[0].isupper()
    flags = [line for line in options.splitlines() if line.startswith("  -")]
    assert flags
    for line in flags:
        assert len(line.split(maxsplit=1)) == 2, f"{name}: {line.strip()} has no help"


@pytest.mark.parametrize("name", TASKS)
def test_no_option_has_a_short_form_by_accident(name: str) -> None:
    """Invoke would give -h to --host, -y to --yes, and other letters tomorrow."""
    for argument in _tasks()[name].get_arguments():
        assert all(len(flag) > 1 for flag in argument.names)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_knows_debug(name: str) -> None:
    """Every task of ours is wrapped: errors are one line, `--debug` shows the rest."""
    assert "debug" in {argument.name for argument in _tasks()[name].get_arguments()}


# ---------------------------------------------------------------- the start


def test_the_list_imports_nothing_that_only_tasks_need() -> None:
    """`inv --list` is the first thing that anybody types."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from provision.cli import namespace\n"
        "namespace(Path())\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    heavy = {"fabric", "paramiko", "pydantic", "rich", "jinja2", "stamina", "modelscope"}
    assert set(done.stdout.split()) & heavy == set()  # yaml comes with Invoke itself


def test_the_list_is_there_at_once() -> None:
    """In less than half a second, the best of five."""
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        done = subprocess.run([INV, "--list"], capture_output=True, text=True, check=True, cwd=ROOT)
        seconds.append(time.perf_counter() - started)
        assert "provision" in done.stdout
    assert min(seconds) < 0.5, seconds  # the best: a busy machine is not our doing


def test_the_real_program_answers_with_one_line() -> None:
    """An inventory that is not there: exit code 1, nothing on stdout, no traceback."""
    done = subprocess.run(
        [INV, "plan", "--inventory", "no-such-file.yaml"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert (done.returncode, done.stdout) == (FAILED, "")
    assert len(done.stderr.splitlines()) == 1
    assert "no-such-file.yaml" in done.stderr
