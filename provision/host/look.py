"""One look at a host: its facts and the states of all its resources, one exec each."""

from __future__ import annotations

import sys
import time
from collections.abc import Container, Mapping, Sequence
from typing import Final, NamedTuple

from provision.errors import FactsError
from provision.facts import (
    Ask,
    Facts,
    Health,
    facts_script,
    parse_facts,
    parse_health,
    sweep_script,
)
from provision.host.channel import Result
from provision.host.connection import Connection
from provision.state.plan import Ground, HostPlan, RolePlan, Step, plan_host, plan_role
from provision.state.probe import parse_states, probe_script
from provision.state.resource import DUE, Bulk, Resource, State, diff
from provision.state.role import Role, resources_of
from provision.state.shell import nonce

_FACTS: Final = 60  # seconds for the facts of one host, whose sections have time-outs of their own
_PROBES: Final = 180  # seconds for the probes


def clock() -> float:
    """Return seconds that also pass while this machine sleeps; `time.monotonic` stands still then."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.time()


class Look(NamedTuple):
    """What was seen: the facts, and the resources and states of each role."""

    facts: Facts
    resources: Mapping[str, Sequence[Resource]]
    states: Mapping[str, Mapping[str, State | None]]

    @property
    def containers(self) -> int:
        """Return how many containers run."""
        return self.facts.docker.running_containers if self.facts.docker else 0

    @property
    def shared(self) -> list[Bulk]:
        """Return the bulk data that is complete here, for other hosts to copy."""
        return [bulk for bulk in (item.shares() for item in self._right) if bulk]

    @property
    def audits(self) -> list[Step]:
        """Return the steps that check more deeply what looks right."""
        audits = [(item.id, item.audit()) for item in self._right]
        return [Step(ids=(name,), command=command) for name, command in audits if command]

    @property
    def _right(self) -> list[Resource]:
        return [
            item
            for role, some in self.resources.items()
            for item in some
            if not diff(self.states[role][item.id], item.expected())
        ]

    def without_notes(self, resources: Container[str]) -> Look:
        """Return the look as if the handlers of `resources`, due in this very run, were not."""
        states = {
            role: {
                name: without_note(state) if name in resources else state
                for name, state in some.items()
            }
            for role, some in self.states.items()
        }
        return self._replace(states=states)

    def plan(self, host: str) -> HostPlan:
        """Plan all roles."""
        return plan_host(host, self.resources, self.states, self.containers)

    def plan_role(self, role: str) -> RolePlan:
        """Plan one role, as if no other came before it."""
        ground = Ground(containers=self.containers)
        return plan_role(role, self.resources[role], self.states[role], ground)


def without_note(state: State | None) -> State | None:
    """Return a state as if no handler of its resource were due."""
    return {**state, DUE: False} if state and DUE in state else state


def look(connection: Connection, roles: Mapping[str, Role], facts: Facts | None = None) -> Look:
    """Read the facts, unless they are given, and the states of all resources."""
    facts = facts or read_facts(connection)
    resources = resources_of(roles, connection.host, facts)
    answer = iter(probe(connection, [item for some in resources.values() for item in some]))
    states = {role: {item.id: next(answer) for item in some} for role, some in resources.items()}
    return Look(facts, resources, states)


def read_facts(connection: Connection) -> Facts:
    """Read the host's facts in one exec."""
    word = nonce()
    return _facts(connection, connection.run(facts_script(word), timeout=_FACTS), word)


def read_all(connection: Connection, ask: Ask) -> tuple[Facts, Health]:
    """Read facts and health in one exec; of the health, what does not come back is unknown."""
    word = nonce()
    result = connection.run(sweep_script(word, ask), timeout=_FACTS)
    return _facts(connection, result, word), parse_health(
        result.stdout, word, sections=ask.sections
    )


def _facts(connection: Connection, result: Result, word: str) -> Facts:
    if word not in result.stdout:
        detail = (result.stderr.strip().splitlines() or [f"exit status {result.status}"])[-1]
        raise FactsError(
            f"the facts cannot be read: {detail}",
            where=connection.where,
            remedy="Does `sh -c true` work there, and is coreutils installed?",
        )
    return parse_facts(result.stdout, word)


def probe(connection: Connection, resources: Sequence[Resource]) -> list[State | None]:
    """Read the states of resources, in order, in one exec."""
    if not resources:
        return []
    word = nonce()
    result = connection.run(probe_script(resources, word), timeout=_PROBES)
    return parse_states(resources, result.stdout, result.stderr, word)
