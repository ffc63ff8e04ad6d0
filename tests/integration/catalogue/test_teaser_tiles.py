"""Teaser lines on the map: a map tile reads the teasers of what is on offer there, however many there are elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
import shapely
from sqlalchemy import event, insert, select

from mapex.catalogue import previews
from mapex.database.schema import layer, preview
from mapex.exchange import Actor, Exchange
from mapex.intake.keys import object_key
from mapex.offers import offers
from tests.support.exchange import a_person
from tests.support.market import RATES, SEOUL, a_draft, a_layer, a_market
from tiles.features import teaser
from tiles.grid import grid
from tiles.store.protocol import Bucket

ZOOM = 14
X, Y = (int(value) >> 2 for value in grid.xy(SEOUL))


class CountingStore:
    """A store that remembers which objects were read."""

    def __init__(self, store: object) -> None:
        self.store, self.reads = store, list[str]()

    def read(self, area: Bucket, key: str, **part: int) -> Iterator[bytes]:
        self.reads.append(key)
        return self.store.read(area, key, **part)  # type: ignore[attr-defined, no-any-return]


def give_teasers(ex: Exchange, seller: Actor) -> None:
    """A teaser, one line across each cell, for every layer that has none."""
    with ex.engine.begin() as conn:
        made = conn.execute(select(preview.c.layer_id)).scalars().all()
        for layer_id, name in conn.execute(
            select(layer.c.id, layer.c.name).where(layer.c.name.like("at-%"), layer.c.id.not_in(made))
        ).all():
            west, south, east, north = grid.bounds(int(name.removeprefix("at-")))
            line = shapely.linestrings([[west, south], [east, north]])
            body = teaser.encode(teaser.generalise(np.array([line], object), np.zeros(1, np.uint8)))
            sha256 = hashlib.sha256(body).hexdigest()
            key = object_key(str(seller.org_id), sha256)
            ex.store.put(Bucket.DATA, key, body, sha256=sha256)
            row = {"layer_id": layer_id, "kind": "teaser", "ordinal": 0, "object_key": key, "sha256": sha256, "bytes": len(body)}
            conn.execute(insert(preview).values(**row, media_type="application/x", about="{}"))


def on_sale(ex: Exchange, seller: Actor, slug: str, cells: Sequence[int]) -> None:
    """A dataset with one layer, and one teaser, for each cell."""
    a_draft(ex, seller, slug, [a_layer([cell], name=f"at-{cell}") for cell in cells])
    give_teasers(ex, seller)
    offers.publish(ex, seller, slug, rate_card=RATES, licence="research")


def far_away(count: int) -> list[int]:
    """Cells that share no map tile of zoom 14 with SEOUL, nor with each other."""
    x, y = grid.xy(SEOUL)
    return [int(grid.morton(x + 4 * (1 + k % 20), y + 4 * (1 + k // 20))) for k in range(count)]


def test_a_map_tile_reads_only_what_is_in_it(exchange: Exchange) -> None:
    market = a_market(exchange)
    on_sale(exchange, market.seller, "here", [SEOUL])
    on_sale(exchange, market.seller, "elsewhere", far_away(200))
    store = CountingStore(exchange.store)
    ex = replace(exchange, store=store)  # type: ignore[arg-type]
    rows: list[int] = []

    def count(conn, cursor, statement, parameters, context, executemany) -> None:  # type: ignore[no-untyped-def]
        if "preview" in statement and statement.startswith("SELECT"):
            rows.append(len(context.compiled_parameters[0]))

    event.listen(exchange.engine, "after_cursor_execute", count)
    found = previews.teaser_in_tile(ex, market.buyer, ZOOM, X, Y)
    assert [(one.dataset, one.class_, len(one.lines) > 0) for one in found] == [("here", "lane", True)]
    assert len(store.reads) == 1
    assert len(rows) == 1 and rows[0] < 10  # the question names the layers there are, not the 200 elsewhere
    store.reads.clear()
    assert previews.teaser_in_tile(ex, market.buyer, ZOOM, X - 50, Y) == []
    assert store.reads == [] and len(rows) == 1  # nothing is on offer there: nothing is asked


@pytest.mark.parametrize("z", [4, 6, 11, 14, 16, 18])
def test_lines_are_found_at_every_zoom(exchange: Exchange, z: int) -> None:
    market = a_market(exchange)
    on_sale(exchange, market.seller, "here", [SEOUL])
    west, south, east, north = grid.bounds(SEOUL)
    x, y = (int(value[0]) for value in grid.tile_xy([(west + east) / 2], [(south + north) / 2], z))
    found = previews.teaser_in_tile(exchange, market.buyer, z, x, y, extent=1 << 20)
    assert [one.dataset for one in found] == ["here"]


def test_what_was_withdrawn_or_replaced_draws_no_line(exchange: Exchange) -> None:
    seller = a_person(exchange, "hanbit")
    on_sale(exchange, seller, "here", [SEOUL])
    assert previews.teaser_in_tile(exchange, seller, ZOOM, X, Y)
    moved = far_away(1)[0]
    on_sale(exchange, seller, "here", [moved])
    assert previews.teaser_in_tile(exchange, seller, ZOOM, X, Y) == []
    x, y = (int(value) >> 2 for value in grid.xy(moved))
    assert previews.teaser_in_tile(exchange, seller, ZOOM, x, y)
    offers.withdraw(exchange, seller, "here")
    assert previews.teaser_in_tile(exchange, seller, ZOOM, x, y) == []


def test_a_visitor_sees_the_lines_that_take_no_permit(exchange: Exchange) -> None:
    seller = a_person(exchange, "hanbit")
    for slug, handling_class in (("streets", "open"), ("tunnels", "restricted")):
        a_draft(exchange, seller, slug, [a_layer([SEOUL], name=f"at-{SEOUL}", handling_class=handling_class)])
        give_teasers(exchange, seller)
        offers.publish(exchange, seller, slug, rate_card=RATES, licence="research")
    seen = {by: {one.dataset for one in previews.teaser_in_tile(exchange, by, ZOOM, X, Y)} for by in (None, seller)}
    assert seen == {None: {"streets"}, seller: {"streets", "tunnels"}}
