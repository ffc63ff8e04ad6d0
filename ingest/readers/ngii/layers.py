"""The layers of a delivery, their ids and what they refer to, read from their tables alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingest.checks.text import texts_of
from ingest.deliveries import korean_layer
from ingest.reader import Source
from ingest.readers.tables import shape_text
from ingest.readers.tables.dbf import Column, Dbf, cells_of
from mapex.errors import Invalid

_IDS = ("id", "hdufid", "linkid", "nodeid", "link_id", "node_id")
"""Columns that hold the id of a feature, the first that is there. Before 2019 links and nodes are referred to by LINKID and NODEID."""


@dataclass(frozen=True, slots=True)
class DeliveredLayer:
    """A shapefile of a delivery: its layer ("" for a file that is none of the map) and the folder it is in, as the uploader calls it."""

    path: Path
    code: str
    folder: str
    name: str

    def table(self) -> Dbf | None:
        """Its table; None when it has none that can be read."""
        path = shape_text.beside(self.path, ".dbf")
        try:
            return None if path is None else Dbf.of(path, path.name)
        except Invalid:
            return None


def layers_of(shapes: Sequence[Path], source: Source) -> list[DeliveredLayer]:
    """The shapefiles of a delivery, in order."""
    found = []
    for path in shapes:
        label = PurePosixPath(source.label(path))
        folder = "" if str(label.parent) == "." else str(label.parent)
        found.append(DeliveredLayer(path, korean_layer(label.stem), folder, label.stem))
    return found


def id_column(dbf: Dbf) -> str | None:
    """The name (lower case) of the column of ids."""
    names = {_name(column) for column in dbf.columns}
    return next((name for name in _IDS if name in names), None)


def columns(dbf: Dbf, wanted: Sequence[str]) -> Mapping[str, Any]:
    """Columns (names in lower case) as binary arrays without blanks round them, null for empty cells; those that are not there are absent.

    Deleted rows are null.
    """
    chosen = {name: column for column in dbf.columns if (name := _name(column)) in wanted}
    gathered: dict[str, list[Any]] = {name: [] for name in chosen}
    for block in dbf.blocks():
        gone = pa.array(block[:, 0] == ord("*"))
        for name, column in chosen.items():
            cells = pc.ascii_trim_whitespace(texts_of(cells_of(block, column), "utf-8")[0])
            gathered[name].append(pc.if_else(pc.or_(gone, pc.equal(cells, "")), pa.scalar(None, pa.string()), cells))
    return {name: pa.concat_arrays(parts) if parts else pa.array([], pa.string()) for name, parts in gathered.items()}


def _name(column: Column) -> str:
    return column.raw_name.decode("latin-1").strip().lower()


def ids_of(layer: DeliveredLayer) -> Any:
    """The ids of a layer in the order of its rows; none where it has no table, or no column of ids."""
    dbf = layer.table()
    name = id_column(dbf) if dbf is not None else None
    return pa.array([], pa.string()) if dbf is None or name is None else columns(dbf, (name,))[name]
