"""GeoPackage: one layer for each kind of feature (lane_area, sidewalk, ...), with the columns that the kind has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapex.errors import Unavailable
from mapex.writers.changes import Changes
from mapex.writers.columns import SOURCE, WrittenColumn, columns_of, labels_of
from mapex.writers.features import FeatureRows, Features
from mapex.writers.moving import code_of, name_of_all
from mapex.writers.tables import table_of

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = "GeoPackage"
MOST_COLUMNS = 1900
"""Attributes of a layer: SQLite takes 2,000 columns."""

_OWN = ("feature_id", "kind", "geometry", "source", "fid", "geom", "more_attributes")
_MORE = "more_attributes"
_REST = "\0rest"  # where those of a feature that have no column are kept beside the others


def write(features: Features, path: Path, name: str, changes: Changes) -> list[str]:
    """See `mapex.writers.formats.Writer`."""
    del name  # the layers are called after the kinds
    layers = {kind: _Layer(kind, features.seen[kind], changes) for kind in sorted(features.seen)}
    for rows in features.rows():
        for kind in set(rows.kinds):
            layers[kind].add(rows.of_kind(kind))
    for layer in layers.values():
        layer.write(path, features.moving.crs)
    return list(layers)


class _Layer:
    """The features of one kind, gathered as Arrow tables, since a layer is written at once."""

    def __init__(self, kind: str, seen: Any, changes: Changes) -> None:
        self.kind, self.changes = kind, changes
        names = [name for name in seen if name != SOURCE]
        self.rest = names[MOST_COLUMNS:]
        for name in self.rest:
            changes.add("gathered", name, into=_MORE, layer=kind)
        kept = {name: sorts for name, sorts in seen.items() if name not in set(self.rest)}
        self.columns = columns_of(kept, labels_of(kept, _OWN, _same), changes, kind)
        if self.rest:
            self.columns.append(WrittenColumn(_REST, _MORE, "string"))
        self.tables: list[Any] = []
        self.codes: set[int] = set()

    def add(self, rows: FeatureRows) -> None:
        """Take features in."""
        if self.rest:
            rest = [{name: found[name] for name in self.rest if name in found} for found in rows.attributes]
            rows = FeatureRows(
                rows.ids, rows.kinds, [{**a, _REST: more or None} for a, more in zip(rows.attributes, rest, strict=True)], rows.geometries
            )
        self.codes.update(map(code_of, rows.geometries))
        self.tables.append(self._held(table_of(rows, self.columns, self.changes, self.kind)))

    def _held(self, table: pa.Table) -> pa.Table:
        """The table with what SQLite would change by itself changed aloud: NaN is null there, and NUL ends a text."""
        import pyarrow as pa
        import pyarrow.compute as pc

        for k, name in enumerate(("feature_id", "kind", *(column.name for column in self.columns))):
            column = table.column(k)
            if column.type == pa.float64():
                what, wrong = "not_finite", pc.is_nan(column)
            elif column.type == pa.string():
                what, wrong = "nul", pc.match_substring(column, "\0")
            else:
                continue
            if count := pc.sum(wrong).as_py():
                self.changes.add(what, name, layer=self.kind, count=count)
                held = pc.if_else(wrong, None, column) if what == "not_finite" else pc.replace_substring(column, "\0", "\\u0000")
                table = table.set_column(k, table.field(k), held)
        return table

    def write(self, path: Path, crs: Any) -> None:
        """Write the layer.

        Raises: Unavailable: `join.write`: not all of it is in the file (a full disk).
        """
        import pyarrow as pa
        import pyogrio

        table = pa.concat_tables(self.tables)
        system = crs.to_string() if crs.to_authority() else crs.to_wkt()
        try:
            pyogrio.write_arrow(
                table,
                path,
                layer=self.kind,
                driver="GPKG",
                geometry_name="geometry",
                geometry_type=name_of_all(self.codes),
                crs=system,
                layer_options={"GEOMETRY_NAME": "geom", "FID": "fid"},
            )
            written = pyogrio.read_info(path, layer=self.kind, force_feature_count=True)["features"]
        except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.FeatureError) as error:
            raise Unavailable("join.write", f"{path.name} could not be written: {error}. Is the disk full?") from error
        if written != table.num_rows:
            raise Unavailable("join.write", f"Only {written} of {table.num_rows} features came into {self.kind}. Is the disk full?")


def _same(name: str) -> str:
    """Names of columns that differ in the case of ASCII letters only are one in SQLite."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)
