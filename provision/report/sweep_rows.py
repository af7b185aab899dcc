"""What all reports of a sweep show: text that is safe to show, and equal findings told once."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Container, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from provision.checks.check import GROUPS
from provision.checks.sweep import REACHABLE, HostSweep, Sweep, group_of
from provision.finding import Finding, Verdict
from provision.report.visible import visible
from provision.secret import redact

WORST_FIRST: Final[tuple[Verdict, ...]] = ("fail", "warn", "ok")
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_SHORTEST: Final = 3  # names from which a range is shorter to read than they are


class Row(NamedTuple):
    """One finding, with all hosts that it was found on."""

    check: str
    verdict: Verdict
    service: str
    what: str
    remedy: str
    hosts: tuple[str, ...]


def masked(sweep: Sweep) -> Sweep:
    """Return the sweep with every secret masked."""
    return _with_texts(sweep, redact)


def shown(sweep: Sweep, encoding: str = "utf-8") -> Sweep:
    """Return the sweep with secrets masked and each text on one line that only shows itself."""
    return _with_texts(sweep, lambda text: visible(redact(text), encoding))


def rows(sweep: Sweep) -> list[Row]:
    """Return the findings, equal ones of several hosts as one: worst first, then by group."""
    hosts: dict[Finding, dict[str, None]] = {}
    for host in sweep.hosts:
        for finding in host.findings:
            hosts.setdefault(_of_any_host(finding, host.host), {})[host.host] = None
    gathered = [_row(finding, tuple(names)) for finding, names in hosts.items()]
    return sorted(gathered, key=_rank)


def made(host: HostSweep) -> dict[str, list[Finding]]:
    """Return each check that was made on a host with what it found, in the order of the groups."""
    found: dict[str, list[Finding]] = {check: [] for check in host.checks}
    for finding in host.findings:
        found.setdefault(finding.check, []).append(finding)
    return {check: found[check] for check in sorted(found, key=_place)}


def reached(host: HostSweep) -> bool:
    """Tell whether a host answered: of one that did not, that is all that was found."""
    return not any(each.check == REACHABLE and each.verdict == "fail" for each in host.findings)


def moment(seconds: float) -> datetime:
    """Return a time in UTC, to the second."""
    return datetime.fromtimestamp(int(seconds), UTC)


def plural(count: int, noun: str) -> str:
    """Return `1 host` or `2 hosts`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def folded(names: Sequence[str]) -> str:
    """Return names as `--host` takes them, consecutive ones as a range: `gpu[01:04],gpu07`."""
    left = dict.fromkeys(names)
    series: dict[tuple[str, str, int], dict[int, str]] = {}
    for name in left:
        for key, number in _keys(name):
            series.setdefault(key, {})[number] = name
    words = []
    while left:
        name = next(iter(left))
        run = max((_run(series[key], number, left.keys()) for key, number in _keys(name)), key=len, default=[])  # fmt: skip
        taken = run if len(run) >= _SHORTEST else [name]
        words.append(_range(run[0], run[-1]) if taken is run else name)
        for each in taken:
            del left[each]
    return ",".join(words)


def _keys(name: str) -> Iterator[tuple[tuple[str, str, int], int]]:
    """Yield what stands around each number of a name with its width, and the number.

    One without leading zeros belongs to `9, 10, 11` as well as to `09, 10, 11`.
    """
    for match in _NUMBER.finditer(name):
        around = name[: match.start()], name[match.end() :]
        yield (*around, len(match[0])), int(match[0])
        if match[0] == str(int(match[0])):
            yield (*around, 0), int(match[0])


def _run(numbers: dict[int, str], start: int, left: Container[str | None]) -> list[str]:
    """Return the names of consecutive numbers about `start` that were not told yet."""
    first = last = start
    while numbers.get(first - 1) in left:
        first -= 1
    while numbers.get(last + 1) in left:
        last += 1
    return [numbers[number] for number in range(first, last + 1)]


def _range(first: str, last: str) -> str:
    """Return what stands for the names from `first` to `last`, which differ in one number."""
    pairs = zip(_NUMBER.finditer(first), _NUMBER.finditer(last), strict=True)
    one, other = next(pair for pair in pairs if pair[0][0] != pair[1][0])
    return f"{first[: one.start()]}[{one[0]}:{other[0]}]{first[one.end() :]}"


def _of_any_host(finding: Finding, host: str) -> Finding:
    """Return a finding without its host, also where its remedy is a command for that host."""
    remedy = re.sub(rf"(?<=--host ){re.escape(host)}(?![\w.-])", "\0", finding.remedy)
    return finding.model_copy(update={"host": "", "remedy": remedy})


def _row(finding: Finding, hosts: tuple[str, ...]) -> Row:
    remedy = finding.remedy.replace("\0", shlex.quote(folded(hosts)))
    return Row(finding.check, finding.verdict, finding.service, finding.what, remedy, hosts)


def _rank(row: Row) -> tuple[int, tuple[int, str], str, str]:
    return WORST_FIRST.index(row.verdict), _place(row.check), row.service, row.what


def _place(check: str) -> tuple[int, str]:
    """Return where a check stands; those of a group that is not known come last."""
    group = group_of(check)
    places = {name: number for number, name in enumerate(GROUPS)}
    return places.get(group, len(places)), check  # type: ignore[call-overload]  # any text is asked


def _with_texts(sweep: Sweep, change: Callable[[str], str]) -> Sweep:
    hosts = tuple(
        host.model_copy(
            update={
                "host": change(host.host),
                "summary": change(host.summary),
                "checks": tuple(map(change, host.checks)),
                "findings": tuple(_changed(finding, change) for finding in host.findings),
            }
        )
        for host in sweep.hosts
    )
    return sweep.model_copy(update={"inventory": change(sweep.inventory), "hosts": hosts})


def _changed(finding: Finding, change: Callable[[str], str]) -> Finding:
    texts = ("check", "what", "remedy", "host", "service")
    return finding.model_copy(update={name: change(getattr(finding, name)) for name in texts})
