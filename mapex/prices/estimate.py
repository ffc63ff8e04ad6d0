"""A price as a value: its lines, what was refused, what exactly was priced, and all of it as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from mapex.rights.permit import Permit
from mapex.rules import bounds, quality, terms
from mapex.rules.pricing import CURRENCY, UNITS, amount_of, quantity_of, vat_of
from mapex.rules.update_policy import PAID
from tiles.arrays import UInt64s
from tiles.grid.cover import Cover


@dataclass(frozen=True, slots=True)
class Line:
    """One unit of one layer in the region. `small` counts in the unit's small measure (`pricing.Unit`), owned tiles taken off.

    `tiles` are the cells of the layer, `owned_tiles` those among them that the buyer owns with the same content for this use already,
    `bytes` the size of all of them. `as_of` is when the newest of it was captured, or else when the version was published. `terms` is the
    digest of licence, `attribution` and what else is agreed (`mapex.rules.terms`). `earlier` is what the buyer paid
    before for the same tiles or for what did not change of them, as far as it is credited (`mapex.prices.earlier`): the `amount` is what is
    left of the `price`, never less than 0. `updates`
    says what newer versions of these tiles will cost (`mapex.rules.update_policy`); `free_tiles` are the cells that cost nothing because
    an earlier order was sold with free updates.
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
    # Lines that were stored before there was one of these are the same lines.
    bytes: int = field(default=0, compare=False)
    attribution: str = field(default="", compare=False)
    terms: str = field(default="", compare=False)
    earlier: int = 0
    updates: str = PAID
    free_tiles: int = 0

    @property
    def price(self) -> int:
        """What it costs whoever paid nothing for it before, in KRW before VAT."""
        return amount_of(UNITS[self.unit], self.small, self.rate)

    @property
    def credit(self) -> int:
        """By how much less it costs this buyer."""
        return self.price - self.amount

    @property
    def quantity(self) -> float:
        """`small` in the unit."""
        return float(quantity_of(UNITS[self.unit], self.small))

    @property
    def offer(self) -> str:
        """By which buyers name the layer: `ORG/DATASET/LAYER`."""
        return f"{self.org}/{self.dataset}/{self.layer}"

    @property
    def place(self) -> tuple[str, str, str]:
        """By what lines are sorted; those of one layer are at the same place."""
        return self.dataset, self.org, self.layer


@dataclass(frozen=True, slots=True)
class LayerRefusal:
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
class EdgePrice:
    """How many edge tiles have something for sale, and by how many KRW they change the total; see `request.EdgeTiles`."""

    tiles: int
    amount: int
    left_out: bool


@dataclass(frozen=True, slots=True)
class OfferRow:
    """A layer that could be bought in the region, chosen or not: `name` is `ORG/DATASET/LAYER`, `lines` what it costs this buyer.

    Rows of the same `group` sell the same kind over the same ground. `unusual` are units at a rate far from the usual
    (`mapex.rules.usual_rates`), `permit` is the one under which it may be bought, where one is needed, and `refused` what it leaves out.
    """

    name: str
    lines: tuple[Line, ...]
    group: int
    is_chosen: bool
    quality: int
    accuracy_m: float | None = None
    unusual: tuple[str, ...] = ()
    permit: Permit | None = None
    refused: tuple[LayerRefusal, ...] = ()


@dataclass(frozen=True, slots=True)
class Pin:
    """A layer as it is offered now; `area` is the index of its cells in `Estimate.areas`.

    `terms` is the digest of its terms; empty in quotes from before it was noted, whose offer says them.
    """

    layer_id: str
    offer_id: str
    seller_id: str
    area: int
    permit_id: str | None
    permit: str
    terms: str = ""


@dataclass(frozen=True, slots=True)
class Squares:
    """The cells that are bought, each counted once, their ground on the ellipsoid, and the files that are delivered."""

    count: int
    m2: float
    files: int


NO_SQUARES = Squares(0, 0.0, 0)


@dataclass(frozen=True, slots=True)
class Estimate:
    """The price of a region now, in whole KRW. `tiles` counts the cells of each priced layer, `cells` those of the area, `bought` those
    of which anything is priced.

    `pins` and `areas` (half-open Morton ranges at the sale zoom) name exactly what was priced. `offers` is what there was to choose from,
    `on_offer` where that is, if it was asked for; quotes keep neither.
    """

    purpose: str | None
    area_m2: float
    tiles: int
    lines: tuple[Line, ...]
    refusals: tuple[LayerRefusal, ...]
    subtotal: int
    vat: int
    total: int
    licences: tuple[str, ...]
    pins: tuple[Pin, ...]
    areas: tuple[UInt64s, ...]
    cells: int = 0
    edge: EdgePrice | None = None
    offers: tuple[OfferRow, ...] = ()
    bought: Squares = NO_SQUARES
    on_offer: Cover | None = field(default=None, compare=False)

    @property
    def credit(self) -> int:
        """By how much less it costs this buyer, before VAT."""
        return sum(line.credit for line in self.lines)


@dataclass(slots=True)
class Parts:
    """What an estimate is put together of, in any order; the first of `areas` is the whole that was asked for."""

    areas: list[UInt64s]
    layers: list[tuple[Sequence[Line], Pin]] = field(default_factory=list)
    refusals: list[LayerRefusal] = field(default_factory=list)

    def together(self, purpose: str | None, area_m2: float, *, cells: int = 0) -> Estimate:
        """The estimate of these parts, added up and sorted; without a price of edge tiles.

        Layers of which the price is more than can be charged are refused, and the others are sold.
        """
        sold, refusals = [], list(self.refusals)
        for (lines_of_one, pin), fits in zip(self.layers, bounds.fitting([_subtotal(lines) for lines, _ in self.layers]), strict=True):
            if fits and is_payable(lines_of_one):
                sold.append((lines_of_one, pin))
            else:
                refusals.append(too_large(lines_of_one[0]))
        lines = tuple(sorted((line for each, _ in sold for line in each), key=lambda line: line.place))
        subtotal = _subtotal(lines)
        vat = vat_of(subtotal)
        return Estimate(
            purpose=purpose,
            area_m2=area_m2,
            tiles=sum({line.place: line.tiles for line in lines}.values()),
            lines=lines,
            refusals=tuple(sorted(refusals, key=lambda refusal: (refusal.dataset, refusal.org, refusal.layer, refusal.code))),
            subtotal=subtotal,
            vat=vat,
            total=subtotal + vat,
            licences=tuple(sorted({line.licence for line in lines})),
            pins=tuple(sorted((pin for _, pin in sold), key=lambda pin: pin.layer_id)),
            areas=tuple(self.areas),
            cells=cells,
        )


def _subtotal(lines: Sequence[Line]) -> int:
    return sum(line.amount for line in lines)


def is_payable(lines: Sequence[Line]) -> bool:
    """Whether a layer can be charged at all."""
    return bounds.with_vat(_subtotal(lines)) <= bounds.MAX_AMOUNT and all(line.small <= bounds.MAX_QUANTITY for line in lines)


def too_large(line: Line) -> LayerRefusal:
    """Why a layer is not sold whose price nobody could pay."""
    message = (
        f"The price of {line.layer} of {line.org}/{line.dataset} in this area, with what is sold beside it, is more than the "
        f"{bounds.MAX_AMOUNT:,} KRW that can be charged at once; ask for a smaller area, or have the seller look at the price."
    )
    about = (line.dataset, line.org, line.layer, line.handling_class, line.tiles, line.kind)
    return LayerRefusal("price.too_large", message, *about)


def document(estimate: Estimate) -> dict[str, Any]:
    """The estimate as JSON values, as clients see it: no ids of layers or offers, quantities in their units."""
    return {
        "currency": CURRENCY,
        "purpose": estimate.purpose,
        "tiles": estimate.tiles,
        "cells": estimate.cells,
        "bytes": _bytes_of(estimate.lines),
        "area_km2": round(estimate.area_m2 / 1e6, 6),
        "drawn_m2": round(estimate.area_m2, 2),
        "squares": estimate.bought.count,
        "squares_m2": round(estimate.bought.m2, 2),
        "files": estimate.bought.files,
        "lines": [line_document(line) for line in estimate.lines],
        "refusals": [_refusal_document(refusal) for refusal in estimate.refusals],
        "subtotal": estimate.subtotal,
        "vat": estimate.vat,
        "total": estimate.total,
        "licences": list(estimate.licences),
        "barely": asdict(estimate.edge) if estimate.edge else None,
    }


def line_document(line: Line) -> dict[str, Any]:
    """A line as JSON values."""
    return {
        "dataset": line.dataset,
        "org": line.org,
        "version": line.version,
        "layer": line.layer,
        "kind": line.kind,
        "class": line.handling_class,
        "licence": line.licence,
        "attribution": line.attribution,
        "updates": line.updates,
        "terms_sha256": line.terms or terms.digest(line.licence, line.attribution),
        "unit": line.unit,
        "quantity": line.quantity,
        "quantity_small": line.small,
        "small_unit": UNITS[line.unit].small,
        "rate": line.rate,
        "price": line.price,
        "credit": line.credit,
        "amount": line.amount,
        "tiles": line.tiles,
        "owned_tiles": line.owned_tiles,
        "free_tiles": line.free_tiles,
        "bytes": line.bytes,
        "as_of": line.as_of or None,
    }


def offers_document(estimate: Estimate) -> list[dict[str, Any]]:
    """What there is to choose from, as JSON values."""
    return [_offer_document(row) for row in estimate.offers]


def _offer_document(row: OfferRow) -> dict[str, Any]:
    first = row.lines[0]
    return {
        "offer": row.name,
        "org": first.org,
        "dataset": first.dataset,
        "version": first.version,
        "layer": first.layer,
        "kind": first.kind,
        "class": first.handling_class,
        "licence": first.licence,
        "updates": first.updates,
        "group": row.group,
        "chosen": row.is_chosen,
        "amount": _subtotal(row.lines),
        "lines": [
            {
                **{"unit": line.unit, "quantity": line.quantity, "rate": line.rate, "price": line.price, "credit": line.credit},
                **{"amount": line.amount, "unusual": line.unit in row.unusual},
            }
            for line in row.lines
        ],
        "tiles": first.tiles,
        "owned_tiles": first.owned_tiles,
        "free_tiles": first.free_tiles,
        "bytes": first.bytes,
        "as_of": first.as_of or None,
        "quality": None if row.quality == quality.UNKNOWN else row.quality,
        "accuracy_m": row.accuracy_m,
        "permit": row.permit.terms if row.permit else None,
        "refusals": [_refusal_document(refusal) for refusal in row.refused],
    }


def _refusal_document(refusal: LayerRefusal) -> dict[str, Any]:
    return {
        "code": refusal.code,
        "message": refusal.message,
        "dataset": refusal.dataset,
        "org": refusal.org,
        "layer": refusal.layer,
        "kind": refusal.kind,
        "class": refusal.handling_class,
        "permit": refusal.permit,
        "tiles": refusal.tiles,
    }


def _bytes_of(lines: Sequence[Line]) -> int:
    """Size of the layers of the lines; each of its lines names the size of the whole layer."""
    return sum({line.place: line.bytes for line in lines}.values())
