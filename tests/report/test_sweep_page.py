"""A sweep as a page: all of it readable, none of it able to run or to fetch anything."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from html.parser import HTMLParser

import pytest
from sweeps import ECC, EXPLAIN, LOST, XID, down, fleet, host, hostile, sweep

from provision.checks.check import GROUPS
from provision.checks.sweep import Sweep
from provision.finding import Finding
from provision.report.sweep_html import sweep_html
from provision.secret import Secret


class Page(HTMLParser):
    """The elements of a page in order, each with its attributes and the text in it."""

    def __init__(self, found: Sweep) -> None:
        """Read the page of a sweep."""
        super().__init__()
        self.text = sweep_html(found, EXPLAIN)
        self.elements: list[tuple[str, dict[str, str], list[str]]] = []
        self._open: list[int] = []
        self.feed(self.text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element; one of a void kind has no end."""
        self.elements.append((tag, {name: value or "" for name, value in attrs}, []))
        if tag not in {"meta", "link", "input", "wbr", "br"}:
            self._open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        """Close an element, which must be the last that was opened."""
        assert self.elements[self._open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        """Give text to every element that it stands in."""
        for number in self._open:
            self.elements[number][2].append(data)

    def all(self, tag: str, **wanted: str) -> list[tuple[dict[str, str], str]]:
        """Return the elements of a kind with these attributes, each with its text."""
        names = {name.rstrip("_"): value for name, value in wanted.items()}
        return [
            (attributes, "".join(text))
            for kind, attributes, text in self.elements
            if kind == tag and names.items() <= attributes.items()
        ]


def test_every_finding_is_on_the_page_with_its_remedy_and_its_background() -> None:
    """The content is in the HTML: it reads the same without the script."""
    page = Page(sweep(host("gpu01", XID, ECC), host("gpu02", down("gpu02"))))
    items = [text for _, text in page.all("li")]
    for item, finding in zip(items, (XID, down("gpu02"), ECC), strict=True):
        assert finding.what in item
        assert finding.remedy in item
        assert EXPLAIN[finding.check] in item
    assert page.all("form")[0][0].keys() == {"hidden"}


def test_each_cell_says_in_words_what_its_mark_says_and_leads_to_its_finding() -> None:
    """Colour is never the only carrier; a link goes to the worst finding of its cell."""
    lost = host("gpu02", LOST, checks=("host.reachable",))
    page = Page(sweep(host("gpu01", XID, ECC, XID.model_copy(update={"what": "Xid 48"})), lost))
    titles = [attributes.get("title") for attributes, _ in page.all("td") if "title" in attributes]
    assert titles == [
        "gpu01, host: all well, 1 check",
        "gpu01, gpu: 2 failures, 1 warning, 2 checks",
        "gpu01, services: all well, 1 check",
        "gpu02, host: 1 failure, 1 check",
        "gpu02, gpu: not checked",
        "gpu02, services: not checked",
    ]
    marks = [text for attributes, text in page.all("td") if "title" in attributes]
    assert marks == ["✓", "✗2", "✓", "✗", "·", "·"]
    link = next(each for each, _ in page.all("a") if each.get("aria-label") == titles[1])
    target = link["href"].removeprefix("#")
    assert [attributes["data-verdict"] for attributes, _ in page.all("li", id=target)] == ["fail"]


def test_every_link_has_its_target() -> None:
    """A key press or a click never leads nowhere, also for hosts that are well."""
    page = Page(fleet(64, {3: [XID], 5: [ECC, XID], 9: [down("gpu09")]}))
    ids = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {attributes["href"] for attributes, _ in page.all("a")}
    assert targets <= {f"#{one}" for one in ids}


def test_the_script_finds_the_hosts_of_each_finding_by_their_rows() -> None:
    """A finding names its hosts by their place in the table, its group, and its verdict."""
    page = Page(fleet(5, {2: [ECC], 4: [ECC, XID]}))
    names = [text for _, text in page.all("tr")][1:]
    (first, _), (second, _) = page.all("li")
    assert (first["data-hosts"], first["data-group"], first["data-verdict"]) == ("3", "gpu", "fail")
    assert [names[int(place)][:5] for place in second["data-hosts"].split()] == ["gpu02", "gpu04"]
    verdicts = [attributes.get("data-verdicts") for attributes, _ in page.all("tr")][1:]
    assert verdicts == ["well", "warn", "well", "fail warn", "well"]


def test_hostile_text_is_inert() -> None:
    """Whatever a host calls itself or says: the page has its own elements and attributes alone."""
    page = Page(hostile())
    assert {tag for tag, _, _ in page.elements}.isdisjoint({"img", "iframe", "object"})
    assert len(page.all("script")) == len(page.all("style")) == len(page.all("title")) == 1
    assert not any(
        name.startswith("on") or name == "style" or "javascript:" in value
        for _, attributes, _ in page.elements
        for name, value in attributes.items()
    )
    assert not set("\x00\x07\x08\x1b\u202e\u2028") & set(page.text)
    assert any("<script>alert(1)</script>" in text for _, text in page.all("li"))
    told = sweep_html(sweep(host("gpu01", XID)), {XID.check: "</p><b>\x1b"})
    assert "&lt;/p&gt;&lt;b&gt;\\x1b" in told


def test_a_browser_may_run_only_the_script_of_the_page_and_load_nothing() -> None:
    """The policy knows script and style by their hashes; no address of another place is loaded."""
    page = Page(hostile())
    content = next(each["content"] for each, _ in page.all("meta") if "http-equiv" in each)
    assert content.startswith("default-src 'none';")
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        digest = hashlib.sha256(page.all(tag)[0][1].encode()).digest()
        assert f"{rule} 'sha256-{b64encode(digest).decode()}'" in content
    assert "unsafe" not in content
    loads = [
        value
        for _, attributes, _ in page.elements
        for name, value in attributes.items()
        if name in {"src", "srcset", "href", "action", "data", "poster"}
    ]
    assert all(value.startswith(("#", "data:,")) for value in loads)
    style = page.all("style")[0][1]
    assert not re.search(r"url\(|@import|@font-face|gradient", style)
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style


@pytest.mark.parametrize(("count", "most_kb"), [(3, 40), (64, 300)])
def test_the_page_is_small(count: int, most_kb: int) -> None:
    """It can be sent by mail, also when each host has two findings of its own in all groups."""
    hosts = [
        host(
            f"gpu-node-{number:03d}.dc1.example.net",
            *(
                Finding(check=check, verdict="warn", what=f"{number} {'x' * 80}", remedy="y" * 150)
                for check in ("gpu.xid", "services.running")
            ),
            checks=[f"{group}.x" for group in GROUPS],
        )
        for number in range(count)
    ]
    page = sweep_html(sweep(*hosts), EXPLAIN)
    assert len(page.encode()) < most_kb * 1000


def test_the_same_sweep_is_the_same_page() -> None:
    """Two pages can be compared; nothing in them comes from the machine that wrote them."""
    found = fleet(5, {2: [XID]})
    assert sweep_html(found, EXPLAIN) == sweep_html(found, EXPLAIN)
    assert "2026-11-18 11:06 UTC" in sweep_html(found, EXPLAIN)


def test_a_fleet_that_is_well_is_said_to_be() -> None:
    """An empty list could be a mistake."""
    well, ill = Page(fleet(3)), Page(fleet(3, {1: [XID]}))
    assert well.all("h1")[0][1] == "3 hosts, all well"
    assert well.all("p", class_="none")[0] == ({"class": "none"}, "Nothing found: all is well.")
    assert ill.all("h1")[0][1] == "1 of 3 hosts not well"
    assert "hidden" in ill.all("p", class_="none")[0][0]
    assert Page(sweep()).all("h1")[0][1] == "0 hosts, nothing looked at"


def test_a_secret_is_not_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are sent around; escaping would hide a secret from a mask that came later."""
    monkeypatch.setenv("PROVISION_TEST_KEY", 'sk-"<&very')
    value = Secret("env:PROVISION_TEST_KEY").reveal()
    told = XID.model_copy(update={"what": f"no {value}", "remedy": value, "service": value})
    assert "very" not in sweep_html(sweep(host("gpu01", told)), {})
