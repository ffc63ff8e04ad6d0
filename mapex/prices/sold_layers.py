"""What a buyer must know of the layers in a quote or an order to use them: system, heights, time of capture, exactness, licence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select, tuple_

from mapex.catalogue.versions import Layer, layer_from
from mapex.database import db, schema
from mapex.exchange import Exchange
from mapex.prices.estimate import Line
from mapex.rules.terms import digest
from tiles.batch import Content

TILES_CRS = "OGC:CRS84"
"""What features and frames are in, whatever their source was: longitude and latitude WGS 84. Points stay in the system of their source."""


def documents(ex: Exchange, lines: Iterable[Line]) -> list[dict[str, Any]]:
    """One JSON object for each layer of these lines, by their order; `lines` are those of a quote or order that the caller may see."""
    named = {(line.org, line.dataset, line.version, line.layer): line for line in lines}
    found = _layers(ex, named)
    return [_document(line, found[key]) for key, line in named.items() if key in found]


def _layers(ex: Exchange, keys: Iterable[tuple[str, str, int, str]]) -> dict[tuple[str, str, int, str], Layer]:
    """Layers by organisation, dataset, number of the version and name."""
    layer, version, dataset, org = schema.layer, schema.dataset_version, schema.dataset, schema.organisation
    wanted = list(keys)
    if not wanted:
        return {}
    columns = tuple_(org.c.slug, dataset.c.slug, version.c.number, layer.c.name)
    query = (
        select(layer, org.c.slug.label("org"), dataset.c.slug.label("dataset"), version.c.number.label("number"))
        .join_from(layer, version, version.c.id == layer.c.version_id)
        .join(dataset, dataset.c.id == version.c.dataset_id)
        .join(org, org.c.id == dataset.c.org_id)
        .where(columns.in_(wanted))
    )
    with db.read(ex) as conn:
        rows = conn.execute(query).mappings().all()
    return {(row["org"], row["dataset"], row["number"], row["name"]): layer_from(row) for row in rows}


def _document(line: Line, layer: Layer) -> dict[str, Any]:
    facts = layer.facts
    return {
        "org": line.org,
        "dataset": line.dataset,
        "version": line.version,
        "layer": line.layer,
        "kind": line.kind,
        "licence": line.licence,
        "attribution": line.attribution,
        "updates": line.updates,
        "terms_sha256": line.terms or digest(line.licence, line.attribution),
        "crs": facts.crs if layer.content is Content.POINTS else TILES_CRS,
        "source_crs": facts.crs,
        "source_crs_known": str(facts.crs_source),
        "accuracy_m": facts.accuracy_m,
        "height_datum": facts.height_datum,
        "height_source": str(facts.height_source),
        "captured": facts.captured or None,
    }
