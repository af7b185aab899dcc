"""A thousand hosts load while an operator does not notice."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pydantic import BaseModel, create_model

from provision.inventory.load import load

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 2.0  # seconds; it takes about 0.2


def test_a_thousand_hosts_load_in_time(tmp_path: Path) -> None:
    """1000 hosts with an address and a variable of their own, in 5 groups, with 3 roles."""
    fields = {f"v{number}": (str, "x") for number in range(10)}
    roles: dict[str, type[BaseModel]] = {
        name: create_model(name, __base__=BaseModel, **fields) for name in ("r0", "r1", "r2")
    }
    block = "{" + ", ".join(f"{name}: a" for name in fields) + "}"
    lines = ["vars:", f"  r0: {block}", "groups:"]
    for group in range(5):
        first = group * 200
        lines += [f"  g{group}:", f"    hosts: ['n[{first:04}:{first + 199:04}]']"]
        lines += ["    roles: [r0, r1, r2]", f"    vars: {{r1: {block}, r2: {block}}}"]
    lines.append("hosts:")
    for host in range(1000):
        lines += [f"  n{host:04}:", f"    ssh: {{address: 10.0.{host // 250}.{host % 250}}}"]
        lines.append(f"    r2: {{v1: own{host}}}")
    path = tmp_path / "large.yaml"
    path.write_text("\n".join(lines), encoding="utf-8")
    start = time.perf_counter()
    fleet = load(path, roles)
    assert time.perf_counter() - start < LIMIT
    assert len(fleet.hosts) == 1000
    assert fleet.hosts["n0999"].variables["r2"].model_dump()["v1"] == "own999"
