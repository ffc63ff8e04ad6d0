"""What tiles cost: live offers x region x what is owned x permits, line by line. Computing stores nothing.

The region becomes cells; the pyramid answers sums per layer; each layer is priced by its offer's rate card after the tiles that
the buyer owns with the same content were taken off, less what was paid before and is credited (`earlier`).
Layers that need a permit or a licence term that the buyer lacks come back as refusals instead of lines. Of those that sell the same,
and of original footage, what is chosen has lines (`mapex.rules.choice`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial

from sqlalchemy import Connection

from mapex import authority
from mapex.database import db
from mapex.exchange import Actor, Exchange
from mapex.prices import alternatives, rates_on_sale, squares
from mapex.prices.alternatives import Priced
from mapex.prices.earlier import Earlier
from mapex.prices.estimate import EdgePrice, Estimate, LayerRefusal, Line, Parts, Pin, is_payable, too_large
from mapex.prices.request import PriceRequest
from mapex.pyramid import cell_sums, unbilled
from mapex.pyramid.area_sums import AreaSums, area_sums
from mapex.pyramid.cell_sums import NOTHING, Sum
from mapex.pyramid.live_layers import LiveLayer, offers_in
from mapex.pyramid.unbilled import Owner, Unbilled
from mapex.rights import permit_check
from mapex.rights.permit import Permit
from mapex.rights.permit_check import Decision, PermitRefusal, Use
from mapex.rules import bounds, choice, licences, terms
from mapex.rules.pricing import charges_of, columns_of, credited, parsed_rates
from mapex.rules.usual_rates import usual_on
from tiles.batch import LayerKind
from tiles.grid.cover import Cover


def estimate(ex: Exchange, by: Actor | None, request: PriceRequest) -> Estimate:
    """The price of a region for `by`'s organisation; nothing is stored. Own offers are left out.

    Args:
        by: None = a visitor, for whom it is the price of whoever owns nothing yet; so it is for auditors and operators.
    Raises: NotFound: `dataset.unknown`, `layer.unknown`, `offer.unknown`.
    """
    org_id = authority.buyer(by)
    with db.read(ex) as conn:
        alternatives.check_named(conn, request.choice)
        return price(conn, org_id, request, ex.now())


def price(conn: Connection, org_id: str, request: PriceRequest, at_ns: int) -> Estimate:
    """The price of what is asked for, for an organisation or for `authority.NOBODY`, in the caller's transaction."""
    cards = rates_on_sale.cards(conn)
    owner = Owner(org_id, request.purpose or terms.ANY_PURPOSE, at_ns)
    sums_of = partial(area_sums, conn, owner, left_out=request.edge.left_out, columns=_charged_columns(cards))
    whole = sums_of(request.cover, request.edge.cells)
    offered = _offered(conn, org_id, request, whole)
    allowed = [one for one in offered if licences.allows(one.licence, request.purpose)]
    parts = Parts([request.cover.ranges])
    parts.refusals += [
        licence_refusal(one, request.purpose) for one in offered if one.sums.cells and not licences.allows(one.licence, request.purpose)
    ]
    use, paid = Use(org_id, request.purpose, at_ns), Earlier.of(conn, owner)
    classes = sorted({one.handling_class for one in allowed})
    held = permit_check.held(conn, use, classes)
    priced: list[Priced] = []
    for handling_class in classes:
        permitted = _permitted(held, use, handling_class, request)
        sums = whole if permitted.is_all else sums_of(permitted.decision.allowed, permitted.edge)
        of_class = [one for one in allowed if one.handling_class == handling_class]
        priced += _price_class(of_class, permitted, _Buyable(sums, paid, request.edge.left_out), parts)
    return _chosen(conn, request, priced, parts, usual_on(cards))


def _chosen(conn: Connection, request: PriceRequest, priced: Sequence[Priced], parts: Parts, medians: Mapping[str, int]) -> Estimate:
    """The estimate of what is chosen, beside all that could be."""
    for_sale = [one for one in priced if one.lines]
    candidates = alternatives.candidates(conn, request.cover, for_sale, medians)
    names = choice.chosen(candidates, request.choice)
    edge = _Edge(request.edge.left_out)
    for one in for_sale:
        if one.offer.name in names:
            parts.layers.append((one.lines, one.pin))
            parts.refusals += one.refused
            edge.add(one)
    for one in _edge_alone(conn, request, priced, medians):
        edge.add(one)
    found = parts.together(request.purpose, request.area_m2, cells=request.cover.count)
    bought = {pin.layer_id for pin in found.pins}
    rows = alternatives.rows(candidates, for_sale, bought, medians)
    there = squares.on_offer(conn, [one.pin for one in for_sale], parts.areas) if request.lists_squares else None
    return replace(found, edge=edge.price(found.total), offers=rows, bought=squares.of(conn, found), on_offer=there)


@dataclass(frozen=True, slots=True)
class _Permitted:
    """What may be bought of one handling class: the decision on what is asked for, and the edge tiles that are allowed."""

    decision: Decision
    edge: Cover
    is_all: bool


@dataclass(frozen=True, slots=True)
class _Buyable:
    """What may be bought of one handling class, what was paid before for any of it, and whether edge tiles are left out of it."""

    sums: AreaSums
    paid: Earlier
    left_out: bool


@dataclass(slots=True)
class _Edge:
    """The edge tiles that hold something for sale, and what all would cost (KRW before VAT) if these were treated the other way."""

    left_out: bool
    cells: set[int] = field(default_factory=set)
    otherwise: int = 0

    def add(self, one: Priced) -> None:
        self.cells |= one.edge_cells
        self.otherwise += _otherwise(one, left_out=self.left_out) if one.edge_cells else sum(line.amount for line in one.lines)

    def price(self, total: int) -> EdgePrice | None:
        if not self.cells:
            return None
        # Without a bound it is no number of JSON: what is left out may cost what nobody can pay.
        return EdgePrice(len(self.cells), min(abs(bounds.with_vat(self.otherwise) - total), bounds.MAX_AMOUNT), self.left_out)


@lru_cache(maxsize=16)
def _charged_columns(cards: frozenset[str]) -> frozenset[str]:
    """The quantities that anything on sale is charged by, and the size."""
    return columns_of(parsed_rates(card) for card in cards) | {"bytes"}


def _offered(conn: Connection, org_id: str, request: PriceRequest, whole: AreaSums) -> list[LiveLayer]:
    """The layers on offer in the area, those with edge tiles alone too, as far as they are asked for and not the own ones."""
    sums = {**dict.fromkeys(whole.edge, NOTHING), **whole.total}
    found = offers_in(conn, sums, layers=request.layers, dataset=request.dataset)
    return [one for one in found if one.seller_id != org_id]


def _permitted(held: Sequence[Permit], use: Use, handling_class: str, request: PriceRequest) -> _Permitted:
    decision = permit_check.decide(held, use, handling_class, request.cover)
    asked = request.edge
    # Edge tiles that are sold with the others follow the permit of these; those that are left out have one of their own.
    if asked.left_out:
        edge = permit_check.decide(held, use, handling_class, asked.cells).allowed
    else:
        edge = asked.cells if decision.is_allowed else asked.cells.intersection(decision.allowed)
    return _Permitted(decision, edge, decision.is_allowed and edge.count == asked.cells.count)


def _price_class(offers: Sequence[LiveLayer], permitted: _Permitted, asked: _Buyable, parts: Parts) -> Iterator[Priced]:
    """The layers of one handling class, of which `asked` holds what may be bought; what of them may not at all is refused in `parts`."""
    decision, sums = permitted.decision, asked.sums
    if decision.refusal:
        parts.areas.append(decision.allowed.ranges)
    index = len(parts.areas) - 1 if decision.refusal else 0
    earlier = asked.paid.of_layers(offers, decision.allowed.ranges)
    at_edge = [offer for offer in offers if offer.layer_id in sums.edge]
    otherwise = asked.paid.of_layers(at_edge, _other(permitted, left_out=asked.left_out).ranges) if at_edge else {}
    for offer in offers:
        total = sums.total.get(offer.layer_id, NOTHING)
        own, paid = sums.own.get(offer.layer_id, unbilled.NOTHING), earlier.get(offer.layer_id, 0)
        lines = tuple(lines_of(offer, total, own, paid)) if total.cells else ()
        edge_cells = sums.edge_cells.get(offer.layer_id, frozenset())
        missing = offer.sums.cells - total.cells
        refused = (permit_refusal(offer, decision.refusal, missing),) if decision.refusal and missing else ()
        if lines and not is_payable(lines):
            refused, lines, edge_cells = (*refused, too_large(lines[0])), (), frozenset()
        if not lines:
            parts.refusals += refused
        pin = pin_of(offer, index, decision.permit)
        yield Priced(offer, lines, pin, decision.permit, refused, edge_cells, sums, otherwise.get(offer.layer_id, 0))


def _other(permitted: _Permitted, *, left_out: bool) -> Cover:
    """What would be bought were the edge tiles treated the other way."""
    allowed = permitted.decision.allowed
    return allowed.union(permitted.edge) if left_out else allowed.difference(permitted.edge)


def _edge_alone(conn: Connection, request: PriceRequest, priced: Iterable[Priced], medians: Mapping[str, int]) -> Iterable[Priced]:
    """Layers of which the area has nothing but edge tiles that are left out: those that would be taken with these."""
    alone = [one for one in priced if not one.lines and one.edge_cells]
    lined = [replace(one, lines=tuple(lines_of(one.offer, NOTHING, unbilled.NOTHING, 0))) for one in alone]
    names = choice.chosen(alternatives.candidates(conn, request.edge.cells, lined, medians), request.choice) if alone else ()
    return [one for one in alone if one.offer.name in names]


def _otherwise(one: Priced, *, left_out: bool) -> int:
    """What a layer costs with its edge tiles when they are left out, and without them when they are not."""
    offer, sums = one.offer, one.sums
    total, edge = (each.get(offer.layer_id, NOTHING) for each in (sums.total, sums.edge))
    own, own_edge = (each.get(offer.layer_id, unbilled.NOTHING) for each in (sums.own, sums.own_edge))
    total, own = (total + edge, own + own_edge) if left_out else (total - edge, own - own_edge)
    charges = charges_of(LayerKind(offer.kind), offer.rates, total.quantities, own.quantities) if total.cells else []
    return max(0, sum(charge.amount for charge in charges) - one.otherwise_paid)


def lines_of(offer: LiveLayer, total: Sum, own: Unbilled, earlier: int) -> list[Line]:
    """The lines of one layer: `total` is what it has, `own` what of that need not be paid, `earlier` what was paid (`Earlier`)."""
    charges = charges_of(LayerKind(offer.kind), offer.rates, total.quantities, own.quantities)
    shares = credited([charge.amount for charge in charges], earlier)
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
            amount=max(0, charge.amount - share),
            tiles=total.cells,
            owned_tiles=own.owned,
            as_of=offer.as_of,
            bytes=total.quantities.bytes,
            attribution=offer.attribution,
            terms=offer.terms,
            earlier=share,
            updates=offer.updates,
            free_tiles=own.free,
        )
        for charge, share in zip(charges, shares, strict=True)
    ]


def pin_of(offer: LiveLayer, area: int, permit: Permit | None) -> Pin:
    """The layer as it is offered now, in the area of this index, under this permit."""
    permit_id, number = (permit.id, permit.number) if permit else (None, "")
    return Pin(offer.layer_id, offer.offer_id, offer.seller_id, area, permit_id, number, offer.terms)


def licence_refusal(offer: LiveLayer, purpose: str | None) -> LayerRefusal:
    """Why a layer is not sold for a purpose that its licence does not allow."""
    message = f"The licence {offer.licence} of {offer.org}/{offer.dataset} does not allow the purpose {purpose}."
    return LayerRefusal(
        "licence.purpose", message, offer.dataset, offer.org, offer.layer, offer.handling_class, offer.sums.cells, offer.kind
    )


def permit_refusal(offer: LiveLayer, refusal: PermitRefusal, tiles: int) -> LayerRefusal:
    """Why so many tiles of a layer are not sold to whom no permit allows them."""
    about = (offer.dataset, offer.org, offer.layer, offer.handling_class, tiles, offer.kind, refusal.values.get("number", ""))
    return LayerRefusal(refusal.code, refusal.sentence, *about)


def reprice(conn: Connection, org_id: str, held: Estimate, held_ns: int) -> tuple[Line, ...]:
    """The lines of `held` again, for the same layers and cells, at the prices and with the ownership of now.

    What was free when it was held (at `held_ns`) is so, be the time of the free updates over since. A layer that is on offer no longer has
    no line.
    """
    lines: list[Line] = []
    for index, ranges in enumerate(held.areas):
        pinned = {pin.layer_id for pin in held.pins if pin.area == index}
        if not pinned:
            continue
        cells = Cover(ranges)
        found = cell_sums.sums(conn, cells.pyramid(cell_sums.ZMIN))
        sums = {layer_id: total for layer_id, total in found.items() if layer_id in pinned}
        owner = Owner(org_id, held.purpose or terms.ANY_PURPOSE, held_ns)
        (own,) = unbilled.sums(conn, owner, [cells])
        offers = offers_in(conn, sums)
        earlier = Earlier.of(conn, owner).of_layers(offers, ranges)
        for offer in offers:
            lines += lines_of(offer, offer.sums, own.get(offer.layer_id, unbilled.NOTHING), earlier.get(offer.layer_id, 0))
    return tuple(sorted(lines, key=lambda line: line.place))
