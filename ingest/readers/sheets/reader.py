"""Tables as text with a place in each row: CSV, with commas, semicolons, tabs or bars, in UTF-8, UTF-16 or cp949."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import shapely

from ingest.findings import error, info, warning
from ingest.placing import resolve
from ingest.reader import Placed, Source, Survey
from ingest.readers.sheets import columns as sheet_columns
from ingest.readers.sheets.seoul import SeoulWalks
from ingest.readers.sheets.shapes import first_of, shapes_of, srid_of
from ingest.readers.sheets.sheet import TextRows, TextTable
from ingest.readers.vector.kinds import kind_of
from ingest.readers.vector.layer import BATCH_ROWS, LayerRows
from mapex.catalogue.finding import Finding
from mapex.errors import Invalid
from mapex.intake.placement import Placement
from tiles.batch import Batch, Content, Kind, LayerKind

_SAMPLE = 1000


class Csv:
    """The reader of CSV."""

    format = "csv"
    layer = "hdmap"
    kind = LayerKind.HDMAP
    content = Content.FEATURES

    def survey(self, source: Source, given: Placement) -> Survey:
        """Which columns there are, which of them are the place, and in what it counts."""
        sheet = TextTable.of(source.files[0], source.name)
        sample = next(TextRows(sheet).tables(), None)
        cells = {name: sample.column(name).slice(0, _SAMPLE).to_pylist() for name in sheet.names} if sample is not None else {}
        found = list(_about_text(sheet))
        chosen = _chosen(sheet, cells, given)
        if chosen != dict(given.columns) or not chosen:
            found += _about_columns(sheet, chosen)
        placed = _placed(chosen, cells, given)
        found += resolve.findings(placed, file=source.name)
        details = {"columns": ", ".join(sheet.names)[:1000], "map": ",".join(f"{key}={name}" for key, name in chosen.items())}
        placed = replace(placed, columns=tuple(chosen.items()))
        return Survey(self.format, (_layer_of(sheet),), None, placed, findings=tuple(found), details=details)

    def read(self, source: Source, placed: Placed) -> Iterator[Batch | Finding]:
        """All rows."""
        sheet = TextTable.of(source.files[0], source.name)
        reading = _SheetReading(sheet, dict(placed.columns), placed.crs or "")
        yield from reading.batches()
        yield from reading.findings()


@dataclass(slots=True)
class _SheetReading:
    """A table while it is read."""

    sheet: TextTable
    columns: Mapping[str, str]
    crs: str
    rows: TextRows = field(init=False)
    layer: LayerRows = field(init=False)
    walks: SeoulWalks | None = field(init=False)

    def __post_init__(self) -> None:
        self.walks = SeoulWalks.of(self.sheet.names)
        kind = LayerKind.SIDEWALK if self.walks is not None else None
        self.layer = LayerRows(_layer_of(self.sheet), self.crs, self.sheet.name, kind=kind)
        self.rows = TextRows(self.sheet)

    def batches(self) -> Iterator[Batch | Finding]:
        """All rows in batches."""
        for table in self.rows.tables():
            for start in range(0, table.num_rows, BATCH_ROWS):
                yield from self._batch(table.slice(start, BATCH_ROWS))
        if not self.layer.rows and not self.rows.skipped:
            text = f"{self.sheet.name} has names of columns, and no row. {self.rows.fault}".strip()
            raise Invalid("file.no_records", text, file=self.sheet.name)

    def _batch(self, table: pa.Table) -> Iterator[Batch | Finding]:
        first = self.layer.rows
        ids, kinds = self.walks.take(table) if self.walks is not None else (self._ids(table), self._kinds(table))
        if sheet_columns.has_place(self.columns):
            shaped = shapes_of(table, self.columns)
            wkb, wrong = shaped.wkb, shaped.wrong
        else:
            wkb, wrong = pa.nulls(table.num_rows, pa.binary()), []
        for row in wrong:
            text = f"Row {first + row + 1} has a place that is none; it stays, without a place."
            yield warning("csv.place", text, "Correct the cells.", file=self.sheet.name, layer="hdmap", feature=_id(ids, row))
        yield from self.layer.batches(self._attributes(table, wrong), wkb, ids=ids, kinds=kinds)

    def _attributes(self, table: pa.Table, wrong: list[int]) -> pa.Table:
        """All columns but those of the shapes, which the geometry holds to its last digit; where one cannot be read, they stay."""
        shapes = self.columns["wkt"].split("|") if "wkt" in self.columns else []
        rest = table if wrong else table.drop_columns(shapes)
        return rest if rest.num_columns else table

    def _ids(self, table: pa.Table) -> Any:
        names = [name for name in self.columns.get("id", "").split("|") if name]
        return first_of(table, names) if names else None

    def _kinds(self, table: pa.Table) -> Any:
        stated = self.columns.get("kind", "")
        if not stated:
            return None
        names = stated.split("|")
        if names[0] not in table.column_names:
            return pa.array([str(kind_of({"kind": stated}, ""))] * table.num_rows, pa.string())
        words = first_of(table, names).to_pylist()
        known = {word: str(kind_of({"kind": word}, "")) for word in set(words) if word}
        return pa.array([known.get(word, str(Kind.OTHER)) for word in words], pa.string())

    def findings(self) -> Iterator[Finding]:
        """What the whole table shows."""
        where = {"file": self.sheet.name, "layer": "hdmap"}
        yield from self.layer.findings()
        if self.walks is not None:
            yield from self.walks.findings(self.sheet.name)
        for text_ in self.rows.skipped:
            text = f"A row has more or fewer cells than there are names of columns; it was left out: {text_!r}"
            yield error("csv.row", text, "Quote cells that hold the delimiter, and export it again.", rejected=1, value=text_, **where)
        if self.rows.more:
            text = f"{self.rows.more} more rows have more or fewer cells than there are names of columns; they were left out."
            fix = "Quote cells that hold the delimiter, and export it again."
            yield error("csv.row", text, fix, count=self.rows.more, rejected=self.rows.more, **where)
        if self.sheet.is_cut:
            text = f"{self.sheet.name} ends inside of a quoted cell: it was cut."
            yield error("file.damaged", text, "Upload it again.", **where)
        elif self.sheet.is_open:
            text = f"{self.sheet.name} does not end with a line break; if it was cut, its last row is short."
            yield info("csv.last_row", text, "Check the last row.", **where)
        if self.rows.fault:
            text = f"{self.sheet.name} cannot be read beyond row {self.layer.rows}: {self.rows.fault}"
            yield error("file.damaged", text, "Export it again; what came before was kept.", **where)


def _chosen(sheet: TextTable, cells: Mapping[str, list[str | None]], given: Placement) -> dict[str, str]:
    """What is what: as the uploader states it, else as the table itself shows; a statement may be about another table of the upload.

    Raises: Invalid: `csv.no_column`, `csv.pair`.
    """
    walks = SeoulWalks.of(sheet.names)
    shown = walks.columns if walks is not None else sheet_columns.proposed(sheet.names, cells)
    stated = dict(given.columns)
    try:
        sheet_columns.check(stated, sheet.names, sheet.name)
    except Invalid:
        if not sheet_columns.has_place(shown):
            raise
        return shown
    return stated if sheet_columns.has_place(stated) else {**shown, **stated}


def _layer_of(sheet: TextTable) -> str:
    return Path(sheet.name).stem or "rows"


def _id(ids: Any, row: int) -> str:
    return "" if ids is None else str(ids[row].as_py() or "")


def _about_text(sheet: TextTable) -> Iterator[Finding]:
    if sheet.is_guessed:
        text = f"{sheet.name} states no encoding and is not UTF-8; cp949 was assumed."
        yield info("text.encoding_guessed", text, "Save it as UTF-8.", file=sheet.name, value="cp949")
    if sheet.broken:
        text = f"{sheet.name} holds bytes that mean no letter in {sheet.codec}; only these were replaced."
        yield warning("text.damaged", text, "Save it as UTF-8.", file=sheet.name, value=sheet.codec)


def _about_columns(sheet: TextTable, chosen: Mapping[str, str]) -> Iterator[Finding]:
    where: dict[str, Any] = {"file": sheet.name, "value": ",".join(f"{key}={name}" for key, name in chosen.items())[:200]}
    if sheet_columns.has_place(chosen):
        text = f"The places of {sheet.name} were taken from these columns: {where['value']}"
        yield info("csv.columns", text, "Nothing to do if they are right; else name them with --map, or on the upload page.", **where)
    else:
        text = f"Nothing tells which columns of {sheet.name} are the place. Its columns are: {', '.join(sheet.names)[:500]}"
        fix = "Name them with --map lon=...,lat=... (or x, y, wkt, h, id, kind), or on the upload page."
        yield error("crs.no_columns", text, fix, **where)


def _placed(chosen: Mapping[str, str], cells: Mapping[str, list[str | None]], given: Placement) -> Placed:
    """Where it is: by the SRID of its WKT; else by the names of the columns, or numbers that look like degrees, which are guesses."""
    if not sheet_columns.has_place(chosen):
        return resolve.unplaced(resolve.resolve(None, given), "No column is known to be the place.")
    if "wkt" in chosen:
        own = [cell for name in chosen["wkt"].split("|") for cell in cells.get(name, ()) if cell]
        if (stated := srid_of(own)) is not None:
            return resolve.resolve(stated, given)
        note = "The WKT states no system, and its numbers look like longitude and latitude: WGS 84 was assumed."
        return resolve.resolve(None, given, assumed="OGC:CRS84", note=note) if _are_degrees(own) else resolve.resolve(None, given)
    if "lon" in chosen:
        note = f"The columns {chosen['lon']} and {chosen['lat']} are longitude and latitude: WGS 84 was assumed."
        return resolve.resolve(None, given, assumed="OGC:CRS84", note=note)
    return resolve.resolve(None, given)


def _are_degrees(texts: list[str]) -> bool:
    shapes = shapely.from_wkt(texts, on_invalid="ignore")
    west, south, east, north = shapely.total_bounds(shapes)
    return bool(west >= -180 and east <= 180 and south >= -90 and north <= 90)
