"""Before buying: what sellers say, attributes, samples, the catalogue and sellers, and what nobody may learn from them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from sqlalchemy import text, update

from mapex.audit import log
from mapex.catalogue import datasets
from mapex.database import db, schema
from mapex.errors import Invalid, Limited, NotFound
from mapex.exchange import Actor, Exchange
from mapex.offers import offers, products
from mapex.operation import fsck
from mapex.people import orgs
from mapex.showroom import attributes, descriptions, listings, pictures, samples, search, sellers
from mapex.showroom.search import CatalogueQuery
from tests.support.exchange import a_person, an_exchange
from tests.support.market import RATES, SEOUL, a_draft, a_layer, block
from tests.support.uploads import a_map, ingest
from tiles.batch import LayerKind
from tiles.grid import grid

REF, LAYER = "hanbit/walks", "sidewalks"


def on_sale(ex: Exchange, slug: str = "walks", *, classes: str = "open", org: str = "hanbit") -> Actor:
    """A real map of sidewalks in many cells, converted and on sale."""
    seller = a_person(ex, org)
    ingest(ex, {"walks.geojson": a_map(80, step=0.01)}, by=seller, slug=slug, classes=classes)
    offers.publish(ex, seller, slug, rate_card=RATES, licence="research")
    return seller


@pytest.fixture(scope="module")
def ex(tmp_path_factory: pytest.TempPathFactory) -> Exchange:
    """Hanbit sells sidewalks; nothing in it is changed but by tests that say so."""
    made = an_exchange(tmp_path_factory.mktemp("showroom"))
    on_sale(made)
    return made


def is_sound(ex: Exchange) -> bool:
    return all(check.ok for check in fsck.check(ex))


# ---- what sellers say ---------------------------------------------------------------------------------------------------------------


def test_what_is_said_stays_until_something_else_is_said_and_the_log_holds_its_digest(exchange: Exchange) -> None:
    seller = a_person(exchange, "hanbit")
    datasets.create_dataset(exchange, seller, "walks", "Walks")
    assert descriptions.get(exchange, seller, "walks") == descriptions.DatasetDescription(sample=True)
    descriptions.describe(exchange, seller, "walks", {"ko": "첫 문단\r\n\r\n둘째 문단", "accuracy_mm": 100})
    descriptions.describe(exchange, seller, "walks", {"method": "drawn"})
    described = descriptions.get(exchange, seller, "walks")
    assert (described.ko, described.accuracy_mm, described.method, described.sample) == ("첫 문단\n\n둘째 문단", 100, "drawn", True)
    assert (described.text("en"), described.text("ko")) == (described.ko, described.ko), "a reader without the one language reads the other"
    descriptions.describe_seller(exchange, seller, {"en": "We drive."})
    assert is_sound(exchange)
    with db.begin(exchange) as conn:
        conn.execute(update(schema.dataset_description).values(accuracy_mm=1))
        conn.execute(update(schema.seller_description).values(en="We fly."))
    offenders = [text for one in fsck.check(exchange) for text in one.offenders]
    assert any("hanbit/walks" in text for text in offenders) and any("seller hanbit" in text for text in offenders)


@pytest.mark.parametrize(
    "wrong", [{"accuracy_mm": 0}, {"accuracy_mm": 10**7}, {"ko": "a\x00b"}, {"en": "x" * 10_001}, {"sensors": "x" * 501}]
)
def test_what_is_out_of_bounds_is_not_said(ex: Exchange, wrong: dict[str, object]) -> None:
    seller = a_person(ex, "hanbit")
    before = descriptions.get(ex, seller, "walks")
    with pytest.raises(Invalid):
        descriptions.describe(ex, seller, "walks", wrong)
    assert descriptions.get(ex, seller, "walks") == before


def test_nobody_describes_what_is_not_his(ex: Exchange) -> None:
    with pytest.raises(NotFound):
        descriptions.describe(ex, a_person(ex, "saebom"), "walks", {"en": "mine"})


# ---- attributes ---------------------------------------------------------------------------------------------------------------------


def test_attributes_say_how_many_features_have_them_and_with_which_values(ex: Exchange) -> None:
    table = attributes.of_product(ex, products.get(ex, "hanbit", "walks"))[LAYER]
    rows = {row.name: row for row in table.rows}
    assert table.of == 80 and dict(table.kinds) == {"sidewalk": 80}
    assert (rows["width"].type, rows["width"].count, rows["width"].how, rows["width"].values) == ("number", 80, "values", (2.5,))
    assert (rows["이름"].how, len(rows["이름"].values)) == ("some", 6)


@pytest.mark.parametrize(("classes", "shows"), [("open", True), ("restricted", False)])
def test_values_of_what_needs_a_permit_are_not_shown(tmp_path: Path, classes: str, shows: bool) -> None:
    ex = an_exchange(tmp_path / "ex")
    on_sale(ex, classes=classes)
    table = attributes.of_product(ex, products.get(ex, "hanbit", "walks"))[LAYER]
    assert "width" in {row.name for row in table.rows}
    assert any(row.values or row.how for row in table.rows) == shows
    assert bool(samples.of(ex, REF)) == shows, "nor is there a sample"
    assert bool(sum(len(part) for _, part in pictures.draw(ex, "hanbit", "walks").lines)) == shows, "nor are there lines in the picture"


def test_of_a_version_from_before_the_table_is_not_known(ex: Exchange) -> None:
    with db.begin(ex) as conn:
        kept = conn.execute(text("SELECT * FROM preview WHERE kind = 'attributes'")).mappings().all()
        conn.execute(text("DELETE FROM preview WHERE kind = 'attributes'"))
    try:
        assert not attributes.of_product(ex, products.get(ex, "hanbit", "walks"))[LAYER].is_known
    finally:
        with db.begin(ex) as conn:
            conn.execute(schema.preview.insert(), [dict(row) for row in kept])


# ---- samples ------------------------------------------------------------------------------------------------------------------------


def test_a_sample_is_one_tile_as_it_is_sold_and_is_logged_before_it_is_given(ex: Exchange) -> None:
    (sample,) = samples.of(ex, REF)
    buyer = a_person(ex, "dongil")
    file, body = samples.take(ex, buyer, REF, LAYER, sample.files[0].part)
    assert hashlib.sha256(b"".join(body)).hexdigest() == file.sha256
    (entry,) = [one for one in log.events(ex, buyer).events if one.payload["action"] == log.Action.SAMPLE_TAKEN]
    assert (entry.payload["purpose"], entry.payload["tile"], entry.payload["owner"]) == ("sample", sample.quadkey, "hanbit")
    with db.read(ex) as conn:
        sizes = sorted(conn.execute(text("SELECT SUM(bytes) FROM tile GROUP BY cell")).scalars())
    assert sum(one.size for one in sample.files) == sizes[(len(sizes) - 1) // 2], "neither the emptiest nor the fullest"
    drawn = samples.features(ex, buyer, REF, LAYER)["features"]
    samples.features(ex, buyer, REF, LAYER)
    assert {json.loads(one["properties"]["properties"])["width"] for one in drawn} == {2.5}
    taken = [one for one in log.events(ex, buyer).events if one.payload["action"] == log.Action.SAMPLE_TAKEN]
    assert len(taken) == 2, "drawn twice a day it is one entry"
    assert is_sound(ex)


def test_a_seller_who_gives_no_sample_gives_none(tmp_path: Path) -> None:
    ex = an_exchange(tmp_path / "ex")
    seller = on_sale(ex)
    descriptions.describe(ex, seller, "walks", {"sample": False})
    assert samples.of(ex, REF) == []
    with pytest.raises(NotFound, match="no free sample"):
        samples.take(ex, seller, REF, LAYER, 0)


def test_samples_are_of_open_layers_with_enough_tiles_and_of_nothing_from_before(exchange: Exchange) -> None:
    seller, cells = a_person(exchange, "hanbit"), block(4)
    layers = [
        a_layer(cells),
        a_layer(cells[:4], name="few"),
        a_layer(cells, name="secret", handling_class="restricted"),
        a_layer(cells, name="drive", handling_class="original", kind=LayerKind.RECORDING),
    ]
    a_draft(exchange, seller, "streets", layers)
    offers.publish(exchange, seller, "streets", rate_card={**RATES, "minute": 0}, licence="research")
    assert samples.of(exchange, "hanbit/streets") == [], "a dataset of before gives none until its seller says so"
    descriptions.describe(exchange, seller, "streets", {"sample": True})
    assert [one.layer.name for one in samples.of(exchange, "hanbit/streets")] == ["hdmap"]


def test_too_many_samples_in_an_hour_are_refused(ex: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "MOST_AN_HOUR", 2)
    eager = a_person(ex, "dongil")
    for _ in range(2):
        assert b"".join(samples.take(ex, eager, REF, LAYER, 0)[1])
    with pytest.raises(Limited):
        samples.take(ex, eager, REF, LAYER, 0)


# ---- catalogue and sellers ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Exchange:
    """Three datasets in Seoul, a withdrawn one, a draft, and one of a suspended seller."""
    ex = an_exchange(tmp_path_factory.mktemp("shelf"))
    hanbit, saebom, gone = (a_person(ex, org) for org in ("hanbit", "saebom", "gone"))
    for seller, slug, title in (
        (hanbit, "lanes", "강남 정밀도로지도"),
        (hanbit, "cloud", "Point cloud of Gangnam"),
        (saebom, "walks", "보행로"),
        (hanbit, "withdrawn", "강남 withdrawn"),
        (gone, "suspended", "강남 suspended"),
    ):
        kind = {"cloud": LayerKind.POINTCLOUD, "walks": LayerKind.SIDEWALK}.get(slug, LayerKind.HDMAP)
        a_draft(ex, seller, slug, [a_layer(block(3), kind=kind)])
        with db.begin(ex) as conn:
            conn.execute(update(schema.dataset).where(schema.dataset.c.slug == slug).values(title=title))
        licence = "commercial" if slug == "walks" else "research"
        offers.publish(ex, seller, slug, rate_card=RATES, licence=licence)
    a_draft(ex, hanbit, "draft", [a_layer(block(3))])
    offers.withdraw(ex, hanbit, "withdrawn")
    orgs.set_org_state(ex, None, "gone", "suspended")
    descriptions.describe(ex, saebom, "walks", {"en": "Lowered kerbs for wheelchairs."})
    return ex


def asked(ex: Exchange, **query: object) -> list[str]:
    return [one.slug for one in search.find(ex, CatalogueQuery(**query)).found]  # type: ignore[arg-type]


def test_the_catalogue_holds_what_is_on_sale_and_nothing_else(shelf: Exchange) -> None:
    assert set(asked(shelf)) == {"lanes", "cloud", "walks"}
    assert asked(shelf, q="withdrawn") == asked(shelf, q="suspended") == asked(shelf, seller="gone") == []


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("정밀도로지도", {"lanes"}),
        ("정밀도로지도를", {"lanes"}),  # a particle hides nothing
        ("정밀도롲", {"lanes"}),  # half a syllable
        ("ㅈㅁㄷㄹ", {"lanes"}),  # first consonants
        ("강남의 정밀도로지도", {"lanes"}),
        ("gangnam cloud", {"cloud"}),
        ("kangnam", {"cloud"}),  # another spelling of the same sound
        ("wheelchair", {"walks"}),  # of the description
        ("saebom", {"walks"}),
        ("seoul", {"lanes", "cloud", "walks"}),  # where it is
        ("서울", {"lanes", "cloud", "walks"}),
        ("보도", {"walks"}),  # what its kind is called
        ("wheelchair cloud", set()),  # every word has to be somewhere
    ],
)
def test_words_find_titles_sellers_places_and_descriptions(shelf: Exchange, q: str, found: set[str]) -> None:
    assert set(asked(shelf, q=q)) == found
    assert {ref.split("/")[1] for ref in search.refs(shelf, q)} == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"kind": "sidewalk"}, {"walks"}),
        ({"licence": "research"}, {"lanes", "cloud"}),
        ({"purpose": "map_production"}, {"walks"}),
        ({"place": "서울"}, {"lanes", "cloud", "walks"}),
        ({"place": "부산"}, set()),
        ({"seller": "saebom"}, {"walks"}),
        ({"unit": "lane_km"}, {"lanes", "cloud", "walks"}),
        ({"unit": "gb"}, set()),
        ({"handling_class": "original"}, set()),
        ({"kind": "sidewalk", "licence": "research"}, set()),
    ],
)
def test_filters_keep_what_passes_all_of_them(shelf: Exchange, query: dict[str, object], found: set[str]) -> None:
    assert set(asked(shelf, **query)) == found


def test_counts_say_what_each_value_of_a_filter_would_find(shelf: Exchange) -> None:
    page = search.find(shelf, CatalogueQuery(kind="sidewalk"))
    assert page.counts["kind"] == {"hdmap": 1, "pointcloud": 1, "sidewalk": 1} and page.counts["seller"] == {"saebom": 1}
    for kind, count in page.counts["kind"].items():
        assert search.find(shelf, CatalogueQuery(kind=kind)).total == count


def test_pages_hold_everything_once(shelf: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "PAGE", 2)
    pages = [search.find(shelf, CatalogueQuery(sort="title", page=page)) for page in (1, 2, 99)]
    assert [len(one.found) for one in pages] == [2, 1, 1] and pages[1].found[0].ref == pages[2].found[0].ref
    assert len({one.ref for page in pages for one in page.found}) == 3 == pages[0].total


def test_the_catalogue_is_the_same_on_both_databases(exchange: Exchange) -> None:
    seller = a_person(exchange, "hanbit")
    a_draft(exchange, seller, "streets", [a_layer(block(2))])
    offers.publish(exchange, seller, "streets", rate_card=RATES, licence="research")
    (one,) = listings.on_sale(exchange)
    assert (one.ref, one.tiles, one.versions, "서울특별시" in one.places) == ("hanbit/streets", 4, 1, True)
    seller_ = sellers.get(exchange, "hanbit")
    assert seller_.versions == 1 and [d.slug for d in seller_.datasets] == ["streets"]
    drawn = pictures.draw(exchange, "hanbit", "streets")
    assert len(drawn.squares) == 4 and drawn.squares.min() >= 0 and drawn.squares.max() <= 1


@pytest.mark.parametrize("org", ["gone", "nobody", "dongil"])
def test_who_sells_nothing_is_no_seller(shelf: Exchange, org: str) -> None:
    if org == "dongil":
        a_person(shelf, org)
    with pytest.raises(NotFound) as refused:
        sellers.get(shelf, org)
    assert refused.value.code == "seller.unknown"


def test_a_seller_shows_where_it_sells_in_few_squares(shelf: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    west, south, east, north = grid.bounds(SEOUL)
    fine = sellers.get(shelf, "hanbit").squares
    monkeypatch.setattr(sellers, "_MOST_SQUARES", 1)
    coarse = sellers.get(shelf, "hanbit").squares
    assert len(coarse) == 1 <= len(fine)
    for squares in (fine, coarse):
        assert any(box[0] <= (west + east) / 2 <= box[2] and box[1] <= (south + north) / 2 <= box[3] for box in squares)
