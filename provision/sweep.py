"""The sweep of a fleet: every check on every host, by reading alone."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, cast

from pydantic import AnyUrl

from provision.checks.check import Check, Sight
from provision.checks.clock import moment
from provision.checks.models import COMPLETE
from provision.checks.needs import ready_services, wants_docker, wants_toolkit
from provision.checks.registry import CHECKS, judged
from provision.checks.services import CALLS
from provision.checks.sweep import REACHABLE, HostSweep, Sweep
from provision.checks.toolkit_container import CONTAINER, container_script, judge_container
from provision.errors import ProvisionError, UsageError, nearest
from provision.facts import Ask, Facts
from provision.finding import Finding, Verdict
from provision.fleet import Visit, Watch, roles_of, visit
from provision.host.look import look, read_all
from provision.host.steps import Runner
from provision.inventory.schema import Host
from provision.serving.answer import Answer
from provision.serving.calls import answers_of
from provision.serving.compose import by_cdi
from provision.serving.roles import MODELS
from provision.serving.services.resolve import resolve
from provision.serving.services.role import services_of
from provision.state.role import Role
from provision.state.shell import framed


class Wish(NamedTuple):
    """What a sweep is to look at."""

    checks: tuple[Check, ...]
    deep: bool = False
    """Also what takes long or starts a throw-away container: digests of models, GPUs by Docker."""

    def has(self, *checks: Check) -> bool:
        """Say whether any of these is to be made."""
        return any(check in self.checks for check in checks)


def wish(only: Sequence[str], skip: Sequence[str], *, deep: bool) -> Wish:
    """Return which checks to make, by their names or groups; `UsageError` for what is neither."""
    names = {check.name for check in CHECKS} | {check.group for check in CHECKS}
    for flag, words in (("--only", only), ("--skip", skip)):
        for word in words:
            if word not in names:
                what = f"there is no check or group '{word}'"
                raise UsageError(what, where=flag, remedy=nearest(word, names))
    checks = (
        check
        for check in CHECKS
        if (not only or {check.name, check.group} & set(only))
        and not {check.name, check.group} & set(skip)
        and (deep or not check.deep)
    )
    return Wish(tuple(checks), deep)


def sweep(
    hosts: Sequence[Host], asked: Wish, forks: int, watch: Watch, inventory: str = ""
) -> Sweep:
    """Look at all hosts; one that cannot be reached is a finding like any other."""
    begun, found, lock = time.time(), dict[str, HostSweep](), threading.Lock()

    def work(visit: Visit) -> None:
        start = time.monotonic()
        swept = _Sweeper(visit, asked, watch).swept()
        with lock:
            seconds = round(time.monotonic() - start, 2)
            found[visit.host.name] = swept.model_copy(update={"seconds": seconds})

    visits = visit(hosts, work, forks, watch)
    for each in visits:
        each.close()
    rows = tuple(found.get(each.host.name) or _lost(each) for each in visits)
    return Sweep(
        inventory=inventory, begun=begun, seconds=round(time.time() - begun, 2), hosts=rows
    )


def _lost(visit: Visit) -> HostSweep:
    """Return the row of a host that could not be asked."""
    error = visit.failure or ProvisionError(visit.error)
    what = error.what.removeprefix(f"{visit.host.name}: ")
    finding = Finding(
        check=REACHABLE, verdict="fail", what=what, remedy=error.remedy, host=visit.host.name
    )
    return HostSweep(host=visit.host.name, checks=(REACHABLE,), findings=(finding,))


class _Sweeper(NamedTuple):
    """The sweep of one host."""

    visit: Visit
    wish: Wish
    watch: Watch

    def swept(self) -> HostSweep:
        host, connection = self.visit.host, self.visit.connection
        self._say("log in")
        connection.open()
        self._say("look")
        asked = time.time()
        ask = _ask(host, self.wish)
        facts, health = read_all(connection, ask)
        now = moment(health.clock, asked, time.time())
        sight = Sight(host, facts, health, now, ask.sections)
        findings = judged(sight, self.wish.checks)
        if MODELS in host.roles and self.wish.has(COMPLETE):
            findings += self._models(facts)
        if services_of(host) and self.wish.has(CALLS):
            findings += self._calls(sight)
        if self.wish.has(CONTAINER):
            findings += self._container(sight)
        return HostSweep(
            host=host.name,
            summary=_summary(facts),
            checks=_made(self.wish.checks, host),
            findings=tuple(findings),
        )

    def _say(self, step: str) -> None:
        self.watch.step(self.visit.host.name, step)

    def _models(self, facts: Facts) -> Iterator[Finding]:
        """Yield the models of which the probe misses something, or a digest is wrong."""
        host = self.visit.host
        remedy = f"inv provision --host {host.name} --role {MODELS}"

        def wrong(what: str) -> Finding:
            return Finding(
                check=COMPLETE.name, verdict="fail", what=what, remedy=remedy, host=host.name
            )

        self._say("models")
        role = roles_of(host, frozenset({MODELS}))
        try:
            seen = look(self.visit.connection, role, facts)
            for row in seen.plan_role(MODELS).pending:
                yield wrong(f"{row.id.partition(':')[2]} is not complete: {row.note or row.action}")
            for step in seen.audits if self.wish.deep else ():
                Runner(self.visit.connection, lambda *_: None).run([step])
        except ProvisionError as error:
            yield wrong(error.what)

    def _calls(self, sight: Sight) -> Iterator[Finding]:
        """Call every service that is ready; of the others another check has said why they are not."""
        role, names = services_of(sight.host), sorted(ready_services(sight))
        if role is None or not names:
            return
        self._say(f"call {', '.join(names)}")
        found = answers_of(self.visit.connection, role.dir, names)
        for name in names:
            yield from _judged(self.visit.host.name, name, found[name])

    def _container(self, sight: Sight) -> Iterator[Finding]:
        """Start a container of an image that is there, and see which GPUs it gets."""
        role, images = services_of(sight.host), _images(sight)
        if role is None or not sight.facts.gpus or not images:
            return
        self._say("GPUs in a container")
        script = container_script(images, cdi=by_cdi(role, sight.facts))
        result = self.visit.connection.run(framed(script), timeout=_CONTAINER)
        for finding in judge_container(len(sight.facts.gpus), result.status, result.stdout):
            yield finding.model_copy(update={"host": sight.host.name})


def _made(checks: Iterable[Check], host: Host) -> tuple[str, ...]:
    """Return the checks that mean something on a host: what it is not to have is not well there."""
    meant: dict[str, bool] = {
        "driver": host.gpus != 0,
        "gpu": host.gpus != 0,
        "docker": wants_docker(host),
        "toolkit": wants_toolkit(host),
        "models": MODELS in host.roles,
        "services": services_of(host) is not None,
    }
    return tuple(check.name for check in checks if meant.get(check.group, True))


def _images(sight: Sight) -> list[str]:
    """Return the images of the services with GPUs; none where they cannot be resolved."""
    with suppress(ProvisionError):  # inv plan and inv deploy say why
        return [
            item.service.image for item in resolve(sight.host, sight.facts) if item.service.gpus
        ]
    return []


def _judged(
    host: str, service: str, answers: Sequence[Answer] | ProvisionError
) -> Iterator[Finding]:
    if isinstance(answers, ProvisionError):
        yield _called(host, service, "fail", answers.what, answers.remedy)
        return
    for answer in answers:
        if answer.verdict in {"warn", "fail"}:
            what = f"{answer.check}: {answer.what}"
            yield _called(host, service, answer.verdict, what, answer.remedy)


def _called(host: str, service: str, verdict: Verdict, what: str, remedy: str) -> Finding:
    return Finding(
        check=CALLS.name, verdict=verdict, what=what, remedy=remedy, host=host, service=service
    )


def _ask(host: Host, wish: Wish) -> Ask:
    """Return what to read: sections, names that a host's settings reach for, folders they fill."""
    roles = [cast("Role", host.variables[name]) for name in host.roles]
    settings = [role.model_dump() for role in roles]
    names = {url.host for each in settings for url in _urls(each) if url.host}
    paths = {str(each[key]) for each in settings for key in ("dir", "data_root") if each.get(key)}
    sections = frozenset(section for check in wish.checks for section in check.reads)
    return Ask(tuple(sorted(names)), tuple(sorted(paths)), sections)


def _urls(value: Any) -> Iterator[AnyUrl]:
    if isinstance(value, AnyUrl):
        yield value
    elif isinstance(value, Mapping):
        yield from _urls(tuple(value.values()))
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for each in value:
            yield from _urls(each)


def _summary(facts: Facts) -> str:
    """Return `8 NVIDIA H200, driver 580.159.04`."""
    gpus = [f"{count} {name}" for name, count in Counter(gpu.name for gpu in facts.gpus).items()]
    version = facts.driver.library or facts.driver.kernel_module if facts.driver else None
    return ", ".join([*(gpus or ["no GPU"]), *([f"driver {version}"] if version else [])])


_CONTAINER: Final = 120  # seconds; a first CUDA start without persistence takes most of them
