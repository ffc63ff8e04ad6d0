"""The layers of live offers, with what an area has of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, RowMapping, String, bindparam, text

from mapex.errors import NotFound
from mapex.pyramid.cell_sums import Sum
from mapex.rules.pricing import parsed_rates
from mapex.times import iso_from_ns
from tiles.batch import LayerKind


@dataclass(frozen=True, slots=True)
class Offered:
    """A layer of a live offer."""

    layer_id: str
    layer: str
    kind: str
    handling_class: str
    version: int
    offer_id: str
    seller_id: str
    licence: str
    rates: Mapping[str, int]
    dataset: str
    org: str
    as_of: str
    sums: Sum


def offers_in(
    conn: Connection, sums: Mapping[str, Sum], *, layers: frozenset[str] | None = None, dataset: str | None = None
) -> list[Offered]:
    """The layers of live offers that have a sum, as far as wanted.

    Raises: NotFound: no live offer has the named dataset (unpublished, foreign draft and absent are not told apart), or a layer of this
    name.
    """
    if dataset is not None:
        _check_dataset(conn, dataset)
    statement = text(
        "SELECT l.id AS layer_id, l.name AS layer, l.kind, l.handling_class, v.number AS version, o.id AS offer_id, o.org_id AS seller_id, "
        "o.licence, o.rate_card AS rates, d.slug AS dataset, g.slug AS org, l.about, v.published_ns "
        "FROM layer l JOIN dataset_version v ON v.id = l.version_id JOIN offer o ON o.version_id = v.id AND o.state = 'live' "
        "JOIN dataset d ON d.id = v.dataset_id JOIN organisation g ON g.id = o.org_id AND g.state = 'active' WHERE l.id IN :layers"
    ).bindparams(bindparam("layers", expanding=True, type_=String()))
    found = [_offered(row, sums[row["layer_id"]]) for row in conn.execute(statement, {"layers": list(sums)}).mappings()]
    if dataset is not None:
        found = [offer for offer in found if dataset in (offer.dataset, f"{offer.org}/{offer.dataset}")]
    if layers is not None:
        _check_layers(conn, layers, found, dataset or "")
        found = [offer for offer in found if offer.layer in layers or offer.kind in layers]
    return found


def _offered(row: RowMapping, sums: Sum) -> Offered:
    values = dict(row)
    as_of = _as_of(values.pop("about"), values.pop("published_ns"))
    return Offered(**{**values, "rates": parsed_rates(row["rates"])}, as_of=as_of, sums=sums)


@lru_cache(maxsize=4096)
def _as_of(about: str, published_ns: int | None) -> str:
    return captured_to(about) or (iso_from_ns(published_ns) if published_ns else "")


@lru_cache(maxsize=4096)
def captured_to(about: str) -> str:
    """When (ISO 8601) the newest of a layer was captured, from what its `about` says, or empty; parsed once, for it never changes."""
    captured = json.loads(about).get("captured")
    return str(captured[-1]) if captured else ""


def _check_dataset(conn: Connection, dataset: str) -> None:
    org, _, slug = dataset.rpartition("/")
    found: Any = conn.execute(
        text(
            "SELECT 1 FROM offer o JOIN dataset d ON d.id = o.dataset_id JOIN organisation g ON g.id = d.org_id "
            "WHERE o.state = 'live' AND d.slug = :slug AND (:org = '' OR g.slug = :org) LIMIT 1"
        ),
        {"slug": slug, "org": org},
    ).first()
    if found is None:
        raise NotFound("dataset.unknown", f"no dataset {dataset!r} is on offer; `mapex search` lists what is", dataset=dataset)


def _check_layers(conn: Connection, layers: frozenset[str], found: Sequence[Offered], dataset: str) -> None:
    """Refuse a name that is neither a kind nor a layer on offer anywhere; one that is on offer elsewhere has only nothing here."""
    unknown = layers - set(LayerKind) - {offer.layer for offer in found}
    if not unknown:
        return
    org, _, slug = dataset.rpartition("/")
    statement = text(
        "SELECT l.name FROM layer l JOIN offer o ON o.version_id = l.version_id AND o.state = 'live' JOIN dataset d ON d.id = o.dataset_id "
        "JOIN organisation g ON g.id = o.org_id AND g.state = 'active' "
        "WHERE l.name IN :names AND (:slug = '' OR d.slug = :slug) AND (:org = '' OR g.slug = :org)"
    ).bindparams(bindparam("names", expanding=True, type_=String()))
    unknown -= set(conn.execute(statement, {"names": sorted(unknown), "slug": slug, "org": org}).scalars())
    if unknown:
        names, known = ", ".join(sorted(unknown)), sorted({offer.layer for offer in found})
        here = f"in this area there are {', '.join(known)}" if known else "in this area there are none at all"
        raise NotFound("layer.unknown", f"no layer {names!r} is on offer; {here}", unknown=sorted(unknown), known=known)
