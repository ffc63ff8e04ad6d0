"""Vector files through GDAL (GeoPackage, FlatGeobuf, and what `shapefile` adds), each with its own driver and never another.

GDAL opens whatever it recognises: a text file called `map.gpkg` once returned the password file. So the first bytes are
checked before GDAL sees a file, the driver that opened it is checked after, and rows are counted, since a false header gives none.
"""

from __future__ import annotations

import sqlite3
import tempfile
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingest.checks import gpkg as gpkg_checks
from ingest.checks.text import MISFIT, Fault
from ingest.findings import error, info, warning
from ingest.placing import move, resolve
from ingest.placing.systems import crs_from
from ingest.reader import Placed, Source, Survey
from ingest.readers.tables import fgb_head
from ingest.readers.tables.dbf import DbfReader
from ingest.readers.tables.shapes import open_shapes
from ingest.readers.vector.geoparquet import counted
from ingest.readers.vector.gpkg_values import StoredTable, is_time
from ingest.readers.vector.layer import BATCH_ROWS, LayerRows
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid
from mapex.intake.placement import Known, Placement
from tiles.batch import Batch, Content, LayerKind
from tiles.box import Box


@dataclass(frozen=True, slots=True)
class GdalLayer:
    """One layer of a source as GDAL opens it. `rows` as claimed (by our own count where we have one), `crs` as stated."""

    path: Path
    table: str | None
    name: str
    rows: int | None
    crs: str | None
    box: tuple[float, float, float, float] | None
    fid: str = ""
    attributes: DbfReader | None = None
    """of a shapefile: its table, which GDAL does not see"""
    stored: StoredTable | None = None
    """of a GeoPackage: its table as SQLite holds it"""
    unsigned: Mapping[str, int] = field(default_factory=dict)
    """of a FlatGeobuf: its columns of unsigned 64-bit numbers, and where their types are"""
    found: tuple[Finding, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    """with which GDAL opens it"""
    codec: str = ""
    """of texts that GDAL took for Latin-1, "" where it did not"""
    shapeless: frozenset[int] = frozenset()
    """rows whose shape GDAL makes up, since its numbers are none"""
    guess: str = ""
    """how its system was guessed, where it states none"""


_STYLES = "layer_styles"


class GdalReader(ABC):
    """What the formats that GDAL reads share; each names its driver and lists the layers of a source (`parts`)."""

    format = ""
    driver = ""
    layer = "hdmap"
    kind = LayerKind.HDMAP
    content = Content.FEATURES

    @abstractmethod
    def parts(self, source: Source) -> list[GdalLayer]:
        """The layers of a source, checked and in order."""

    def height(self, source: Source) -> str | None:
        """The height datum that names around the file imply."""
        return None

    def survey(self, source: Source, given: Placement) -> Survey:
        """What headers and schemas state."""
        return self.survey_of(self.parts(source), source, given, self.height(source))

    def survey_of(self, parts: Sequence[GdalLayer], source: Source, given: Placement, height: str | None) -> Survey:
        """What the headers and schemas of some layers state. `height`: the datum that names imply."""
        spoken = next((part for part in parts if part.crs), None)
        if spoken is not None and spoken.guess:
            placed = resolve.resolve(None, given, assumed=spoken.crs, height=height, note=spoken.guess)
        else:
            placed = resolve.resolve(spoken.crs if spoken is not None else None, given, height=height)
        found = [finding for part in parts for finding in part.found]
        found += resolve.findings(placed, file=source.name)
        names = sorted({part.crs for part in parts if part.crs})
        if len(names) > 1 and not given.crs:
            text = f"The layers are in {len(names)} coordinate systems ({', '.join(n[:24] for n in names)}); each was placed by its own."
            found.append(warning("crs.several", text, "Nothing to do if the box is right.", file=source.name))
        boxes = [b for part in parts if (b := move.box_of(part.box, self._crs(part, placed))) is not None]
        claimed = sum(part.rows or 0 for part in parts)
        return Survey(self.format, tuple(part.name for part in parts), claimed, placed, Box.around(boxes), tuple(found))

    def read(self, source: Source, placed: Placed) -> Iterator[Batch | Finding]:
        """All layers, one after another."""
        yield from self.read_of(self.parts(source), source, placed)

    def read_of(self, parts: Sequence[GdalLayer], source: Source, placed: Placed) -> Iterator[Batch | Finding]:
        """Some layers, one after another."""
        for part in parts:
            crs = self._crs(part, placed) or ""
            layer = LayerRows(part.name, crs, source.name, alone=len(parts) == 1)
            if not crs and placed.crs_source is not Known.NONE:
                text = f"Nothing states in which coordinate system the layer {part.name} is; its features are unplaced."
                yield error("crs.none", text, "Give --crs EPSG:n.", file=source.name, layer=self.layer, value=part.name)
            yield from _rows(part, layer)
            yield from counted(layer, part.rows)
            yield from layer.findings()

    def _crs(self, part: GdalLayer, placed: Placed) -> str | None:
        if placed.crs_source is Known.GIVEN:
            return placed.crs
        return resolve.resolve(part.crs, Placement()).crs


class GeoPackage(GdalReader):
    """GeoPackage: every table of features or attributes that gpkg_contents names. The primary key stays among the properties."""

    format = "geopackage"
    driver = "GPKG"

    def parts(self, source: Source) -> list[GdalLayer]:
        """One part a table."""
        every = gpkg_checks.tables(source.path, source.name)
        tables = [table for table in every if table.name != _STYLES]
        if not tables:
            raise Invalid("file.no_records", f"{source.name} is a GeoPackage without a table of features.", file=source.name)
        parts = []
        for table in tables:
            about = info_of(source.path, self.driver, source.name, layer=table.name)
            part = GdalLayer(source.path, table.name, table.name, table.rows, stated_crs(about), box_of(about), str(about["fid_column"]))
            parts.append(replace(part, stored=StoredTable.of(source.path, table.name), found=_two_systems(table, source.name)))
        parts[0] = replace(parts[0], found=(*parts[0].found, *_about_styles(every, source.name)))
        return parts


def _about_styles(tables: Sequence[gpkg_checks.Table], file: str) -> list[Finding]:
    """The table in which QGIS keeps how it draws the others: no features, and not sold."""
    many = next((table.rows for table in tables if table.name == _STYLES), None)
    if many is None:
        return []
    return [info("gpkg.styles", f"{file} has {many} styles of QGIS; tiles hold features only.", "Nothing to do.", file=file, count=many)]


def _two_systems(table: gpkg_checks.Table, file: str) -> tuple[Finding, ...]:
    """A table whose system is another one in gpkg_contents than in gpkg_geometry_columns, which is what every reader uses."""
    if table.systems is None or table.systems[0] == table.systems[1]:
        return ()
    other, used = table.systems
    text = f"{table.name} is in system {used} by gpkg_geometry_columns, which was used, and in {other} by gpkg_contents."
    fix = "Check the box on the map; give --crs to settle it."
    return (warning("crs.two_records", text, fix, file=file, value=f"{used} / {other}"),)


class FlatGeobuf(GdalReader):
    """FlatGeobuf: one layer. Its header counts for nothing until the rows were read."""

    format = "flatgeobuf"
    driver = "FlatGeobuf"

    def parts(self, source: Source) -> list[GdalLayer]:
        """The one layer."""
        if not source.head(8).startswith(b"fgb\x03"):
            raise Invalid("format.unknown", f"{source.name} does not begin like a FlatGeobuf file.", file=source.name)
        about = info_of(source.path, self.driver, source.name)
        rows = int(about["features"]) if about["features"] is not None else None
        part = GdalLayer(source.path, None, Path(source.name).stem, rows, stated_crs(about), box_of(about))
        return [replace(part, unsigned=fgb_head.unsigned_columns(source.path))]


def info_of(path: Path, driver: str, file: str, **options: Any) -> dict[str, Any]:
    """What GDAL reports about a layer, opened by the driver that its bytes call for or not at all."""
    import pyogrio

    try:
        with _quiet():
            about: dict[str, Any] = pyogrio.read_info(path, **options)
    except IndexError as why:  # pyogrio asks for the first of no layers: a FlatGeobuf that was cut in its header
        raise Invalid("file.damaged", f"{file} holds no layer: it was cut. Upload it again.", file=file) from why
    except UnboundLocalError as why:  # pyogrio has no text of a coordinate system whose name is not UTF-8
        text = f"{file} names its coordinate system by bytes that are not UTF-8. Export it again in a system with a code (EPSG)."
        raise Invalid("file.damaged", text, file=file) from why
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, UnicodeDecodeError, ValueError) as why:
        raise Invalid("file.damaged", f"{file} cannot be opened: {str(why)[:300]}", file=file) from why
    if about.get("driver") != driver:
        raise Invalid(
            "format.disguised", f"{file} was taken by the driver {about.get('driver')!r}, not by {driver!r}; it is refused.", file=file
        )
    return about


def stated_crs(about: dict[str, Any]) -> str | None:
    """The CRS text, but not GeoPackage's two codes for "undefined". A projection is one, whatever its name is."""
    text = about.get("crs")
    crs = crs_from(text)
    if crs is None or crs.name.lower().startswith("undefined") or (crs.name.lower().startswith("unknown") and not crs.is_projected):
        return None
    return str(text)


def box_of(about: dict[str, Any]) -> tuple[float, float, float, float] | None:
    """The box that GDAL reports for a layer, in its own system; None when it has none."""
    bounds = about.get("total_bounds")
    return tuple(float(v) for v in bounds) if bounds is not None else None  # type: ignore[return-value]


def _rows(part: GdalLayer, layer: LayerRows) -> Iterator[Batch | Finding]:
    """The rows of one part as batches; a read error ends it with a finding, and keeps what came before."""
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError
    from pyogrio.raw import open_arrow

    options: dict[str, Any] = {**part.options, **({"layer": part.table} if part.table else {})}
    try:
        with ExitStack() as stack:
            path = part.path
            if part.unsigned:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                path = fgb_head.signed_copy(path, part.unsigned.values(), folder)
            if path.suffix.lower() == ".shp":
                path = stack.enter_context(open_shapes(path))
                options["ADJUST_GEOM_TYPE"] = "ALL_SHAPES"  # else a first shape without measures drops those of all others
            # GDAL's own way of reading FlatGeobuf in columns mixes geometries up where a row has none.
            pyogrio.set_gdal_config_options({"OGR_FLATGEOBUF_STREAM_BASE_IMPL": True})
            with _quiet():
                opened = open_arrow(path, batch_size=BATCH_ROWS, use_pyarrow=True, return_fids=True, datetime_as_string=True, **options)
                meta, stream = stack.enter_context(opened)
            while (record := _next(stream)) is not None:
                yield from _table(fgb_head.as_unsigned(pa.Table.from_batches([record]), part.unsigned), meta, part, layer)
        yield from _without_shape(part, layer)
    except (DataSourceError, DataLayerError, pa.ArrowException, OSError, UnicodeDecodeError, sqlite3.Error) as why:
        text = f"{part.name} cannot be read beyond row {layer.rows}: {str(why)[:200]}"
        yield error("file.damaged", text, "Export it again; what came before was kept.", file=layer.file, layer="hdmap", value=part.name)


@contextmanager
def _quiet() -> Iterator[None]:
    """GDAL remarks on file names, ring order and coded domains; what matters of it is checked here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _next(stream: Any) -> Any:
    with _quiet():
        return next(stream, None)


def _table(table: pa.Table, meta: dict[str, Any], part: GdalLayer, layer: LayerRows) -> Iterator[Batch | Finding]:
    fid = meta["fid_column"] or "OGC_FID"
    own = set(meta["fields"])
    shape = next((name for name in reversed(table.column_names) if name not in own and name != fid), None)
    geometry = table.column(shape) if shape is not None else pa.nulls(table.num_rows, pa.binary())
    geometry.validate(full=True)
    if part.shapeless:
        wrong = pa.array([layer.rows + row in part.shapeless for row in range(table.num_rows)])
        geometry = pc.if_else(wrong, pa.scalar(None, geometry.type), geometry)
    rest = table.drop_columns([shape] if shape is not None else [])
    if part.codec:
        rest = _recoded(rest, part.codec)
    faults: list[Fault] = []
    if part.stored is not None:
        rest, faults = part.stored.corrected(rest, rest.column(fid).to_pylist())
    elif part.attributes is None:
        faults = _odd_times(rest)
    ids = None
    if part.fid:  # GeoPackage: the primary key is the source's own
        has_text_id = any(name.lower() in ("feature_id", "_id", "id") and name != fid for name in own)
        ids = None if has_text_id else rest.column(fid)
    elif fid in rest.column_names:
        rest = rest.drop_columns([fid])
    if part.attributes is not None:
        rows, deleted, faults = part.attributes.table(layer.rows, table.num_rows)
        yield from layer.batches(rows, geometry, deleted=deleted, faults=faults)
        return
    yield from layer.batches(rest, geometry, ids=ids, faults=faults)


def _recoded(table: pa.Table, codec: str) -> pa.Table:
    """The table with its texts in the encoding that they are in."""
    for at, column in enumerate(table.schema):
        if pa.types.is_string(column.type):
            coded = pc.dictionary_encode(table.column(at).combine_chunks())
            texts = [text.encode("latin-1", "replace").decode(codec, "replace") for text in coded.dictionary.to_pylist()]
            table = table.set_column(at, column.name, pc.take(pa.array(texts, pa.string()), coded.indices))
    return table


def _odd_times(table: pa.Table) -> list[Fault]:
    """Texts in columns of date and time that are none; GDAL passes them on as they are."""
    found = []
    for column in table.schema:
        if (column.metadata or {}).get(b"GDAL:OGR:type") == b"DateTime" and pa.types.is_string(column.type):
            texts = enumerate(table.column(column.name).cast(pa.binary()).to_pylist())
            words = ((row, text.decode("utf-8", "replace")) for row, text in texts if text is not None)
            found += [Fault(row, column.name, MISFIT, text, "date and time", "text") for row, text in words if not is_time(text)]
    return found


def _without_shape(part: GdalLayer, layer: LayerRows) -> Iterator[Batch | Finding]:
    """Rows of a .dbf behind the last shape."""
    while part.attributes is not None and layer.rows < part.attributes.dbf.rows:
        count = min(BATCH_ROWS, part.attributes.dbf.rows - layer.rows)
        rows, deleted, faults = part.attributes.table(layer.rows, count)
        yield from layer.batches(rows, pa.nulls(count, pa.binary()), deleted=deleted, faults=faults)
