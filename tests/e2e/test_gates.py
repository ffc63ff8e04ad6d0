"""Gates that every page passes: two whole languages, no overflow, axe, the content policy, and a small first load.

Every page is opened once in each language, and everything is looked at on that one visit; the tests read what was seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from ingest.formats import SUPPORTED
from tests.support.browser import Market, map_idle
from tests.support.needs import absent
from tests.support.pages import BUYER, Visitors, addresses, stock

ALLOWED = frozenset(
    """
    mapex HD API CLI CSV CRS DOM EPSG EXIF GIS GNSS GPS GeoJSON GeoPackage GeoParquet HTTP ID IMU JSON KML KST LAS LAZ COPC PCD PLY LiDAR
    Lanelet OSM OpenSidewalks Shapefile FlatGeobuf MCAP ROS MB GB TB kB PDF QGIS RFC STAC SHA UTC UTM URL WGS WKT WebGL ZIP km min KRW
    https QR cm
    ODbL opendatacommons org licenses odbl
    OGC Natural Earth Esc Enter Ctrl Tab Space Shift Del Backspace
    """.split()  # noqa: SIM905 one word after the other reads better than a list of quotes
)
"""Names, formats, units and keys that Korean text writes in Latin letters; beside them, the names of the formats that are read."""
READ = frozenset(re.findall(r"[A-Za-z]{2,}", SUPPORTED))
GIVEN = frozenset({"hanbit", "dongil", "walks", "lanes", "drive", "roads", "recording", "sidewalks", "hdmap"})
"""What the people of these tests named so."""
SPOKEN = """() => {
  const foreign = "[lang]:not(html):not([lang=ko]), [translate=no], bdi, code, pre, kbd, samp, script, style, svg, .maplibregl-ctrl-attrib";
  const texts = [document.title];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!node.parentElement.closest(foreign)) texts.push(node.textContent);
  }
  for (const name of ["aria-label", "title", "placeholder", "alt"]) {
    for (const one of document.querySelectorAll(`[${name}]`)) if (!one.closest(foreign)) texts.push(one.getAttribute(name));
  }
  return texts.join("\\n");
}"""
TOO_WIDE = """() => {
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (wide <= 0) return "";
  const guilty = [...document.body.querySelectorAll("*")].filter((one) => one.getBoundingClientRect().right > innerWidth + 1);
  return `${wide} px: ` + guilty.slice(0, 4).map((one) => `${one.tagName}.${one.className}`).join(", ");
}"""
REPORTS = """addEventListener("securitypolicyviolation", (report) => {
  (window.reports ??= []).push(`${report.violatedDirective} ${report.blockedURI} ${report.sourceFile}:${report.lineNumber}`);
});"""
WIDTHS = (1440, 390)

AXE = Path(__file__).parents[2] / ".cache" / "web" / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
RUN_AXE = """async (only) => (await axe.run(document, {runOnly: only, resultTypes: ["violations"]})).violations
  .map((rule) => `${rule.id}: ${rule.help}: ` + rule.nodes.map((node) => `${node.target} ${node.html.slice(0, 160)}`).join(" | "))"""
THEMES: tuple[tuple[str, dict[str, object]], ...] = (
    ("dark", {"type": "tag", "values": TAGS}),
    ("light", {"type": "rule", "values": ["color-contrast"]}),
)
"""What axe looks for: everything in the dark, and what another theme can change in the light."""


@dataclass(slots=True)
class Seen:
    """What was found on the pages in one language, a line for each finding that begins with the page."""

    words: list[str] = field(default_factory=list)
    wide: list[str] = field(default_factory=list)
    axe: list[str] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)


class Tours:
    """Every page, visited once in each language that is asked for."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.there = addresses(stock(market))
        self.axe = AXE.read_text(encoding="utf-8") if AXE.is_file() else ""
        self.seen: dict[str, Seen] = {}

    def in_(self, lang: str) -> Seen:
        """What there is to see in a language."""
        if lang not in self.seen:
            seen, visitors = Seen(), Visitors(self.market, REPORTS, lang=lang, color_scheme="dark", reduced_motion="reduce")
            for at, (email, path) in enumerate(self.there):
                # Each page opens wide in one language and narrow in the other.
                wide_first = (at + (lang == "ko")) % 2 == 0
                self._look(visitors, email, path, lang, WIDTHS if wide_first else WIDTHS[::-1], seen)
            visitors.close()
            self.seen[lang] = seen
        return self.seen[lang]

    def _look(self, visitors: Visitors, email: str, path: str, lang: str, widths: tuple[int, ...], seen: Seen) -> None:
        page = visitors.open(email, path, width=widths[0])
        if page.locator("html").get_attribute("lang") != lang:
            seen.words.append(f"{path} is not in {lang}")
        if lang == "ko" and (left := _english(page)):
            seen.words.append(f"{path} speaks English: {', '.join(left)}")
        if self.axe:
            page.evaluate(self.axe)
            for theme, only in THEMES:
                page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
                seen.axe += [f"{path} ({theme}, {widths[0]} px) {violation}" for violation in page.evaluate(RUN_AXE, only)]
            page.emulate_media(color_scheme="dark")
        for width in (*widths, 720):  # 720: zoom 200 %
            page.set_viewport_size({"width": width, "height": 900})
            if wide := page.evaluate(TOO_WIDE):
                seen.wide.append(f"{path} overflows at {width} px by {wide}")
        seen.reports += [f"{path}: {report}" for report in page.evaluate("window.reports ?? []")]


@pytest.fixture(scope="module")
def tours(shared_market: Market) -> Iterator[Tours]:
    """One exchange for all tests here, and what visitors saw on its pages."""
    yield Tours(shared_market)


def test_both_languages(tours: Tours) -> None:
    """No English is left in the Korean pages, and nothing overflows in either language, wide or narrow."""
    for lang in ("ko", "en"):
        seen = tours.in_(lang)
        assert not seen.words + seen.wide, "\n".join(seen.words + seen.wide)


def _english(page: Page) -> list[str]:
    """Words in Latin letters on a Korean page that are neither allowed nor names that people gave."""
    text: str = page.evaluate(SPOKEN)
    text = re.sub(r"\S*[@/_]\S*|\b\w*[.]\w[\w.]*|\b\w*\d\w*", " ", text)  # addresses, paths, codes, file names, ids
    return sorted({word for word in re.findall(r"[A-Za-z]{2,}", text) if word not in ALLOWED | READ and word.lower() not in GIVEN})


@pytest.mark.parametrize("lang", ["ko", "en"])
def test_axe_all_pages(tours: Tours, lang: str) -> None:
    """axe finds nothing on any page, dark or light (WCAG 2.2 AA)."""
    if not tours.axe:
        absent("axe-core is missing; run python hatch_build.py tools")
    seen = tours.in_(lang)
    assert not seen.axe, "\n".join(seen.axe)


def test_csp_clean(tours: Tours) -> None:
    """No page breaks its own content security policy, and the policy forbids what it should."""
    reports = [report for lang in ("ko", "en") for report in tours.in_(lang).reports]
    assert not reports, "\n".join(reports)
    site = tours.market.site
    visitors = Visitors(tours.market, REPORTS)
    page = visitors.open(BUYER, "/orders", width=1440)
    answer = page.context.request.get(f"{site.url}/explore")
    rules = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert rules["default-src"] == "'none'" and rules["base-uri"] == "'none'" and rules["frame-ancestors"] == "'none'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    # That reports would be seen: a style attribute is one.
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color:red\">x</p>')")
    page.wait_for_function("() => (window.reports ?? []).length === 1")
    assert [one for one in site.complaints if "inline style" in one]
    site.complaints[:] = [one for one in site.complaints if "inline style" not in one]
    visitors.close()


def test_budget(tours: Tours) -> None:
    """A cold first load of the map is at most 0.9 MB on the wire without the tiles of the ground, of which a first view takes at most
    0.6 MB, in at most 40 requests (speed itself is measured in benchmarks/)."""
    page = tours.market.site.visit(BUYER)
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.clearBrowserCache")
    names: dict[str, str] = {}
    received: dict[str, float] = {}
    session.on("Network.requestWillBeSent", lambda event: names.__setitem__(event["requestId"], event["request"]["url"]))

    def ended(event: Any) -> None:
        name = names.get(event["requestId"], event["requestId"])
        received[name] = received.get(name, 0) + event["encodedDataLength"]

    session.on("Network.loadingFinished", ended)
    page.goto("about:blank")
    page.goto(f"{tours.market.site.url}/explore")
    map_idle(page)
    page.wait_for_timeout(500)
    ground = sum(size for name, size in received.items() if name.endswith(".pmtiles"))
    assert 0 < ground <= 600_000, f"{ground:,.0f} bytes"
    largest = sorted(((size, name) for name, size in received.items()), reverse=True)[:6]
    rest = sum(received.values()) - ground
    assert rest <= 900_000, f"{rest:,.0f} bytes; largest {largest}"
    asked = [name for name in received if not name.startswith("data:")]
    assert len(asked) <= 40, sorted(asked)
