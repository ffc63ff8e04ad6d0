"""The preview of a vector layer: its teaser lines (`tiles.features.teaser`), the names on them, the table of its attributes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import shapely

from ingest.previews.attributes import AttributeTable
from ingest.previews.make import LayerTiles, Made, Without
from ingest.previews.names import NameList
from tiles.batch import Kind
from tiles.features import codec as features_codec
from tiles.features import teaser

_LANES = (Kind.LANE_CENTRE, Kind.LANE_AREA, Kind.LANE_BORDER)
"""Lanes are drawn by the first of these that the layer has."""
_MERGED_AT = 400_000


def make(layer: LayerTiles, out: Path) -> Iterator[Made | Without]:
    """The teaser, and nothing where no lines are."""
    by_kind: dict[str, list[teaser.Teaser]] = {}
    names, attributes = NameList(), AttributeTable()
    for stored in layer.tiles:
        for kind, piece in _pieces(stored.path, names, attributes):
            waiting = by_kind.setdefault(kind, [])
            waiting.append(piece)
            if sum(len(one.segments) for one in waiting) > _MERGED_AT:
                by_kind[kind] = [teaser.merge(waiting)]
    yield from attributes.previews()
    yield from (Made("names", {"rows": rows}, ordinal=ordinal) for ordinal, rows in enumerate(names.rows()))
    lane = next((kind for kind in _LANES if kind in by_kind), None)
    shown = [piece for kind, pieces in sorted(by_kind.items()) if kind not in _LANES or kind == lane for piece in pieces]
    merged = teaser.merge(shown)
    if not len(merged.segments):
        yield Without("preview.no_lines", "The layer has no lines that could be drawn as a preview.")
        return
    path = out / "teaser"
    path.write_bytes(teaser.encode(merged))
    yield Made("teaser", {"segments": len(merged.segments), "zoom": merged.zoom}, path)


def _pieces(path: Path, names: NameList, attributes: AttributeTable) -> Iterator[tuple[str, teaser.Teaser]]:
    """Teaser lines of a tile by kind, names and attributes into their lists; a feature counts in the cell that owns it only."""
    table = features_codec.read(path)
    kinds = np.asarray(table.column("kind").to_pylist(), dtype=object)
    owned = table.column("owner").fill_null(False).to_numpy(zero_copy_only=False)
    mine = np.flatnonzero(owned)
    attributes.add(kinds[mine].tolist(), table.column("properties").take(mine).to_pylist())
    for kind in sorted(set(kinds.tolist()) & set(teaser.CLASS_OF)):
        rows = np.flatnonzero((kinds == kind) & owned)
        names.add(table, rows)
        geometry = shapely.from_wkb(table.column("geometry").take(rows).to_numpy(zero_copy_only=False), on_invalid="ignore")
        code = teaser.CLASSES.index(teaser.CLASS_OF[kind])
        yield kind, teaser.generalise(geometry, np.full(len(geometry), code, np.uint8))
