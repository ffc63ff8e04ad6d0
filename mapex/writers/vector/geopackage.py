"""GeoPackage: one layer for each kind of feature (lane_area, sidewalk, ...), with the columns that the kind has, and a style for QGIS."""

from __future__ import annotations

from pathlib import Path

from mapex.writers.changes import Changes
from mapex.writers.vector import styles
from mapex.writers.vector.features import Features
from mapex.writers.vector.layers import MORE, GatheredLayer, Room, write_layer
from mapex.writers.vector.moving import name_of_all

FORMAT = "GeoPackage"
_ROOM = Room("GPKG", ("feature_id", "kind", "geometry", "source", "fid", "geom", MORE), most=1900, has_m=True)
"""SQLite takes 2,000 columns."""


def write(features: Features, path: Path, name: str, changes: Changes) -> list[str]:
    """See `mapex.writers.formats.FeatureWriter`."""
    del name  # the layers are called after the kinds
    layers = {kind: GatheredLayer(kind, features.seen[kind], _ROOM, changes) for kind in sorted(features.seen)}
    for rows in features.rows():
        for kind in set(rows.kinds):
            layers[kind].add(rows.of_kind(kind))
    shapes = {kind: name_of_all(layer.codes) for kind, layer in layers.items()}
    for kind, layer in layers.items():
        options = {"driver": _ROOM.driver, "layer_options": {"GEOMETRY_NAME": "geom", "FID": "fid"}}
        write_layer(layer.table(), path, kind, shapes[kind], features.moving.crs, **options)
    styles.put_into(path, shapes)
    return list(layers)
