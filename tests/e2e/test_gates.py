"""Gates that every page passes: two whole languages, the content policy, and a small first load."""

from __future__ import annotations

import re
from typing import Any

from browsing import Market, map_idle
from pages_visited import BUYER, Visitors, addresses, stock
from playwright.sync_api import BrowserContext, Page

ALLOWED = frozenset(
    """
    mapex HD API CLI CSV CRS DOM EPSG EXIF GIS GPS GeoJSON GeoPackage GeoParquet HTTP ID IMU JSON KML KST LAS LAZ COPC PCD PLY LiDAR Lanelet
    OSM OpenSidewalks Shapefile FlatGeobuf MCAP ROS MB GB TB kB PDF QGIS STAC SHA UTC UTM URL WGS WKT WebGL ZIP km min KRW
    Esc Enter Ctrl Tab Space Shift Del Backspace
    """.split()  # noqa: SIM905 one word after the other reads better than a list of quotes
)
"""Names, formats, units and keys that Korean text writes in Latin letters."""
GIVEN = frozenset({"hanbit", "dongil", "walks", "lanes", "drive", "roads", "recording", "sidewalks", "hdmap"})
"""What the people of these tests named so."""
SPOKEN = """() => {
  const foreign = "[lang]:not(html):not([lang=ko]), [translate=no], code, pre, kbd, samp, script, style, svg, .maplibregl-ctrl-attrib";
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


def test_both_languages(market: Market) -> None:
    """No English is left in the Korean pages, and nothing overflows in either language, wide or narrow."""
    there = addresses(stock(market))
    found: list[str] = []
    for lang in ("ko", "en"):
        visitors = Visitors(market, lang=lang)
        for email, path in there:
            page = visitors.open(email, path)
            if page.locator("html").get_attribute("lang") != lang:
                found.append(f"{path} is not in {lang}")
            if lang == "ko" and (left := _english(page)):
                found.append(f"{path} speaks English: {', '.join(left)}")
            for width in (1440, 390):
                page.set_viewport_size({"width": width, "height": 900})
                if wide := page.evaluate(TOO_WIDE):
                    found.append(f"{path} overflows at {width} px in {lang} by {wide}")
            page.set_viewport_size({"width": 1440, "height": 900})
    assert not found, "\n".join(found)


def _english(page: Page) -> list[str]:
    """Words in Latin letters on a Korean page that are neither allowed nor names that people gave."""
    text: str = page.evaluate(SPOKEN)
    text = re.sub(r"\S*[@/_]\S*|\b\w*[.]\w[\w.]*|\b\w*\d\w*", " ", text)  # addresses, paths, codes, file names, ids
    return sorted({word for word in re.findall(r"[A-Za-z]{2,}", text) if word not in ALLOWED and word.lower() not in GIVEN})


def test_csp_clean(market: Market) -> None:
    """No page breaks its own content security policy, and the policy forbids what it should."""
    there = addresses(stock(market))

    def listen(context: BrowserContext) -> None:
        context.add_init_script(REPORTS)

    visitors = Visitors(market, listen)
    found: list[str] = []
    for email, path in there:
        page = visitors.open(email, path)
        found += [f"{path}: {report}" for report in page.evaluate("window.reports ?? []")]
    assert not found, "\n".join(found)
    answer = visitors.windows[BUYER].context.request.get(f"{market.site.url}/explore")
    rules = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert rules["default-src"] == "'none'" and rules["base-uri"] == "'none'" and rules["frame-ancestors"] == "'none'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    # That reports would be seen: a style attribute is one.
    page = visitors.open(BUYER, "/orders")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color:red\">x</p>')")
    page.wait_for_function("() => (window.reports ?? []).length === 1")
    market.site.complaints[:] = [one for one in market.site.complaints if "inline style" not in one]


def test_budget(market: Market) -> None:
    """A cold first load of the map is at most 0.7 MB on the wire, in at most 40 requests (speed itself is measured in benchmarks/)."""
    page = market.site.visit(BUYER)
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
    page.goto(f"{market.site.url}/explore")
    map_idle(page)
    page.wait_for_timeout(500)
    largest = sorted(((size, name) for name, size in received.items()), reverse=True)[:6]
    assert sum(received.values()) <= 700_000, f"{sum(received.values()):,.0f} bytes; largest {largest}"
    assert len(received) <= 40, sorted(received)
