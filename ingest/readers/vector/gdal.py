"""Vector files through GDAL (GeoPackage, Shapefile, FlatGeobuf), each with its own driver and never another.

GDAL opens whatever it recognises: a text file called `map.gpkg` once returned the password file. So the first bytes are
checked before GDAL sees a file, the driver that opened it is checked after, and rows are counted, since a false header gives none.
"""

from __future__ import annotations

import tempfile
import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ingest.checks import gpkg as gpkg_checks
from ingest.findings import error, warning
from ingest.placing import move, resolve
from ingest.placing.names import height_of
from ingest.placing.systems import crs_from
from ingest.reader import Placed, Source, Survey
from ingest.readers.vector import shape_text
from ingest.readers.vector.geoparquet import counted
from ingest.readers.vector.kinds import is_ngii
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
    encoding: str | None = None
    fid: str = ""
    found: tuple[Finding, ...] = ()


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
        parts = self.parts(source)
        spoken = next((part.crs for part in parts if part.crs), None)
        placed = resolve.resolve(spoken, given, height=self.height(source))
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
        parts = self.parts(source)
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
        tables = gpkg_checks.tables(source.path, source.name)
        if not tables:
            raise Invalid("file.no_records", f"{source.name} is a GeoPackage without a table of features.", file=source.name)
        parts = []
        for table in tables:
            about = info_of(source.path, self.driver, source.name, layer=table.name)
            parts.append(
                GdalLayer(
                    source.path,
                    table.name,
                    table.name,
                    table.rows,
                    stated_crs(about),
                    box_of(about),
                    fid=str(about["fid_column"]),
                    found=_two_systems(table, source.name),
                )  # fmt: skip
            )
        return parts


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
        return [GdalLayer(source.path, None, Path(source.name).stem, rows, stated_crs(about), box_of(about))]


class Shapefile(GdalReader):
    """Shapefiles: one, or all in a folder. A missing .shx is rebuilt, .dbf and .prj are reported; bytes decide the text encoding."""

    format = "shapefile"
    driver = "ESRI Shapefile"

    def parts(self, source: Source) -> list[GdalLayer]:
        """One part a .shp, in order of their names; layers called alike get their folder in front."""
        shapes = [path for path in source.files if path.suffix.lower() == ".shp"]
        if not shapes:
            raise Invalid("file.no_records", f"{source.name} has no .shp file.", file=source.name)
        stems = Counter(path.stem for path in shapes)
        parts = []
        for path in shapes:
            inside = path.relative_to(source.path).as_posix() if source.path.is_dir() else Path(source.name).name
            name = path.stem if stems[path.stem] == 1 else inside.rsplit(".", 1)[0]
            parts.append(self._part(path, name, source.name))
        twice = sorted(stem for stem, count in stems.items() if count > 1 and is_ngii(stem))
        if twice:
            text = f"The layers {', '.join(twice[:3])} are there more than once: products of the same map in another CRS or height?"
            found = warning("ngii.products", text, "Upload one product only, else every feature is sold twice.", file=source.name)
            parts[0] = GdalLayer(**{**_fields(parts[0]), "found": (*parts[0].found, found)})
        return parts

    def height(self, source: Source) -> str | None:
        """NGII names its products by their heights."""
        return height_of(source.names)

    def _part(self, path: Path, name: str, file: str) -> GdalLayer:
        with path.open("rb") as stream:
            head = stream.read(100)
        if len(head) < 100 or not head.startswith(b"\x00\x00\x27\x0a"):
            raise Invalid("format.unknown", f"{file}: {path.name} does not begin like a shapefile.", file=file)
        text = shape_text.encoding_of(path, file)
        found = [text.finding] if text.finding else []
        missing = [ending for ending in (".shx", ".dbf", ".prj") if shape_text.beside(path, ending) is None]
        for ending, means in (
            (".shx", "the index was rebuilt"),
            (".dbf", "its features have no attributes"),
            (".prj", "it does not state its CRS"),
        ):
            if ending in missing:
                text_ = f"{path.name} came without {ending}: {means}."
                found.append(warning(f"shp.no_{ending[1:]}", text_, f"Upload the {ending} file beside it.", file=file, value=name))
        if int.from_bytes(head[24:28], "big") * 2 > path.stat().st_size:
            text_ = (
                f"{path.name} was cut: its header promises {int.from_bytes(head[24:28], 'big') * 2} bytes, {path.stat().st_size} are there."
            )
            found.append(error("file.damaged", text_, "Upload it again.", file=file, value=name))
        with _indexed(path) as shp:
            about = info_of(shp, self.driver, file, encoding=text.encoding)
        return GdalLayer(path, None, name, int(about["features"]), stated_crs(about), box_of(about), text.encoding, found=tuple(found))


def _fields(part: GdalLayer) -> dict[str, Any]:
    return {name: getattr(part, name) for name in GdalLayer.__slots__}


@contextmanager
def _indexed(shp: Path) -> Iterator[Path]:
    """The .shp itself, or, when its .shx is missing, a folder of links in which GDAL may rebuild it (the upload is never written to)."""
    if shp.suffix.lower() != ".shp" or shape_text.beside(shp, ".shx") is not None:
        yield shp
        return
    import pyogrio

    with tempfile.TemporaryDirectory() as folder:
        for ending in (".shp", ".dbf", ".prj", ".cpg"):
            there = shape_text.beside(shp, ending)
            if there is not None:
                (Path(folder) / (shp.stem + ending)).symlink_to(there.resolve())
        pyogrio.set_gdal_config_options({"SHAPE_RESTORE_SHX": True})
        try:
            yield Path(folder) / (shp.stem + ".shp")
        finally:
            pyogrio.set_gdal_config_options({"SHAPE_RESTORE_SHX": None})


def info_of(path: Path, driver: str, file: str, **options: Any) -> dict[str, Any]:
    """What GDAL reports about a layer, opened by the driver that its bytes call for or not at all."""
    import pyogrio

    try:
        with _quiet():
            about: dict[str, Any] = pyogrio.read_info(path, **options)
    except IndexError as why:  # pyogrio asks for the first of no layers: a FlatGeobuf that was cut in its header
        raise Invalid("file.damaged", f"{file} holds no layer: it was cut. Upload it again.", file=file) from why
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
    from pyogrio.errors import DataLayerError, DataSourceError
    from pyogrio.raw import open_arrow

    options: dict[str, Any] = {"layer": part.table, "encoding": part.encoding} if part.table or part.encoding else {}
    try:
        with ExitStack() as stack:
            path = stack.enter_context(_indexed(part.path))
            with _quiet():
                opened = open_arrow(path, batch_size=BATCH_ROWS, use_pyarrow=True, return_fids=True, datetime_as_string=True, **options)
                meta, stream = stack.enter_context(opened)
            while (record := _next(stream)) is not None:
                yield from _table(pa.Table.from_batches([record]), meta, part, layer)
    except (DataSourceError, DataLayerError, pa.ArrowException, OSError, UnicodeDecodeError) as why:
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
    rest = table.drop_columns([shape] if shape is not None else [])
    ids = None
    if part.fid:  # GeoPackage: the primary key is the source's own
        has_text_id = any(name.lower() in ("feature_id", "_id", "id") and name != fid for name in own)
        ids = None if has_text_id else rest.column(fid)
    elif fid in rest.column_names:
        rest = rest.drop_columns([fid])
    yield from layer.batches(rest, geometry, ids=ids)
