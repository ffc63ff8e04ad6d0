"""Shapefiles: the shapes by GDAL, the tables by us (`ingest.readers.tables`), one or all in a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from ingest.findings import error, info, warning
from ingest.placing.names import height_of
from ingest.reader import Source
from ingest.readers.tables import shape_text
from ingest.readers.tables.dbf import KINDS, Dbf, DbfReader
from ingest.readers.tables.shapes import open_shapes
from ingest.readers.vector.gdal import GdalLayer, GdalReader, box_of, info_of, stated_crs
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid


class Shapefile(GdalReader):
    """Shapefiles: one, or all in a folder. A missing .shx is rebuilt, .dbf and .prj are reported; the .dbf is read by us."""

    format = "shapefile"
    driver = "ESRI Shapefile"

    def parts(self, source: Source) -> list[GdalLayer]:
        """One part a .shp, in order of their names; layers called alike get their folder in front."""
        return self.parts_of(shapes_in(source), source)

    def parts_of(self, shapes: Sequence[Path], source: Source) -> list[GdalLayer]:
        """One part a shapefile of some."""
        labels = {path: PurePosixPath(source.label(path)) for path in shapes}
        stems = Counter(label.stem for label in labels.values())
        parts: list[GdalLayer] = []
        broken: list[Invalid] = []
        for path, label in labels.items():
            name = label.stem if stems[label.stem] == 1 else str(label).rsplit(".", 1)[0]
            try:
                parts.append(self._part(path, name, source.name))
            except Invalid as why:
                broken.append(why)
        if not parts:
            raise broken[0]
        parts[0] = replace(parts[0], found=(*parts[0].found, *(_left_out(why, source.name) for why in broken)))
        return parts

    def height(self, source: Source) -> str | None:
        """Some producers name their files by their heights."""
        return height_of(source.names)

    def _part(self, path: Path, name: str, file: str) -> GdalLayer:
        with path.open("rb") as stream:
            head = stream.read(100)
        if len(head) < 100 or not head.startswith(b"\x00\x00\x27\x0a"):
            raise Invalid("format.unknown", f"{file}: {path.name} does not begin like a shapefile.", file=file)
        found: list[Finding] = []
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
        with open_shapes(path) as shp:
            about = info_of(shp, self.driver, file)
        shapes = int(about["features"])
        attributes, odd = _table_of(path, shapes, file)
        rows = max(shapes, attributes.dbf.rows) if attributes else shapes
        return GdalLayer(path, None, name, rows, stated_crs(about), box_of(about), attributes=attributes, found=(*found, *odd))


def _left_out(why: Invalid, file: str) -> Finding:
    """One layer of several cannot be opened: the others are read."""
    return error(why.code, why.message, "Upload this layer again; the others were read.", file=file)


def shapes_in(source: Source) -> list[Path]:
    """The shapefiles of a source, in order. Raises: Invalid: `file.no_records`."""
    shapes = [path for path in source.files if path.suffix.lower() == ".shp"]
    if not shapes:
        raise Invalid("file.no_records", f"{source.name} has no .shp file.", file=source.name)
    return shapes


def _table_of(shp: Path, shapes: int, file: str) -> tuple[DbfReader | None, list[Finding]]:
    """The table of a shapefile with so many shapes, None when it came without; and what is to be reported about it."""
    path = shape_text.beside(shp, ".dbf")
    if path is None:
        return None, []
    dbf = Dbf.of(path, file)
    text = shape_text.encoding_of(shp, dbf, file)
    reader = DbfReader.of(dbf, text.codec)
    found = [text.finding] if text.finding else []
    where = {"file": file, "value": shp.stem}
    if dbf.rows < dbf.promised:
        words = f"{path.name} was cut: its header promises {dbf.promised} rows, {dbf.rows} are there."
        found.append(error("file.damaged", words, "Upload it again.", **where))
    elif dbf.rows != shapes:
        words = f"{path.name} has {dbf.rows} rows, {shp.name} has {shapes} shapes."
        if dbf.rows < shapes:
            fix = "Export both files again: features without a row have no attributes."
            found.append(error("shp.rows", f"{words} {shapes - dbf.rows} features have no row.", fix, count=shapes - dbf.rows, **where))
        else:
            words = f"{words} {dbf.rows - shapes} rows have no shape and are unplaced."
            fix = "Check that both files are of the same export."
            found.append(warning("shp.rows", words, fix, count=dbf.rows - shapes, **where))
    for at in sorted(reader.as_text):
        words = (
            f"The column {reader.names[at]} of {path.name} holds whole numbers of more than 64 bits; all of it is text, to the last digit."
        )
        found.append(info("column.as_text", words, "Nothing to do.", file=file, value=reader.names[at]))
    for name, column in zip(reader.names, dbf.columns, strict=True):
        if column.kind not in KINDS:
            words = f"The column {name} of {path.name} is of the kind {column.kind!r}, unknown to shapefiles; it is read as text."
            found.append(warning("column.as_text", words, "Export it as text or as a number.", file=file, value=name))
    for name in reader.cut_names():
        words = f"The name of the column {name} in {path.name} is cut inside a letter; only this letter was replaced."
        found.append(warning("text.damaged", words, "Give the column a shorter name.", file=file, value=name))
    return reader, found
