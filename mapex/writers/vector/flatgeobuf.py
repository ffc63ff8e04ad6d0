"""FlatGeobuf: a folder with one file for each kind of feature and, where a kind has several, each type of geometry (2D and 3D apart)."""

from __future__ import annotations

from pathlib import Path

from mapex.writers.changes import Changes
from mapex.writers.vector.features import Features
from mapex.writers.vector.layers import GatheredLayer, Room, write_layer
from mapex.writers.vector.moving import code_of, name_of_all

FORMAT = "FlatGeobuf"
_ROOM = Room("FlatGeobuf", ("feature_id", "kind", "geometry", "source"), most=32_000, has_nan=True)


def write(features: Features, path: Path, name: str, changes: Changes) -> list[str]:
    """See `mapex.writers.formats.FeatureWriter`."""
    del name  # the files are called after the kinds
    path.mkdir()
    layers: dict[tuple[str, int], GatheredLayer] = {}
    for rows in features.rows():
        for key, some in rows.by(lambda kind, geometry: (kind, code_of(geometry) % 2000)):
            if key not in layers:
                layers[key] = GatheredLayer(key[0], features.seen[key[0]], _ROOM, changes)
            layers[key].add(some)
    files = {kind: [code for other, code in layers if other == kind] for kind, _ in layers}
    written = []
    for (kind, code), layer in sorted(layers.items()):
        shape = name_of_all([code])
        called = kind if len(files[kind]) == 1 else f"{kind}_{shape.replace(' ', '').lower()}"
        write_layer(layer.table(), path / f"{called}.fgb", called, shape, features.moving.crs, driver=_ROOM.driver)
        written.append(called)
    return written
