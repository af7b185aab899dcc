"""Laws that hold for every inventory: ranges and precedence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from provision.inventory import ranges
from provision.inventory.load import load
from provision.inventory.merge import overlay
from provision.inventory.origin import origins
from provision.inventory.select import select

if TYPE_CHECKING:
    import pytest
    from pydantic import BaseModel

PORTS = st.none() | st.integers(1, 65535)
WORDS = st.text("abc", min_size=1, max_size=2)
TREES = st.dictionaries(
    WORDS,
    st.recursive(
        st.none() | st.integers() | st.lists(st.integers()),
        lambda below: st.dictionaries(WORDS, below),
    ),
)


@given(first=st.integers(0, 500), more=st.integers(0, 300), width=st.integers(0, 5))
def test_a_range_writes_out_each_number_once_in_order(first: int, more: int, width: int) -> None:
    """A range stands for all its numbers, padded alike, and runs in step with itself."""
    last = first + more
    width = max(width, len(str(last))) if width else 0
    text = f"a[{first:0{width}}:{last:0{width}}]b"
    names = ranges.expand(text)
    assert [int(name[1:-1]) for name in names] == list(range(first, last + 1))
    assert [ranges.step(text, index, more + 1) for index in range(more + 1)] == names
    assert not width or {len(name) for name in names} == {width + 2}


@given(rows=st.integers(1, 5), columns=st.integers(1, 5))
def test_two_ranges_multiply(rows: int, columns: int) -> None:
    """A name with two ranges stands for every pair, the last number running fastest."""
    expected = [
        f"r{row}n{column}" for row in range(1, rows + 1) for column in range(1, columns + 1)
    ]
    assert ranges.expand(f"r[1:{rows}]n[1:{columns}]") == expected


@given(under=TREES, over=TREES)
def test_what_lies_on_top_wins_and_the_rest_stays(
    under: dict[str, Any], over: dict[str, Any]
) -> None:
    """Merging twice changes nothing, the upper layer is in the result, and no input changes."""
    before = json.dumps([under, over])
    merged = overlay(under, over)
    assert overlay(merged, over) == merged
    assert merged.keys() == under.keys() | over.keys()
    assert all(merged[key] == under[key] for key in under.keys() - over.keys())
    assert json.dumps([under, over]) == before


@given(shared=st.tuples(PORTS, PORTS), own=st.lists(PORTS, min_size=1, max_size=6), data=st.data())
def test_precedence_holds_for_every_host(
    tmp_path_factory: pytest.TempPathFactory,
    roles: dict[str, type[BaseModel]],
    shared: tuple[int | None, int | None],
    own: list[int | None],
    data: st.DataObject,
) -> None:
    """The nearest layer that sets a value gives it, and `origin` says which one that was."""
    common, group = shared
    names = [f"h{index}" for index in range(len(own))]
    members = data.draw(st.lists(st.sampled_from(names), unique=True))

    def port(value: int | None) -> dict[str, dict[str, int]]:
        return {} if value is None else {"ssh": {"port": value}}

    document = {
        "vars": port(common),
        "groups": {"g": {"hosts": members, "vars": port(group)}},
        "hosts": {name: port(value) for name, value in zip(names, own, strict=True)},
    }
    path = tmp_path_factory.getbasetemp() / "generated.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")
    fleet = load(path, roles)
    for name, value in zip(names, own, strict=True):
        layers = [(value, f"host {name}"), (group if name in members else None, "group g")]
        expected = [
            (port, layer) for port, layer in [*layers, (common, "vars")] if port is not None
        ]
        found = [(origin.value, origin.layer) for origin in origins(fleet, name, "ssh.port")]
        assert found == (expected or [(None, "default")])
        assert fleet.hosts[name].ssh.port == found[0][0]
    if members:
        assert {host.name for host in select(fleet, [], ["g"])} == set(members)
