"""The layers of live offers, with what an area has of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, select

from mapex.database.live_offers import live_layers, live_offers
from mapex.database.schema import dataset_version, layer, shown_layer
from mapex.errors import NotFound
from mapex.pyramid.cell_sums import Sum
from mapex.rules.pricing import parsed_rates
from mapex.rules.terms import digest
from mapex.times import iso_from_ns
from tiles.batch import LayerKind


@dataclass(frozen=True, slots=True)
class LiveLayer:
    """A layer of a live offer. `quality`, `seen_ns`: see `mapex.rules.quality`; `accuracy_m`: None where nobody knows it."""

    layer_id: str
    layer: str
    kind: str
    handling_class: str
    version: int
    offer_id: str
    seller_id: str
    licence: str
    attribution: str
    credits_earlier: bool
    updates: str
    rates: Mapping[str, int]
    dataset: str
    org: str
    as_of: str
    seen_ns: int
    quality: int
    accuracy_m: float | None
    sums: Sum

    @property
    def terms(self) -> str:
        """Digest of the terms of the offer."""
        return digest(self.licence, self.attribution, self.credits_earlier, self.updates)

    @property
    def name(self) -> str:
        """By which buyers name it: `ORG/DATASET/LAYER`."""
        return f"{self.org}/{self.dataset}/{self.layer}"


_LAYERS = (
    select(
        layer.c.id.label("layer_id"),
        layer.c.name.label("layer"),
        layer.c.kind,
        layer.c.handling_class,
        dataset_version.c.number.label("version"),
        live_offers.c.id.label("offer_id"),
        live_offers.c.seller_id,
        live_offers.c.licence,
        live_offers.c.attribution,
        live_offers.c.credits_earlier,
        live_offers.c.updates,
        live_offers.c.rate_card.label("rates"),
        live_offers.c.dataset,
        live_offers.c.org,
        layer.c.about,
        dataset_version.c.published_ns,
        shown_layer.c.seen_ns,
        shown_layer.c.quality,
    )
    .select_from(
        live_layers.join(dataset_version, dataset_version.c.id == layer.c.version_id).join(
            shown_layer, shown_layer.c.layer_id == layer.c.id
        )
    )
    .where(layer.c.id.in_(bindparam("layers", expanding=True)))
)
"""The layers on offer among `layers` (ids), in the order of `LiveLayer`: made once, since every estimate asks it."""


def offers_in(
    conn: Connection, sums: Mapping[str, Sum], *, layers: frozenset[str] | None = None, dataset: str | None = None
) -> list[LiveLayer]:
    """The layers of live offers that have a sum, as far as wanted.

    Raises: NotFound: no live offer has the named dataset (unpublished, foreign draft and absent look the same), or a layer of this
    name.
    """
    if dataset is not None:
        _check_dataset(conn, dataset)
    found = [_offered(row, sums[row[0]]) for row in conn.execute(_LAYERS, {"layers": list(sums)})]
    if dataset is not None:
        found = [offer for offer in found if dataset in (offer.dataset, f"{offer.org}/{offer.dataset}")]
    if layers is not None:
        _check_layers(conn, layers, found, dataset or "")
        found = [offer for offer in found if offer.layer in layers or offer.kind in layers]
    return found


def _offered(row: Sequence[Any], sums: Sum) -> LiveLayer:
    # By place, not by name: an estimate has hundreds of them.
    *first, rates, dataset, org, about, published_ns, seen_ns, quality = row
    values = [*first, parsed_rates(rates), dataset, org, _as_of(about, published_ns), seen_ns, quality, _accuracy_m(about), sums]
    return LiveLayer(*values)


@lru_cache(maxsize=4096)
def _as_of(about: str, published_ns: int | None) -> str:
    return captured_to(about) or (iso_from_ns(published_ns) if published_ns else "")


@lru_cache(maxsize=4096)
def _accuracy_m(about: str) -> float | None:
    found = json.loads(about).get("accuracy_m")
    return None if found is None else float(found)


@lru_cache(maxsize=4096)
def captured_to(about: str) -> str:
    """When (ISO 8601) the newest of a layer was captured, from its `about`, or empty; parsed once, for it never changes."""
    captured = json.loads(about).get("captured")
    return str(captured[-1]) if captured else ""


def _check_dataset(conn: Connection, dataset: str) -> None:
    if conn.execute(select(live_offers.c.id).where(*_named(dataset)).limit(1)).first() is None:
        raise NotFound("dataset.unknown", f"No dataset {dataset!r} is on offer; `mapex search` lists what is.", dataset=dataset)


def _named(dataset: str) -> list[ColumnElement[bool]]:
    """What holds of the offers of a dataset, named by its slug or as `org/slug`; nothing for the empty name, which is any."""
    org, _, slug = dataset.rpartition("/")
    named = {live_offers.c.dataset: slug, live_offers.c.org: org}
    return [column == name for column, name in named.items() if name]


def _check_layers(conn: Connection, layers: frozenset[str], found: Sequence[LiveLayer], dataset: str) -> None:
    """Refuse a name that is neither a kind nor a layer on offer anywhere; one that is on offer elsewhere has only nothing here."""
    unknown = layers - set(LayerKind) - {offer.layer for offer in found}
    if not unknown:
        return
    query = select(layer.c.name).select_from(live_layers).where(layer.c.name.in_(sorted(unknown)), *_named(dataset))
    unknown -= set(conn.execute(query).scalars())
    if unknown:
        names, known = ", ".join(sorted(unknown)), sorted({offer.layer for offer in found})
        here = f"in this area there are {', '.join(known)}" if known else "in this area there are none at all"
        raise NotFound("layer.unknown", f"No layer {names!r} is on offer; {here}.", unknown=sorted(unknown), known=known)
