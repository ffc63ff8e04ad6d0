"""Accessibility: axe finds nothing on any page, dark or light, in Korean and English."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from browsing import Market
from pages_visited import Visitors, addresses, stock

AXE = Path(__file__).parents[2] / ".cache" / "web" / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
RUN_AXE = """async (tags) => (await axe.run(document, {runOnly: {type: "tag", values: tags}, resultTypes: ["violations"]})).violations
  .map((rule) => `${rule.id}: ${rule.help}: ` + rule.nodes.map((node) => `${node.target} ${node.html.slice(0, 160)}`).join(" | "))"""


@pytest.mark.parametrize("lang", ["ko", "en"])
def test_axe_all_pages(market: Market, lang: str) -> None:
    """axe finds nothing on any page, dark or light (WCAG 2.2 AA)."""
    if not AXE.is_file():
        reason = "axe-core is missing; run python hatch_build.py tools"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    script = AXE.read_text(encoding="utf-8")
    visitors = Visitors(market, lang=lang, color_scheme="dark")
    found: list[str] = []
    for email, path in addresses(stock(market)):
        page = visitors.open(email, path)
        page.evaluate(script)
        for theme in ("dark", "light"):
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            found += [f"{path} ({theme}, {lang}) {violation}" for violation in page.evaluate(RUN_AXE, TAGS)]
        page.emulate_media(color_scheme="dark")
    assert not found, "\n".join(found)
