"""Why a saved plan is not applied: what moved since it was made, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from provision.report.visible import visible
from provision.secret import redact
from provision.state.saved_plan import SavedPlan
from provision.state.saved_plan_moved import Moved

_SHOWN = 40  # lines: whoever reads more plans again


def print_moved(console: Console, plan: SavedPlan, moved: Sequence[Moved]) -> None:
    """Print what moved, a line each, and how to go on."""
    for item in moved[:_SHOWN]:
        console.print(Text(visible(redact(str(item))), "red"), soft_wrap=True)
    if len(moved) > _SHOWN:
        console.print(Text(f"… and {len(moved) - _SHOWN} more", "red"))
    console.print(Text(_remedy(plan, moved)), soft_wrap=True)


def moved_document(moved: Sequence[Moved]) -> Mapping[str, Any]:
    """Return `{moved: [{host, id, what}]}`."""
    return {"moved": [item._asdict() for item in moved]}


def _remedy(plan: SavedPlan, moved: Sequence[Moved]) -> str:
    made = f"by {plan.by} at {plan.at:%Y-%m-%d %H:%M} UTC"
    text = f"Nothing was changed: the plan made {made} no longer holds. Plan again"
    hosts = list(dict.fromkeys(item.host for item in moved))
    if "" in hosts or len(hosts) >= len([item for item in plan.hosts if not item.error]):
        return f"{text}."
    left_out = ",".join(f"!{host}" for host in hosts)
    return f"{text}, or apply it without them: --host '{left_out}'."
