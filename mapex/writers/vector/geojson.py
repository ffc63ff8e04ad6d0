"""GeoJSON: one collection of all features, every attribute as the tiles have it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mapex.writers.changes import Changes
from mapex.writers.vector.columns import SOURCE, is_real, labels_of, written_out
from mapex.writers.vector.features import FeatureRows, Features
from mapex.writers.vector.values import UNREAL, Sort, as_json

FORMAT = "GeoJSON"
_OWN = ("feature_id", "kind", "source")


def write(features: Features, path: Path, name: str, changes: Changes) -> list[str]:
    """See `mapex.writers.formats.FeatureWriter`."""
    seen = features.names
    labels = labels_of(seen, _OWN)
    for known, label in labels.items():
        if known not in (label, SOURCE):
            changes.add("renamed", known, into=label)
    with path.open("w", encoding="utf-8") as file:
        file.write(f'{{"type": "FeatureCollection", "name": {as_json(name)}{_crs(features, changes)}, "features": [')
        lead = "\n"
        for rows in features.rows():
            for text in _features(rows, labels, seen, changes):
                file.write(lead + text)
                lead = ",\n"
        file.write("\n]}\n")
    return [name]


def _crs(features: Features, changes: Changes) -> str:
    """The member of 2008 for another system than WGS 84, which other tools still read."""
    crs = features.moving.crs
    authority = crs.to_authority()
    if crs.equals("EPSG:4326", ignore_axis_order=True):
        return ""
    urn = f"urn:ogc:def:crs:{authority[0]}::{authority[1]}" if authority else crs.to_wkt()
    changes.add("older_crs", crs.name)
    return f', "crs": {json.dumps({"type": "name", "properties": {"name": urn}})}'


def _features(rows: FeatureRows, labels: Mapping[str, str], seen: Mapping[str, Sort], changes: Changes) -> Iterator[str]:
    shapes = _shapes(rows, changes)
    real = {name for name, sorts in seen.items() if is_real(sorts)}
    for number, attributes in enumerate(rows.attributes):
        members: dict[str, Any] = {"feature_id": rows.ids[number], "kind": rows.kinds[number]}
        for name, value in attributes.items():
            held = None if name in real and isinstance(value, str) and value in UNREAL else value
            lost = int(held is not value) + _not_finite(held)
            if lost:
                changes.add("not_finite", name, count=lost, features=[written_out(rows.ids[number])])
            members[labels[name]] = held
        yield f'{{"type": "Feature", "properties": {as_json(members)}, "geometry": {json.dumps(shapes[number])}}}'


def _not_finite(value: Any) -> int:
    """How many numbers in it JSON does not have."""
    if isinstance(value, dict | list):
        return sum(map(_not_finite, value.values() if isinstance(value, dict) else value))
    return int(isinstance(value, float) and not math.isfinite(value))


def _shapes(rows: FeatureRows, changes: Changes) -> list[Any]:
    """Geometries as GeoJSON has them, every coordinate exact; rings as RFC 7946 wants them, outer ones counter-clockwise."""
    import numpy as np
    import shapely

    ids = [written_out(one) for one in rows.ids]
    shapes = shapely.from_wkb(np.array(rows.geometries, dtype=object))
    measured = shapely.has_m(shapes)
    changes.add_some("measures", "", ids, measured)
    for solid in (False, True):
        some = measured & (shapely.has_z(shapes) == solid)
        if some.any():
            shapes[some] = shapely.from_wkb(shapely.to_wkb(shapes[some], output_dimension=3 if solid else 2))
    turned = shapely.orient_polygons(shapes)
    changes.add_some("rings", "", ids, [one != other for one, other in zip(shapely.to_wkb(shapes), shapely.to_wkb(turned), strict=True)])
    return [shapely.geometry.mapping(shape) for shape in turned]
