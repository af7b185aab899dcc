"""What was recorded on real hardware is still read and planned as it was there."""

from __future__ import annotations

import json
from pathlib import Path

from provision.facts import Facts, parse_facts
from provision.inventory.load import load
from provision.state.plan import plan_host
from provision.state.role import load_roles, resources_of

PROJECT = Path(__file__).resolve().parents[2]
H200 = Path(__file__).parent / "h200-ubuntu-24.04"
FLEET = """
groups: {gpu: {hosts: [h200], roles: [base, docker, nvidia_container_toolkit]}}
hosts: {h200: {ssh: {address: 127.0.0.1}, gpus: 1}}
"""


def test_facts_of_the_h200_are_read_as_recorded() -> None:
    """The script's answer on the H200 machine parses to the facts that were shown there."""
    facts = parse_facts((H200 / "facts-answer.txt").read_text(), "@NONCE")
    shown = json.loads((H200 / "facts.json").read_text())["hosts"]["h200"]["facts"]
    recorded = Facts.model_validate(shown)
    # The script was run a second time for the raw answer; only the room on the disk moved. It is
    # older than the sections of runs and images, and than the way in which processors are counted.
    assert facts.unknown == ("last_run", "images")
    assert (
        facts.model_copy(update={"disks": recorded.disks, "cpus": recorded.cpus, "unknown": ()})
        == recorded
    )


def test_plan_of_the_h200_is_as_recorded(tmp_path: Path) -> None:
    """From the H200's facts and nothing installed the roles plan what was planned there."""
    path = tmp_path / "fleet.yaml"
    path.write_text(FLEET)
    host = load(path, load_roles(PROJECT)).hosts["h200"]
    shown = json.loads((H200 / "plan.json").read_text())["hosts"]["h200"]
    facts = parse_facts((H200 / "facts-answer.txt").read_text(), "@NONCE")
    resources = resources_of(dict(host.variables), host, facts)  # type: ignore[arg-type]
    # base's package and the absent files were there already, as the recorded rows say.
    as_expected = {
        row["id"] for role in shown["roles"] for row in role["rows"] if row["verdict"] == "ok"
    }
    states = {
        role: {
            item.id: item.expected() if item.id in as_expected else None for item in resources[role]
        }
        for role in resources
    }
    plan = plan_host("h200", resources, states, containers=0)
    rows = [
        [{"id": row.id, "after": row.after, "action": row.action} for row in role.rows]
        for role in plan.roles
    ]
    recorded = [
        [{key: row[key] for key in ("id", "after", "action")} for row in role["rows"]]
        for role in shown["roles"]
    ]
    assert rows == recorded
