"""What the vector readers share: a table of attributes and a column of WKB become a `Batch`, and what cannot be used a `Finding`."""

from __future__ import annotations

import base64
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ingest.checks import curves
from ingest.checks import wkb as wkb_checks
from ingest.checks.text import DAMAGED, Fault, mended
from ingest.deliveries import korean_layer
from ingest.findings import error, info, warning
from ingest.readers.vector import attributes, ngii_codes
from ingest.readers.vector import kinds as vector_kinds
from mapex.catalogue.finding import Finding
from tiles.batch import Batch, Content, LayerKind

BATCH_ROWS = 65_536
LAYERS = {LayerKind.HDMAP: "hdmap", LayerKind.SIDEWALK: "sidewalks"}
"""Default layer name of the two kinds of vector layers."""

_CODES = 20

ID_COLUMNS = (
    *("feature_id", "_id", "id", "hdufid", "uuid", "guid", "global_id", "globalid", "osm_id", "osmid", "gid", "featureid", "fid"),
    *("gml_id", "entityhandle"),
)
"""Attribute names (lower case) that hold a source's own identifier, in order of preference."""


def id_column(names: Sequence[str], layer: str = "") -> str | None:
    """The attribute that is the source's own identifier, or None."""
    lower = {name.lower(): name for name in reversed(names)}
    own = _OWN_IDS.get(korean_layer(layer), ())
    return next((lower[name] for name in (*own, *ID_COLUMNS) if name in lower), None)


_OWN_IDS = {"MOCT_NODE": ("node_id",), "MOCT_LINK": ("link_id",)}
"""Layers whose ids are called in a way that elsewhere means a reference."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Marks:
    """What a reader states of the rows of a piece: which are deleted, and which cells could not be taken as they are."""

    deleted: Flags
    faults: Sequence[Fault]
    kinds: Any = None


@dataclass(slots=True)
class LayerRows:
    """One layer (table, file) of a source while it is read.

    `alone` = the source has no other layer: numeric ids then stay as they are, else they get the layer's name in front, since each table
    of a GeoPackage counts from 1. Text ids are never changed. Rows without an id become `<layer>/<row>`.
    `crs` is what its coordinates are in, "" when nobody knows.
    """

    name: str
    crs: str
    file: str = ""
    alone: bool = True
    meta: Mapping[str, str] = field(default_factory=dict)
    rows: int = 0
    kind: LayerKind | None = None
    unknown: int = 0
    measured: int = 0
    arcs: int = 0
    surfaces: int = 0
    unread: Counter[tuple[str, str]] = field(default_factory=Counter)
    """columns and codes that have no words, with the number of their rows"""

    def batches(
        self,
        table: pa.Table,
        geometry: Any,
        *,
        ids: Any = None,
        source: Mapping[str, Any] | None = None,
        deleted: Flags | None = None,
        faults: Sequence[Fault] = (),
        kinds: Any = None,
    ) -> Iterator[Batch | Finding]:
        """Batches of one chunk of the layer.

        Args:
            table: the attributes alone; geometry: its WKB column, as long as the table.
            ids: the source's own record ids (a feature's `id` member, a FID), or None to look for an id attribute.
            source: what goes under `"@source"` of each row beside the layer's name.
            kinds: what the rows are, where their reader knows better than names and words of the table do.
            deleted: rows that the source marks as deleted: each is named and counted as rejected.
            faults: cells that the reader could not take as they are; what is not UTF-8 is found here.
        """
        whole, damaged = mended(table)
        faults = [*faults, *damaged]
        whole = whole.append_column("\x00geometry", geometry)
        if ids is not None:
            whole = whole.append_column("\x00ids", ids)
        if kinds is not None:
            whole = whole.append_column("\x00kinds", kinds)
        begin = 0
        for piece in attributes.pieces(whole):
            end = begin + piece.num_rows
            rest = piece.drop_columns([name for name in piece.column_names if name.startswith("\x00")])
            own = piece.column("\x00ids") if ids is not None else None
            marks = _Marks(
                np.zeros(piece.num_rows, np.bool_) if deleted is None else deleted[begin:end],
                [replace(fault, row=fault.row - begin) for fault in faults if begin <= fault.row < end],
                piece.column("\x00kinds").combine_chunks() if kinds is not None else None,
            )
            yield from self._batch(rest, piece.column("\x00geometry"), own, source or {}, marks)
            begin = end

    def _batch(self, table: pa.Table, geometry: Any, ids: Any, source: Mapping[str, Any], marks: _Marks) -> Iterator[Batch | Finding]:
        first, self.rows = self.rows, self.rows + table.num_rows
        straight = curves.straightened(geometry, self.crs)
        self.arcs += len(straight.arcs)
        self.surfaces += straight.surfaces
        geometry = straight.column
        seen = wkb_checks.scan(geometry)
        wkb, measures = wkb_checks.normalised(geometry, seen)
        names = self._ids(table, ids, first)
        kinds = marks.kinds if marks.kinds is not None else vector_kinds.kinds(table, self.name)
        if self.kind is None:
            self.kind = vector_kinds.layer_kind(kinds)
        where = {"file": self.file, "layer": LAYERS[self.kind]}
        for fault in marks.faults:
            yield about_fault(fault, first + fault.row, self.name, feature=str(names[fault.row]), **where)
        for row in np.flatnonzero(marks.deleted).tolist():
            yield deleted_row(first + row, self.name, feature=str(names[row]), **where)
        self.unknown += pc.sum(pc.equal(kinds, "other")).as_py() or 0
        self.measured += int(seen.measured.sum())
        kept = {row: {"curve": base64.b64encode(body).decode()} for row, body in straight.arcs.items()}
        words = ngii_codes.words(table, self.name, self.unread) if korean_layer(self.name) else None
        properties = _properties(table, {"layer": self.name, **source}, _with_measures(kept, measures), words)
        columns = pa.table({"feature_id": names, "kind": kinds, "geometry": wkb, "properties": properties})
        for row in np.flatnonzero(seen.bad & ~marks.deleted).tolist():
            yield bad_geometry(str(names[row]), self.file, LAYERS[self.kind])
        gone = seen.bad | marks.deleted
        if gone.any():
            columns = columns.filter(pa.array(~gone))
        yield Batch(Content.FEATURES, LAYERS[self.kind], self.kind, columns, self.crs, dict(self.meta))

    def _ids(self, table: pa.Table, ids: Any, first: int) -> Any:
        if ids is None:
            name = id_column(table.column_names, self.name)
            ids = table.column(name) if name is not None else None
        rows = pa.array(np.arange(first, first + table.num_rows)).cast(pa.string())
        numbered = pc.binary_join_element_wise(pa.scalar(self.name), rows, pa.scalar("/"))
        if ids is None:
            return numbered
        flat = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
        if isinstance(flat.type, pa.JsonType):
            flat = attributes.words_of(flat, "" if self.alone else f"{self.name}/")
        kind = flat.type.value_type if pa.types.is_dictionary(flat.type) else flat.type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            return numbered
        if pa.types.is_floating(kind):  # a shapefile counts in doubles
            whole = pc.fill_null(pc.and_(pc.equal(pc.floor(flat), flat), pc.less(pc.abs(flat), 2.0**63)), True)
            flat = flat.cast(pa.int64()) if pc.all(whole).as_py() and not pc.any(pc.is_nan(flat)).as_py() else flat
        texts = pc.cast(pc.take(flat.dictionary, flat.indices) if pa.types.is_dictionary(flat.type) else flat, pa.string())
        if not self.alone and not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            texts = pc.binary_join_element_wise(pa.scalar(self.name), texts, pa.scalar("/"))
        empty = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(texts), ""), True)
        return pc.if_else(empty, numbered, texts)

    def findings(self) -> Iterator[Finding]:
        """What is to be reported when the layer has been read."""
        where = {"file": self.file, "layer": LAYERS[self.kind or LayerKind.HDMAP], "value": self.name}
        if self.unknown and not korean_layer(self.name):
            text = f"{self.unknown} of {self.rows} features of {self.name} have no class that we know; they are sold as kind 'other'."
            yield info("kind.unknown", text, "Name the class in an attribute such as kind, class or highway.", count=self.unknown, **where)
        for (column, code), count in self.unread.most_common(_CODES):
            text = f"{count} features of {self.name} have the code {code} in {column}, which the manual does not know; it stays as it is."
            yield info("ngii.code_unknown", text, "Nothing to do if it is meant so.", count=count, **{**where, "value": code})
        if self.measured:
            text = f"{self.measured} geometries of {self.name} carry measures (M); real ones are kept in properties['@source']['m']."
            yield info("geometry.measure", text, "", count=self.measured, **where)
        if self.arcs:
            near = f"{curves.CHORD_M:g} m"
            text = f"{self.arcs} geometries of {self.name} have arcs; they are sold as lines at most {near} beside them."
            fix = "Nothing to do; the arcs themselves are kept as WKB in properties['@source']['curve']."
            yield warning("geometry.curve", text, fix, count=self.arcs, **{**where, "value": near})
        if self.surfaces:
            text = f"{self.surfaces} geometries of {self.name} (TIN, curve types without arcs, ...) became polygons or lines, exactly."
            yield info("geometry.surface", text, "", count=self.surfaces, **where)


_BECAME = {"null": "is null.", "text": "stays as text.", "as it is": "stays as it is."}


def about_fault(fault: Fault, row: int, table: str, **where: Any) -> Finding:
    """The finding for a cell that could not be taken as it is; `row` counts from 0 as ids do, people count from 1."""
    at = f"Row {row + 1} of {table}, column {fault.column}"
    if fault.code == DAMAGED:
        text = f"{at}: the text is cut inside a letter or holds bytes that mean no letter; only these were replaced."
        fix = "Widen the column, or write the file in the encoding that it states."
    else:
        text = f"{at}: {fault.value[:80]!r} is no {fault.expected}; it " + _BECAME[fault.became]
        fix = "Correct the value, or clear it."
    return warning(fault.code, text, fix, value=fault.value[:200], **where)


def deleted_row(row: int, table: str, **where: Any) -> Finding:
    """The finding for a row that its source marks as deleted."""
    text = f"Row {row + 1} of {table} is marked as deleted; it is counted, but not sold."
    return warning("row.deleted", text, "Nothing to do if it is to be gone; else take the mark back.", rejected=1, **where)


def bad_geometry(feature: str, file: str, layer: str) -> Finding:
    """The finding for WKB that is not given to any library."""
    depth, vertices = wkb_checks.MAX_DEPTH, wkb_checks.MAX_VERTICES
    text = (
        f"The geometry is nested deeper than {depth}, has over {vertices} vertices, is cut, or is a curve that cannot be drawn; "
        "it was left out."
    )
    return error("geometry.refused", text, "Write it as points, lines or polygons.", file=file, layer=layer, feature=feature, rejected=1)


def _with_measures(kept: dict[int, dict[str, Any]], measures: Mapping[int, list[float]]) -> dict[int, dict[str, Any]]:
    """What goes under `"@source"` of single rows: the measures of their vertices, and the curve that a line was drawn from."""
    for row, values in measures.items():
        kept[row] = {**kept.get(row, {}), "m": [value if math.isfinite(value) else None for value in values]}
    return kept


def _properties(table: pa.Table, source: Mapping[str, Any], kept: Mapping[int, Mapping[str, Any]], words: Any | None) -> Any:
    """The attributes with what is kept under `"@source"`: of all rows, of single ones, and the `words` of their codes (JSON objects)."""
    if "@source" in table.column_names:  # our key is taken: the source's own moves below ours
        table = table.rename_columns([f"@source#{at}" if name == "@source" else name for at, name in enumerate(table.column_names)])
    if not kept and words is None:
        return attributes.json_texts(table, {"@source": dict(source)})
    plain = _json(source)
    texts = pa.array([_json({**source, **kept[row]}) if row in kept else plain for row in range(table.num_rows)], pa.string())
    if words is not None:
        whole = pc.binary_join_element_wise(pc.utf8_slice_codeunits(texts, 0, -1), pa.scalar(',"words":'), words, pa.scalar("}"), "")
        texts = pc.if_else(pc.equal(words, "{}"), texts, whole)
    return attributes.json_texts(table, source=texts)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
