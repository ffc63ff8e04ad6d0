"""Layers of features for the formats that GDAL writes: gathered as Arrow tables, since a layer is written at once, and counted after."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapex.errors import Unavailable
from mapex.writers.changes import Changes
from mapex.writers.vector.columns import SOURCE, WrittenColumn, columns_of, labels_of, written_out
from mapex.writers.vector.features import FeatureRows
from mapex.writers.vector.moving import code_of
from mapex.writers.vector.tables import table_of
from mapex.writers.vector.values import Sort

if TYPE_CHECKING:
    import pyarrow as pa

MORE = "more_attributes"
_REST = "\0rest"  # where those of a feature that have no column are kept beside the others


@dataclass(frozen=True, slots=True)
class Room:
    """What a layer of a format has room for.

    `own`: names of columns that are the format's. `most`: attributes; those beyond are one column of JSON text where that is among `own`.
    `longest`: bytes of a name. `has_nan`: whether NaN is a number there. `has_m`: whether vertices may have measures.
    """

    driver: str
    own: Collection[str]
    most: int
    longest: int | None = None
    has_nan: bool = False
    has_m: bool = False


class GatheredLayer:
    """Features of one kind, all with the same columns."""

    def __init__(self, kind: str, seen: Mapping[str, Sort], room: Room, changes: Changes) -> None:
        self.kind, self.room, self.changes = kind, room, changes
        names = [name for name in seen if name != SOURCE]
        self.rest = names[room.most :]
        gathers = MORE in room.own
        for name in self.rest:
            changes.add("gathered" if gathers else "no_room", name, into=MORE if gathers else "", layer=kind)
        kept = {name: sorts for name, sorts in seen.items() if name not in set(self.rest)}
        self.columns = columns_of(kept, labels_of(kept, room.own, folded, room.longest), changes, kind)
        if self.rest and gathers:
            self.columns.append(WrittenColumn(_REST, MORE, "string"))
        self.tables: list[pa.Table] = []
        self.codes: set[int] = set()

    def add(self, rows: FeatureRows) -> None:
        """Take features in."""
        if self.rest:
            rest = [{name: found[name] for name in self.rest if name in found} for found in rows.attributes]
            gathered = [{**a, _REST: more or None} for a, more in zip(rows.attributes, rest, strict=True)]
            rows = FeatureRows(rows.ids, rows.kinds, gathered, rows.geometries)
        if not self.room.has_m:
            rows = _without_measures(rows, self.changes, self.kind)
        self.codes.update(map(code_of, rows.geometries))
        self.tables.append(self._held(table_of(rows, self.columns, self.changes, self.kind), [*map(written_out, rows.ids)]))

    def _held(self, table: pa.Table, ids: Sequence[str]) -> pa.Table:
        """The table with what GDAL would change by itself changed aloud: where NaN is null, and NUL, which ends its texts."""
        import pyarrow as pa
        import pyarrow.compute as pc

        for k, name in enumerate(("feature_id", "kind", *(column.name for column in self.columns))):
            column = table.column(k)
            if column.type == pa.float64() and not self.room.has_nan:
                what, wrong = "not_finite", pc.is_nan(column)
            elif column.type == pa.string():
                what, wrong = "nul", pc.match_substring(column, "\0")
            else:
                continue
            if pc.any(wrong).as_py():
                self.changes.add_some(what, name, ids, pc.fill_null(wrong, False).to_pylist(), layer=self.kind)
                held = pc.if_else(wrong, None, column) if what == "not_finite" else pc.replace_substring(column, "\0", "\\u0000")
                table = table.set_column(k, table.field(k), held)
        return table

    def table(self) -> pa.Table:
        """All that was taken in."""
        import pyarrow as pa

        return pa.concat_tables(self.tables)


def write_layer(table: pa.Table, path: Path, name: str, geometry_type: str, crs: Any, **options: Any) -> None:
    """Write one layer, and count what is in the file.

    Raises: Unavailable: `join.write`: not all of it is in the file (a full disk).
    """
    import pyogrio

    errors: tuple[type[Exception], ...] = (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.FeatureError)
    system = crs.to_string() if crs.to_authority() else crs.to_wkt()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what does not fit is known before, and named
            pyogrio.write_arrow(table, path, layer=name, geometry_name="geometry", geometry_type=geometry_type, crs=system, **options)
            written = pyogrio.read_info(path, layer=name, force_feature_count=True)["features"]
    except errors as error:
        raise Unavailable("join.write", f"{path.name} could not be written: {error}. Is the disk full?") from error
    if written != table.num_rows:
        raise Unavailable("join.write", f"Only {written} of {table.num_rows} features came into {name}. Is the disk full?")


def _without_measures(rows: FeatureRows, changes: Changes, layer: str) -> FeatureRows:
    import numpy as np
    import shapely

    measured = [code_of(geometry) >= 2000 for geometry in rows.geometries]
    if not any(measured):
        return rows
    changes.add_some("measures", "", [*map(written_out, rows.ids)], measured, layer=layer)
    shapes = shapely.from_wkb(np.array(rows.geometries, dtype=object))
    plain = [
        shapely.to_wkb(shape, output_dimension=3 if shape.has_z else 2, flavor="iso") if is_measured else geometry
        for shape, is_measured, geometry in zip(shapes, measured, rows.geometries, strict=True)
    ]
    return FeatureRows(rows.ids, rows.kinds, rows.attributes, plain)


def folded(name: str) -> str:
    """Names of columns that differ in the case of ASCII letters only are one in SQLite, and for GDAL."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)
