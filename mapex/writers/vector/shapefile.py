"""Shapefiles: a folder with one for each kind of feature and sort of geometry. What their tables have no room for is named.

Names have 10 bytes, texts 254, numbers 24 digits of which 15 behind the point; an empty text is null.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mapex.writers.changes import Changes
from mapex.writers.vector.columns import SOURCE, WrittenColumn, cut, written_out
from mapex.writers.vector.features import Features
from mapex.writers.vector.layers import GatheredLayer, Room, write_layer
from mapex.writers.vector.moving import code_of

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = "Shapefile"
_ROOM = Room("ESRI Shapefile", ("feature_id", "kind", "geometry", "source", "fid", "ogc_fid"), most=240, longest=10)
"""A table has 255 columns."""
_LONGEST_TEXT = 254
_LARGEST, _WIDEST = 1e22, 10**17
_SORTS = {1: "Point", 2: "LineString", 3: "Polygon", 4: "MultiPoint", 5: "LineString", 6: "Polygon"}
_Key = tuple[str, str, bool]


def write(features: Features, path: Path, name: str, changes: Changes) -> list[str]:
    """See `mapex.writers.formats.FeatureWriter`."""
    del name  # the files are called after the kinds
    path.mkdir()
    layers: dict[_Key, GatheredLayer] = {}
    for rows in features.rows():
        for key, some in rows.by(_key):
            if not key[1]:
                changes.add("no_shape", layer=key[0], count=len(some.ids), features=map(written_out, some.ids))
                continue
            if key not in layers:
                layers[key] = GatheredLayer(key[0], features.seen[key[0]], _ROOM, changes)
            layers[key].add(some)
    written = []
    for (kind, sort, has_z), layer in sorted(layers.items()):
        alike = [key for key in layers if key[0] == kind]
        called = kind if len(alike) == 1 else f"{kind}_{sort.lower()}{'_z' * has_z}"
        table = _fitting(layer)
        file = path / f"{called}.shp"
        write_layer(table, file, called, sort + " Z" * has_z, features.moving.crs, driver=_ROOM.driver, encoding="UTF-8")
        _compare(table, file, layer.columns, changes)
        written.append(called)
    return written


def _key(kind: str, geometry: bytes) -> _Key:
    code = code_of(geometry)
    return kind, _SORTS.get(code % 1000, ""), code // 1000 in (1, 3)


def _fitting(layer: GatheredLayer) -> pa.Table:
    """The table with values that fit: longer texts are cut (JSON, which would be none any more, is left out), larger numbers are null."""
    import pyarrow as pa

    table = layer.table()
    ids = table.column(0).to_pylist()
    for column in (WrittenColumn("feature_id", "feature_id", "string"), *layer.columns):
        at = table.column_names.index(column.label)
        if column.form == "int64" and any(number is not None and abs(number) >= _WIDEST for number in table.column(at).to_pylist()):
            layer.changes.add("wide_text", column.name, layer=layer.kind)
            table = table.set_column(at, column.label, table.column(at).cast(pa.string()))
        for what, wrong, held in _misfits(column, table.column(at)):
            if any(wrong):
                layer.changes.add_some(what, column.name, ids, wrong, layer=layer.kind)
                table = table.set_column(at, table.field(at), held)
    return table


def _misfits(column: WrittenColumn, values: pa.ChunkedArray) -> Iterator[tuple[str, list[bool], pa.Array]]:
    """What does not fit of the values of a column: the change, which values, and all of them as they are held."""
    import pyarrow as pa
    import pyarrow.compute as pc

    given = values.to_pylist()
    if column.form == "string":
        wrong = pc.fill_null(pc.greater(pc.binary_length(values), _LONGEST_TEXT), False).to_pylist()
        texts = [_shorter(column, text) if is_wrong else text for text, is_wrong in zip(given, wrong, strict=True)]
        yield "too_long", wrong, pa.array(texts, pa.string())
    elif column.form == "double":
        far = [number is not None and _LARGEST <= abs(number) < math.inf for number in given]
        endless = [number is not None and math.isinf(number) for number in given]
        held = [None if a or b else number for number, a, b in zip(given, far, endless, strict=True)]
        yield "too_large", far, pa.array(held, pa.float64())
        yield "not_finite", endless, pa.array(held, pa.float64())


def _shorter(column: WrittenColumn, text: str) -> str | None:
    is_json = column.name == SOURCE or text[:1] in ("{", "[")
    return None if is_json else cut(text, _LONGEST_TEXT)


def _compare(table: pa.Table, path: Path, columns: list[WrittenColumn], changes: Changes) -> None:
    """Note what the file holds otherwise than it was given: digits behind the fifteenth, blanks at the end."""
    import pyarrow as pa
    import pyogrio

    found = pyogrio.read_arrow(path)[1]
    ids = table.column(0).to_pylist()
    for column in columns:
        given, there = table.column(column.label), found.column(column.label)
        if given.type not in (pa.float64(), pa.string()) or given.type != there.type:
            continue
        what = "rounded" if given.type == pa.float64() else "blank"
        wrong = [one != other for one, other in zip(given.to_pylist(), there.to_pylist(), strict=True)]
        changes.add_some(what, column.name, ids, wrong, layer=path.stem)
