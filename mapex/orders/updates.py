"""Updates: what of a bought order has a newer version on sale, and what exactly those tiles cost.

A cell has *changed* when the version on sale has it and the buyer does not hold that content in whole for the purpose of the order. Terms
that changed alone change no cell; what did change costs what it costs under the terms of now, nothing where an order was sold with free
updates that run (`mapex.pyramid.unbilled`), and less what did not change where it was sold with updates at the difference
(`mapex.prices.earlier`). *Added* cells are in the area that was asked for and were not there to be bought; *removed* ones are in the
version on sale no longer. Nothing is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, FromClause, Row, Select, String, and_, bindparam, func, literal, select, text, tuple_

from mapex import authority
from mapex.catalogue import comparisons
from mapex.catalogue.comparison import ChangeCounts
from mapex.database import db
from mapex.database.live_offers import live_offers
from mapex.database.schema import dataset_version, entitlement, layer, owned_sum, same_tile, tile, tile_sum
from mapex.errors import Invalid, NotFound
from mapex.exchange import Actor, Exchange
from mapex.prices import quotes, squares
from mapex.prices.earlier import Earlier
from mapex.prices.estimate import Estimate, Parts
from mapex.prices.estimates import licence_refusal, lines_of, permit_refusal, pin_of
from mapex.pyramid import cell_sums, unbilled
from mapex.pyramid.live_layers import offers_in
from mapex.pyramid.unbilled import Owner
from mapex.rights import permit_check
from mapex.rights.permit_check import Use
from mapex.rules import licences, terms
from mapex.rules.licences import Purpose
from tiles.arrays import UInt64s
from tiles.grid.cover import Cover
from tiles.grid.grid import ZOOM


@dataclass(frozen=True, slots=True)
class LayerChange:
    """What happened to one layer of an order since: cells (n,) at the sale zoom, sorted. `layer_id` is the layer on sale now.

    `within` are cells that differ by less than the stated accuracy (`accuracy_mm`): they are not offered. `counts`: what became of the
    features of the changed cells since the version that was bought; None where that is not known.
    """

    dataset: str
    org: str
    layer: str
    kind: str
    version: int
    bought_version: int
    layer_id: str | None
    accuracy_mm: int | None
    changed: UInt64s
    added: UInt64s
    removed: UInt64s
    within: UInt64s
    counts: ChangeCounts | None = None


@dataclass(frozen=True, slots=True)
class Updates:
    """The changes of an order, layer by layer, and what the changed tiles cost, without and with the added ones.

    `tiles` counts the cells of each layer of the order. A price is None where there is nothing to buy.
    """

    order_id: str
    tiles: int
    layers: tuple[LayerChange, ...]
    price: Estimate | None
    price_with_added: Estimate | None

    @property
    def changed(self) -> int:
        """Tiles with a newer version."""
        return sum(len(layer.changed) for layer in self.layers)

    @property
    def added(self) -> int:
        """Tiles that are new in the area."""
        return sum(len(layer.added) for layer in self.layers)

    @property
    def within(self) -> int:
        """Tiles that differ below the stated accuracy, and are not offered."""
        return sum(len(layer.within) for layer in self.layers)

    @property
    def removed(self) -> int:
        """Tiles that the newer version has no longer."""
        return sum(len(layer.removed) for layer in self.layers)


def of_order(ex: Exchange, by: Actor, order_id: str) -> Updates:
    """What of an own order is outdated, and the price of it now.

    Raises: NotFound: `order.unknown`.
    """
    org_id = authority.member(by)
    with db.read(ex) as conn:
        bought = _bought(conn, ex, org_id, order_id)
        use = Use(org_id, bought.estimate.purpose, ex.now())
        found = tuple(changes(conn, use, order_id, bought))
        price = price_of(conn, use, found) if any(len(change.changed) for change in found) else None
        more = price_of(conn, use, found, added=True) if any(len(change.added) for change in found) else None
    return Updates(order_id, bought.estimate.tiles, found, price, more)


def counts(ex: Exchange, by: Actor, order_ids: Sequence[str]) -> Mapping[str, int]:
    """How many tiles of each of the own orders have a newer version on sale; orders without any are left out."""
    org_id = authority.member(by)
    newer = _newer_cells(org_id).where(entitlement.c.order_id.in_(order_ids)).subquery()
    query = select(newer.c.order_id, func.count()).group_by(newer.c.order_id)
    with db.read(ex) as conn:
        return {order_id: count for order_id, count in conn.execute(query)}


def cost(conn: Connection, ex: Exchange, org_id: str, order_id: str) -> tuple[int, int | None]:
    """How many tiles of an order have a newer version on sale, and what these cost together, VAT included; None: nothing can be bought."""
    bought = _bought(conn, ex, org_id, order_id)
    use = Use(org_id, bought.estimate.purpose, ex.now())
    found = changes(conn, use, order_id, bought)
    changed = sum(len(change.changed) for change in found)
    price = price_of(conn, use, found) if changed else None
    return changed, price.total if price is not None and price.lines else None


def _newer_cells(org_id: str, purpose: ColumnElement[str] = entitlement.c.purpose, *, within: bool = False) -> Select[Any]:
    """Each cell of an organisation's orders of which the layer on sale now is another one, and not held in whole for the purpose.

    Left out are cells that differ by less than the accuracy that the seller stated; `within`: those alone.
    """
    newer = (
        entitlement.join(live_offers, live_offers.c.dataset_id == entitlement.c.dataset_id)
        .join(
            layer,
            and_(
                layer.c.version_id == live_offers.c.version_id,
                layer.c.name == entitlement.c.layer_name,
                layer.c.id != entitlement.c.layer_id,
            ),
        )
        .join(tile_sum, and_(tile_sum.c.z == ZOOM, tile_sum.c.cell == entitlement.c.cell, tile_sum.c.layer_id == layer.c.id))
        .outerjoin(
            owned_sum,
            and_(
                owned_sum.c.org_id == entitlement.c.org_id,
                owned_sum.c.purpose == purpose,
                owned_sum.c.z == ZOOM,
                owned_sum.c.cell == entitlement.c.cell,
                owned_sum.c.layer_id == layer.c.id,
            ),
        )
    )
    bought = entitlement.c.state.in_(("active", "recalled"))
    mine = (entitlement.c.org_id == org_id, bought, func.coalesce(owned_sum.c.cells, 0) == 0)
    query = select(entitlement.c.order_id, entitlement.c.cell, layer.c.id).distinct().select_from(newer)
    same = _is_same(purpose)
    return query.where(*mine, _has_new_part(purpose), same if within else ~same)


def _is_same(purpose: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a cell is held from a version of which it differs by less than the stated accuracy (`mapex.catalogue.comparisons`)."""
    held = entitlement.alias("current")
    of_cell = (same_tile.c.layer_id == layer.c.id, same_tile.c.cell == entitlement.c.cell, held.c.layer_id == same_tile.c.held_id)
    query = select(held.c.id).join_from(held, same_tile, and_(*of_cell)).where(_counts_as_held(held, purpose))
    return query.correlate(entitlement, layer).exists()


def _counts_as_held(held: FromClause, purpose: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether an entitlement is one of the same buyer for the same cell of the same layer, and counts for the purpose."""
    counts_for = [(one, str(wanted)) for wanted in Purpose for one in terms.covering(wanted)]
    return and_(
        held.c.org_id == entitlement.c.org_id,
        held.c.dataset_id == entitlement.c.dataset_id,
        held.c.cell == entitlement.c.cell,
        held.c.layer_name == entitlement.c.layer_name,
        held.c.state == "active",
        tuple_(held.c.purpose, purpose).in_(counts_for),
    )


def _has_new_part(purpose: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a cell of the layer on sale has a part with a content that the buyer holds under no terms for the purpose.

    What is not owned may be held all the same, under narrower terms: that is no reason to buy it as an update.
    """
    held = entitlement.alias("held")
    same = and_(_counts_as_held(held, purpose), held.c.cell == tile.c.cell, held.c.part == tile.c.part, held.c.sha256 == tile.c.sha256)
    of_cell = (tile.c.layer_id == layer.c.id, tile.c.cell == entitlement.c.cell)
    is_held = select(held.c.id).where(same).correlate(entitlement, tile).exists()
    return select(tile.c.cell).where(*of_cell, ~is_held).correlate(entitlement, layer).exists()


def quote(ex: Exchange, by: Actor, order_id: str, *, added: bool = False) -> quotes.Quote:
    """Hold the price of exactly the outdated tiles of an own order, for its purpose; with `added` also of those that are new there.

    Raises: NotFound: `order.unknown`. Invalid: `order.current` (nothing newer is on sale). What `quotes.hold` raises.
    """
    org_id = authority.member(by)
    with db.read(ex) as conn:
        bought = _bought(conn, ex, org_id, order_id)
    request = {"region": None, "layers": None, "dataset": None, "updates_of": order_id, "added": added}
    return quotes.hold(ex, by, request, pricing(order_id, bought, str(bought.estimate.purpose), added=added), name=bought.name)


def pricing(order_id: str, bought: quotes.Quote, purpose: str, *, added: bool) -> quotes.Pricing:
    """What prices the outdated tiles of an order, of which `bought` was the quote."""

    def price(conn: Connection, org_id: str, at_ns: int) -> Estimate:
        use = Use(org_id, purpose, at_ns)
        found = list(changes(conn, use, order_id, bought))
        if not any(len(change.changed) or (added and len(change.added)) for change in found):
            raise Invalid("order.current", f"Nothing newer than what order {order_id} holds is on sale.", order=order_id)
        return price_of(conn, use, found, added=added)

    return price


def changes(conn: Connection, use: Use, order_id: str, bought: quotes.Quote) -> list[LayerChange]:
    """The layers of an order of which another version is on sale now and something differs, for a use; `bought` is the order's quote."""
    found = []
    newer, alike = (
        _newer_cells(use.org_id, literal(str(use.purpose)), within=within).where(entitlement.c.order_id == order_id)
        for within in (False, True)
    )
    areas = {pin.layer_id: bought.estimate.areas[pin.area] for pin in bought.estimate.pins}
    for row in _live_layers(conn, list(areas)):
        values = {"order": order_id, "org": use.org_id, "purpose": str(use.purpose), "old": row.old_id, "new": row.new_id}
        own = (
            f"LEFT JOIN owned_sum w ON w.org_id = :org AND w.purpose = :purpose AND w.z = {ZOOM} AND w.cell = s.cell AND w.layer_id = :new"
        )
        mine = "e.order_id = :order AND e.layer_id = :old AND e.state IN ('active', 'recalled')"
        on_sale = f"s.z = {ZOOM} AND s.cell = e.cell AND s.layer_id = :new"
        changed = newer.where(entitlement.c.layer_id == row.old_id, layer.c.id == row.new_id)
        within = alike.where(entitlement.c.layer_id == row.old_id, layer.c.id == row.new_id)
        removed = f"SELECT DISTINCT e.cell FROM entitlement e WHERE {mine} AND NOT EXISTS (SELECT 1 FROM tile_sum s WHERE {on_sale})"
        head, more = cell_sums.with_ranges(conn, [(ZOOM, areas[row.old_id])])
        added = (
            f"{head} SELECT s.cell FROM {cell_sums.join_ranges(conn, 'tile_sum', 's.layer_id = :new')} {own} "
            "WHERE COALESCE(w.cells, 0) = 0 AND NOT EXISTS (SELECT 1 FROM entitlement e WHERE e.order_id = :order "
            "AND e.layer_id = :old AND e.cell = s.cell)"
        )
        outdated = _sorted(one.cell for one in conn.execute(changed))
        made = LayerChange(
            dataset=row.dataset,
            org=row.org,
            layer=row.layer,
            kind=row.kind,
            version=row.version,
            bought_version=row.bought_version,
            layer_id=row.new_id,
            accuracy_mm=row.accuracy_mm,
            changed=outdated,
            added=_cells(conn, added, {**values, **more}),
            removed=_cells(conn, removed, values),
            within=_sorted(one.cell for one in conn.execute(within)),
            counts=comparisons.of_cells(conn, row.new_id, row.old_id, outdated.tolist()) if len(outdated) else None,
        )
        if len(made.changed) or len(made.added) or len(made.removed) or len(made.within):
            found.append(made)
    return sorted(found, key=lambda one: (one.dataset, one.org, one.layer))


def price_of(conn: Connection, use: Use, found: Sequence[LayerChange], *, added: bool = False) -> Estimate:
    """The price of the changed cells of each layer, and of the added ones if wished; of nothing else that is there."""
    cells = [np.empty(0, np.uint64), *(_wanted(change, added) for change in found)]
    whole = Cover.from_cells(np.concatenate(cells))
    parts = Parts([whole.ranges])
    for change in found:
        cover = Cover.from_cells(_wanted(change, added))
        if change.layer_id is not None and cover.count:
            _price_layer(conn, use, change.layer_id, cover, parts)
    made = parts.together(use.purpose, whole.area_m2)
    return replace(made, bought=squares.of(conn, made))


def _price_layer(conn: Connection, use: Use, layer_id: str, cover: Cover, parts: Parts) -> None:
    """Add the cells of one layer on sale, as far as licence and permit allow them."""
    sums = cell_sums.sums(conn, cover.pyramid(cell_sums.ZMIN))
    for offer in offers_in(conn, {layer_id: sums[layer_id]}):
        if not licences.allows(offer.licence, str(use.purpose)):
            parts.refusals.append(licence_refusal(offer, use.purpose))
            continue
        decision = permit_check.check(conn, use, offer.handling_class, cover)
        if decision.refusal:
            parts.refusals.append(permit_refusal(offer, decision.refusal, decision.refusal.cells.count))
        if not decision.allowed.count:
            continue
        total = cell_sums.sums(conn, decision.allowed.pyramid(cell_sums.ZMIN))[layer_id]
        owner = Owner(use.org_id, str(use.purpose), use.at_ns)
        own = unbilled.sums(conn, owner, [decision.allowed])[0].get(layer_id, unbilled.NOTHING)
        earlier = Earlier.of(conn, owner).of_layers([offer], decision.allowed.ranges).get(layer_id, 0)
        lines = lines_of(offer, total, own, earlier)
        parts.areas.append(decision.allowed.ranges)
        parts.layers.append((lines, pin_of(offer, len(parts.areas) - 1, decision.permit)))


def _bought(conn: Connection, ex: Exchange, org_id: str, order_id: str) -> quotes.Quote:
    quote_id = conn.execute(
        text("SELECT quote_id FROM purchase_order WHERE id = :order AND org_id = :org"), {"order": order_id, "org": org_id}
    ).scalar()
    if quote_id is None:
        raise NotFound("order.unknown", f"There is no order {order_id!r} of your organisation.", order=order_id)
    return quotes.load(conn, ex, org_id, quote_id)


def _live_layers(conn: Connection, layer_ids: Sequence[str]) -> Sequence[Row[*tuple[Any, ...]]]:
    """For each bought layer of whose dataset another version is on sale: the layer of the same name there, if it has one."""
    old_layer, new_layer = layer.alias("old_layer"), layer.alias("new_layer")
    old, new = dataset_version.alias("old"), dataset_version.alias("new")
    joined = (
        old_layer.join(old, old.c.id == old_layer.c.version_id)
        .join(live_offers, and_(live_offers.c.dataset_id == old.c.dataset_id, live_offers.c.version_id != old.c.id))
        .join(new, new.c.id == live_offers.c.version_id)
        .outerjoin(new_layer, and_(new_layer.c.version_id == live_offers.c.version_id, new_layer.c.name == old_layer.c.name))
    )
    query = select(
        old_layer.c.id.label("old_id"),
        new_layer.c.id.label("new_id"),
        old_layer.c.name.label("layer"),
        old_layer.c.kind,
        live_offers.c.dataset,
        live_offers.c.org,
        new.c.number.label("version"),
        new_layer.c.accuracy_mm,
        old.c.number.label("bought_version"),
    ).select_from(joined)
    return conn.execute(query.where(old_layer.c.id.in_(layer_ids))).all()


def _cells(conn: Connection, statement: str, values: Mapping[str, object]) -> UInt64s:
    typed = text(statement).bindparams(bindparam("new", type_=String()))
    return _sorted(row[0] for row in conn.execute(typed, dict(values)))


def _sorted(cells: Iterable[int]) -> UInt64s:
    return np.sort(np.array(list(cells), dtype=np.uint64))


def _wanted(layer: LayerChange, added: bool) -> UInt64s:
    return np.concatenate([layer.changed, layer.added]) if added else layer.changed
