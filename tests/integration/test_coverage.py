"""What is on offer where, on both databases; what is withdrawn, suspended or never published looks like nothing."""

from __future__ import annotations

import pytest
from apiflask import APIFlask
from market_builders import SEOUL, a_draft, a_layer, a_market, area, block

from mapex import coverage, offers, participants
from mapex.exchange import Exchange
from tiles import grid
from tiles.batch import LayerKind
from web import create_app


def seen(ex: Exchange, z: int = 16) -> dict[int, dict[str, int]]:
    lo, hi = (0, 4**z) if z < 16 else (0, 4**16)
    return {one.cell: one.kinds for one in coverage.cells(ex, z, lo, hi)}


def test_cells_and_kinds_of_all_offers(exchange: Exchange) -> None:
    market = a_market(exchange, side=3)
    a_draft(exchange, market.seller, "walks", [a_layer(block(2), name="sidewalks", kind=LayerKind.SIDEWALK)])
    assert set(seen(exchange)) == set(block(3)), "a draft is not shown"
    offers.publish(exchange, market.seller, "walks", rate_card={"footway_km": 10}, licence="research")
    found = seen(exchange)
    assert found[SEOUL] == {"hdmap": 1, "sidewalk": 1}
    assert sum("sidewalk" in kinds for kinds in found.values()) == 4
    assert coverage.kinds(exchange) == ["hdmap", "sidewalk"]
    coarse = seen(exchange, 6)
    assert list(coarse) == [grid.parent(SEOUL, 16, 6)] and coarse[grid.parent(SEOUL, 16, 6)] == {"hdmap": 9, "sidewalk": 4}


def test_sale_cells_of_an_area_in_order_and_cut(exchange: Exchange) -> None:
    a_market(exchange, side=4)
    found = coverage.sale_cells(exchange, area(block(6)), limit=1000)
    assert [one.cell for one in found] == sorted(block(4))
    assert [one.cell for one in coverage.sale_cells(exchange, area(block(6)), limit=5)] == sorted(block(4))[:5]


def test_example_and_bounds_lie_in_the_offer(exchange: Exchange) -> None:
    assert coverage.example(exchange) is None and coverage.bounds(exchange) is None and coverage.everywhere(exchange) is None
    a_market(exchange, side=4)
    example = coverage.example(exchange)
    assert example
    middle = grid.cells_at([(example[0] + example[2]) / 2], [(example[1] + example[3]) / 2])
    assert int(middle[0]) in block(6)
    box = coverage.bounds(exchange)
    assert box and box[0] <= grid.bounds(SEOUL)[0] and box[3] >= grid.bounds(SEOUL)[3]


@pytest.mark.parametrize("how", ["withdrawn", "suspended"])
def test_what_is_gone_equals_what_never_was(exchange: Exchange, how: str) -> None:
    market = a_market(exchange, side=2)
    app = create_app(exchange)
    x, y = grid.xy(grid.parent(SEOUL, 16, 11))
    here, nowhere = f"/map/coverage/11/{x}/{y}.mvt", f"/map/coverage/11/{x + 40}/{y}.mvt"
    assert b"coverage" in tile(app, here)
    if how == "withdrawn":
        offers.withdraw(exchange, market.seller, "streets")
    else:
        participants.set_org_state(exchange, None, "hanbit", "suspended")
    assert tile(app, here) == tile(app, nowhere) == b""
    assert coverage.kinds(exchange) == [] and coverage.example(exchange) is None


def tile(app: APIFlask, path: str) -> bytes:
    answer = app.test_client().get(path)
    assert answer.status_code == 200 and answer.mimetype == "application/vnd.mapbox-vector-tile"
    return bytes(answer.data)


def test_an_unchanged_tile_is_not_sent_again(exchange: Exchange) -> None:
    a_market(exchange, side=2)
    client = create_app(exchange).test_client()
    x, y = grid.xy(grid.parent(SEOUL, 16, 11))
    first = client.get(f"/map/coverage/11/{x}/{y}.mvt")
    again = client.get(f"/map/coverage/11/{x}/{y}.mvt", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304 and not again.data


def test_no_such_map_tile_is_404(exchange: Exchange) -> None:
    client = create_app(exchange).test_client()
    for path in ("17/0/0", "3/8/0", "3/0/8"):
        assert client.get(f"/map/coverage/{path}.mvt").status_code == 404
