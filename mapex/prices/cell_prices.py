"""What an organisation could buy in each tile of an area, and why not: the estimate taken apart, for the map and its list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, text

from mapex import authority
from mapex.database import db
from mapex.exchange import Actor, Exchange
from mapex.prices import alternatives, estimates
from mapex.prices.earlier import Earlier
from mapex.prices.request import PriceRequest
from mapex.pyramid import cell_sums, unbilled
from mapex.pyramid.cell_sums import Sum
from mapex.pyramid.live_layers import LiveLayer, offers_in
from mapex.pyramid.unbilled import Owner, Unbilled
from mapex.rights import permit_check
from mapex.rights.permit_check import Decision, Use
from mapex.rules import bounds, licences, terms
from mapex.rules.pricing import charges_of
from tiles.batch import QUANTITIES, LayerKind, Quantities
from tiles.grid.cover import Cover
from tiles.grid.grid import ZOOM


@dataclass(frozen=True, slots=True)
class CellPrice:
    """A sale cell of an area.

    `kinds` has an entry for each kind of layer that is on offer: empty when it can be bought, else the code of why not. `amount` is KRW
    before VAT for what is chosen and is not owned; rounded tile by tile, the sum of many is not exactly the price of the area.
    """

    cell: int
    kinds: dict[str, str]
    amount: int
    is_owned: bool
    is_edge: bool


def tiles(ex: Exchange, by: Actor | None, request: PriceRequest, *, limit: int) -> list[CellPrice]:
    """The first `limit` tiles of an area, ascending, those without data too; nothing is stored. Own offers are left out.

    Args:
        by: None = a visitor, as in `estimates.estimate`.
    Raises: as `estimates.estimate`.
    """
    org_id = authority.buyer(by)
    cells = request.cover.cells()[:limit]
    with db.read(ex) as conn:
        alternatives.check_named(conn, request.choice)
        chosen = frozenset(pin.layer_id for pin in estimates.price(conn, org_id, request, ex.now()).pins)
        found = _found(conn, Use(org_id, request.purpose, ex.now()), request, Cover.from_cells(cells), chosen)
    edge = dict(zip(cells.tolist(), request.edge.cells.contains(cells).tolist(), strict=True))
    return [found.priced(cell, is_edge=edge[cell]) for cell in cells.tolist()]


@dataclass(frozen=True, slots=True)
class _Found:
    """What each cell has on offer (layers by id), what of it is owned, free, chosen, and was paid for before, and by handling class the
    decision on the whole area.
    """

    purpose: str | None
    offered: Mapping[str, LiveLayer]
    sums: Mapping[int, Mapping[str, Sum]]
    owned: Mapping[tuple[int, str], Sum]
    free: Mapping[tuple[int, str], Unbilled]
    earlier: Mapping[tuple[int, str], int]
    decisions: Mapping[str, Decision]
    chosen: frozenset[str]

    def priced(self, cell: int, *, is_edge: bool) -> CellPrice:
        """The price of one cell."""
        kinds: dict[str, str] = {}
        here = self.sums.get(cell, {})
        prices: dict[str, int] = {}
        is_owned = any(layer_id in self.chosen for layer_id in here)
        for layer_id, total in here.items():
            one = self.offered[layer_id]
            code = self.code_of(one, cell)
            kinds[one.kind] = min(code, kinds.get(one.kind, code))  # the empty code wins: one seller is enough
            if layer_id not in self.chosen:
                continue
            mine = self.owned.get((cell, layer_id), cell_sums.NOTHING)
            is_owned = is_owned and mine.cells > 0
            if not code:
                free = self.free.get((cell, layer_id), unbilled.NOTHING)
                charges = charges_of(LayerKind(one.kind), one.rates, total.quantities, mine.quantities + free.quantities)
                earlier = self.earlier.get((cell, layer_id), 0)
                prices[one.layer_id] = max(0, sum(charge.amount for charge in charges) - earlier)
        fits = bounds.fitting(list(prices.values()))
        return CellPrice(cell, kinds, sum(price for price, fit in zip(prices.values(), fits, strict=True) if fit), is_owned, is_edge)

    def code_of(self, one: LiveLayer, cell: int) -> str:
        """Why a layer cannot be bought in a cell; empty when it can."""
        if not licences.allows(one.licence, self.purpose):
            return "licence.purpose"
        decision = self.decisions[one.handling_class]
        if decision.refusal is None or decision.allowed.contains(np.array([cell], np.uint64))[0]:
            return ""
        return decision.refusal.code


def _found(conn: Connection, use: Use, request: PriceRequest, listed: Cover, chosen: frozenset[str]) -> _Found:
    each = _each(conn, listed, "tile_sum", "")
    owned = _each(
        conn, listed, "owned_sum", "s.org_id = :org AND s.purpose = :purpose", org=use.org_id, purpose=use.purpose or terms.ANY_PURPOSE
    )
    sums = {layer_id: total for (_, layer_id), total in each.items()}
    found = offers_in(conn, sums, layers=request.layers, dataset=request.dataset)
    offered = {one.layer_id: one for one in found if one.seller_id != use.org_id}
    classes = sorted({one.handling_class for one in offered.values()})
    held = permit_check.held(conn, use, classes)
    decisions = {name: permit_check.decide(held, use, name, request.cover) for name in classes}
    by_cell: dict[int, dict[str, Sum]] = {}
    for (cell, layer_id), total in each.items():
        if layer_id in offered:
            by_cell.setdefault(cell, {})[layer_id] = total
    owner = Owner(use.org_id, use.purpose or terms.ANY_PURPOSE, use.at_ns)
    free = unbilled.free_cells(conn, owner, listed.ranges)
    earlier = Earlier.of(conn, owner).of_cells(offered.values(), listed.ranges)
    return _Found(use.purpose, offered, by_cell, owned, free, earlier, decisions, chosen)


def _each(conn: Connection, cells: Cover, table: str, condition: str, **values: str) -> dict[tuple[int, str], Sum]:
    """Cell by cell and layer by layer what a table of the pyramid has."""
    head, more = cell_sums.with_ranges(conn, [(ZOOM, cells.ranges)])
    names = ", ".join(f"s.{name}" for name in ("cells", *QUANTITIES))
    statement = text(f"{head} SELECT s.cell, s.layer_id, {names} FROM {cell_sums.join_ranges(conn, table, condition)}")
    rows = conn.execute(statement, {**values, **more})
    return {(int(row[0]), str(row[1])): Sum(row[2], Quantities(*row[3:])) for row in rows}
