"""What a version changes, feature by feature, from real files to what a buyer is offered again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from mapex.catalogue import comparisons, differences
from mapex.database import db
from mapex.errors import Conflict, Invalid, MapexError
from mapex.exchange import Actor, Exchange
from mapex.offers import offers
from mapex.operation import fsck
from mapex.orders import ledger, orders, updates
from mapex.orders.orders import Order
from mapex.prices import quotes
from mapex.prices.request import of_area
from tests.support.exchange import a_person, an_exchange, square
from tests.support.uploads import a_map, ingest
from tiles.grid.region import Region

LAYER = "sidewalks"
RATES = {"footway_km": 2900}

Feature = dict[str, Any]


@dataclass
class Shop:
    """A seller whose map of 40 sidewalks is on sale, and a buyer who bought all of it."""

    ex: Exchange
    seller: Actor
    buyer: Actor
    order: Order

    def publish(self, change: Callable[[list[Feature]], Any], **given: Any) -> None:
        """The next version: the map with some change, published."""
        document = json.loads(a_map(40))
        change(document["features"])
        described = ingest(self.ex, {"walks.geojson": json.dumps(document).encode()}, by=self.seller)
        assert described.version.state == "draft", described.findings
        offers.publish(self.ex, self.seller, "seoul", rate_card=RATES, licence="research", **given)

    def updates(self) -> updates.Updates:
        return updates.of_order(self.ex, self.buyer, self.order.id)

    def changes(self, number: int) -> comparisons.LayerChanges:
        changes = differences.of(self.ex, self.seller, "seoul", number).features
        return changes[LAYER]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return a_shop(an_exchange(tmp_path / "ex"))


def a_shop(exchange: Exchange, **terms: Any) -> Shop:
    seller, buyer = a_person(exchange, "hanbit"), a_person(exchange, "nuri")
    ingest(exchange, {"walks.geojson": a_map(40)}, by=seller)
    offers.publish(exchange, seller, "seoul", rate_card=RATES, licence="research", **terms)
    ledger.credit(exchange, None, "nuri", 10**9, key="first")
    region = Region.from_geojson(square(126.9, 37.4, 127.1, 37.6))
    quote = quotes.quote(exchange, buyer, of_area(region, purpose="research"))
    return Shop(exchange, seller, buyer, orders.place(exchange, buyer, quote.id, "k"))


def shifted(metres: float) -> Callable[[list[Feature]], None]:
    """Every feature moved north."""

    def change(features: list[Feature]) -> None:
        for feature in features:
            for place in feature["geometry"]["coordinates"]:
                place[1] += metres / 111_000

    return change


def refused(code: str, kind: type[MapexError], action: Callable[[], object]) -> None:
    with pytest.raises(kind) as caught:
        action()
    assert caught.value.code == code


def sound(ex: Exchange) -> bool:
    return [one for one in fsck.check(ex) if not one.ok] == []


def test_a_shift_below_the_stated_accuracy_offers_nothing_again_and_one_above_all(exchange: Exchange) -> None:
    shop = a_shop(exchange)
    shop.publish(shifted(0.5), accuracies={"*": 1})
    found = shop.updates()
    cells = found.tiles
    assert (found.changed, found.within, found.price) == (0, cells, None)
    assert updates.counts(shop.ex, shop.buyer, [shop.order.id]) == {}
    refused("order.current", Invalid, lambda: updates.quote(shop.ex, shop.buyer, shop.order.id))
    changes = shop.changes(2)
    assert (changes.accuracy_mm, changes.moved, changes.unchanged, changes.cells[1000], changes.cells[100]) == (1000, 0, 40, 0, cells)

    shop.publish(shifted(1.2))  # keeps the accuracy; 0.7 m more than before, but 1.2 m from what was bought
    assert (shop.updates().changed, shop.updates().within) == (cells, 0)
    counts = shop.updates().layers[0].counts
    assert counts is not None and counts.moved_by(100) > 0
    assert sound(shop.ex)


def test_without_a_stated_accuracy_half_a_metre_is_a_change(shop: Shop) -> None:
    shop.publish(shifted(0.5))
    assert shop.updates().changed == shop.updates().tiles
    assert shop.changes(2).accuracy_mm == 100


def test_only_cells_in_which_features_changed_are_outdated(shop: Shop) -> None:
    def change(features: list[Feature]) -> None:
        shifted(0.05)(features)
        features[0]["properties"]["width"] = 3
        del features[-1]
        features.append({**features[1], "id": "walk-new"})

    shop.publish(change)
    changes = shop.changes(2)
    counts = changes.comparison.counts
    assert (counts.added, counts.removed, counts.altered, changes.moved, changes.unchanged) == (1, 1, 1, 0, 38)
    assert dict(changes.comparison.attributes) == {"width": 1}
    assert changes.comparison.examples["added"] == ["walk-new"]
    found = shop.updates()
    assert 0 < found.changed < found.tiles and found.within == found.tiles - found.changed
    cells = differences.of(shop.ex, shop.seller, "seoul", 2).layers[LAYER]
    assert (len(cells.changed), len(cells.within)) == (found.changed, found.within)
    mine = found.layers[0].counts
    assert mine is not None and (mine.added, mine.removed, mine.altered) == (1, 1, 1)
    assert sound(shop.ex)


def test_an_update_of_what_was_sold_so_costs_what_changed_in_the_files(tmp_path: Path) -> None:
    shop = a_shop(an_exchange(tmp_path / "ex"), updates="difference")

    def change(features: list[Feature]) -> None:
        features[18]["properties"]["width"] = 9.5  # one of six in its tile

    shop.publish(change)
    held = updates.quote(shop.ex, shop.buyer, shop.order.id)
    made = orders.place(shop.ex, shop.buyer, held.id, "update")
    (line,) = made.lines
    assert line.tiles == 1 and line.price - 2 <= 6 * line.amount <= line.price + 12 and line.amount + line.earlier == line.price
    assert sound(shop.ex)


def test_the_accuracy_of_a_published_version_stays_what_it_was(shop: Shop) -> None:
    shop.publish(shifted(0.5), accuracies={LAYER: 1})

    def again(**accuracies: float) -> None:
        offers.publish(shop.ex, shop.seller, "seoul", rate_card=RATES, licence="research", accuracies=accuracies)

    refused("accuracy.published", Conflict, lambda: again(**{"*": 10}))
    refused("accuracy.value", Invalid, lambda: again(**{"*": 0.3}))
    again(sidewalks=1)
    with pytest.raises(Invalid):
        shop.publish(shifted(0.1), accuracies={"roads": 1})


def test_fsck_finds_tiles_that_were_made_the_same(shop: Shop) -> None:
    shop.publish(shifted(0.5))
    with db.begin(shop.ex) as conn:
        conn.execute(text("UPDATE tile_change SET shift_um = 0"))
        made = "INSERT INTO same_tile (layer_id, cell, held_id) SELECT c.layer_id, t.cell, c.against_id FROM layer_change c "
        conn.execute(text(f"{made} JOIN tile_change t ON t.layer_id = c.layer_id"))
    assert [one.name for one in fsck.check(shop.ex) if not one.ok] == ["replay"]
