"""What a Parquet file states of a column of geometry without `geo` metadata: Parquet's own types GEOMETRY and GEOGRAPHY, and GeoArrow's.

Sources: Parquet format 2.12, geospatial definitions (a CRS that is not stated is OGC:CRS84; x comes first); GeoArrow, extension types.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

DEFAULT = "OGC:CRS84"
PLANAR = "planar"

_TYPE = re.compile(r"(Geometry|Geography)\((?:crs=(.*?))?(?:, algorithm=(\w+))?\)", re.DOTALL)
_SRID = re.compile(r"srid:\s*(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class StatedColumn:
    """A column of WKB as its own type states it.

    `crs` as PROJ reads it, None = unknown; `is_default`: nothing states it, so it is that of the standard. `edges`: what is between two
    vertices, "planar" or the kind of curve on the globe.
    """

    name: str
    crs: str | None
    is_default: bool
    edges: str


def stated_columns(file: pq.ParquetFile) -> dict[str, StatedColumn]:
    """Columns whose type says that they hold geometry, by name, in the order of the file; Parquet's own type before GeoArrow's."""
    found = {}
    schema, texts = file.schema, file.metadata.metadata or {}
    for at in range(len(schema)):
        column = schema.column(at)
        named = _TYPE.fullmatch(str(column.logical_type))
        if named and column.path in file.schema_arrow.names:
            crs = (named[2] or "").strip()
            edges = PLANAR if named[1] == "Geometry" else (named[3] or "spherical")
            found[column.path] = StatedColumn(column.path, _crs(crs, texts) if crs else DEFAULT, not crs, edges)
    for field in file.schema_arrow:
        if field.name not in found and (field.metadata or {}).get(b"ARROW:extension:name") in (b"geoarrow.wkb", b"ogc.wkb"):
            found[field.name] = _of_arrow(field)
    return found


def _crs(text: str, texts: Mapping[bytes, bytes]) -> str | None:
    """A CRS of the type in the form that PROJ reads; None for one that is unknown, or named and not there."""
    srid = _SRID.fullmatch(text)
    if srid:
        return f"EPSG:{srid[1]}" if int(srid[1]) else None
    if text.lower().startswith("projjson:"):
        return texts.get(text[len("projjson:") :].encode(), b"").decode("utf-8", "replace") or None
    return text


def _of_arrow(field: pa.Field) -> StatedColumn:
    try:
        about = json.loads(field.metadata.get(b"ARROW:extension:metadata") or b"{}")
    except (ValueError, RecursionError):
        about = {}
    about = about if isinstance(about, dict) else {}
    crs = about.get("crs")
    text = json.dumps(crs) if isinstance(crs, dict) else crs if isinstance(crs, str) and crs else None
    return StatedColumn(field.name, text, False, str(about.get("edges") or PLANAR))
