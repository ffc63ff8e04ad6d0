"""What an organisation could buy in each tile of an area, and why not: the estimate taken apart, for the map and its list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, text

from mapex import authority
from mapex.database import db
from mapex.exchange import Actor, Exchange
from mapex.prices.estimates import Area, Wanted, permitted, want
from mapex.pyramid import cell_sums
from mapex.pyramid.cell_sums import Sum
from mapex.pyramid.live_layers import Offered, offers_in
from mapex.rules import licences
from mapex.rules.pricing import charges_of
from tiles.batch import QUANTITIES, LayerKind, Quantities
from tiles.grid.cover import Cover
from tiles.grid.grid import ZOOM


@dataclass(frozen=True, slots=True)
class Verdict:
    """A sale cell of an area.

    `kinds` has an entry for each kind of layer that is on offer: empty when it can be bought, else the code of why not. `amount` is KRW
    before VAT for what can be bought and is not owned; rounded tile by tile, the sum of many is not exactly the price of the area.
    """

    cell: int
    kinds: dict[str, str]
    amount: int
    is_owned: bool
    is_barely_touched: bool


def tiles(
    ex: Exchange,
    by: Actor | None,
    area: Area,
    *,
    limit: int,
    layers: Sequence[str] | None = None,
    dataset: str | None = None,
    purpose: str | None = None,
) -> list[Verdict]:
    """The first `limit` tiles of an area, ascending, those without data too; nothing is stored. Own offers are left out.

    Args:
        by: None = a visitor, as in `estimates.estimate`.
    Raises: as `estimates.estimate`.
    """
    org_id = authority.buyer(by)
    wanted = want(area, layers=layers, dataset=dataset, purpose=purpose)
    cells = wanted.cover.cells()[:limit]
    with db.read(ex) as conn:
        listed = Cover.from_cells(cells)
        found = _each(conn, listed, "tile_sum", "")
        owned = _each(conn, listed, "owned_sum", "s.org_id = :org", org=org_id)
        sums = {layer_id: total for (_, layer_id), total in found.items()}
        offered = {
            one.layer_id: one for one in offers_in(conn, sums, layers=wanted.layers, dataset=wanted.dataset) if one.seller_id != org_id
        }
        allowed = _allowed(conn, org_id, wanted, {one.handling_class for one in offered.values()}, ex.now())
    layers_of: dict[int, list[str]] = {}
    for cell, layer_id in found:
        if layer_id in offered:
            layers_of.setdefault(cell, []).append(layer_id)
    barely = dict(zip(cells.tolist(), wanted.barely.contains(cells).tolist(), strict=True))
    verdicts = []
    for cell in cells.tolist():
        kinds: dict[str, str] = {}
        amount, is_owned = 0, bool(layers_of.get(cell))
        for layer_id in layers_of.get(cell, ()):
            one = offered[layer_id]
            code = _code(one, wanted, allowed, cell)
            kinds[one.kind] = min(code, kinds.get(one.kind, code))  # the empty code wins: one seller is enough
            mine = owned.get((cell, layer_id), cell_sums.NOTHING)
            is_owned = is_owned and mine.cells > 0
            if not code:
                total = found[cell, layer_id]
                amount += sum(charge.amount for charge in charges_of(LayerKind(one.kind), one.rates, total.quantities, mine.quantities))
        verdicts.append(Verdict(cell, kinds, amount, is_owned, barely[cell]))
    return verdicts


def _code(one: Offered, wanted: Wanted, allowed: dict[str, tuple[Cover, str]], cell: int) -> str:
    if not licences.allows(one.licence, wanted.purpose):
        return "licence.purpose"
    permit, code = allowed[one.handling_class]
    return "" if permit.contains(np.array([cell], np.uint64))[0] else code


def _allowed(conn: Connection, org_id: str, wanted: Wanted, classes: set[str], at_ns: int) -> dict[str, tuple[Cover, str]]:
    """By handling class: the cells that the organisation may have, and the code of why not the others."""
    decisions = {name: permitted(conn, org_id, name, wanted.purpose, wanted.cover, at_ns) for name in sorted(classes)}
    return {name: (Cover(one.ranges), one.code) for name, one in decisions.items()}


def _each(conn: Connection, cells: Cover, table: str, condition: str, **values: str) -> dict[tuple[int, str], Sum]:
    """Cell by cell and layer by layer what a table of the pyramid has."""
    head, more = cell_sums.with_ranges(conn, [(ZOOM, cells.ranges)])
    names = ", ".join(f"s.{name}" for name in ("cells", *QUANTITIES))
    statement = text(f"{head} SELECT s.cell, s.layer_id, {names} FROM {cell_sums.join_ranges(conn, table, condition)}")
    rows = conn.execute(statement, {**values, **more})
    return {(int(row[0]), str(row[1])): Sum(row[2], Quantities(*row[3:])) for row in rows}
