"""The table of attributes of a layer on sale: name, type, how many have it, some values or the range.

It was made at ingest, in the cage. Of layers that need a permit no value is shown: what a sign or a building says may be what a stranger
must not learn; that there are such attributes is no secret, or nobody could know what to ask for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, text

from mapex.catalogue.versions import Layer
from mapex.database import db
from mapex.exchange import Exchange
from mapex.offers.products import Product
from mapex.rules.licences import HandlingClass
from tiles.batch import LayerKind

SHOWN = frozenset({HandlingClass.OPEN, HandlingClass.PSEUDONYMISED})
"""Classes of layers whose values may be shown."""


@dataclass(frozen=True, slots=True)
class LayerAttribute:
    """One attribute. `how` the values are meant: "values" (all that there are), "some", "range" (least, most) or "" (none shown)."""

    name: str
    type: str
    count: int
    how: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class LayerTable:
    """The attributes of a layer, of `of` features or points that were looked at, and how many there are of each kind of feature.

    `is_known` is False for a version of before there were such tables.
    """

    of: int
    kinds: tuple[tuple[str, int], ...]
    rows: tuple[LayerAttribute, ...]
    is_known: bool = True


_ABOUT = text("SELECT layer_id, about FROM preview WHERE kind = :kind AND layer_id IN :layers ORDER BY layer_id, ordinal").bindparams(
    bindparam("layers", expanding=True)
)


def of_layers(conn: Connection, layers: Sequence[Layer]) -> dict[str, LayerTable]:
    """The table of each layer by its id; recordings have their topics as attributes."""
    ids = [one.id for one in layers]
    stored: dict[str, list[dict[str, Any]]] = {}
    for layer_id, about in conn.execute(_ABOUT, {"kind": "attributes", "layers": ids}):
        stored.setdefault(layer_id, []).append(json.loads(about))
    facts = {layer_id: json.loads(about) for layer_id, about in conn.execute(_ABOUT, {"kind": "facts", "layers": ids})}
    return {one.id: _table(one, stored.get(one.id, ()), facts.get(one.id, {})) for one in layers}


def of_product(ex: Exchange, product: Product) -> dict[str, LayerTable]:
    """The table of each layer on sale of a dataset, by the name of the layer."""
    layers = [one.layer for one in product.layers]
    with db.read(ex) as conn:
        tables = of_layers(conn, layers)
    return {one.name: tables[one.id] for one in layers}


def _table(layer: Layer, pieces: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> LayerTable:
    if pieces:
        is_shown = layer.handling_class in SHOWN
        rows = tuple(_attribute(row, is_shown) for piece in pieces for row in piece["rows"])
        return LayerTable(pieces[0]["of"], tuple((kind, count) for kind, count in pieces[0]["kinds"]), rows)
    if topics := facts.get("topics"):
        found = tuple(LayerAttribute(one["topic"], one["type"], one["count"], "", ()) for one in topics)
        return LayerTable(sum(one.count for one in found), (), found)
    return LayerTable(0, (), (), is_known=layer.kind in (LayerKind.PHOTOS, LayerKind.VIDEO))


def _attribute(row: Sequence[Any], is_shown: bool) -> LayerAttribute:
    name, kind, count, how, *values = row
    return LayerAttribute(name, kind, count, how if is_shown and values else "", tuple(values) if is_shown else ())
