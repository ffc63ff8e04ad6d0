"""The page of a dataset, for everybody: its map, its colours, hostile titles, the way to the explore map; teaser lines."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from sqlalchemy import update

from mapex.database import db, schema
from tests.support.browser import SHARP, Market, map_idle

TITLES = {
    "html": "<img src=x onerror=alert(1)><b>HD</b>",
    "right-to-left": "\u05de\u05e4\u05d4 \u202e\u05d7\u05d3\u05d4 mapex",
    "200 Korean characters": "서울정밀도로지도" * 25,
}


@pytest.mark.parametrize("title", TITLES.values(), ids=TITLES)
@pytest.mark.parametrize(("lang", "width"), [("en", 1440), ("ko", 390)])
def test_hostile_titles_break_no_layout(market: Market, title: str, lang: str, width: int) -> None:
    with db.begin(market.site.ex) as conn:
        conn.execute(update(schema.dataset).where(schema.dataset.c.slug == "walks").values(title=title, description=title))
    page = market.site.visit(lang=lang, size=(width, 844), device_scale_factor=SHARP)
    market.site.open(page, "/datasets/hanbit/walks")
    assert page.locator("h1").text_content() == title
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.locator("h1 img, h1 b").count() == 0


def test_a_visitor_sees_the_dataset_and_goes_to_its_area(market: Market) -> None:
    page = market.site.visit()
    page.goto(f"{market.site.url}/datasets/hanbit/walks")
    map_idle(page)
    expect(page.locator(".rates")).to_contain_text("₩2,900")
    expect(page.locator("ol li")).to_have_count(5)
    before = np.asarray(Image.open(io.BytesIO(page.locator("#map").screenshot())).convert("L"), dtype=float)
    assert before.std() > 10
    page.get_by_label("Fresh").check()
    expect(page.locator("#legend")).to_contain_text("up to 30 days")
    page.click("#use-area")
    page.wait_for_url(re.compile(r"/explore\?dataset="))
    map_idle(page)
    expect(page.locator("[name=kind][value=sidewalk]")).to_be_checked()
    expect(page.locator("[name=kind][value=hdmap]")).not_to_be_checked()


def test_an_unknown_dataset_is_no_page(market: Market) -> None:
    page = market.site.visit(lang="ko")
    assert (answer := page.goto(f"{market.site.url}/datasets/hanbit/never")) and answer.status == 404
    expect(page.locator("main")).to_contain_text("데이터셋을 찾을 수 없습니다")
