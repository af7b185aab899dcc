"""Services: their containers run, and how they have fared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from provision.checks.check import Check, Sight
from provision.checks.clock import lasting
from provision.checks.needs import clock_of, service_containers, wanted_services
from provision.checks.words import fail, inform, warn
from provision.facts.health import Container
from provision.finding import Finding

_RUNNING: Final = "services.running"
_RESTARTS: Final = "services.restarts"
_OOM: Final = "services.oom"
_ERRORS: Final = "services.errors"
_TOKENS: Final = "services.tokens"
_DAY: Final = 86400.0
"""Seconds; a restart that is longer ago, and did not come again, is no news."""
_OFTEN: Final = 3
"""Restarts that are worth a line however long ago: something ends it again and again."""
_START: Final = 3600.0
"""Seconds; the largest models take most of an hour to load from a slow disk."""
_NOISE: Final = 20
"""Lines with errors; below one of a hundred they are mostly requests that could not be met."""


def _running(sight: Sight) -> Iterator[Finding]:
    if sight.health.engine is None or sight.facts.docker is None:
        return  # what Docker knows is unknown
    containers, host = service_containers(sight), sight.host.name
    for name in wanted_services(sight):
        container = containers.get(name)
        deploy = f"inv deploy --host {host} --service {name}"
        if container is None:
            yield fail(_RUNNING, "is not deployed", deploy, service=name)
        elif container.oom_killed or container.status == "restarting":
            continue  # told by services.oom and services.restarts
        elif container.status != "running":
            what = f"does not run: its container is {container.status}"
            code = f" (exit code {container.exit_code})" if container.exit_code else ""
            remedy = f"{deploy}; why it ended: docker logs --tail 100 {name}"
            yield fail(_RUNNING, f"{what}{code}", remedy, service=name)
        else:
            yield from _health(container, sight)


def _health(container: Container, sight: Sight) -> Iterator[Finding]:
    age = _age(container, sight)
    if container.health == "unhealthy":
        remedy = f"docker logs --tail 100 {container.name}; then docker restart {container.name}"
        yield fail(_RUNNING, "runs, and is unhealthy", remedy, service=container.name)
    elif container.health == "starting" and age is not None and age > _START:
        what = f"is still starting after {lasting(age)}"
        yield warn(
            _RUNNING, what, f"docker logs --tail 100 {container.name}", service=container.name
        )


def _restarts(sight: Sight) -> Iterator[Finding]:
    for name, container in service_containers(sight).items():
        if container.oom_killed or not _restarted(container, sight):
            continue
        age, now = _age(container, sight), container.status == "restarting"
        times = f"{container.restarts} time{'s' if container.restarts != 1 else ''}"
        last = f", last {lasting(age)} ago" if age is not None else ""
        yield (fail if now else warn)(
            _RESTARTS,
            f"ended and was started again {times}{', and is down now' if now else last}",
            f"docker logs --tail 200 {name}",
            service=name,
        )


def _restarted(container: Container, sight: Sight) -> bool:
    if container.status == "restarting":
        return True
    age = _age(container, sight)
    recent = age is None or age < _DAY
    return container.restarts >= _OFTEN or (container.restarts > 0 and recent)


def _oom(sight: Sight) -> Iterator[Finding]:
    for name, container in service_containers(sight).items():
        if container.oom_killed:
            yield fail(
                _OOM,
                "was killed for want of memory of the host",
                "Give it less to do at once, or the host more memory; then "
                f"inv deploy --host {sight.host.name} --service {name}",
                service=name,
            )


def _errors(sight: Sight) -> Iterator[Finding]:
    for name, container in service_containers(sight).items():
        told = container.oom_killed or container.status != "running"
        if told or container.health == "unhealthy" or _restarted(container, sight):
            continue  # its end has been told, and its log is where that sends one
        if container.error_lines >= _NOISE:
            last = f", last: {container.last_error}" if container.last_error else ""
            yield warn(
                _ERRORS,
                f"logged {container.error_lines} lines with errors within a day{last}",
                f"docker logs --since 24h {name} 2>&1 | grep -i error",
                service=name,
            )


def _tokens(sight: Sight) -> Iterator[Finding]:
    for name, container in service_containers(sight).items():
        silent = clock_of(sight) - container.last_token if container.last_token else 0.0
        if container.status == "running" and silent > _DAY:
            yield inform(_TOKENS, f"generated its last tokens {lasting(silent)} ago", service=name)


def _age(container: Container, sight: Sight) -> float | None:
    return None if container.started is None else max(0.0, clock_of(sight) - container.started)


RUNNING: Final = Check(
    name=_RUNNING,
    group="services",
    reads=("engine", "clock"),
    explain="Each service of the inventory is a container of its name, which Docker starts again "
    "when it ends, but not after somebody stopped it. One that is not there was never deployed on "
    "this host, or was removed. Engines check their own health: an unhealthy one runs and does not "
    "answer; one that starts is loading its model, which takes minutes.",
    judge=_running,
)
RESTARTS: Final = Check(
    name=_RESTARTS,
    group="services",
    reads=("engine", "clock"),
    explain="Docker starts a container again when it ends by itself. One restart can be an accident; "
    "several are an engine that meets the same fault again and again: too little memory on the "
    "GPU, an error of the hardware, a request that it cannot stand. While it starts, for minutes, "
    "it answers nobody. The end of its log before the restart has the cause. A restart counts for "
    "a day, three or more until the next deployment.",
    judge=_restarts,
)
OOM: Final = Check(
    name=_OOM,
    group="services",
    reads=("engine", "kernel", "clock"),
    explain="The kernel killed the service because the host, or the limit of its container, had no "
    "memory left. That is the memory of the host, not of the GPU: engines need it for loading "
    "weights, for what they swap out of the GPU, and for shared memory between their processes. "
    "Lower swap-space and the number of workers, stop what else takes memory, or add some.",
    judge=_oom,
)
ERRORS: Final = Check(
    name=_ERRORS,
    group="services",
    reads=("engine", "clock"),
    explain="The last 2000 lines of a service's log are searched for errors of the last day. Single "
    "ones are mostly requests that made no sense; many of them are worth a look before users "
    "complain. Nothing is said of a service that was restarted or is down: that has a line already.",
    judge=_errors,
)
TOKENS: Final = Check(
    name=_TOKENS,
    group="services",
    reads=("engine", "clock"),
    explain="When the service last generated tokens, as its own log tells; only information, told "
    "after a day without any. Nobody may have asked it; or requests do not reach it any more, and "
    "then a look at what stands in front of it is worth while.",
    judge=_tokens,
)
CALLS: Final = Check(
    name="services.calls",
    group="services",
    reads=("engine",),
    explain="An engine can say that it is healthy and answer nothing: its process lives, and what "
    "computes hangs (wedged). So each service is really called, as the validation after a "
    "deployment does it: its list of models, a short answer, also as a stream, tool calls, "
    "embeddings that fit in order and length, or a ranking that makes sense. A service that does "
    "not answer is restarted (docker restart); one that answers nonsense is deployed anew or "
    "rolled back.",
    judge=lambda _: (),
)
