"""What a rate card would ask of buyers, for the seller who is still writing it: all of a version, and squares of about 1 km2.

A square is a z15 tile, four sale cells (0.94 km2 in Seoul). The price is exactly the one that an estimate of those four cells
gives a buyer who owns nothing: the same rounding, line by line, in whole KRW; `per_km2` is that of 1 km2 with as much in it. Nothing
is stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, text

from mapex.catalogue.versions import Layer, find_version, layers_of
from mapex.database import db
from mapex.errors import NotFound
from mapex.exchange import Actor, Exchange
from mapex.prices import rates_on_sale
from mapex.rules import bounds, usual_rates
from mapex.rules.pricing import Charge, charges_of, read_rates, vat_of
from tiles.batch import QUANTITIES, LayerKind, Quantities
from tiles.grid import grid

SQUARE_ZOOM = grid.ZOOM - 1


@dataclass(frozen=True, slots=True)
class LayerCharge:
    """One line of a bill: what a unit of a layer costs."""

    layer: str
    kind: str
    charge: Charge


@dataclass(frozen=True, slots=True)
class Bill:
    """What an area would cost a buyer who owns nothing of it."""

    lines: tuple[LayerCharge, ...]
    subtotal: int
    vat: int
    total: int


@dataclass(frozen=True, slots=True)
class BilledSquare:
    """A z15 tile of the version (quadkey), its size, its bill, and that of 1 km2 that is as dense."""

    tile: str
    area_m2: int
    bill: Bill
    per_km2: Bill


@dataclass(frozen=True, slots=True)
class Appraisal:
    """What the rates ask: of all of it, of the square in the middle by price per km2, and of the dearest one. `squares` counts them.

    `unusual` are the rates that are far from the usual, with what the unit usually costs.
    """

    version: int
    rates: Mapping[str, int]
    squares: int
    whole: Bill
    median: BilledSquare
    dearest: BilledSquare
    unusual: Mapping[str, int]


def appraise(ex: Exchange, by: Actor, dataset: str, number: int, rates: Mapping[str, object]) -> Appraisal:
    """Price an own version with a rate card that is not published.

    Raises: Invalid (`rates.*`; `rates.too_large`: as at publication); NotFound: absent, foreign, or without tiles yet (`version.no_tiles`).
    """
    card = read_rates(rates)
    with db.read(ex) as conn:
        version = find_version(conn, by, f"{by.org_slug}/{dataset}", number)
        layers = {layer.id: layer for layer in layers_of(conn, version.id) if layer.cells}
        squares = _squares(conn, version.id)
        usual = rates_on_sale.usual(conn)
    if not squares:
        raise NotFound("version.no_tiles", f"Version {number} of {dataset} has no tiles yet. Wait until it is a draft.")
    bounds.check_card(((layer.name, layer.kind, layer.quantities) for layer in layers.values()), card)
    priced = sorted((_subtotal(layers, square, card) / _area_m2(cell), cell) for cell, square in squares.items())
    median, dearest = priced[(len(priced) - 1) // 2][1], priced[-1][1]
    return Appraisal(
        version=number,
        rates=card,
        squares=len(squares),
        whole=_bill(layers, {layer.id: layer.quantities for layer in layers.values()}, card),
        median=_square(layers, median, squares[median], card),
        dearest=_square(layers, dearest, squares[dearest], card),
        unusual={unit: usual[unit] for unit in usual_rates.unusual(card, usual)},
    )


def _squares(conn: Connection, version_id: str) -> dict[int, dict[str, Quantities]]:
    """Price vectors by square and layer."""
    each = ", ".join(f"CAST(SUM(t.{name}) AS bigint)" for name in QUANTITIES)
    statement = text(
        f"SELECT t.cell >> 2, t.layer_id, {each} FROM layer l JOIN tile t ON t.layer_id = l.id WHERE l.version_id = :version "
        "GROUP BY t.cell >> 2, t.layer_id"
    )
    found: dict[int, dict[str, Quantities]] = defaultdict(dict)
    for cell, layer_id, *vector in conn.execute(statement, {"version": version_id}):
        found[cell][layer_id] = Quantities(*vector)
    return found


def _charges(layers: Mapping[str, Layer], vectors: Mapping[str, Quantities], rates: Mapping[str, int]) -> list[LayerCharge]:
    """The lines of a bill, in the order of a quote."""
    named = sorted((layers[layer_id].name, layer_id) for layer_id in vectors)
    return [
        LayerCharge(name, str(layers[layer_id].kind), charge)
        for name, layer_id in named
        for charge in charges_of(LayerKind(layers[layer_id].kind), rates, vectors[layer_id], Quantities())
    ]


def _subtotal(layers: Mapping[str, Layer], vectors: Mapping[str, Quantities], rates: Mapping[str, int]) -> int:
    return sum(line.charge.amount for line in _charges(layers, vectors, rates))


def _bill(layers: Mapping[str, Layer], vectors: Mapping[str, Quantities], rates: Mapping[str, int]) -> Bill:
    lines = tuple(_charges(layers, vectors, rates))
    subtotal = sum(line.charge.amount for line in lines)
    vat = vat_of(subtotal)
    return Bill(lines, subtotal, vat, subtotal + vat)


def _square(layers: Mapping[str, Layer], cell: int, vectors: Mapping[str, Quantities], rates: Mapping[str, int]) -> BilledSquare:
    area_m2 = _area_m2(cell)
    dense = {layer_id: _per_km2(vector, area_m2) for layer_id, vector in vectors.items()}
    return BilledSquare(grid.quadkey(cell, SQUARE_ZOOM), area_m2, _bill(layers, vectors, rates), _bill(layers, dense, rates))


def _area_m2(cell: int) -> int:
    return round(float(grid.area_m2(np.array([cell], np.uint64), SQUARE_ZOOM)[0]))


def _per_km2(vector: Quantities, area_m2: int) -> Quantities:
    """What 1 km2 has when so many m2 have this, rounded half up."""
    return Quantities(**{name: (2 * getattr(vector, name) * 1_000_000 + area_m2) // (2 * area_m2) for name in QUANTITIES})


def document(bill: Bill) -> dict[str, object]:
    """A bill as JSON values."""
    lines = [
        {
            "layer": line.layer,
            "kind": line.kind,
            "unit": str(line.charge.unit),
            "quantity": float(line.charge.quantity),
            "quantity_small": line.charge.small,
            "small_unit": line.charge.unit.small,
            "rate": line.charge.rate,
            "amount": line.charge.amount,
        }
        for line in bill.lines
    ]
    return {"lines": lines, "subtotal": bill.subtotal, "vat": bill.vat, "total": bill.total}
