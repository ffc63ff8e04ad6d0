"""What tiles cost: live offers x region x what is owned x permits, line by line. Computing stores nothing.

The region becomes cells; the pyramid answers sums per layer; each layer is priced by its offer's rate card after the tiles that
the buyer owns with the same content were taken off. Layers that need a permit or a licence term that the buyer lacks come back
as refusals instead of lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np
from sqlalchemy import Connection, text

from mapex import authority
from mapex.database import db
from mapex.errors import Invalid
from mapex.exchange import Actor, Exchange
from mapex.pyramid import cell_sums
from mapex.pyramid.area_sums import Contents, contents_of
from mapex.pyramid.cell_sums import NOTHING, Sum
from mapex.pyramid.live_layers import Offered, offers_in
from mapex.rights import permits
from mapex.rules import licences
from mapex.rules.pricing import CURRENCY, MEASURES, Unit, charges_of, columns_of, parsed_rates, quantity_of, vat_of
from tiles.arrays import Float64s, UInt64s
from tiles.batch import LayerKind
from tiles.grid import grid
from tiles.grid.cover import Cover
from tiles.grid.fractions import fractions
from tiles.grid.region import Region
from tiles.grid.scan import cover

Area = Region | Cover

MAX_CELLS = 400_000
"""Sale cells of one request: about the whole of South Korea; more is a mistake or an attack."""

NO_CELLS = Cover(np.zeros((0, 2), np.uint64))

BARELY = 0.05
"""A tile with less than this share of its ground in the area was hardly meant."""


@dataclass(frozen=True, slots=True)
class Line:
    """One unit of one layer in the region. `small` counts in the unit's small measure (`pricing.MEASURES`), owned tiles taken off.

    `tiles` are the cells of the layer, `owned_tiles` those among them that the buyer owns with the same content already, `bytes` the
    size of all of them. `as_of` is when the newest of it was captured, or else when the version was published.
    """

    dataset: str
    org: str
    version: int
    layer: str
    kind: str
    handling_class: str
    licence: str
    unit: str
    small: int
    rate: int
    amount: int
    tiles: int
    owned_tiles: int
    as_of: str = ""
    bytes: int = field(default=0, compare=False)  # lines that were stored before there was this number are the same lines

    @property
    def quantity(self) -> float:
        """`small` in the unit."""
        return float(quantity_of(Unit(self.unit), self.small))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Tiles of a layer that are on offer, but not to this buyer for this purpose."""

    code: str
    message: str
    dataset: str
    org: str
    layer: str
    handling_class: str
    tiles: int
    kind: str = ""
    permit: str = ""


@dataclass(frozen=True, slots=True)
class Barely:
    """Tiles of which less than `BARELY` lies in the area: how many have something for sale, and what they change in the total."""

    tiles: int
    amount: int
    left_out: bool


@dataclass(frozen=True, slots=True)
class Pin:
    """A layer as it is offered now; `area` is the index of its cells in `Estimate.areas`."""

    layer_id: str
    offer_id: str
    seller_id: str
    area: int
    permit_id: str | None
    permit: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """The price of a region now, in whole KRW. `tiles` counts the cells of each priced layer, `cells` those of the area.

    `pins` and `areas` (half-open Morton ranges at the sale zoom) say exactly what was priced.
    """

    purpose: str | None
    area_m2: float
    tiles: int
    lines: tuple[Line, ...]
    refusals: tuple[Refusal, ...]
    subtotal: int
    vat: int
    total: int
    licences: tuple[str, ...]
    pins: tuple[Pin, ...]
    areas: tuple[UInt64s, ...]
    cells: int = 0
    barely: Barely | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a buyer asks for; None means all layers, all datasets, no purpose named yet.

    `cover` are the tiles to be sold. `barely` are those hardly touched, which `cover` holds unless they are `left_out`.
    """

    cover: Cover
    area_m2: float
    layers: frozenset[str] | None = None
    dataset: str | None = None
    purpose: str | None = None
    barely: Cover = NO_CELLS
    left_out: bool = False


@dataclass(frozen=True, slots=True)
class Permitted:
    """For one handling class: the cells that may be bought under `permit`, and why not the others (`number`: by which permit)."""

    ranges: UInt64s
    permit_id: str | None
    permit: str
    code: str = ""
    message: str = ""
    number: str = ""


def estimate(
    ex: Exchange,
    by: Actor | None,
    area: Area,
    *,
    layers: Sequence[str] | None = None,
    dataset: str | None = None,
    purpose: str | None = None,
    without: UInt64s | None = None,
    leave_barely: bool = False,
) -> Estimate:
    """The price of a region for `by`'s organisation; nothing is stored. Own offers are left out.

    Args:
        by: None = a visitor, for whom it is the price of whoever owns nothing yet; so it is for auditors and operators.
        without: sale cells that are not wanted. leave_barely: nor those of which less than `BARELY` lies in the area.
        layers: names or kinds of layers; None = all.
        dataset: slug, or `org/slug` where two organisations use the same slug.
        purpose: None = any: permits and licences are then judged for the best purpose that the buyer could name.

    Raises:
        Invalid: `purpose.unknown`, `region.too_large`. NotFound: `dataset.unknown`, `layer.unknown`.
    """
    org_id = authority.buyer(by)
    wanted = want(area, layers=layers, dataset=dataset, purpose=purpose, without=without, leave_barely=leave_barely)
    with db.read(ex) as conn:
        return price(conn, org_id, wanted, ex.now())


def want(
    area: Area,
    *,
    layers: Sequence[str] | None = None,
    dataset: str | None = None,
    purpose: str | None = None,
    without: UInt64s | None = None,
    leave_barely: bool = False,
) -> Wanted:
    """The checked request.

    Of an area that is small in every tile it touches, none counts as barely touched.

    Raises: Invalid: `purpose.unknown`, `region.too_large`.
    """
    if purpose is not None:
        licences.check_purpose(purpose)
    cells = cover(area) if isinstance(area, Region) else area
    if cells.count > MAX_CELLS:
        raise Invalid("region.too_large", f"the area has {cells.count} cells; ask for at most {MAX_CELLS} at a time", cells=cells.count)
    dropped = NO_CELLS if without is None else Cover.from_cells(without).intersection(cells)
    if isinstance(area, Region):
        cut, share = fractions(area)
        barely = Cover.from_cells(cut[share < BARELY]).difference(dropped)
        area_m2 = area.area_m2 - _inside_m2(dropped, cut, share)
    else:
        barely, area_m2 = NO_CELLS, float(grid.area_m2(cells.difference(dropped).cells()).sum())
    cells = cells.difference(dropped)
    if barely.count == cells.count:
        barely = NO_CELLS
    if leave_barely:
        cells = cells.difference(barely)
    return Wanted(cells, area_m2, frozenset(layers) if layers else None, dataset, purpose, barely, leave_barely)


def _inside_m2(cells: Cover, cut: UInt64s, share: Float64s) -> float:
    """Ground of the cells that lies in the area whose outline cuts `cut`."""
    inside = cells.cells()
    if not len(inside):
        return 0.0
    at = np.minimum(np.searchsorted(cut, inside), max(len(cut) - 1, 0))
    part = np.where(cut[at] == inside, share[at], 1.0) if len(cut) else np.ones(len(inside))
    return float((grid.area_m2(inside) * part).sum())


def price(conn: Connection, org_id: str, wanted: Wanted, at_ns: int) -> Estimate:
    """The price of what is wanted for an organisation, or for `authority.NOBODY`, in the caller's transaction."""
    cards = conn.execute(text("SELECT DISTINCT rate_card FROM offer WHERE state = 'live'")).scalars()
    columns = columns_of(parsed_rates(card) for card in cards) | {"bytes"}
    asked = partial(contents_of, conn, org_id, left_out=wanted.left_out, columns=columns)
    whole = asked(wanted.cover, wanted.barely)
    sums = {**dict.fromkeys(whole.touched, NOTHING), **whole.total}
    offered = offers_in(conn, sums, layers=wanted.layers, dataset=wanted.dataset)
    offered = [offer for offer in offered if offer.seller_id != org_id]
    refusals = [_licence_refusal(o, wanted.purpose) for o in offered if o.sums.cells and not licences.allows(o.licence, wanted.purpose)]
    offered = [offer for offer in offered if licences.allows(offer.licence, wanted.purpose)]
    areas: list[UInt64s] = [wanted.cover.ranges]
    lines: list[Line] = []
    pins: list[Pin] = []
    other = 0  # the subtotal if the tiles barely touched were treated the other way
    touched: set[int] = set()
    for handling_class in sorted({offer.handling_class for offer in offered}):
        permit = permitted(conn, org_id, handling_class, wanted.purpose, wanted.cover, at_ns)
        at_edge = permitted(conn, org_id, handling_class, wanted.purpose, wanted.barely, at_ns)
        held = whole
        if permit.code or at_edge.code:
            held = asked(Cover(permit.ranges), Cover(at_edge.ranges))
        index = 0
        if permit.code:
            areas.append(permit.ranges)
            index = len(areas) - 1
        for offer in (one for one in offered if one.handling_class == handling_class):
            total, own = held.total.get(offer.layer_id, NOTHING), held.own.get(offer.layer_id, NOTHING)
            if refused := offer.sums.cells - total.cells:
                refusals.append(_refusal(offer, permit.code, permit.message, refused, permit.number))
            found = lines_of(offer, total, own) if total.cells else []
            if found:
                lines += found
                pins.append(Pin(offer.layer_id, offer.offer_id, offer.seller_id, index, permit.permit_id, permit.permit))
            touched |= held.touched_cells.get(offer.layer_id, frozenset())
            other += _other_amount(offer, held, wanted) if offer.layer_id in held.touched else sum(line.amount for line in found)
    lines.sort(key=_place)
    subtotal = sum(line.amount for line in lines)
    vat = vat_of(subtotal)
    return Estimate(
        purpose=wanted.purpose,
        area_m2=wanted.area_m2,
        tiles=sum({_place(line): line.tiles for line in lines}.values()),
        lines=tuple(lines),
        refusals=tuple(sorted(refusals, key=lambda r: (r.dataset, r.org, r.layer, r.code))),
        subtotal=subtotal,
        vat=vat,
        total=subtotal + vat,
        licences=tuple(sorted({line.licence for line in lines})),
        pins=tuple(sorted(pins, key=lambda pin: pin.layer_id)),
        areas=tuple(areas),
        cells=wanted.cover.count,
        barely=Barely(len(touched), abs(other + vat_of(other) - subtotal - vat), wanted.left_out) if touched else None,
    )


def _other_amount(offer: Offered, held: Contents, wanted: Wanted) -> int:
    """What a layer costs with the tiles barely touched when they are left out, and without them when they are not."""
    total, own, touched, own_touched = (
        sums.get(offer.layer_id, NOTHING) for sums in (held.total, held.own, held.touched, held.own_touched)
    )
    total, own = (total + touched, own + own_touched) if wanted.left_out else (total - touched, own - own_touched)
    charges = charges_of(LayerKind(offer.kind), offer.rates, total.quantities, own.quantities) if total.cells else []
    return sum(charge.amount for charge in charges)


def permitted(conn: Connection, org_id: str, handling_class: str, purpose: str | None, cells: Cover, at_ns: int) -> Permitted:
    """Which of the cells the organisation may buy of this class for this purpose, and why not the others."""
    decision = permits.check(conn, org_id, handling_class, purpose, cells, at_ns)
    permit_id, number = (decision.permit.id, decision.permit.number) if decision.permit else (None, "")
    if not decision.refusals:
        return Permitted(cells.ranges, permit_id, number)
    first = decision.refusals[0]
    left = cells.difference(Cover.from_cells(np.concatenate([refusal.cells for refusal in decision.refusals])))
    return Permitted(left.ranges, permit_id, number, first.code, first.sentence, first.values.get("number", ""))


def lines_of(offer: Offered, total: Sum, owned: Sum) -> list[Line]:
    """The lines of one layer: `total` is what it has, `owned` what the buyer has of that already."""
    charges = charges_of(LayerKind(offer.kind), offer.rates, total.quantities, owned.quantities)
    return [
        Line(
            dataset=offer.dataset,
            org=offer.org,
            version=offer.version,
            layer=offer.layer,
            kind=offer.kind,
            handling_class=offer.handling_class,
            licence=offer.licence,
            unit=str(charge.unit),
            small=charge.small,
            rate=charge.rate,
            amount=charge.amount,
            tiles=total.cells,
            owned_tiles=owned.cells,
            as_of=offer.as_of,
            bytes=total.quantities.bytes,
        )
        for charge in charges
    ]


def _refusal(offer: Offered, code: str, message: str, tiles: int, permit: str = "") -> Refusal:
    return Refusal(code, message, offer.dataset, offer.org, offer.layer, offer.handling_class, tiles, offer.kind, permit)


def _licence_refusal(offer: Offered, purpose: str | None) -> Refusal:
    message = f"the licence {offer.licence} of {offer.org}/{offer.dataset} does not allow the purpose {purpose}"
    return _refusal(offer, "licence.purpose", message, offer.sums.cells)


def document(estimate: Estimate) -> dict[str, Any]:
    """The estimate as JSON values, as clients see it: no ids of layers or offers, quantities in their units."""
    return {
        "currency": CURRENCY,
        "purpose": estimate.purpose,
        "tiles": estimate.tiles,
        "cells": estimate.cells,
        "bytes": sum({_place(line): line.bytes for line in estimate.lines}.values()),
        "area_km2": round(estimate.area_m2 / 1e6, 6),
        "lines": [line_document(line) for line in estimate.lines],
        "refusals": [
            {
                "code": r.code,
                "message": r.message,
                "dataset": r.dataset,
                "org": r.org,
                "layer": r.layer,
                "kind": r.kind,
                "class": r.handling_class,
                "permit": r.permit,
                "tiles": r.tiles,
            }
            for r in estimate.refusals
        ],
        "subtotal": estimate.subtotal,
        "vat": estimate.vat,
        "total": estimate.total,
        "licences": list(estimate.licences),
        "barely": asdict(estimate.barely) if estimate.barely else None,
    }


def line_document(line: Line) -> dict[str, Any]:
    """A line as JSON values."""
    measure = MEASURES[Unit(line.unit)]
    return {
        "dataset": line.dataset,
        "org": line.org,
        "version": line.version,
        "layer": line.layer,
        "kind": line.kind,
        "class": line.handling_class,
        "licence": line.licence,
        "unit": line.unit,
        "quantity": line.quantity,
        "quantity_small": line.small,
        "small_unit": measure.small,
        "rate": line.rate,
        "amount": line.amount,
        "tiles": line.tiles,
        "owned_tiles": line.owned_tiles,
        "bytes": line.bytes,
        "as_of": line.as_of or None,
    }


def reprice(conn: Connection, org_id: str, held: Estimate) -> tuple[Line, ...]:
    """The lines of `held` again, for the same layers and cells, at the prices and with the ownership of now.

    A layer that is on offer no longer has no line.
    """
    lines: list[Line] = []
    for index, ranges in enumerate(held.areas):
        pinned = {pin.layer_id for pin in held.pins if pin.area == index}
        if not pinned:
            continue
        pieces = Cover(ranges).pyramid(cell_sums.ZMIN)
        sums = {layer_id: found for layer_id, found in cell_sums.sums(conn, pieces).items() if layer_id in pinned}
        owned = cell_sums.owned_sums(conn, org_id, pieces)
        for offer in offers_in(conn, sums):
            lines += lines_of(offer, offer.sums, owned.get(offer.layer_id, NOTHING))
    return tuple(sorted(lines, key=_place))


def _place(line: Line) -> tuple[str, str, str]:
    return line.dataset, line.org, line.layer
