"""GeoParquet: one table of all features."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mapex.writers.changes import Changes
from mapex.writers.vector.columns import columns_of, labels_of
from mapex.writers.vector.features import Features
from mapex.writers.vector.moving import code_of, names_of
from mapex.writers.vector.tables import schema_of, table_of

FORMAT = "GeoParquet"
_OWN = ("feature_id", "kind", "geometry", "source")


def write(features: Features, path: Path, name: str, changes: Changes) -> list[str]:
    """See `mapex.writers.formats.FeatureWriter`."""
    import pyarrow.parquet as pq

    seen = features.names
    columns = columns_of(seen, labels_of(seen, _OWN), changes)
    codes: set[int] = set()
    with pq.ParquetWriter(path, schema_of(columns), compression="zstd") as writer:
        for rows in features.rows():
            codes.update(map(code_of, rows.geometries))
            writer.write_table(table_of(rows, columns, changes))
        writer.add_key_value_metadata({"geo": json.dumps(_geo(features, sorted(codes)))})
    return [name]


def _geo(features: Features, codes: list[int]) -> dict[str, Any]:
    geometry = {"encoding": "WKB", "geometry_types": names_of(codes), "crs": features.moving.crs.to_json_dict()}
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": geometry}}
