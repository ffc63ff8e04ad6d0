"""GeoParquet 1.x and Parquet's own geometry types by pyarrow: row groups in bounded memory, the WKB bytes kept as they are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ingest.findings import error, info, question, warning
from ingest.placing import move, resolve, systems
from ingest.reader import Placed, Source, Survey
from ingest.readers.tables.parquet_types import DEFAULT, PLANAR, StatedColumn, stated_columns
from ingest.readers.vector.layer import BATCH_ROWS, LayerRows
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid
from mapex.intake.placement import Placement
from tiles import plain_json
from tiles.batch import TILE_KEY, Batch, Content, LayerKind

_NATIVE = {"point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"}
_TWO = "crs.two_stated"
_GUESSES = ("geometry", "geom", "wkb_geometry", "wkb", "shape")


@dataclass(frozen=True, slots=True)
class Columns:
    """What a file says of its geometry. `crs` is PROJJSON, a code, "OGC:CRS84" (the default of the standards), or None for unknown."""

    geometry: str
    encoding: str
    crs: Any
    hidden: frozenset[str] = frozenset()
    box: tuple[float, ...] | None = None
    found: tuple[Finding, ...] = field(default_factory=tuple)


class GeoParquet:
    """GeoParquet 1.0 and 1.1, Parquet's own GEOMETRY and GEOGRAPHY, and Parquet with a WKB column that says nothing of itself.

    Covering boxes (`bbox` columns of 1.1) are left out of the properties: they are derived from the geometry. Further geometry columns
    stay in the properties as base64 WKB.
    """

    format = "geoparquet"
    layer = "hdmap"
    kind = LayerKind.HDMAP
    content = Content.FEATURES

    def survey(self, source: Source, given: Placement) -> Survey:
        """What the footer says."""
        file, columns = _open(source)
        record = (file.metadata.metadata or {}).get(TILE_KEY.encode())
        placed = resolve.with_record(resolve.resolve(columns.crs, given), record)
        settled = _TWO if given.crs else ""
        found = (*(f for f in columns.found if f.code != settled), *resolve.findings(placed, file=source.name))
        box = move.box_of(columns.box, placed.crs)
        layers = (Path(source.name).stem,)
        return Survey(self.format, layers, file.metadata.num_rows, placed, box, found, licence=resolve.licence_in(record))

    def read(self, source: Source, placed: Placed) -> Iterator[Batch | Finding]:
        """All rows, in file order."""
        file, columns = _open(source)
        layer = LayerRows(Path(source.name).stem, placed.crs or "", source.name)
        names = [name for name in file.schema_arrow.names if name not in columns.hidden]
        try:
            for record in file.iter_batches(BATCH_ROWS, columns=names):
                record.validate()
                table = pa.Table.from_batches([record])
                table.column(columns.geometry).validate(full=True)
                geometry = _wkb(table.column(columns.geometry), columns.encoding)
                yield from layer.batches(table.drop_columns([columns.geometry]), geometry)
        except (pa.ArrowException, OSError) as why:
            text = f"{source.name} cannot be read beyond row {layer.rows}: {str(why)[:200]}"
            yield error("file.damaged", text, "Export it again; what came before was kept.", file=source.name, layer=self.layer)
        yield from counted(layer, file.metadata.num_rows)
        yield from layer.findings()


def counted(layer: LayerRows, claimed: int | None) -> Iterator[Finding]:
    """An error when a file delivers another number of rows than it claims."""
    if claimed is not None and claimed >= 0 and claimed != layer.rows:
        text = f"{layer.name} claims {claimed} features and delivers {layer.rows}."
        yield error(
            "count.mismatch", text, "The file was cut or its header is false: export it again.", file=layer.file, value=str(claimed)
        )


def _open(source: Source) -> tuple[pq.ParquetFile, Columns]:
    # Dictionary-coded text stays coded: 530 kB of it became 6 GB when expanded; `attributes.pieces` measures first.
    try:
        schema = pq.read_schema(source.path)
        texts = [f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
        options = {"arrow_extensions_enabled": False, "pre_buffer": False, "buffer_size": 1 << 20}
        # INT96 counts nanoseconds by itself, of which 64 bits end in 2262: 9999-12-31 would become a day of 1816.
        file = pq.ParquetFile(source.path, read_dictionary=texts, coerce_int96_timestamp_unit="us", **options)
    except (pa.ArrowException, OSError, ValueError) as why:
        raise Invalid("file.damaged", f"{source.name} is not a readable Parquet file: {str(why)[:200]}", file=source.name) from why
    return file, _columns(file, source.name)


def _columns(file: pq.ParquetFile, name: str) -> Columns:
    schema, stated = file.schema_arrow, stated_columns(file)
    geo = _geo(file, name)
    if geo is None:
        return _of_type(stated, name) if stated else _guessed(schema, name)
    primary = str(geo.get("primary_column", "geometry"))
    about = geo.get("columns", {}).get(primary, {}) if isinstance(geo.get("columns"), dict) else {}
    if primary not in schema.names or not isinstance(about, dict):
        raise Invalid("file.damaged", f"{name}: the geo metadata names a geometry column {primary!r} that is not there.", file=name)
    encoding = str(about.get("encoding", "WKB"))
    if encoding.upper() != "WKB" and encoding.lower() not in _NATIVE:
        raise Invalid("geometry.encoding", f"{name}: the geometry encoding {encoding!r} is not read; write WKB.", file=name)
    # No key = CRS84 by the specification; an explicit null = unknown.
    crs = about.get("crs", DEFAULT)
    crs = json.dumps(crs) if isinstance(crs, dict) else crs
    found = _edges(str(about.get("edges") or PLANAR), name)
    if primary in stated:
        crs, contradiction = _agreed(crs, "crs" not in about, stated[primary], name)
        found += contradiction
    return Columns(primary, encoding, crs, _covering(about), _box(about.get("bbox")), tuple(found))


def _of_type(stated: Mapping[str, StatedColumn], name: str) -> Columns:
    """The column whose type says that it is geometry; by name where there are several."""
    lower = {column.lower(): column for column in stated}
    chosen = stated[next((lower[guess] for guess in _GUESSES if guess in lower), next(iter(stated)))]
    return Columns(chosen.name, "WKB", chosen.crs, found=tuple(_edges(chosen.edges, name)))


def _agreed(crs: Any, is_default: bool, stated: StatedColumn, name: str) -> tuple[Any, list[Finding]]:
    """The CRS of a column that both the `geo` metadata and its type describe, and a finding when they differ: `geo` is used."""
    if crs is None:
        return (None if stated.is_default else stated.crs), []
    first, second = systems.crs_from(crs), systems.crs_from(stated.crs)
    if first is None or second is None or systems.horizontal(first).equals(systems.horizontal(second), ignore_axis_order=True):
        return crs, []
    if is_default and not stated.is_default:
        crs, first, second = stated.crs, second, first
    text = f"{name} states two coordinate systems for the column {stated.name}: {first.name} was used, {second.name} was not."
    fix, where = "Check the box on the map; give --crs to settle it.", {"file": name, "value": f"{first.name} / {second.name}"}
    if is_default or stated.is_default:
        return crs, [warning("crs.two_stated", text, fix, **where)]
    return crs, [question("crs.two_stated", text, fix, **where)]


def _edges(edges: str, name: str) -> list[Finding]:
    if edges.lower() == PLANAR:
        return []
    text = f"{name} states that its lines are {edges} curves on the globe; they are measured and drawn straight from vertex to vertex."
    return [info("geometry.edges", text, "Nothing to do where vertices are close to one another.", file=name, value=edges)]


def _geo(file: pq.ParquetFile, name: str) -> Mapping[str, Any] | None:
    raw = (file.metadata.metadata or {}).get(b"geo")  # not of the schema: Arrow hides what was added when the rows were written
    if raw is None:
        return None
    try:
        geo = plain_json.loads(raw)
    except plain_json.DoubledKeyError as why:
        raise Invalid("file.damaged", f"{name}: in the geo metadata {why}.", file=name) from why
    except (ValueError, RecursionError) as why:
        raise Invalid("file.damaged", f"{name}: the geo metadata is not JSON.", file=name) from why
    if not isinstance(geo, dict):
        raise Invalid("file.damaged", f"{name}: the geo metadata is not a JSON object.", file=name)
    return geo


def _guessed(schema: pa.Schema, name: str) -> Columns:
    lower = {n.lower(): n for n in schema.names}
    found = next((lower[guess] for guess in _GUESSES if guess in lower), None)
    if found is None or not (pa.types.is_binary(schema.field(found).type) or pa.types.is_large_binary(schema.field(found).type)):
        raise Invalid("format.unsupported", f"{name} is Parquet without geometry: no geo metadata and no WKB column.", file=name)
    assumed = info(
        "format.assumed", f"{name} has no geo metadata; its column {found!r} is read as WKB.", "Write GeoParquet 1.1.", file=name
    )
    return Columns(found, "WKB", None, found=(assumed,))


def _covering(about: Mapping[str, Any]) -> frozenset[str]:
    covering = about.get("covering")
    box = covering.get("bbox") if isinstance(covering, dict) else None
    paths = box.values() if isinstance(box, dict) else ()
    return frozenset(str(path[0]) for path in paths if isinstance(path, list) and path)


def _box(values: Any) -> tuple[float, ...] | None:
    if not isinstance(values, list) or len(values) not in (4, 6) or not all(isinstance(v, int | float) for v in values):
        return None
    half = len(values) // 2
    return (values[0], values[1], values[half], values[half + 1])


def _wkb(column: Any, encoding: str) -> Any:
    """The column as WKB; native (GeoArrow) encodings of 1.1 are rebuilt with shapely, vertices unchanged."""
    if encoding.upper() == "WKB":
        if pa.types.is_dictionary(column.type):
            return column.cast(column.type.value_type)
        return column
    import shapely

    built = [None if value is None else _shape(value, encoding.lower()) for value in column.to_pylist()]
    return pa.chunked_array([pa.array([None if g is None else shapely.to_wkb(g, flavor="iso", byte_order=1) for g in built], pa.binary())])


def _shape(value: Any, encoding: str) -> Any:
    import shapely

    def vertices(points: Any) -> list[tuple[float, ...]]:
        return [tuple(p.values()) if isinstance(p, dict) else tuple(p) for p in points]

    def polygon(rings: Any) -> Any:
        return shapely.Polygon(vertices(rings[0]), [vertices(ring) for ring in rings[1:]]) if rings else shapely.Polygon()

    if encoding == "point":
        return shapely.Point(*vertices([value])[0])
    if encoding == "linestring":
        return shapely.LineString(vertices(value))
    if encoding == "polygon":
        return polygon(value)
    if encoding == "multipoint":
        return shapely.MultiPoint(vertices(value))
    if encoding == "multilinestring":
        return shapely.MultiLineString([vertices(line) for line in value])
    return shapely.MultiPolygon([polygon(rings) for rings in value])
