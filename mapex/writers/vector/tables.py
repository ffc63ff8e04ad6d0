"""Joined features as tables of Arrow: for the formats that have columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mapex.writers.changes import Changes
from mapex.writers.vector.columns import WrittenColumn
from mapex.writers.vector.features import FeatureRows

if TYPE_CHECKING:
    import pyarrow as pa


def schema_of(columns: Sequence[WrittenColumn]) -> pa.Schema:
    """`feature_id`, `kind`, the columns, and `geometry` (ISO WKB)."""
    import pyarrow as pa

    head = [pa.field(name, pa.string()) for name in ("feature_id", "kind")]
    return pa.schema([*head, *(column.field() for column in columns), pa.field("geometry", pa.binary())])


def table_of(rows: FeatureRows, columns: Sequence[WrittenColumn], changes: Changes, layer: str = "") -> pa.Table:
    """Some features in the columns of `schema_of`."""
    import pyarrow as pa

    head = (("feature_id", rows.ids), ("kind", rows.kinds))
    arrays = [WrittenColumn(name, name, "string").array(values, rows.ids, changes, layer) for name, values in head]
    arrays += [column.array([found.get(column.name) for found in rows.attributes], rows.ids, changes, layer) for column in columns]
    return pa.Table.from_arrays([*arrays, pa.array(rows.geometries, pa.binary())], schema=schema_of(columns))
