"""Every kind against captured output: `cases/<kind>/<case>.json` is all that a new case needs."""

from __future__ import annotations

import importlib
import json
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.state import kinds
from provision.state.probe import parse_states, probe_script
from provision.state.resource import Difference, Resource, diff

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

FOLDER: Final = Path(__file__).with_name("cases")
CASES: Final = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.glob("*/*.json"))
# Not every machine has what these ask: systemd and Docker.
_ASKS: Final = {"systemd_service", "docker_image", "service", "service_leftovers"}
for _module in pkgutil.iter_modules(kinds.__path__, f"{kinds.__name__}."):
    importlib.import_module(_module.name)
KINDS: Final = {
    kind.kind: kind
    for kind in Resource.__subclasses__()
    if kind.__module__.startswith(f"{kinds.__name__}.")
}


def _resource(data: dict[str, Any]) -> Resource:
    values = dict(data)
    return KINDS[values.pop("kind")](**values)


def _judged(part: dict[str, Any]) -> Difference:
    """Compare one resource of a case and what was captured with what the case says of them."""
    resource = _resource(part["resource"])
    actual = None if part["output"] is None else resource.actual(part["output"])
    changed = diff(actual, resource.expected())
    assert (dict(actual) if actual else actual) == part["state"]
    assert sorted(changed) == part["changed"]
    assert (list(resource.fears(actual, changed)) if changed else []) == part["fears"]
    room = resource.room(actual, changed) if changed else None
    assert (list(room) if room else None) == part.get("room")
    assert (resource.note(actual, changed) if changed else "") == part.get("note", "")
    return Difference(resource, actual, changed)


@pytest.mark.parametrize("case", CASES)
def test_case(case: str) -> None:
    """Captured output parses to the state, and the state leads to exactly these commands.

    A case holds `resource`, `output` (null = absent), `state`, `changed`, `fears` and `commands`,
    or `error` where the output must be refused; several neighbours stand in a list `together`.
    `shown` stands for `commands` where those are long, `note` and `room` where a kind has any.
    """
    data = json.loads((FOLDER / case).read_text(encoding="utf-8"))
    parts = data.get("together", [data])
    assert {part["resource"]["kind"] for part in parts} == {case.partition("/")[0]}
    if "error" in data:
        with pytest.raises(ValueError, match=r".") as raised:
            _resource(data["resource"]).actual(data["output"])
        assert str(raised.value) == data["error"]
        return
    differences = [item for part in parts if (item := _judged(part)).changed]
    kind = type(_resource(parts[0]["resource"]))
    commands = kind.apply_together(differences) if differences else []
    if "shown" in data:
        assert [command.shown or command.title for command in commands] == data["shown"]
    else:
        assert [command.script for command in commands] == data["commands"]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_has_cases(kind: str) -> None:
    """A kind is not finished before a change, a converged state and an error or absence are shown."""
    parts = [
        part
        for path in (FOLDER / kind).glob("*.json")
        for data in (json.loads(path.read_text(encoding="utf-8")),)
        for part in data.get("together", [data])
    ]
    assert any(part.get("changed") for part in parts)
    assert any(part.get("changed") == [] for part in parts)
    assert any("error" in part or part["output"] is None for part in parts)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_commands_of_a_kind_run_under_set_e_and_have_a_title(kind: str) -> None:
    """Every command says in the imperative what it does and ends some time.

    Only one that goes on without us, or that another program watches, may take longer than hours.
    """
    for path in (FOLDER / kind).glob("*.json"):
        data = json.loads(path.read_text(encoding="utf-8"))
        if "error" in data or "together" in data:
            continue
        resource = _resource(data["resource"])
        for command in resource.apply(data["state"], frozenset(data["changed"]) or {"present"}):
            assert command.title
            longest = 8 * 24 * 3600 if command.detached or command.transfer else 7200
            assert 0 < command.timeout < longest


@given(output=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200))
def test_garbage_is_a_value_error_or_a_state(output: str) -> None:
    """Whatever a probe prints, a kind answers with a state, with absence or with `ValueError`."""
    for resource in _examples():
        try:
            state = resource.actual(output)
        except ValueError:
            continue
        assert state is None or all(isinstance(key, str) for key in state)


@given(data=st.data())
def test_a_mangled_answer_is_a_value_error_or_a_state(data: st.DataObject) -> None:
    """So does any part of a real answer with a piece cut out of it."""
    name = data.draw(st.sampled_from(CASES))
    case = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    part = case.get("together", [case])[0]
    text = part["output"] or ""
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    try:
        _resource(part["resource"]).actual(text[:first] + text[last:])
    except ValueError:
        return


def test_no_probe_knows_of_a_host(
    shell: Callable[..., subprocess.CompletedProcess[bytes]],
) -> None:
    """Every kind's probe runs under every shell on this machine and gives a state or an error."""
    resources = _examples()
    done = shell(probe_script(resources, "@word"))
    stdout, stderr = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == 0
    for resource in resources:
        if resource.kind not in _ASKS:
            parse_states([resource], *_only(resources, resource, stdout, stderr), "@word")


def _only(resources: list[Resource], wanted: Resource, stdout: str, stderr: str) -> tuple[str, str]:
    """Return the answer as if only one of the resources had been asked for."""
    index = resources.index(wanted)
    part = stdout.split(f"\n@word begin {index}\n")[1].split("\n\n@word begin ", maxsplit=1)[0]
    body, _, status = part.rstrip("\n").rpartition(f"\n@word end {index} ")
    return f"\n@word begin 0\n{body}\n@word end 0 {status}\n", stderr


def _examples() -> list[Resource]:
    """Return one small resource of every kind, as its first case has it."""
    first = {}
    for name in CASES:
        data = json.loads((FOLDER / name).read_text(encoding="utf-8"))
        first.setdefault(name.partition("/")[0], data.get("together", [data])[0]["resource"])
    return [_resource(data) for data in first.values()]
