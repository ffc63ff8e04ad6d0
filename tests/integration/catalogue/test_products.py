"""A dataset on offer as everybody sees it, and everything else that nobody may tell from nothing; teaser tiles; on both databases."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import shapely
from sqlalchemy import insert, select, update

from mapex import ids
from mapex.database import db, schema
from mapex.errors import NotFound
from mapex.exchange import Actor, Exchange
from mapex.intake import keys
from mapex.offers import offers, products
from mapex.people import orgs
from mapex.pyramid import coverage
from mapex.pyramid.coverage import Shown
from mapex.times import DAY_NS, iso_from_ns
from tests.support.exchange import DAY_ONE, a_person
from tests.support.market import RATES, SEOUL, a_draft, a_layer, block
from tiles.batch import LayerKind, Quantities
from tiles.features import teaser
from tiles.grid import grid
from tiles.store.protocol import Bucket
from web import create_app

ABOUT = {
    "captured": [iso_from_ns(DAY_ONE - 20 * DAY_NS), iso_from_ns(DAY_ONE - 9 * DAY_NS)],
    "counts": {"read": 200, "placed": 190, "unplaced": 4, "rejected": 6},
    "crs": "EPSG:5186",
    "crs_source": "file",
    "height_datum": "KVD1964",
    "height_source": "given",
    "box": list(grid.bounds(SEOUL)),
}


def a_product(ex: Exchange, slug: str = "streets", org: str = "hanbit") -> Actor:
    seller = a_person(ex, org)
    a_draft(ex, seller, slug, [a_layer(block(3), about=ABOUT)])
    offers.publish(ex, seller, slug, rate_card=RATES, licence="research", attribution="© Hanbit")
    return seller


def test_a_product_says_what_it_is_how_good_and_what_it_costs(exchange: Exchange) -> None:
    seller = a_product(exchange)
    first = products.get(exchange, "hanbit", "streets")
    [good] = first.layers
    assert (good.quality, good.layer.cells) == (95, 9) and good.age == 9 + (exchange.now() - DAY_ONE) // DAY_NS
    assert first.box == grid.bounds(SEOUL) and first.rates == RATES and first.attribution == "© Hanbit" and first.licence == "research"
    a_draft(exchange, seller, "streets", [a_layer(block(1), salt="2")])
    assert [one.number for one in products.get(exchange, "hanbit", "streets").releases] == [1], "a draft is no release"
    offers.publish(exchange, seller, "streets", rate_card=RATES, licence="research")
    releases = products.get(exchange, "hanbit", "streets").releases
    assert [(one.number, one.state) for one in releases] == [(2, "published"), (1, "superseded")]
    box = products.get(exchange, "hanbit", "streets").box
    west, south, east, north = grid.bounds(SEOUL)
    assert box and box[0] <= west and box[1] <= south and box[2] >= east and box[3] >= north, "without a box, around the cells"


def test_findings_are_added_up_by_code_without_what_they_name(exchange: Exchange) -> None:
    seller = a_person(exchange, "hanbit")
    a_draft(exchange, seller, "streets", [a_layer(block(1), about=ABOUT)])
    with db.begin(exchange) as conn:
        version = conn.execute(select(schema.dataset_version.c.id)).scalar_one()
        for ordinal, (severity, code, count) in enumerate(
            (("info", "b", 1), ("warning", "a", 2), ("warning", "a", 3), ("warning", "crs.guessed", 9))
        ):
            texts = dict.fromkeys(("file", "feature", "value", "message", "fix"), "SECRET")
            row = {"id": ids.new("fin"), "version_id": version, "ordinal": ordinal, "severity": severity, "code": code, "count": count}
            conn.execute(insert(schema.finding).values(**row, **texts, layer="hdmap"))
    offers.publish(exchange, seller, "streets", rate_card=RATES, licence="research")
    found = products.get(exchange, "hanbit", "streets").findings
    assert [(one.severity, one.code, one.count) for one in found] == [("warning", "crs.guessed", 9), ("warning", "a", 5), ("info", "b", 1)]
    client = create_app(exchange).test_client()
    page = client.get("/datasets/hanbit/streets", headers={"Accept-Language": "en"}).text
    assert "SECRET" not in page and "The coordinate system was guessed." in page
    assert "좌표계를 추정했습니다" in client.get("/datasets/hanbit/streets", headers={"Accept-Language": "ko"}).text


@pytest.mark.parametrize("how", ["draft", "withdrawn", "suspended", "foreign organisation"])
def test_what_is_not_on_offer_is_the_same_404_as_what_never_was(exchange: Exchange, how: str) -> None:
    seller = a_person(exchange, "saebom") if how == "foreign organisation" else a_person(exchange, "hanbit")
    a_draft(exchange, seller, "streets", [a_layer(block(1))])
    if how != "draft":
        offers.publish(exchange, seller, "streets", rate_card=RATES, licence="research")
    if how == "withdrawn":
        offers.withdraw(exchange, seller, "streets")
    if how == "suspended":
        orgs.set_org_state(exchange, None, "hanbit", "suspended")
    for slug in ("streets", "never"):
        with pytest.raises(NotFound, match="There is no such dataset"):
            products.get(exchange, "hanbit", slug)
    assert products.box_of(exchange, "hanbit/streets") is None
    client = create_app(exchange).test_client()
    for path in ("/datasets/hanbit/{}", "/map/coverage/hanbit/{}/11/0/0.mvt"):
        answers = [client.get(path.format(slug)) for slug in ("streets", "never")]
        assert [one.status_code for one in answers] == [404, 404]
        texts = [one.text.replace("streets", "never") for one in answers]
        assert _without_numbers(texts[0]) == _without_numbers(texts[1])


def _without_numbers(text: str) -> str:
    """A page without what differs at every request: nonces and numbers of requests."""
    import re

    return re.sub(r'nonce="[^"]*"|req_\w+|[0-9a-f]{16,}|[A-Za-z0-9_-]{22,}', "", text)


def test_squares_of_one_dataset_are_its_own(exchange: Exchange) -> None:
    a_product(exchange)
    a_product(exchange, "other", "saebom")
    for z in (6, 11, 16):
        whole = {one.cell: one.kinds["hdmap"] for one in coverage.cells(exchange, z, 0, 4**z)}
        mine = {one.cell: one.kinds["hdmap"] for one in products.cells(exchange, "hanbit", "streets", z, 0, 4**z)}
        assert mine == {cell: Shown(shown.cells // 2, shown.age, shown.quality) for cell, shown in whole.items()}
    x, y = grid.xy(grid.parent(SEOUL, 16, 11))
    answer = create_app(exchange).test_client().get(f"/map/coverage/hanbit/streets/11/{x}/{y}.mvt")
    assert answer.status_code == 200 and b"hdmap_q" in answer.data and answer.headers["ETag"]


HOSTILE = ("<script>alert(1)</script><b>bold</b>", "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd", "가" * 200)


@pytest.mark.parametrize("title", HOSTILE)
def test_titles_are_text(exchange: Exchange, title: str) -> None:
    a_product(exchange)
    with db.begin(exchange) as conn:
        conn.execute(update(schema.dataset).values(title=title, description=title))
    page = create_app(exchange).test_client().get("/datasets/hanbit/streets").text
    assert "<script>alert" not in page and "<b>bold" not in page
    assert (title if "<" not in title else "&lt;script&gt;alert(1)&lt;/script&gt;") in page


def test_the_map_opens_at_the_dataset_that_is_named(exchange: Exchange) -> None:
    a_product(exchange)
    a_product(exchange, "newer", "saebom")
    with db.begin(exchange) as conn:
        far = json.dumps({**ABOUT, "box": [129.0, 35.0, 129.1, 35.1]})
        named = select(schema.layer.c.id).join(schema.dataset_version, schema.dataset_version.c.id == schema.layer.c.version_id)
        named = named.join(schema.dataset, schema.dataset.c.id == schema.dataset_version.c.dataset_id)
        newest = conn.execute(named.where(schema.dataset.c.slug == "newer")).scalar_one()
        conn.execute(update(schema.layer).where(schema.layer.c.id == newest).values(about=far))
    client = create_app(exchange).test_client()
    assert _bounds(client.get("/explore?dataset=hanbit/streets").text) == list(grid.bounds(SEOUL))
    assert _bounds(client.get("/explore?dataset=hanbit/never").text) == _bounds(client.get("/explore").text)


def _bounds(page: str) -> list[float]:
    data = page.split('id="page-data">')[1].split("</script>", maxsplit=1)[0]
    found: list[float] = json.loads(data)["bounds"]
    return found


# ---- teaser tiles -----------------------------------------------------------------------------------------------------------------


def a_teaser(ex: Exchange, layer_name: str, org_id: str) -> None:
    """A lane through the middle of the first cell, as ingest would have generalised it."""
    west, south, east, north = grid.bounds(SEOUL)
    line = shapely.LineString([(west, (south + north) / 2), (east, (south + north) / 2)])
    body = teaser.encode(teaser.generalise(np.array([line], object), np.zeros(1, np.uint8)))
    sha256 = hashlib.sha256(body).hexdigest()
    key = keys.object_key(org_id, sha256)
    ex.store.put(Bucket.DATA, key, body, sha256=sha256)
    with db.begin(ex) as conn:
        layer_id = conn.execute(select(schema.layer.c.id).where(schema.layer.c.name == layer_name)).scalar_one()
        values = {"layer_id": layer_id, "kind": "teaser", "ordinal": 0, "object_key": key, "sha256": sha256, "bytes": len(body)}
        conn.execute(insert(schema.preview).values(**values, media_type="application/octet-stream", about="{}"))


def test_teaser_tiles_are_for_everybody_and_only_of_what_is_on_offer(exchange: Exchange) -> None:
    seller = a_person(exchange, "hanbit")
    walks = a_layer(block(1), name="walks", kind=LayerKind.SIDEWALK, each=Quantities(footway_mm=9), about=ABOUT)
    a_draft(exchange, seller, "streets", [a_layer(block(1), about=ABOUT), walks])
    a_teaser(exchange, "hdmap", str(seller.org_id))
    x, y = grid.xy(grid.parent(SEOUL, 16, 14))
    path = f"/map/teaser/14/{x}/{y}.mvt"
    client = create_app(exchange).test_client()
    assert client.get(path).data == b"", "a draft is not on the map"
    offers.publish(exchange, seller, "streets", rate_card=RATES, licence="research")
    first = client.get(path)
    assert b"teaser" in first.data and b"hdmap" in first.data and b"lane" not in first.data and b"streets" not in first.data
    assert client.get(path, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    assert client.get(f"/map/teaser/14/{x + 9}/{y}.mvt").data == b""
    offers.withdraw(exchange, seller, "streets")
    assert client.get(path).data == b""
    assert client.get(f"/map/teaser/14/{1 << 14}/0.mvt").status_code == 404
