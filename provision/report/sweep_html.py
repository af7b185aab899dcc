"""A sweep as one page: hosts by groups, findings with remedy and background, nothing fetched."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final

from provision.checks.check import Group
from provision.checks.sweep import HostSweep, Sweep, group_of
from provision.report.sweep_rows import (
    WORST_FIRST,
    Row,
    folded,
    made,
    moment,
    plural,
    reached,
    rows,
    shown,
)
from provision.report.visible import visible

_ASSETS: Final = Path(__file__).with_name("assets")
_MARKS: Final = {"ok": "✓", "warn": "!", "fail": "✗"}
_NOUNS: Final = {"fail": "failure", "warn": "warning", "ok": "note"}


def sweep_html(sweep: Sweep, explain: Mapping[str, str]) -> str:
    """Return the page: all content is in its HTML, the script only filters what is there.

    A policy in the page lets a browser load nothing, and run only the one script that it knows by
    its hash.
    """
    sweep = shown(sweep)
    found = rows(sweep)
    style, script = (_asset(name) for name in ("sweep.css", "sweep.js"))
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    )
    wide = ' class="wide"' if any(host.summary for host in sweep.hosts) else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{escape(sweep.inventory)}: {_heading(sweep)}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<a class="skip" href="#findings">Skip to the findings</a>
<header>
{_title(sweep)}
{_filters(sweep)}
</header>
<main{wide}>
{_grid(sweep, found)}
{_findings(sweep, found, explain)}
</main>
<script>{script}</script>
</body>
</html>
"""


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _heading(sweep: Sweep) -> str:
    ill = sum(host.verdict != "ok" for host in sweep.hosts)
    count = plural(len(sweep.hosts), "host")
    if not sweep.hosts:
        return f"{count}, nothing looked at"
    return f"{ill} of {count} not well" if ill else f"{count}, all well"


def _title(sweep: Sweep) -> str:
    begun = moment(sweep.begun)
    return (
        f"<div><h1>{_heading(sweep)}</h1>"
        f'<p class="muted">{escape(sweep.inventory)}, swept <time datetime="{begun:%Y-%m-%dT%H:%MZ}">'
        f"{begun:%Y-%m-%d %H:%M} UTC</time> in {sweep.seconds:.1f} s</p></div>"
    )


def _filters(sweep: Sweep) -> str:
    """Return the filters, which the script shows: without it they would do nothing."""
    counts = Counter(word for host in sweep.hosts for word in _verdicts(host))
    choices = [("", "All", len(sweep.hosts))]
    choices += [("fail", "Failures", counts["fail"]), ("warn", "Warnings", counts["warn"])]
    choices += [("well", "Well", counts["well"])]
    radios = "".join(
        f'<label><input type="radio" name="verdict" value="{value}"{"" if value else " checked"}>'
        f'{text} <b class="{value}">{count}</b></label>'
        for value, text, count in choices
    )
    return (
        f"<form hidden><fieldset><legend>Hosts with</legend>{radios}</fieldset>"
        '<input type="search" name="host" placeholder="Filter hosts ( / )" aria-label="Filter hosts"'
        ' autocomplete="off" spellcheck="false"></form>'
    )


def _verdicts(host: HostSweep) -> list[str]:
    """Return by which filters a host is shown."""
    if host.verdict == "ok":
        return ["well"]
    return [word for word in ("fail", "warn") if any(word == f.verdict for f in host.findings)]


def _grid(sweep: Sweep, found: Sequence[Row]) -> str:
    first = _first(found)
    groups = "".join(
        f'<th scope="col" data-group="{group}"><span>{group}</span></th>' for group in sweep.groups
    )
    about = any(host.summary for host in sweep.hosts)
    more = '<th class="about"></th>' if about else ""
    body = "\n".join(
        f'<tr id="h{index}" data-verdicts="{" ".join(_verdicts(host))}">{_head(host, index, first)}'
        f"{''.join(_cell(host, group, first) for group in sweep.groups)}"
        + (f'<td class="about">{escape(host.summary)}</td>' if about else "")
        + "</tr>"
        for index, host in enumerate(sweep.hosts)
    )
    return (
        f'<table><thead><tr><th scope="col">Name</th>{groups}{more}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table>"
    )


def _first(found: Sequence[Row]) -> dict[tuple[str, str], int]:
    """Return the number of the worst finding of each host and group, and of each host."""
    numbers: dict[tuple[str, str], int] = {}
    for number, row in enumerate(found):
        for host in row.hosts:
            numbers.setdefault((host, ""), number)
            numbers.setdefault((host, group_of(row.check)), number)
    return numbers


def _head(host: HostSweep, index: int, first: Mapping[tuple[str, str], int]) -> str:
    number = first.get((host.host, ""))
    target = f"h{index}" if number is None else f"f{number}"
    name = escape(host.host)
    checks = f"{plural(len(made(host)), 'check')} in {host.seconds:.1f} s"
    told = ", ".join(filter(None, (host.summary, checks if reached(host) else "no answer")))
    return f'<th scope="row" title="{name}: {escape(told)}"><a href="#{target}">{name}</a></th>'


def _cell(host: HostSweep, group: Group, first: Mapping[tuple[str, str], int]) -> str:
    """Return one cell; its title says in words what its mark and its colour say."""
    verdict, name = host.group(group), f"{escape(host.host)}, {group}"
    if verdict is None:
        return f'<td class="off" title="{name}: not checked">·</td>'
    checks = plural(sum(group_of(check) == group for check in made(host)), "check")
    here = Counter(each.verdict for each in host.findings if group_of(each.check) == group)
    counts = [plural(here[word], _NOUNS[word]) for word in WORST_FIRST if here[word]]
    title = f"{name}: {', '.join(counts) or 'all well'}, {checks}"
    mark = _MARKS[verdict]
    if not here:
        return f'<td class="ok" title="{title}">{mark}</td>'
    number = first[host.host, group]
    mark += f"<small>{here[verdict]}</small>" if verdict != "ok" and here[verdict] > 1 else ""
    return (
        f'<td class="{verdict}" title="{title}">'
        f'<a href="#f{number}" aria-label="{title}">{mark}</a></td>'
    )


def _findings(sweep: Sweep, found: Sequence[Row], explain: Mapping[str, str]) -> str:
    items = "\n".join(_items(sweep, found, explain))
    hidden = " hidden" if found else ""
    return (
        '<section id="findings" tabindex="-1">'
        f'<div class="bar"><h2>Findings</h2><span class="count muted" aria-live="polite">{len(found)}'
        '</span><span class="picked muted" aria-live="polite"></span>'
        '<button type="button" hidden>Show all</button></div>\n'
        f'<ol>\n{items}\n</ol><p class="none"{hidden}>Nothing found: all is well.</p></section>'
    )


def _items(sweep: Sweep, found: Sequence[Row], explain: Mapping[str, str]) -> Iterator[str]:
    places = {host.host: index for index, host in enumerate(sweep.hosts)}
    for number, row in enumerate(found):
        numbers = " ".join(str(places[name]) for name in row.hosts)
        mark = _MARKS[row.verdict] if row.verdict != "ok" else "i"
        what = f"{row.service}: {row.what}" if row.service else row.what
        yield (
            f'<li id="f{number}" class="{row.verdict}" data-verdict="{row.verdict}" '
            f'data-group="{escape(group_of(row.check))}" data-hosts="{numbers}">'
            f'<span class="mark" title="{_NOUNS[row.verdict]}">{mark}</span>'
            f'<p class="what">{escape(what)}</p>{_where(row)}'
            + (f'<p class="remedy">{_breakable(row.remedy)}</p>' if row.remedy else "")
            + _background(explain.get(row.check, ""))
            + "</li>"
        )


def _where(row: Row) -> str:
    count = f" ({plural(len(row.hosts), 'host')})" if len(row.hosts) > 1 else ""
    return (
        f'<p class="where"><b>{_breakable(folded(row.hosts))}</b>{count}'
        f" · <code>{escape(row.check)}</code></p>"
    )


def _breakable(text: str) -> str:
    """Return text whose lists of hosts can go on in the next line."""
    return re.sub(",(?! )", ",<wbr>", escape(text))


def _background(text: str) -> str:
    if not text:
        return ""
    return f"<details><summary>Background</summary><p>{escape(visible(text))}</p></details>"
