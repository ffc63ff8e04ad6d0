"""What there is to choose from in an area: layers that sell the same kind over the same ground, and what was named of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from mapex.database.live_offers import live_layers, live_offers
from mapex.database.schema import layer
from mapex.errors import NotFound
from mapex.prices.estimate import LayerRefusal, Line, OfferRow, Pin
from mapex.pyramid import grounds
from mapex.pyramid.area_sums import AreaSums
from mapex.pyramid.live_layers import LiveLayer
from mapex.rights.permit import Permit
from mapex.rules.choice import Candidate, Choice
from mapex.rules.usual_rates import unusual
from mapex.times import DAY_NS
from tiles.grid.cover import Cover

MOST_NAMED = 200
"""Offers that one request may name."""


@dataclass(frozen=True, slots=True)
class Priced:
    """A layer that may be bought: its lines (none where all it has are edge tiles that are left out) and what part of it is refused.

    `otherwise_paid` is what was paid for it before under narrower terms, were its edge tiles treated the other way.
    """

    offer: LiveLayer
    lines: tuple[Line, ...]
    pin: Pin
    permit: Permit | None
    refused: tuple[LayerRefusal, ...]
    edge_cells: frozenset[int]
    sums: AreaSums
    otherwise_paid: int = 0


def candidates(conn: Connection, cover: Cover, priced: Sequence[Priced], medians: Mapping[str, int]) -> list[Candidate]:
    """The layers of an area with their groups, in the order in which they come; ground is compared where several sell one kind."""
    sellers: dict[tuple[str, str], set[str]] = defaultdict(set)
    kinds = {one.offer.layer_id: (one.offer.kind, one.offer.handling_class) for one in priced}
    for one in priced:
        sellers[kinds[one.offer.layer_id]].add(one.offer.offer_id)
    contested = {layer_id: kind for layer_id, kind in kinds.items() if len(sellers[kind]) > 1}
    group = grounds.groups(conn, cover, contested) if contested else {}
    return [_candidate(one, group.get(one.offer.layer_id, one.offer.layer_id), medians) for one in priced]


def _candidate(one: Priced, group: str, medians: Mapping[str, int]) -> Candidate:
    offer = one.offer
    return Candidate(
        name=offer.name,
        dataset=f"{offer.org}/{offer.dataset}",
        handling_class=offer.handling_class,
        group=group,
        quality=offer.quality,
        day=offer.seen_ns // DAY_NS,
        amount=sum(line.amount for line in one.lines),
        tiles=one.lines[0].tiles,
        is_unusual=bool(_marks(one.lines, medians)),
    )


def rows(found: Sequence[Candidate], priced: Sequence[Priced], bought: Collection[str], medians: Mapping[str, int]) -> tuple[OfferRow, ...]:
    """The rows of the candidates, alternatives one below the other; `bought` are ids of layers."""
    numbers: dict[str, int] = {}
    made = []
    for candidate, one in sorted(zip(found, priced, strict=True), key=lambda each: each[0].name):
        made.append(
            OfferRow(
                name=candidate.name,
                lines=one.lines,
                group=numbers.setdefault(candidate.group, len(numbers) + 1),
                is_chosen=one.offer.layer_id in bought,
                quality=one.offer.quality,
                accuracy_m=one.offer.accuracy_m,
                unusual=_marks(one.lines, medians) if candidate.is_unusual else (),
                permit=one.permit,
                refused=one.refused,
            )
        )
    return tuple(sorted(made, key=lambda row: (row.group, row.name)))


def _marks(lines: Sequence[Line], medians: Mapping[str, int]) -> tuple[str, ...]:
    """The units of these lines whose rate is unusual."""
    return unusual({line.unit: line.rate for line in lines}, medians)


def check_named(conn: Connection, choice: Choice) -> None:
    """Pass when all that a choice takes is on offer somewhere, be it nothing in this area.

    Raises: NotFound: `offer.unknown`.
    """
    if not choice.taken:
        return
    query = (
        select(live_offers.c.org, live_offers.c.dataset, layer.c.name)
        .select_from(live_layers)
        .where(live_offers.c.dataset.in_(sorted({name.split("/")[1] for name in choice.taken if "/" in name})))
    )
    known = {name for org, dataset, of_layer in conn.execute(query) for name in (f"{org}/{dataset}", f"{org}/{dataset}/{of_layer}")}
    if unknown := sorted(choice.taken - known):
        message = f"{unknown[0]!r} is not on offer; name what is bought ORG/DATASET or ORG/DATASET/LAYER, as an estimate lists it."
        raise NotFound("offer.unknown", message, unknown=unknown)
